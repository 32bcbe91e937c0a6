package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const testName = "caretaker-collector-test"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve-for-test" {
		serveForTest(os.Args[2], os.Args[3])
		return
	}
	os.Exit(m.Run())
}

// serveForTest is the service: it tells the test what happens to it.
func serveForTest(address, mode string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		os.Exit(3)
	}
	defer conn.Close()
	err = Serve(context.Background(), testName, func(ctx context.Context) error {
		_, _ = conn.Write([]byte("running\n")) // the test sees what does not come
		if mode == "fails" {
			return errors.New("its data folder is somebody else's")
		}
		<-ctx.Done()
		_, _ = conn.Write([]byte("told to end\n"))
		return nil
	})
	if err != nil {
		_, _ = conn.Write([]byte(err.Error() + "\n"))
	}
}

// state is what Windows says of the service.
func state(t *testing.T) (svc.Status, bool) {
	t.Helper()
	m, err := mgr.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(testName)
	if err != nil {
		return svc.Status{}, false
	}
	defer s.Close()
	status, err := s.Query()
	if err != nil {
		t.Fatal(err)
	}
	return status, true
}

// TestTheServiceComesRunsAndGoes: it is made, started, stopped in order and taken
// away; and one that fails says so to Windows.
func TestTheServiceComesRunsAndGoes(t *testing.T) {
	for mode, said := range map[string]string{"runs": "told to end", "fails": "somebody else's"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if _, there := state(t); there { // of a run that was killed
			if err := Remove(testName); err != nil {
				t.Fatal(err)
			}
		}
		if err := Install(testName, "serve-for-test", l.Addr().String(), mode); err != nil {
			t.Fatal(err)
		}
		if err := Install(testName, "serve-for-test"); err == nil {
			t.Error("it was made twice")
		}
		if err := Start(testName); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		heard := ""
		hear := func(words string) {
			t.Helper()
			for b := make([]byte, 512); !strings.Contains(heard, words); {
				n, err := conn.Read(b)
				if heard += string(b[:n]); err != nil {
					break
				}
			}
			if !strings.Contains(heard, words) {
				t.Errorf("%s: it said %q, want %q", mode, heard, words)
			}
		}
		hear("running")
		if mode == "runs" {
			if s, _ := state(t); s.State != svc.Running {
				t.Errorf("while it runs its state is %d", s.State)
			}
			if err := Stop(testName); err != nil {
				t.Fatal(err)
			}
		}
		hear(said)
		if err := Remove(testName); err != nil {
			t.Fatal(err)
		}
		if _, there := state(t); there {
			t.Errorf("%s: it was removed, and Windows has it", mode)
		}
		conn.Close()
		l.Close()
	}
}

func TestOnlyTheManagerStartsIt(t *testing.T) {
	if err := Serve(t.Context(), testName, func(context.Context) error { return nil }); err == nil {
		t.Error("it ran without the Service Control Manager")
	}
}
