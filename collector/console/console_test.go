package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
)

type greeting struct {
	Name string `json:"name"`
}

// serve starts a console that greets, and stops it with the test.
func serve(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
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
