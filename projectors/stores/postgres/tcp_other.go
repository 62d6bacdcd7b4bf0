// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package postgres

import (
	"syscall"
	"time"
)

// userTimeout does nothing: keepalives find a dead peer here, only later.
func userTimeout(syscall.RawConn, time.Duration) error { return nil }
