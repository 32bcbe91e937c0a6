package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ueventBuffer holds the events of a hub full of sticks.
const ueventBuffer = 1 << 20

// Events calls handle for each change to a disk until the context ends, which
// is no error. It begins with an Overrun once it listens, so that whoever
// looks at that moment misses nothing. It sleeps in the kernel between events.
func Events(ctx context.Context, handle func(Event)) error {
	socket, err := ueventSocket()
	if err != nil {
		return fmt.Errorf("listen for device events: %w", err)
	}
	defer socket.Close()
	defer closeWhenDone(ctx, socket)()
	conn, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen for device events: %w", err)
	}
	handle(Event{Action: Overrun})
	buffer, control := make([]byte, maxUevent+1), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		e, told, err := nextEvent(conn, buffer, control)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			handle(Event{Action: Overrun})
		case err != nil:
			return fmt.Errorf("listen for device events: %w", err)
		case told:
			handle(e)
		}
	}
}

// closeWhenDone closes f when the context ends, which wakes its reader. The
// function it returns waits for that to be over.
func closeWhenDone(ctx context.Context, f *os.File) func() {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		f.Close()
		close(closed)
	})
	return func() {
		if !stop() {
			<-closed
		}
	}
}

func ueventSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), "uevents")
	// Beyond the system's limit only root may go; less is enough for most.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ueventBuffer) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, ueventBuffer)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err == nil {
		// Group 1 is the kernel; group 2 is udev's.
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
	}
	if err != nil {
		socket.Close()
		return nil, err
	}
	return socket, nil
}

// nextEvent waits for one message. It reports false for a message that is not
// the kernel's or not about a disk.
func nextEvent(conn syscall.RawConn, buffer, control []byte) (e Event, told bool, err error) {
	var n, c int
	var from unix.Sockaddr
	waited := conn.Read(func(fd uintptr) bool {
		n, c, _, from, err = unix.Recvmsg(int(fd), buffer, control, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return Event{}, false, waited
	}
	if err != nil || !fromKernel(from, control[:c]) {
		return Event{}, false, err
	}
	e, told = parseUevent(buffer[:n])
	return e, told, nil
}

// fromKernel reports whether a message came from the kernel: any process may
// send to this socket.
func fromKernel(from unix.Sockaddr, control []byte) bool {
	address, ok := from.(*unix.SockaddrNetlink)
	if !ok || address.Pid != 0 {
		return false
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		return false
	}
	sender, err := unix.ParseUnixCredentials(&messages[0])
	return err == nil && sender.Pid == 0 && sender.Uid == 0
}
