//go:build unix

package daemon

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kardianos/service"
)

// Run runs the program until it returns or it is told to stop, which ends its
// context. It returns the program's error.
func Run(ctx context.Context, run Program) error {
	if service.Interactive() {
		return runHere(ctx, run)
	}
	p := &program{run: run, ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(ctx)
	defer p.cancel()
	d := Service()
	s, err := service.New(p, &service.Config{
		Name: d.Name, DisplayName: d.DisplayName, Description: d.Description,
		Option: service.KeyValue{"RunWait": p.wait},
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
	run    Program
	ctx    context.Context //nolint:containedctx // the service manager's interface passes none
	cancel context.CancelFunc
	ended  chan struct{} // closed once run has returned
	err    error         // what run returned; set before ended is closed
}

// Start implements service.Interface. It must not block.
func (p *program) Start(service.Service) error {
	go func() {
		p.err = p.run(p.ctx, nil)
		close(p.ended)
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
