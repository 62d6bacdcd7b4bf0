// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"net/http"
)

// NewOver makes a Client whose requests go to a RoundTripper, in virtual time.
func NewOver(ctx context.Context, cfg Config, t http.RoundTripper) (*Client, error) {
	return newClient(ctx, cfg, t)
}
