package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// tried is a service of this test's own.
func tried() Definition {
	d := Service()
	d.Name, d.DisplayName, d.EventSource = "caretaker-daemon-test", "Caretaker's test", "Caretaker's test"
	d.Arguments = []string{serving}
	return d
}

const serving = "serve-for-test"

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == serving {
		os.Exit(serve(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// serve is the service. It tells the test what happens to it.
func serve(address, mode string) int {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 3
	}
	defer conn.Close()
	log := slog.New(slog.NewTextHandler(conn, nil))
	err = Serve(context.Background(), tried(), log, func(ctx context.Context, _ <-chan struct{}) error {
		if mode == "fails" {
			return errors.New("its state folder is somebody else's")
		}
		fmt.Fprintln(conn, "running")
		<-ctx.Done()
		fmt.Fprintln(conn, "told to end")
		return nil
	})
	fmt.Fprintln(conn, "ended:", err)
	return 0
}

// installed installs the service and returns it, and where it will call.
func installed(t *testing.T, mode string) (*mgr.Service, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := tried()
	if err := d.Remove(t.Context()); err != nil { // of a run that was killed
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	lacking, err := d.Install(program, l.Addr().String(), mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Logf("this Windows does not know: %q", lacking)
	m, err := mgr.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(d.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, l
}

// called starts the service and returns its call.
func called(t *testing.T, s *mgr.Service, l net.Listener) net.Conn {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestServiceIsStartedAndStopped(t *testing.T) {
	s, l := installed(t, "runs")
	conn := called(t, s, l)
	began := make([]byte, 512)
	var said string
	for !strings.Contains(said, "running\n") {
		n, err := conn.Read(began)
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
		said += string(began[:n])
	}
	if status, err := s.Query(); err != nil || status.State != svc.Running {
		t.Errorf("while it runs: got %+v, %v", status, err)
	}
	if status, err := s.Control(svc.Interrogate); err != nil || status.State != svc.Running || status.Accepts&svc.AcceptPowerEvent == 0 {
		t.Errorf("interrogated: got %+v, %v", status, err)
	}
	if err := stop(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	said += string(rest)
	for _, want := range []string{"the service has started", "told to end", "the service has stopped", "ended: <nil>"} {
		if !strings.Contains(said, want) {
			t.Errorf("it did not say %q but\n%s", want, said)
		}
	}
	if status, err := s.Query(); err != nil || status.State != svc.Stopped || status.Win32ExitCode != 0 {
		t.Errorf("stopped: got %+v, %v", status, err)
	}
}

func TestServiceThatFailsSaysSo(t *testing.T) {
	s, l := installed(t, "fails")
	conn := called(t, s, l)
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(said), "level=ERROR") || !strings.Contains(string(said), "somebody else's") {
		t.Errorf("it said %q", said)
	}
	status, err := s.Query()
	if err != nil || status.State != svc.Stopped || status.Win32ExitCode != uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) || status.ServiceSpecificExitCode != exitFailed {
		t.Errorf("got %+v, %v", status, err)
	}
}

// TestServiceIsAsDefined reads back what was installed, as far as this Windows
// keeps it.
func TestServiceIsAsDefined(t *testing.T) {
	s, _ := installed(t, "runs")
	d := tried()
	if actions, err := s.RecoveryActions(); err != nil || len(actions) != len(d.Restart) {
		t.Logf("left out: the restarts after failures are %v, %v", actions, err)
	} else {
		for i, a := range actions {
			if a.Type != mgr.ServiceRestart || a.Delay != d.Restart[i] {
				t.Errorf("restart %d: got %+v, want after %v", i, a, d.Restart[i])
			}
		}
	}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\`+d.Name, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	path, _, err := key.GetStringValue("ImagePath")
	if err != nil || !strings.Contains(path, ".exe\" "+serving) && !strings.Contains(path, ".exe "+serving) {
		t.Errorf("it runs %q, %v", path, err)
	}
	source, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\EventLog\Application\`+d.EventSource, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if file, _, err := source.GetStringValue("EventMessageFile"); err != nil || !strings.HasSuffix(file, `\System32\EventCreate.exe`) {
		t.Errorf("the texts of its events: %q, %v", file, err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Install(program); !errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
		t.Errorf("installed twice: got %v", err)
	}
}

func TestEventLog(t *testing.T) {
	installed(t, "runs")
	handler, closeLog, err := EventLog(tried())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(handler)
	for _, level := range []slog.Level{Notice, slog.LevelWarn, slog.LevelError} {
		if err := handler.Handle(t.Context(), slog.Record{Level: level, Message: "of a test"}); err != nil {
			t.Errorf("%v: %v", level, err)
		}
	}
	log.Warn("of a test")
	if err := closeLog(); err != nil {
		t.Error(err)
	}
}

func TestOnlyTheServiceManagerStartsTheService(t *testing.T) {
	err := Serve(t.Context(), tried(), slog.New(slog.DiscardHandler), func(context.Context, <-chan struct{}) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "caretaker-agent run") {
		t.Errorf("got %v", err)
	}
}

// TestWokenAndAskedWhileItStops drives the handler itself: what Windows sends
// in the night cannot be had here.
func TestWokenAndAskedWhileItStops(t *testing.T) {
	s := &served{ctx: t.Context(), log: slog.New(slog.DiscardHandler), woken: make(chan struct{}, 1)}
	end := make(chan struct{})
	woken := make(chan struct{})
	s.run = func(ctx context.Context, wake <-chan struct{}) error {
		<-wake
		close(woken)
		<-ctx.Done()
		<-end
		return nil
	}
	requests, status, done := make(chan svc.ChangeRequest), make(chan svc.Status), make(chan uint32)
	go func() {
		_, code := s.Execute(nil, requests, status)
		done <- code
	}()
	if got := (<-status).State; got != svc.StartPending {
		t.Errorf("got %v", got)
	}
	if got := (<-status).State; got != svc.Running {
		t.Errorf("got %v", got)
	}
	for _, event := range []uint32{4, resumeAutomatic, resumeSuspend} { // 4: it goes to sleep
		requests <- svc.ChangeRequest{Cmd: svc.PowerEvent, EventType: event}
	}
	<-woken
	requests <- svc.ChangeRequest{Cmd: svc.PreShutdown}
	first := <-status
	second := <-status // it makes progress as long as the program takes
	if first.State != svc.StopPending || second.State != svc.StopPending || second.CheckPoint <= first.CheckPoint {
		t.Errorf("got %+v, %+v", first, second)
	}
	close(end)
	for {
		select {
		case <-status:
			continue
		case code := <-done:
			if code != exitStopped {
				t.Errorf("got %d", code)
			}
		}
		return
	}
}
