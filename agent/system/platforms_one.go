//go:build oneplatform

package system

import "runtime"

// Whose machines this build judges: those of its own system. That is how agents
// are released, because the others' part would be a part of what every laptop
// holds.
const (
	JudgesLinux   = runtime.GOOS == "linux"
	JudgesWindows = runtime.GOOS == "windows"
	JudgesMacOS   = runtime.GOOS == "darwin"
)
