// Package console is the collector's local door for the command line: a
// socket in the data folder that only the collector's own account and root
// can open. Each call names an operation and carries its arguments; the answer
// is one JSON document.
//
// It moves calls and answers. It knows no operation, and whoever calls through
// it acts as an OS account: a call is never a second person's approval.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	maxCall   = 16 << 20 // bytes of arguments: a policy is the largest
	maxAnswer = 1 << 30  // bytes of an answer: a ledger's listing is the largest
)

// Stream is an answer that is no document but bytes, written as they come.
type Stream func(w io.Writer) error

// failed is what a stream that ended early says at its end, and ended what a
// whole one does.
const (
	failed = "Caretaker-Failed"
	ended  = "Caretaker-Ended"
)

// Handler carries out one operation. Its result is written as JSON, unless it is
// a Stream.
type Handler func(ctx context.Context, operation string, arguments json.RawMessage) (any, error)

// SocketPath returns where the console of the collector with the given data
// folder listens.
func SocketPath(data string) string { return filepath.Join(data, "console.sock") }

// Listen makes the socket, in place of one that a killed collector left. The
// caller must hold the lock on the data folder.
func Listen(ctx context.Context, data string) (net.Listener, error) {
	path := SocketPath(data)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the console's old socket: %w", err)
	}
	address, done, err := short(data)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	defer done()
	l, err := new(net.ListenConfig).Listen(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	if unix, ok := l.(*net.UnixListener); ok && address != path {
		unix.SetUnlinkOnClose(false) // the address ends with done; the next Listen removes the socket
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the console to its owner: %w", err), l.Close())
	}
	return l, nil
}

// longest is the longest address that every system takes for a socket, in
// bytes: Linux takes 107, macOS 103.
const longest = 103

// short returns an address for the socket that is short enough, and what to
// call once it was used.
func short(data string) (address string, done func(), err error) {
	address = SocketPath(data)
	if len(address) <= longest {
		return address, func() {}, nil
	}
	if address, done, err = throughFolder(data); errors.Is(err, errors.ErrUnsupported) {
		err = fmt.Errorf("the path %s has %d bytes, and a socket's can have %d: keep the data in a folder with a shorter path", SocketPath(data), len(SocketPath(data)), longest)
	}
	return address, done, err
}

// Serve answers calls on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, handle Handler, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{operation}", func(w http.ResponseWriter, r *http.Request) {
		arguments, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
		if err != nil {
			answer(w, http.StatusRequestEntityTooLarge, failure{Error: fmt.Sprintf("read the arguments: %v", err)})
			return
		}
		result, err := handle(r.Context(), r.PathValue("operation"), arguments)
		if err != nil {
			answer(w, http.StatusUnprocessableEntity, failure{Error: err.Error()})
			return
		}
		if stream, ok := result.(Stream); ok {
			send(w, stream)
			return
		}
		answer(w, http.StatusOK, result)
	})
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- server.Close() })
	err := server.Serve(l)
	if !stop() {
		return <-stopped
	}
	return fmt.Errorf("serve the console: %w", err)
}

// send writes a stream and says at its end how it ended.
func send(w http.ResponseWriter, stream Stream) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", failed+", "+ended)
	if err := stream(w); err != nil {
		w.Header().Set(failed, url.QueryEscape(err.Error()))
		return
	}
	w.Header().Set(ended, "whole")
}

type failure struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone if this fails, and nobody else needs to know
}

// Call asks the collector that runs on data to carry out an operation and
// decodes its answer into result. ErrNotRunning means that none runs.
func Call(ctx context.Context, data, operation string, arguments, result any) error {
	response, err := post(ctx, data, operation, arguments)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", operation, err)
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("read the answer to %s: %w", operation, err)
	}
	return nil
}

// Open asks the collector that runs on data for an operation whose answer is a
// stream. Reading it ends with io.EOF only if all of it came, and otherwise with
// what the collector says, or with io.ErrUnexpectedEOF.
func Open(ctx context.Context, data, operation string, arguments any) (io.ReadCloser, error) {
	response, err := post(ctx, data, operation, arguments) //nolint:bodyclose // whoever reads the stream closes it
	if err != nil {
		return nil, err
	}
	return &stream{response}, nil
}

// stream is the body of an answer whose end is looked at.
type stream struct{ response *http.Response }

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.response.Body.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if words, bad := url.QueryUnescape(s.response.Trailer.Get(failed)); bad == nil && words != "" {
		return n, errors.New(words)
	}
	if s.response.Trailer.Get(ended) == "" {
		return n, io.ErrUnexpectedEOF
	}
	return n, io.EOF
}

func (s *stream) Close() error { return s.response.Body.Close() }

// Running reports whether a collector answers on data.
func Running(ctx context.Context, data string) bool {
	c, err := dial(ctx, data)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func dial(ctx context.Context, data string) (net.Conn, error) {
	address, done, err := short(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: err}
	}
	if err != nil {
		return nil, err
	}
	defer done()
	return new(net.Dialer).DialContext(ctx, "unix", address)
}

// post asks for an operation and returns the answer, unless it is a refusal.
func post(ctx context.Context, data, operation string, arguments any) (*http.Response, error) {
	body, err := json.Marshal(arguments)
	if err != nil {
		return nil, fmt.Errorf("write the arguments of %s: %w", operation, err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, data) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://console/"+operation, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", operation, err)
	}
	response, err := client.Do(request)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", operation, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxCall))
	var f failure
	if err != nil || json.Unmarshal(text, &f) != nil || f.Error == "" {
		return nil, fmt.Errorf("call %s: the collector answered with status %d", operation, response.StatusCode)
	}
	return nil, errors.New(f.Error)
}

// ErrNotRunning means that no collector answers on the data folder.
var ErrNotRunning = errors.New("no collector runs on this data folder")
