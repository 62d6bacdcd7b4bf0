// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/projectionist-dev/projectionist/projectors/sources/sourcetest"
)

func TestConformanceFake(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
		t.Parallel()
		_, h := fakeHarness(t)
		return h
	})
}

// Kafka 2.8 has no fetch by topic id.
func TestConformanceFakeOld(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
		t.Parallel()
		_, h := fakeHarness(t, kfake.MaxVersions(kversion.V2_8_0()))
		return h
	})
}
