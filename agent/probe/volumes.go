package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Volumes returns the local writable filesystems and swap areas of a machine.
func Volumes(_ context.Context, _ system.Reader) posture.Answer[posture.Volume] {
	return posture.NotFound[posture.Volume]("sysfs", posture.NotAsked)
}
