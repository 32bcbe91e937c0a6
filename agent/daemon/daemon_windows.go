package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Run runs the program until it returns or the person who started it ends it,
// which ends its context. It returns the program's error.
func Run(ctx context.Context, run Program) error { return runHere(ctx, run) }

// EventLog opens the event log for what the service has to say. Close it when
// nothing is said any more.
func EventLog(d Definition) (handler slog.Handler, closeLog func() error, err error) {
	l, err := eventlog.Open(d.EventSource)
	if err != nil {
		return nil, nil, fmt.Errorf("open the event log: %w", err)
	}
	return newEventHandler(l), l.Close, nil
}

// Serve runs the program for the Service Control Manager, which must have
// started this process, and returns the program's error. That the service
// begins and ends is told to log.
func Serve(ctx context.Context, d Definition, log *slog.Logger, run Program) error {
	s := &served{ctx: ctx, run: run, log: log, woken: make(chan struct{}, 1)}
	if err := svc.Run(d.Name, s); errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.New("only the Service Control Manager starts the service; to run the agent here, use caretaker-agent run")
	} else if err != nil {
		return fmt.Errorf("run as a service: %w", err)
	}
	return s.err
}

// served is a program that the Service Control Manager starts and stops.
type served struct {
	ctx   context.Context //nolint:containedctx // the service manager's interface passes none
	run   Program
	log   *slog.Logger
	woken chan struct{}
	err   error // what run returned; set before Execute returns
}

// What it says while it starts and stops: that it makes progress, and how long
// until it says so again, at most.
const (
	progressEvery = time.Second
	progressHint  = 5000 // milliseconds
)

// The exit codes of the service. They say only that recovery is wanted; why
// stands in the event log.
const (
	exitStopped = 0
	exitFailed  = 1
)

// Events of SERVICE_CONTROL_POWEREVENT: the machine was woken, by whatever or
// by its user.
const (
	resumeAutomatic = 0x12
	resumeSuspend   = 0x7
)

// Execute implements svc.Handler.
func (s *served) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	status <- svc.Status{State: svc.StartPending, CheckPoint: 1, WaitHint: progressHint}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.err = s.run(ctx, s.woken)
	}()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown | svc.AcceptPowerEvent}
	s.log.Log(ctx, Notice, "the service has started")
	if s.listen(requests, status, ended) {
		cancel()
		s.stopping(requests, status, ended)
	}
	if s.err != nil {
		s.log.Error("the service ends because of a failure; it is started again", "reason", s.err)
		return true, exitFailed
	}
	s.log.Log(ctx, Notice, "the service has stopped")
	return true, exitStopped
}

// listen does what it is told until that is to stop, and returns true; or
// until the program has ended by itself, and returns false.
func (s *served) listen(requests <-chan svc.ChangeRequest, status chan<- svc.Status, ended <-chan struct{}) bool {
	for {
		select {
		case <-ended:
			return false
		case r := <-requests:
			switch r.Cmd {
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				return true
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.PowerEvent:
				if r.EventType == resumeAutomatic || r.EventType == resumeSuspend {
					select {
					case s.woken <- struct{}{}:
					default: // it is told already
					}
				}
			}
		}
	}
}

// stopping says that it makes progress until the program has ended.
func (s *served) stopping(requests <-chan svc.ChangeRequest, status chan<- svc.Status, ended <-chan struct{}) {
	now := svc.Status{State: svc.StopPending, WaitHint: progressHint}
	for {
		now.CheckPoint++
		status <- now
		if s.endsSoon(requests, ended) {
			return
		}
	}
}

// endsSoon waits for the program's end, but not longer than until it is time
// to say something again. What else is asked meanwhile has its answer in that.
func (s *served) endsSoon(requests <-chan svc.ChangeRequest, ended <-chan struct{}) bool {
	late, stop := context.WithTimeout(context.Background(), progressEvery)
	defer stop()
	for {
		select {
		case <-ended:
			return true
		case <-late.Done():
			return false
		case <-requests:
		}
	}
}
