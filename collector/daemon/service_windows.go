package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// unit is a service of this name that starts a program with these arguments. Its
// account is LocalSystem's.
func unit(name string, arguments ...string) (service.Service, error) {
	s, err := service.New(nothing{}, &service.Config{
		Name: name, DisplayName: "Caretaker collector",
		Description: "Takes in what the school's laptops report, records it, and shows it on pages.",
		Arguments:   arguments,
		Option: service.KeyValue{
			"DelayedAutoStart": true, service.OnFailure: service.OnFailureRestart,
			service.OnFailureDelayDuration: "10s", service.OnFailureResetPeriod: int(24 * time.Hour / time.Second),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("describe the service %s: %w", name, err)
	}
	return s, nil
}

// nothing is run by the library: Serve runs the program.
type nothing struct{}

func (nothing) Start(service.Service) error { return nil }
func (nothing) Stop(service.Service) error  { return nil }

// Install makes the service, which starts this program with the arguments from
// now on, with Windows and again after a failure. It does not start it.
func Install(name string, arguments ...string) error {
	s, err := unit(name, arguments...)
	if err != nil {
		return err
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("make the service %s: %w", name, err)
	}
	return nil
}

// Start has the service started.
func Start(name string) error {
	s, err := unit(name)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return fmt.Errorf("start the service %s: %w", name, err)
	}
	return nil
}

// Stop stops the service and returns when it has.
func Stop(name string) error {
	s, err := unit(name)
	if err != nil {
		return err
	}
	if err := s.Stop(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop the service %s: %w", name, err)
	}
	return nil
}

// Remove stops the service and takes it away.
func Remove(name string) error {
	if err := Stop(name); err != nil {
		return err
	}
	s, err := unit(name)
	if err != nil {
		return err
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("remove the service %s: %w", name, err)
	}
	return nil
}

// Serve runs a program for the Service Control Manager, which must have started
// this process, and returns the program's error.
func Serve(ctx context.Context, name string, run func(context.Context) error) error {
	s := &served{ctx: ctx, run: run}
	if err := svc.Run(name, s); errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.New("only the Service Control Manager starts the service; to run the collector here, use caretaker-collector serve")
	} else if err != nil {
		return fmt.Errorf("run as a service: %w", err)
	}
	return s.err
}

// served is a program that the Service Control Manager starts and stops.
type served struct {
	ctx context.Context //nolint:containedctx // the service manager's interface passes none
	run func(context.Context) error
	err error // what run returned; set before Execute returns
}

// hint is how long it may take until the program has ended, in milliseconds: it
// writes what is under way to the disk.
const hint = 120_000

// Execute implements svc.Handler.
func (s *served) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	status <- svc.Status{State: svc.StartPending, WaitHint: hint}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.err = s.run(ctx)
	}()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: hint}
				cancel()
				<-ended
				over = true
			}
		}
	}
	if s.err != nil {
		return true, 1 // why stands in the event log
	}
	return true, 0
}

// Log is the event log, for what the service has to say. Close it when nothing is
// said any more.
func Log() (handler slog.Handler, closeLog func() error, err error) {
	l, err := eventlog.Open(Source)
	if err != nil {
		return nil, nil, fmt.Errorf("open the event log: %w", err)
	}
	return slog.NewTextHandler(events{l}, &slog.HandlerOptions{ReplaceAttr: untimed}), l.Close, nil
}

// untimed leaves out the time, which the event log has itself.
func untimed(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// events writes lines to the event log.
type events struct{ log *eventlog.Log }

func (e events) Write(line []byte) (int, error) { return len(line), e.log.Info(1, string(line)) }
