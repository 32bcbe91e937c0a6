// Package daemon runs a program until it is told to stop: by the service
// manager of the system (Windows' Service Control Manager, launchd, systemd)
// or, when a person started it, by Ctrl-C.
//
// It never decides what the program does, and changes nothing of the system
// but, when asked to, the entry of the service itself: see Definition.
package daemon

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Program is what is run. It returns once its context has ended, or with why
// it could not go on. Woken receives when the machine was woken from sleep,
// where the system tells; it is nil elsewhere.
type Program func(ctx context.Context, woken <-chan struct{}) error

// runHere runs a program for the person who started it.
func runHere(ctx context.Context, run Program) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, nil)
}
