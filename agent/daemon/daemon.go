// Package daemon runs a program until it is told to stop: by the service
// manager of the system (Windows' Service Control Manager, launchd, systemd)
// or, when a person started it, by Ctrl-C.
//
// It never installs or changes a service; that is the installers' work.
package daemon

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/kardianos/service"
)

// Name is the name under which the system knows the service.
const Name = "caretaker-agent"

// Run runs the program until it returns or it is told to stop, which ends its
// context. It returns the program's error.
func Run(ctx context.Context, run func(context.Context) error) error {
	if service.Interactive() {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx)
	}
	p := &program{run: run, ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(ctx)
	defer p.cancel()
	s, err := service.New(p, &service.Config{
		Name: Name, DisplayName: "Caretaker",
		Description: "Reads this school laptop's encryption, antivirus, media and programs, and reports them to the school.",
		Option:      service.KeyValue{"RunWait": p.wait},
	})
	if err != nil {
		return fmt.Errorf("ask the system to run the service: %w", err)
	}
	if err := s.Run(); err != nil {
		return fmt.Errorf("run as a service: %w", err)
	}
	return p.err
}

// program is what the service manager starts and stops.
type program struct {
	run    func(context.Context) error
	ctx    context.Context //nolint:containedctx // the service manager's interface passes none
	cancel context.CancelFunc
	ended  chan struct{} // closed once run has returned
	err    error         // what run returned; set before ended is closed
}

// Start implements service.Interface. It must not block.
func (p *program) Start(s service.Service) error {
	go func() {
		p.err = p.run(p.ctx)
		close(p.ended)
		if runtime.GOOS == "windows" && p.ctx.Err() == nil {
			// Nobody asked it to end. Windows learns of that only so; the
			// others notice because wait returns.
			_ = s.Stop() // if this fails the manager finds the process gone, and restarts it all the same
		}
	}()
	return nil
}

// wait returns when the program should stop or has ended by itself.
func (p *program) wait() {
	ctx, stop := signal.NotifyContext(p.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case <-ctx.Done():
	case <-p.ended:
	}
}

// Stop implements service.Interface. It returns once the program has ended.
func (p *program) Stop(service.Service) error {
	p.cancel()
	<-p.ended
	return nil
}
