package intake

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// lines is a log of which each line is waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	// A checkpoint that falls due meanwhile finds no descriptor either, and is
	// made later.
	if !bytes.Contains(p, []byte("checkpoint not made")) {
		l <- string(bytes.TrimSpace(p))
	}
	return len(p), nil
}

// TestNoFileDescriptorLeft takes the last file descriptor that the system
// gives: the collector says so once, in words, and accepts again when there are
// some.
func TestNoFileDescriptorLeft(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	w.stop()
	said := make(lines, 100)
	w.log = slog.New(slog.NewTextHandler(said, nil))
	w.start(Limits{})
	connected := l.open(&pb.Hello{})
	defer connected.close()
	connected.send(l.report())
	connected.wantAck(l.sequence, 0)

	conn := takeLastDescriptor(t, w.address, func() {
		if line := <-said; !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "no file descriptor is left") || !strings.Contains(line, "LimitNOFILE") {
			t.Errorf("the log says %s", line)
		}
		for range 50 { // it tries again, and does not repeat itself
			w.clock.Advance(jamPause)
		}
	})
	defer conn.Close()
	for again := false; !again; {
		select {
		case line := <-said:
			if again = strings.Contains(line, "connections are accepted again"); !again {
				t.Errorf("the log says %s", line)
			}
		default:
			w.clock.Advance(time.Millisecond)
		}
	}
	connected.send(l.report()) // who was connected has noticed nothing
	connected.wantAck(l.sequence, 0)
	w.enrol(w.schools[0]).works()
}

// takeLastDescriptor calls do while a connection waits to be accepted and no
// file descriptor is left for it.
func takeLastDescriptor(t *testing.T, address string, do func()) net.Conn {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := limit
	lower.Cur = min(limit.Cur, 512)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	defer func() {
		for _, f := range taken {
			f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, f)
	}
	last := taken[len(taken)-1]
	taken = taken[:len(taken)-1]
	last.Close()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	do()
	return conn
}
