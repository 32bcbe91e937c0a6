// Package release says which version of Caretaker this is, and who publishes it.
//
// It is stamped at build time and read by both programs. It never decides
// what a version may do.
package release

import (
	"encoding/base64"
	"runtime"
	"runtime/debug"
	"time"
)

// version is set by the linker: see the Makefile.
var version string

// root is the publisher's root of trust as base64, set by the linker: see the
// Makefile.
var root string

// Root returns the publisher's root, whose keys sign what may follow this
// version; nil for a program that was built without one, which nothing follows.
func Root() []byte {
	data, err := base64.StdEncoding.DecodeString(root)
	if err != nil || len(data) == 0 {
		return nil
	}
	return data
}

// System names the system that this program was built for, as releases do.
func System() string { return runtime.GOOS + "-" + runtime.GOARCH }

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

// Built returns when the running program's source was committed, as far as Go
// recorded it; else the zero time.
func Built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
