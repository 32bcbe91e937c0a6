package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// removeWithin is how long a service may take to stop before it is removed.
const removeWithin = 30 * time.Second

// Install makes the service, which will run program with the definition's
// arguments and those given here, and its source in the event log. It does not
// start it. Whatever fails, nothing is left behind. Lacking names settings
// that this Windows does not know, without which the service works all the
// same.
func (d Definition) Install(program string, arguments ...string) (lacking []string, err error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, fmt.Errorf("ask the Service Control Manager: %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	s, err := m.CreateService(d.Name, program, mgr.Config{
		StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal, DisplayName: d.DisplayName, Description: d.Description,
	}, append(append([]string{}, d.Arguments...), arguments...)...)
	if err != nil {
		return nil, fmt.Errorf("make the service %s: %w", d.Name, err)
	}
	defer s.Close()
	if lacking, err = d.set(s); err != nil {
		return nil, errors.Join(err, s.Delete())
	}
	if err := d.installEvents(); err != nil {
		return nil, errors.Join(err, s.Delete())
	}
	return lacking, nil
}

// set sets what is not part of making a service.
func (d Definition) set(s *mgr.Service) (lacking []string, err error) {
	var actions []mgr.RecoveryAction
	for _, delay := range d.Restart {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: delay})
	}
	sid := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED)
	var delayed windows.SERVICE_DELAYED_AUTO_START_INFO
	if d.Delayed {
		delayed.IsDelayedAutoStartUp = 1
	}
	privileges := multiString(d.Privileges)
	required := struct{ list *uint16 }{&privileges[0]} // SERVICE_REQUIRED_PRIVILEGES_INFO
	for _, setting := range []struct {
		what string
		set  func() error
	}{
		{"restarts after failures", func() error { return s.SetRecoveryActions(actions, uint32(d.ForgiveAfter/time.Second)) }},
		{"restarts after it ended by itself", func() error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
		{"delayed start", func() error {
			return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&delayed)))
		}},
		{"a name of its own", func() error {
			return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_SERVICE_SID_INFO, (*byte)(unsafe.Pointer(&sid)))
		}},
		{"few privileges", func() error {
			return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, (*byte)(unsafe.Pointer(&required)))
		}},
	} {
		err := setting.set()
		if errors.Is(err, windows.ERROR_INVALID_LEVEL) || errors.Is(err, windows.ERROR_CALL_NOT_IMPLEMENTED) {
			lacking = append(lacking, setting.what)
		} else if err != nil {
			return nil, fmt.Errorf("set %s: %w", setting.what, err)
		}
	}
	return lacking, nil
}

// multiString is a list of texts as Windows wants it.
func multiString(list []string) []uint16 {
	return utf16.Encode([]rune(strings.Join(list, "\x00") + "\x00\x00"))
}

// installEvents gives the service a source in the event log, with the message
// file that every Windows has. One that is there already, of an earlier
// installation, is made anew.
func (d Definition) installEvents() error {
	if err := eventlog.Remove(d.EventSource); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fmt.Errorf("take the old source %s out of the event log: %w", d.EventSource, err)
	}
	if err := eventlog.InstallAsEventCreate(d.EventSource, eventlog.Error|eventlog.Warning|eventlog.Info); err != nil {
		return fmt.Errorf("make the source %s in the event log: %w", d.EventSource, err)
	}
	return nil
}

// Start has the service started, unless it runs already. There says whether there
// is such a service.
func (d Definition) Start() (there bool, err error) {
	return d.with(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return fmt.Errorf("start the service %s: %w", d.Name, err)
		}
		return nil
	})
}

// There says whether there is such a service.
func (d Definition) There() (bool, error) { return d.with(func(*mgr.Service) error { return nil }) }

// with does something with the service, if there is one.
func (d Definition) with(do func(*mgr.Service) error) (there bool, err error) {
	m, err := mgr.Connect()
	if err != nil {
		return false, fmt.Errorf("ask the Service Control Manager: %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	s, err := m.OpenService(d.Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the service %s: %w", d.Name, err)
	}
	defer s.Close()
	return true, do(s)
}

// Remove stops the service and takes it away, with its source in the event
// log. What is not there is no error.
func (d Definition) Remove(ctx context.Context) error {
	_, err := d.with(func(s *mgr.Service) error {
		if err := stop(ctx, s); err != nil {
			return fmt.Errorf("stop the service %s: %w", d.Name, err)
		}
		if err := s.Delete(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
			return fmt.Errorf("remove the service %s: %w", d.Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := eventlog.Remove(d.EventSource); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fmt.Errorf("take the source %s out of the event log: %w", d.EventSource, err)
	}
	return nil
}

// stop stops a service and waits until it has.
func stop(ctx context.Context, s *mgr.Service) error {
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	status, err := s.Control(svc.Stop)
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return nil
	}
	for err == nil && status.State != svc.Stopped {
		soon, stop := context.WithTimeout(ctx, progressEvery/4)
		<-soon.Done()
		stop()
		if ctx.Err() != nil {
			return fmt.Errorf("it has not stopped: %w", ctx.Err())
		}
		status, err = s.Query()
	}
	return err
}
