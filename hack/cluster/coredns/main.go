// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command coredns is CoreDNS with no more plugins than the one-node cluster's Corefile names: the stock program links
// the clients of several clouds, which triples its build.
package main

import (
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/coremain"
)

func main() {
	coremain.Run()
}
