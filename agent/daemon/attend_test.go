package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// attendMode says to this program, started again, what to do in place of another.
const attendMode = "CARETAKER_TEST_ATTENDS"

// TestInPlaceOfAnother is no test by itself but the program that the others start.
func TestInPlaceOfAnother(*testing.T) {
	mode, told, _ := strings.Cut(os.Getenv(attendMode), " ")
	note := func(word string) {
		f, err := os.OpenFile(told, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintln(f, word)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			panic(err)
		}
	}
	switch mode {
	case "":
	case "another":
		os.Exit(4)
	case "crashes":
		panic("the disk is somebody else's")
	case "ends":
		os.Exit(0)
	default:
		err := Attend(context.Background(), os.Stdin, func(ctx context.Context, woken <-chan struct{}) error {
			<-woken
			note("woken")
			<-ctx.Done()
			note("told to end")
			return nil
		})
		note(fmt.Sprint(err))
		os.Exit(0)
	}
}

func inPlace(t *testing.T, mode, told string) Attended {
	t.Helper()
	t.Setenv(attendMode, mode+" "+told)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Attended{Path: self, Args: []string{"-test.run=^TestInPlaceOfAnother$"}}
}

func TestAProgramInPlaceOfAnotherIsToldWhatThatIs(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	a := inPlace(t, "stays", told)
	ctx, cancel := context.WithCancel(t.Context())
	woken := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := a.Run(ctx, woken)
		ended <- err
	}()
	for range 3 { // the third is taken when the first was passed on
		woken <- struct{}{}
	}
	for {
		if data, err := os.ReadFile(told); err == nil && strings.Contains(string(data), "woken") {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
	data, err := os.ReadFile(told)
	if got := strings.ReplaceAll(string(data), "\n", ", "); err != nil || got != "woken, told to end, <nil>, " {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAProgramInPlaceOfAnotherEnds(t *testing.T) {
	for mode, want := range map[string]struct {
		status int
		words  string
	}{
		"another": {4, "exit status 4"}, "crashes": {2, "somebody else's"}, "ends": {0, "ended by itself"},
	} {
		status, err := inPlace(t, mode, "").Run(t.Context(), nil)
		if status != want.status || err == nil || !strings.Contains(err.Error(), want.words) {
			t.Errorf("%s: got %d, %v", mode, status, err)
		}
	}
	nothing := Attended{Path: filepath.Join(t.TempDir(), "none.exe")}
	if _, err := nothing.Run(t.Context(), nil); err == nil {
		t.Error("what is not there was run")
	}
}

func FuzzAttend(f *testing.F) {
	f.Add("woken\nwoken\nwhat a later one may say\n")
	f.Add(strings.Repeat("woken", 20000))
	f.Fuzz(func(t *testing.T, said string) {
		err := Attend(t.Context(), io.Reader(strings.NewReader(said)), func(ctx context.Context, _ <-chan struct{}) error {
			<-ctx.Done()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
