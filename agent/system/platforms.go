//go:build !oneplatform

package system

// Whose machines this build judges. Any, so that a recording of a Mac can be
// judged on Linux, and is in the tests.
const (
	JudgesLinux   = true
	JudgesWindows = true
	JudgesMacOS   = true
)
