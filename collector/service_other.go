//go:build !windows

package main

import "github.com/spf13/cobra"

// serviceCommands are for Windows alone: elsewhere a unit starts serve.
func serviceCommands(*options) []*cobra.Command { return nil }
