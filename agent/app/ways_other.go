//go:build !windows && !darwin

package app

import (
	"log/slog"

	"github.com/caretaker-school/caretaker/agent/route"
)

// systemProxies are none: this system has no setting for all of its programs
// beside their environment.
func systemProxies(*slog.Logger) []route.Source { return nil }
