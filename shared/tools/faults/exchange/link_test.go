package exchange

import (
	"io"
	"net"
	"testing"
)

// far is a server that says how many bytes came over each connection.
func far(t *testing.T) (address string, came <-chan int) {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counts := make(chan int, 8)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listen.Accept()
			if err != nil {
				return
			}
			data, _ := io.ReadAll(c) // it may be cut
			counts <- len(data)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		listen.Close()
		<-ended
	})
	return listen.Addr().String(), counts
}

func TestALinkIsCutAtTheByte(t *testing.T) {
	for _, n := range []int64{0, 1, 4095, 4096, 4097, 9999, 10_000} {
		address, came := far(t)
		l, err := NewLink(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		l.After(Up, n, l.Cut)
		near, err := net.Dial("tcp", l.Address())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = near.Write(make([]byte, 10_000)) // it is cut on the way
		if got := <-came; int64(got) != n {
			t.Errorf("%d bytes arrived, want %d", got, n)
		}
		near.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if got := l.Passed(Up); got != n {
			t.Errorf("%d bytes passed, want %d", got, n)
		}
	}
}

func TestAMendedLinkLeadsElsewhere(t *testing.T) {
	first, _ := far(t)
	second, came := far(t)
	l, err := NewLink(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	l.Cut()
	l.Mend(second)
	near, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := near.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if got := <-came; got != 5 {
		t.Errorf("%d bytes arrived, want 5", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
