package system

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestCodesAreNamed(t *testing.T) {
	for code, want := range map[uint32]posture.Absence{
		0x80070005: posture.Denied,
		0x80041003: posture.Denied,
		5:          posture.Denied,
		0x80043001: posture.TimedOut,
		0x800705b4: posture.TimedOut,
		0x80004001: posture.Unsupported,
		0x80070032: posture.Unsupported,
		0x80041001: posture.Unreadable, // WBEM_E_FAILED
		0x800706ba: posture.Unreadable, // RPC_S_SERVER_UNAVAILABLE
		0x80310000: posture.Unreadable, // FVE_E_LOCKED_VOLUME
		// FACILITY_ITF, not Win32's: 5 there means nothing.
		0x80040005: posture.Unreadable,
	} {
		err := newCodeError(code)
		if got := Absence(err); got != want || CodeOf(err) != code {
			t.Errorf("%#x: got %v, %#x; want %v", code, got, CodeOf(err), want)
		}
	}
	for _, code := range []uint32{2, 3, 0x80070002, 0x80070003, 0x8004100e, 0x80041010, 0x80040154} {
		if err := newCodeError(code); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%#x: got %v, want %v", code, err, fs.ErrNotExist)
		}
	}
}
