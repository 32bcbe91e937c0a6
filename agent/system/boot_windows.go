package system

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// boot implements booter. A boot is a start of the kernel. It is told by the
// time that the kernel noted for its own first process, which stays as it is
// when somebody sets the clock later; how long ago that was is counted, not
// subtracted.
//
// How it lies: with fast start-up, switching off only makes the kernel sleep,
// so that many days and what people call many starts are one boot. And how
// long the machine slept is taken from the clock of its main board, which
// whoever may enter its set-up can set meanwhile.
func (windowsReader) boot(ctx context.Context) (id string, uptime time.Duration, err error) {
	noted, err := within(ctx, bootNoted)
	if err != nil {
		return "", 0, fmt.Errorf("read which boot this is: %w", coded(err))
	}
	return bootIDOf(noted), windows.DurationSinceBoot(), nil
}

// bootIDOf makes the identifier of a boot of what the kernel noted when it
// began, and nobody changes after.
func bootIDOf(noted int64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("caretaker boot\x00"), uint64(noted)))
	x := hex.EncodeToString(sum[:16])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// bootNoted returns when the kernel's own process began. Where no such process
// is shown it is the start of the kernel's clock, without what was added to it
// since.
func bootNoted() (int64, error) {
	if began, err := systemProcessBegan(); err == nil {
		return began, nil
	}
	var clock struct {
		boot, current, zone int64
		zoneID, _           uint32
		bootBias, sleepBias uint64
	}
	err := windows.NtQuerySystemInformation(windows.SystemTimeOfDayInformation, unsafe.Pointer(&clock), uint32(unsafe.Sizeof(clock)), nil)
	if err == nil && clock.boot == 0 {
		err = errors.New("the kernel does not say when it began")
	}
	return clock.boot - int64(clock.bootBias), err
}

// systemProcessBegan returns the time noted for process 4, the kernel's.
func systemProcessBegan() (int64, error) {
	const most, system = 16 << 20, 4
	size := uint32(512 << 10)
	for ; size <= most; size *= 2 {
		// As words, so that what is read from it is aligned.
		words := make([]uint64, size/8)
		err := windows.NtQuerySystemInformation(windows.SystemProcessInformation, unsafe.Pointer(&words[0]), size, nil)
		if errors.Is(err, windows.STATUS_INFO_LENGTH_MISMATCH) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for at := uintptr(0); at+unsafe.Sizeof(windows.SYSTEM_PROCESS_INFORMATION{}) <= uintptr(size); {
			p := (*windows.SYSTEM_PROCESS_INFORMATION)(unsafe.Pointer(&words[at/8]))
			if p.UniqueProcessID == system && p.CreateTime != 0 {
				return p.CreateTime, nil
			}
			if p.NextEntryOffset == 0 {
				return 0, errNone
			}
			at += uintptr(p.NextEntryOffset)
		}
		return 0, errNone
	}
	return 0, ErrTooLarge
}
