package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Listen opens the address that pages are served on, which is secure if they are
// to be served over TLS. If not, it opens an address of this machine alone and
// refuses any other: names, passwords and findings would cross the network for
// all to read.
func Listen(ctx context.Context, address string, secure bool) (net.Listener, error) {
	if !secure && !loopback(address) {
		return nil, fmt.Errorf("serve pages on %s: without a certificate they are served to this machine alone: "+
			"give a certificate and key, have an authority asked for one, or give an address such as 127.0.0.1:8080", address)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	return ln, nil
}

// loopback reports whether an address can be reached from this machine alone.
// A name is asked of nobody: only "localhost" is believed.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// What a browser gets: slow ones are not waited for without end, and none is read
// without bound.
const (
	headerTakes = 10 * time.Second
	formTakes   = 30 * time.Second // the header included
	pageTakes   = 60 * time.Second // each part of a long answer as long again
	idleLasts   = 2 * time.Minute
	mostHeader  = 32 << 10 // bytes; the server itself adds 4096
	mostAtOnce  = 100      // requests on a connection of HTTP/2
)

// Serve serves h on ln until ctx is done, then lets pages that are being made
// finish.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	stopped := make(chan struct{})
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, (<-chan struct{})(stopped))
		},
		Handler:           h,
		ReadHeaderTimeout: headerTakes,
		ReadTimeout:       formTakes,
		WriteTimeout:      pageTakes,
		IdleTimeout:       idleLasts,
		MaxHeaderBytes:    mostHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: mostAtOnce},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve pages: %w", err)
	case <-ctx.Done():
	}
	close(stopped) // pages that are open hold on to nothing
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(stop)
	if err != nil {
		err = server.Close()
	}
	if ended := <-served; err == nil && !errors.Is(ended, http.ErrServerClosed) {
		err = fmt.Errorf("serve pages: %w", ended)
	}
	return err
}

// stoppingKey is where a request's context says that the pages are about to
// stop.
type stoppingKey struct{}

// stopping returns what is closed when the pages are about to stop; nil, which
// never is, if nobody said.
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return c
}
