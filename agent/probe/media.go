package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Media returns the removable and hot-plugged storage that is attached.
func Media(_ context.Context, _ system.Reader, _ Question) posture.Answer[posture.Medium] {
	return posture.NotFound[posture.Medium]("sysfs", posture.NotAsked)
}
