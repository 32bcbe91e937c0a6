package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

type greeting struct {
	Name string `json:"name"`
}

// serve starts a console that greets, and stops it with the test.
func serve(t *testing.T) string {
	t.Helper()
	return serveIn(t, t.TempDir())
}

func serveIn(t *testing.T, data string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Listen(ctx, data)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, func(_ context.Context, operation string, arguments json.RawMessage) (any, error) {
			var g greeting
			if err := json.Unmarshal(arguments, &g); err != nil {
				return nil, err
			}
			if operation != "greet" {
				return nil, fmt.Errorf("there is no operation %q", operation)
			}
			return greeting{Name: "good morning, " + g.Name}, nil
		}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return data
}

func TestCallIsAnswered(t *testing.T) {
	data := serve(t)
	var got greeting
	if err := Call(t.Context(), data, "greet", greeting{Name: "Hollybank"}, &got); err != nil {
		t.Fatal(err)
	}
	if want := "good morning, Hollybank"; got.Name != want {
		t.Errorf("got %q, want %q", got.Name, want)
	}
}

// TestALongPath: the path of a data folder may be longer than that of a socket
// can be. Where the system knows no way round, it says so in words.
func TestALongPath(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("long-", 40))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Call(t.Context(), data, "greet", greeting{}, &greeting{}); runtime.GOOS == "linux" && !errors.Is(err, ErrNotRunning) {
		t.Errorf("while none runs: got %v, want ErrNotRunning", err)
	}
	if runtime.GOOS != "linux" {
		_, err := Listen(t.Context(), data)
		if err == nil || !strings.Contains(err.Error(), "shorter path") {
			t.Errorf("got %v, want words about the path", err)
		}
		return
	}
	serveIn(t, data)
	var got greeting
	if err := Call(t.Context(), data, "greet", greeting{Name: "Hollybank"}, &got); err != nil || got.Name == "" {
		t.Errorf("got %q, %v", got.Name, err)
	}
	if info, err := os.Stat(SocketPath(data)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v, want mode 600", info, err)
	}
}

func TestErrorsArriveInWords(t *testing.T) {
	data := serve(t)
	err := Call(t.Context(), data, "dance", greeting{}, &greeting{})
	if err == nil || err.Error() != `there is no operation "dance"` {
		t.Errorf("got %v", err)
	}
	err = Call(t.Context(), data, "greet", greeting{Name: strings.Repeat("x", maxCall)}, &greeting{})
	if err == nil {
		t.Error("a call larger than allowed was answered")
	}
}

func TestOnlyTheOwnerMayOpenIt(t *testing.T) {
	info, err := os.Stat(SocketPath(serve(t)))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the socket has mode %o, want 600", mode)
	}
}

func TestNotRunning(t *testing.T) {
	err := Call(t.Context(), t.TempDir(), "greet", greeting{}, &greeting{})
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}

func TestASocketLeftBehindIsReplaced(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(SocketPath(data), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
