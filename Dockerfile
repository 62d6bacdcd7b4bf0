# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# One image with both binaries: the operator starts /manager, projectors and Jobs start /projector.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY contract/ contract/
COPY controllers/ controllers/
COPY projectors/ projectors/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/manager ./cmd/projector

FROM gcr.io/distroless/static:nonroot
LABEL org.opencontainers.image.title="projectionist" \
      org.opencontainers.image.description="Kubernetes operator for CQRS read-model projections" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/manager /out/projector /
USER 65532:65532
ENTRYPOINT ["/manager"]
