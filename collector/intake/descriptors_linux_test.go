package intake

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// doorLines is what the door logs. Others may fail for want of a descriptor
// too, and say so.
type doorLines chan string

func (l doorLines) Write(p []byte) (int, error) {
	for _, of := range []string{"another connection", "connections cannot", "connections are"} {
		if bytes.Contains(p, []byte(of)) {
			l <- string(bytes.TrimSpace(p))
			break
		}
	}
	return len(p), nil
}

// TestNoFileDescriptorLeft takes the last file descriptor that the system
// gives: the collector says so once, in words, and accepts again when there are
// some.
func TestNoFileDescriptorLeft(t *testing.T) {
	// The clock runs on below, faster than a handshake.
	limits := Limits{Handshake: 1000 * time.Hour}
	w := newWorld(t, limits)
	l := w.enrol(w.schools[0])
	w.stop()
	said := make(doorLines, 100)
	w.log = slog.New(slog.NewTextHandler(said, nil))
	w.start(limits)
	connected := l.open(&pb.Hello{})
	defer connected.close()
	connected.send(l.report())
	connected.wantAck(l.sequence, 0)

	withoutDescriptors(t, w.address, said, func(line string) {
		if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "no file descriptor is left") || !strings.Contains(line, "LimitNOFILE") {
			t.Errorf("the log says %s", line)
		}
		for range 50 { // it tries again, and does not repeat itself
			w.clock.Advance(jamPause)
		}
	})
	var running sync.WaitGroup
	defer running.Wait()
	enough := make(chan struct{})
	defer close(enough)
	running.Go(func() {
		for {
			select {
			case <-enough:
				return
			default:
				w.clock.Advance(time.Millisecond)
				runtime.Gosched()
			}
		}
	})
	conn, err := net.Dial("tcp", w.address) // if none waits
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if line := <-said; !strings.Contains(line, "connections are accepted again") {
		t.Errorf("the log says %s", line)
	}
	connected.send(l.report()) // who was connected has noticed nothing
	connected.wantAck(l.sequence, 0)
	w.enrol(w.schools[0]).works()
}

// withoutDescriptors takes every file descriptor but the collector's own, lets
// somebody knock, and calls do with the first line that is said of it.
func withoutDescriptors(t *testing.T, address string, said <-chan string, do func(string)) {
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
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	var taken []*os.File
	defer func() {
		for _, f := range taken {
			f.Close()
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if err == nil { // at first, or given back by another since
			taken = append(taken, f)
			continue
		}
		if !errors.Is(err, syscall.EMFILE) {
			t.Fatal(err)
		}
		select {
		case line := <-said:
			do(line)
			return
		default:
		}
		taken[len(taken)-1].Close()
		taken = taken[:len(taken)-1]
		conn, err := net.Dial("tcp", address)
		if err == nil {
			defer conn.Close()
		} else if !errors.Is(err, syscall.EMFILE) { // another was quicker
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}
