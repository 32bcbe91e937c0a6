package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Ask implements Reader.
func (l *linux) Ask(ctx context.Context, q Query) ([]byte, error) {
	spec, err := l.queries(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer cancel()
	failed := fs.ErrNotExist
	for _, socket := range spec.Sockets {
		answer, err := within(ctx, func() ([]byte, error) { return ask(ctx, path.Join(l.root, socket), spec) })
		if err == nil {
			return answer, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		// A socket that nobody listens on is left over from a service that
		// stopped: the next may be alive.
		failed = err
	}
	return nil, fmt.Errorf("ask %s: %w", q, failed)
}

func ask(ctx context.Context, socket string, spec QuerySpec) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := trusted(c); err != nil {
		return nil, err
	}
	// A deadline long past wakes whoever waits for the socket.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(c, spec.Request); err != nil {
		return nil, timedOut(err)
	}
	raw, err := io.ReadAll(io.LimitReader(c, int64(spec.Limit)+1))
	if err != nil {
		return nil, timedOut(err)
	}
	if len(raw) > spec.Limit {
		return nil, ErrTooLarge
	}
	if spec.HTTP {
		return httpBody(raw)
	}
	return raw, nil
}

// timedOut names a deadline of package net as a context's.
func timedOut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// trusted refuses an answer from a process of an ordinary user: anybody may
// make a socket in /tmp and speak for an antivirus. The agent's own user is
// accepted, for a check that a person runs on their own machine.
func trusted(c net.Conn) error {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if asked != nil {
		return asked
	}
	own := uint32(os.Geteuid())
	if peer.Uid < firstPerson || peer.Uid == own && own != nobody {
		return nil
	}
	return fmt.Errorf("an ordinary user's process answers there: %w", fs.ErrPermission)
}

// httpBody returns the body of an HTTP response.
func httpBody(raw []byte) ([]byte, error) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("it answered %s: %w", response.Status, fs.ErrPermission)
	default:
		return nil, fmt.Errorf("it answered %.60q", response.Status)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the response's body: %w", err)
	}
	return body, nil
}
