//go:build !windows

package main

import (
	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// follow has this program become the newer version that came as a release, if there
// is one.
func follow(config *app.Config) {
	config.Installed = app.This()
	app.Launch(*config, clock.System{})
}

// serviceCommands are none: the service manager runs the program as a person
// does.
func serviceCommands() []*cobra.Command { return nil }

// startService is left to the service manager: systemd's path unit and launchd
// look for what enrolling leaves.
func startService(string) error { return nil }
