//go:build !windows

package main

import "github.com/spf13/cobra"

// serviceCommands are none: the service manager runs the program as a person
// does.
func serviceCommands() []*cobra.Command { return nil }

// startService is left to the service manager: systemd's path unit and launchd
// look for what enrolling leaves.
func startService(string) error { return nil }
