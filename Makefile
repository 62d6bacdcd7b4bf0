# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
#
# `make demo` runs the main job on real parts, `make test` passes every test; both install and build what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export PROJECTIONIST_CACHE ?= $(HOME)/.cache/projectionist
export PROJECTIONIST_STATE ?= $(HOME)/.local/state/projectionist
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMG ?= ghcr.io/projectionist-dev/projectionist:$(VERSION)
TOOLS := bin/tools
GO_PACKAGES := ./...

##@ Everyday

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the main job on a real cluster, a real Kafka and a real PostgreSQL.
	@hack/demo/run

.PHONY: demo-down
demo-down: ## Remove everything that the demo started.
	@hack/demo/down

.PHONY: test
test: ## Run all tests: unit, property, envtest, integration and end-to-end.
	@hack/test/run

.PHONY: unit
unit: ## Run the tests that need nothing but Go.
	go test ./...

.PHONY: chaos
chaos: ## Kill projectors, broker and database for a while and compare with the oracle.
	@hack/test/chaos

.PHONY: chaos-rollout
chaos-rollout: ## Kill a random process in every phase of roll-outs under readers (KILLS=100 EVENTS=200000 SEED=1).
	@hack/test/rollouts chaos

.PHONY: rollout-load
rollout-load: ## Roll out and back under readers on a large log (EVENTS=2000000 READERS=8 RATE=2000 RUNS=10).
	@hack/test/rollouts load

.PHONY: fuzz
fuzz: ## Run every fuzz target for 30 minutes of processor time (FUZZ_MINUTES).
	@hack/test/fuzz

.PHONY: bench
bench: ## Measure throughput, latency and memory on real parts.
	@hack/test/bench

##@ Build

.PHONY: build
build: ## Build the binaries to bin/.
	go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: image
image: ## Build the container image with a container engine.
	docker build -t $(IMG) .

##@ Guard

.PHONY: generate
generate: $(TOOLS)/controller-gen $(TOOLS)/crd-ref-docs $(TOOLS)/typeschema ## Generate deep copies, CRDs, RBAC, schemas, the API reference and dist/install.yaml.
	hack/generate $(TOOLS)

.PHONY: verify
verify: ## Fail when a generator would change anything, or a file is not tracked.
	@hack/verify

.PHONY: lint
lint: $(TOOLS)/golangci ## Lint Go code, API types and import directions; check shell scripts.
	$(TOOLS)/golangci run $(GO_PACKAGES)
	hack/lint-shell

.PHONY: install
install: ## Install the CRDs and the operator into the cluster of KUBECONFIG.
	kubectl apply -f dist/install.yaml

.PHONY: clean
clean: ## Remove what was built here; caches outside the tree stay.
	rm -rf bin

# Tools are built once per version into bin/tools.
$(TOOLS)/golangci: hack/tools/golangci/go.mod hack/tools/golangci/go.sum hack/tools/golangci/main.go
	hack/tools/build golangci $@

$(TOOLS)/typeschema: hack/tools/go.mod hack/tools/go.sum hack/tools/typeschema/main.go
	hack/tools/build typeschema $@

$(TOOLS)/controller-gen $(TOOLS)/crd-ref-docs $(TOOLS)/gotestsum $(TOOLS)/kustomize: hack/tools/go.mod hack/tools/go.sum
	hack/tools/build $(@F) $@
