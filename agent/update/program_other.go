//go:build !windows

package update

// programFile is the name of a program in the folder of its version.
const programFile = "caretaker-agent"
