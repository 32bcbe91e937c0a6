package app

import (
	"testing"

	"github.com/caretaker-school/caretaker/collector/intake"
)

func TestLimitsLeaveLaptopsTheirDescriptors(t *testing.T) {
	for descriptors, want := range map[int]intake.Limits{
		0:         {},
		64:        {Connections: 48, HalfOpen: 6, Enrolling: 6},
		1024:      {Connections: 768, HalfOpen: 96, Enrolling: 96},
		20_000:    {Connections: 18_976, HalfOpen: 2048, Enrolling: 1024},
		1_048_576: {Connections: 120_000, HalfOpen: 2048, Enrolling: 1024},
	} {
		if got := limits(descriptors); got != want {
			t.Errorf("%d descriptors: got %+v, want %+v", descriptors, got, want)
		}
	}
	if descriptors() < 0 {
		t.Error("less than no descriptors")
	}
}
