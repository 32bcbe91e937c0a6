package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are made here, so that time can pass at
// once while they say nothing.
type pipes struct {
	made  chan net.Conn
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial opens a connection.
func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.made <- there
	return here
}

// servePipes serves a handler until the test ends.
func servePipes(t *testing.T, h http.Handler) *pipes {
	p := &pipes{made: make(chan net.Conn), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, p, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestSlowBrowsersAreNotWaitedFor: whoever sends half a header, half a form or
// nothing more, or does not read what they asked for, is let go, and no later than
// after the time that there is for it.
func TestSlowBrowsersAreNotWaitedFor(t *testing.T) {
	form := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("page "), 1<<20)) })
	for _, slow := range []struct {
		what, says string
		h          http.Handler
		within     time.Duration
	}{
		{"half a header", "GET / HTTP/1.1\r\nHost: collector.example\r\n", form, headerTakes},
		{"half a form", "POST / HTTP/1.1\r\nHost: collector.example\r\nContent-Length: 9\r\n\r\nname", form, formTakes},
		{"nothing more", "GET / HTTP/1.1\r\nHost: collector.example\r\n\r\n", form, idleLasts},
		{"does not read", "GET / HTTP/1.1\r\nHost: collector.example\r\n\r\n", page, pageTakes},
	} {
		t.Run(slow.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := servePipes(t, slow.h).dial()
				defer conn.Close()
				if _, err := io.WriteString(conn, slow.says); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if slow.what == "does not read" {
					time.Sleep(pageTakes + time.Second) // in no time
					began = time.Now().Add(-pageTakes)
				}
				n, err := io.Copy(io.Discard, conn)
				if err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Fatal(err)
				}
				if took := time.Since(began); took > slow.within+time.Second {
					t.Errorf("it was let go after %s, want %s", took, slow.within)
				}
				if n > 1<<20 {
					t.Errorf("%d bytes were kept for it", n)
				}
			})
		})
	}
}

// TestALongTableIsReadToItsEnd however long that takes, as long as it is read: each
// part gives the reader as long again.
func TestALongTableIsReadToItsEnd(t *testing.T) {
	const parts, size = 10, 1 << 10
	synctest.Test(t, func(t *testing.T) {
		conn := servePipes(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for n := range parts {
				if _, err := fmt.Fprintf(lasting{w}, "%0*d", size, n); err != nil {
					t.Errorf("part %d: %v", n, err)
				}
				_ = http.NewResponseController(w).Flush()
				time.Sleep(pageTakes * 2 / 3) // in no time: a slow line
			}
		})).dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || len(got) < parts*size {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
	})
}

// TestWhatIsSentIsBounded: headers and forms without end are refused.
func TestWhatIsSentIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := servePipes(t, http.NotFoundHandler()).dial()
		defer conn.Close()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: collector.example\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		}()
		answer, _ := io.ReadAll(conn)
		conn.Close()
		<-sent
		if !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
			t.Errorf("a header of 64 KiB is answered with %.40q", answer)
		}
	})
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "dpo")
	for _, route := range routes() {
		method, path := example(route.pattern, "hollybank")
		if method != http.MethodPost || c.get(path).Code == http.StatusForbidden {
			continue
		}
		if got := c.post(path, map[string][]string{"reason": {strings.Repeat("x", 4<<20)}}); got.Code < 400 && got.Code != http.StatusSeeOther {
			t.Errorf("%s: a form of 4 MiB is answered with %d", route.pattern, got.Code)
		}
	}
}
