package system

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"unicode/utf16"
	"unsafe"
)

// TestEventsBeginAndEnd says which of both ways this machine has, and that it
// ends without waiting for itself, many times in one process.
func TestEventsBeginAndEnd(t *testing.T) {
	for i := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		first := make(chan Event, 1)
		go func() {
			ended <- Events(ctx, func(e Event) {
				select {
				case first <- e:
				default:
				}
			})
		}()
		e := <-first
		if e.Action != Overrun {
			t.Fatalf("first event: got %+v, want an overrun", e)
		}
		if i == 0 {
			t.Logf("why changes are not told: %v", e.Untold)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatalf("after the context ended: got %v, want nil", err)
		}
	}
}

// notify calls back as Windows does, with data that are gone afterwards.
func notify(l *deviceListener, action uint32, link string) {
	type data struct {
		notificationData
		link [200]uint16
	}
	d := new(data)
	d.class = diskInterface
	n := copy(d.link[:], append(utf16.Encode([]rune(link)), 0))
	_, _, _ = syscall.SyscallN(deviceCallback(), 0, l.id, uintptr(action), uintptr(unsafe.Pointer(d)),
		unsafe.Sizeof(d.notificationData)+uintptr(2*n))
	clear(d.link[:])
}

func TestWhatWindowsTellsIsCopied(t *testing.T) {
	l := listeners.add()
	defer listeners.remove(l)
	notify(l, 0, stickLink)
	notify(l, 1, stickLink)
	notify(l, 7, stickLink)
	notify(&deviceListener{id: l.id + 1000}, 0, stickLink)
	for _, want := range []Event{{Action: Added, Device: stickLink, Whole: true}, {Action: Removed, Device: stickLink, Whole: true}} {
		if got := <-l.events; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if len(l.events)+len(l.lost) != 0 {
		t.Error("more was told")
	}
}

// TestWhatDoesNotFitIsToldAsLost, and the callback does not wait.
func TestWhatDoesNotFitIsToldAsLost(t *testing.T) {
	l := listeners.add()
	defer listeners.remove(l)
	for range waitingEvents + 10 {
		notify(l, 0, stickLink)
	}
	if len(l.events) != waitingEvents || len(l.lost) != 1 {
		t.Errorf("got %d events and %d losses", len(l.events), len(l.lost))
	}
}

func TestDevicesAreListed(t *testing.T) {
	list, err := deviceInterfaces()
	again, errAgain := deviceInterfaces()
	if err != nil || errAgain != nil || len(list) == 0 || !slices.Equal(list, again) {
		t.Errorf("got %v, %v; and %v, %v", list, err, again, errAgain)
	}
}
