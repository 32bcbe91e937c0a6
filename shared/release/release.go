// Package release says which version of Caretaker this is.
//
// It is stamped at build time and read by both programs. It never decides
// what a version may do.
package release

import "runtime/debug"

// version is set by the linker: see the Makefile.
var version string

// Version returns the version of the running program, such as "v0.1.0"; for a
// program built without the Makefile, what Go recorded about the source.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
