//go:build !windows

package main

import "github.com/spf13/cobra"

// serviceCommands are none: the service manager runs the program as a person
// does.
func serviceCommands() []*cobra.Command { return nil }
