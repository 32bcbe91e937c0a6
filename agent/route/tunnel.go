package route

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// maxAnswer bounds what a proxy may say before it leads on, in bytes.
const maxAnswer = 16 << 10

// tunnelTo asks a proxy on a connection to lead to an address (HTTP CONNECT).
func tunnelTo(ctx context.Context, conn net.Conn, address string, p Proxy) *ObstacleError {
	// The deadline of the context, and its end, are the connection's.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // what fails for it says so
	defer stop()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Host: address}, Host: address, Header: http.Header{"User-Agent": {"caretaker-agent"}}}
	if p.User != "" {
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.User+":"+p.Password)))
	}
	err := request.Write(conn)
	if err == nil {
		var o *ObstacleError
		if o, err = answered(conn, request); o != nil {
			return o
		}
	}
	switch {
	case ctx.Err() != nil:
		return &ObstacleError{Kind: ProxyFailed, Detail: "it does not answer", err: ctx.Err()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &ObstacleError{Kind: ProxyFailed, Detail: "it closes the connection", err: err}
	case err != nil:
		return &ObstacleError{Kind: ProxyFailed, Detail: bare(err), err: err}
	case !stop():
		return &ObstacleError{Kind: ProxyFailed, Detail: "it does not answer", err: context.Cause(ctx)}
	}
	return nil
}

// answered reads what a proxy answers. Nothing may follow: whoever is behind
// it has not been spoken to.
func answered(from io.Reader, request *http.Request) (*ObstacleError, error) {
	r := bufio.NewReader(io.LimitReader(from, maxAnswer))
	answer, err := http.ReadResponse(r, request)
	if err != nil {
		if strings.Contains(err.Error(), "malformed") { // the texts of net/http, which has no type for it
			return &ObstacleError{Kind: ProxyFailed, Detail: "it does not answer as a proxy does", err: err}, nil
		}
		return nil, err
	}
	defer answer.Body.Close()
	said := wire.Visible(answer.Status, 60)
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300 && r.Buffered() > 0:
		return &ObstacleError{Kind: ProxyFailed, Detail: "it says more than it was asked"}, nil
	case code >= 200 && code < 300:
		return nil, nil //nolint:nilnil // it leads on
	case code == http.StatusProxyAuthRequired:
		return &ObstacleError{Kind: ProxySignIn, Detail: signIn(answer.Header.Values("Proxy-Authenticate"), request)}, nil
	case code == http.StatusForbidden, code == http.StatusMethodNotAllowed, code == http.StatusUnavailableForLegalReasons:
		return &ObstacleError{Kind: ProxyForbids, Detail: said}, nil
	case code == http.StatusUnauthorized, code >= 300 && code < 400:
		return &ObstacleError{Kind: ProxyForbids, Detail: said + ": it wants somebody to sign in"}, nil
	}
	return &ObstacleError{Kind: ProxyFailed, Detail: said}, nil
}

// signIn says what a proxy that asks for a name wants, and what to ask for.
func signIn(schemes []string, request *http.Request) string {
	address, basic, windows := request.Host, false, false
	for _, s := range schemes {
		for part := range strings.SplitSeq(s, ",") {
			switch word, _, _ := strings.Cut(strings.TrimSpace(part), " "); strings.ToLower(word) {
			case "basic":
				basic = true
			case "negotiate", "ntlm", "kerberos":
				windows = true
			}
		}
	}
	given := request.Header.Get("Proxy-Authorization") != ""
	switch {
	case basic && given:
		return "the proxy does not accept the name and password that it is given; ask whoever runs it, and give the agent others with caretaker-agent proxy set"
	case basic:
		return "the proxy wants a name and a password; ask whoever runs it, and give them with caretaker-agent proxy set --user NAME --password-file FILE, or have it let " + address + " through without"
	case windows:
		return fmt.Sprintf("the proxy wants somebody to sign in to Windows (Negotiate or NTLM), and a service that runs before anybody does so cannot; ask whoever runs it to let this laptop reach %s without signing in", address)
	}
	return fmt.Sprintf("the proxy wants somebody to sign in, in a way that the agent does not know; ask whoever runs it to let this laptop reach %s without signing in", address)
}
