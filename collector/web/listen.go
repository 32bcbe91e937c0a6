package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Listen opens the address that pages are served on. With a certificate and
// key it speaks TLS and says so; without, it opens an address of this machine
// alone and refuses any other: names, passwords and findings would cross the
// network for all to read.
//
// A certificate that is renewed on disk is taken up without a restart.
func Listen(ctx context.Context, address, certFile, keyFile string, log *slog.Logger) (ln net.Listener, secure bool, err error) {
	if (certFile == "") != (keyFile == "") {
		return nil, false, errors.New("serve pages: a certificate and its key are given together or not at all")
	}
	secure = certFile != ""
	if !secure && !loopback(address) {
		return nil, false, fmt.Errorf("serve pages on %s: without a certificate they are served to this machine alone: "+
			"give a certificate and key, or an address such as 127.0.0.1:8080", address)
	}
	var config *tls.Config
	if secure {
		own, err := loadKeyPair(certFile, keyFile, log)
		if err != nil {
			return nil, false, fmt.Errorf("serve pages: load the certificate and key: %w", err)
		}
		config = &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.current(), nil },
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
		}
	}
	ln, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, false, fmt.Errorf("serve pages: %w", err)
	}
	if secure {
		ln = tls.NewListener(ln, config)
	}
	return ln, secure, nil
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

// Serve serves h on ln until ctx is done, then lets pages that are being made
// finish.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve pages: %w", err)
	case <-ctx.Done():
	}
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
