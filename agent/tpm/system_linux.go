package tpm

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"
)

// device is the kernel's own manager of the TPM: what is loaded by one program
// is not seen by others, and is gone when the device is closed.
const device = "/dev/tpmrm0"

// patience is how long one answer may take, in milliseconds. The kernel's own
// limits for a command are shorter but for making large keys, which we do not.
const patience = 120_000

// System returns this computer's TPM, whether or not there is one.
func System() *TPM {
	return &TPM{Open: func() (io.ReadWriteCloser, error) {
		fd, err := openDevice(device)
		if err != nil {
			return nil, fmt.Errorf("open the TPM at %s: %w", device, err)
		}
		return channel(fd), nil
	}}
}

// openDevice opens a device. Many systems give the TPM to an account and a group
// of its own, and the service, though root, may not pass over that: it takes the
// group for the moment of opening, on a thread that ends with it.
func openDevice(path string) (int, error) {
	// Not blocking, so that the kernel talks to the TPM on a thread of its own and
	// no signal to one of ours breaks a command off.
	const how = unix.O_RDWR | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := unix.Open(path, how, 0)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil || s.Mode&0o060 != 0o060 {
		return fd, err
	}
	type opened struct {
		fd  int
		err error
	}
	done := make(chan opened)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		const keep = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(s.Gid), keep); errno != 0 {
			done <- opened{-1, err}
			return
		}
		fd, err := unix.Open(path, how, 0)
		done <- opened{fd, err}
	}()
	o := <-done
	return o.fd, o.err
}

// channel is an open TPM: one command is written whole and one answer read whole.
type channel int

func (c channel) Write(command []byte) (int, error) {
	for {
		n, err := unix.Write(int(c), command)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func (c channel) Read(answer []byte) (int, error) {
	for {
		ready := []unix.PollFd{{Fd: int32(c), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, patience)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for the TPM: %w", err)
		case n == 0:
			return 0, errors.New("the TPM did not answer within two minutes")
		}
		n, err = unix.Read(int(c), answer)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("read the TPM's answer: %w", err)
		case n == 0:
			return 0, io.ErrUnexpectedEOF
		}
		return n, nil
	}
}

func (c channel) Close() error { return unix.Close(int(c)) }
