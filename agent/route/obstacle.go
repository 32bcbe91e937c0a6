package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// Kind is a kind of obstacle.
type Kind string

// The kinds of obstacles.
const (
	// Inspected means that something between opens encrypted traffic: it shows
	// a certificate of its own for the collector's name.
	Inspected Kind = "inspected"
	// Portal means that what answers does not speak TLS at all, as where a
	// network wants somebody to sign in.
	Portal Kind = "portal"
	// Elsewhere means that something answers that is not the collector: its
	// certificate is for another name.
	Elsewhere Kind = "elsewhere"
	// OtherAuthority means that a collector answers, and not the one of the
	// school that this laptop knows.
	OtherAuthority Kind = "other-authority"
	// Clock means that the collector's certificate has ended, by a time that an
	// earlier collector, or the making of this program, has shown to be past.
	Clock Kind = "clock"
	// Declined means that what answers would not open a connection.
	Declined Kind = "declined"
	// Cut means that the connection was cut before TLS was open.
	Cut Kind = "cut"
	// Unresolved means that the name of the collector is not found.
	Unresolved Kind = "unresolved"
	// Silent means that nobody answers.
	Silent Kind = "silent"
	// Refused means that the connection is refused.
	Refused Kind = "refused"
	// NoNetwork means that the system knows no way there.
	NoNetwork Kind = "no-network"
	// ProxyGone means that the proxy cannot be reached.
	ProxyGone Kind = "proxy-gone"
	// ProxySignIn means that the proxy wants somebody to sign in.
	ProxySignIn Kind = "proxy-sign-in"
	// ProxyForbids means that the proxy does not allow this address.
	ProxyForbids Kind = "proxy-forbids"
	// ProxyFailed means that the proxy could not reach the collector, or
	// answered what cannot be used.
	ProxyFailed Kind = "proxy-failed"
)

// short says what is the matter with a proxy that cannot be reached.
func (k Kind) short() string {
	switch k {
	case Unresolved:
		return "its name is not found here"
	case Silent:
		return "it does not answer"
	case Refused:
		return "it refuses connections"
	case NoNetwork:
		return "this laptop has no network that leads there"
	}
	return "the connection is cut"
}

// ObstacleError says what stood in one way.
type ObstacleError struct {
	Kind  Kind
	At    string // the collector's address
	Proxy Proxy  // through which it was tried; zero: straight
	// Detail is what is known beside: who issued the certificate that was shown,
	// what a proxy said. It may come from the other end, bounded and visible.
	Detail string
	err    error
}

// Unwrap returns what the system said.
func (o *ObstacleError) Unwrap() error { return o.err }

// Error says what stands in the way and what to ask for.
func (o *ObstacleError) Error() string {
	words := o.sentence()
	if o.Proxy.Address == "" {
		return words
	}
	return o.Proxy.words() + ": " + words
}

func (o *ObstacleError) sentence() string {
	host, port, _ := net.SplitHostPort(o.At) // an address that was reached, or tried, has both
	switch o.Kind {
	case Inspected:
		by := "in a version of TLS that the collector does not speak"
		if o.Detail != "" {
			by = "with a certificate issued by " + o.Detail
		}
		return fmt.Sprintf("something between this laptop and the collector inspects encrypted traffic (it answers %s); ask whoever runs the filter to except %s from inspection", by, o.At)
	case Portal:
		return fmt.Sprintf("this network answers in the collector's place (%s), as one does that wants somebody to sign in first; open any web page in a browser and sign in, or ask whoever runs the network to let %s through", o.Detail, o.At)
	case Elsewhere:
		return fmt.Sprintf("something else than the collector answers at %s (%s): a page of this network that wants somebody to sign in or says that the address is blocked, or the address is wrong; open any web page in a browser, or ask whoever runs the network to let %s through", o.At, o.Detail, o.At)
	case OtherAuthority:
		return fmt.Sprintf("a collector answers at %s, and it is not the one that this laptop knows (%s): it was set up anew, or the address leads to another; ask the school's technician", o.At, o.Detail)
	case Clock:
		return fmt.Sprintf("the collector's certificate has ended (%s), by a time that is known to be past: the collector's clock is wrong; ask the school's technician to set it", o.Detail)
	case Declined:
		return fmt.Sprintf("what answers at %s would not open a connection for this school (%s): a collector that does not serve it, or something between that cannot pass it on; ask the school's technician", o.At, o.Detail)
	case Cut:
		return fmt.Sprintf("the connection to %s was cut before it was open (%s), as filters do with what they cannot inspect; ask whoever runs the network to let TCP port %s to %s through unopened", o.At, o.Detail, port, host)
	case Unresolved:
		return fmt.Sprintf("the name %s is not found on this network (%s); ask whoever runs it whether its name service (DNS) is to know it", host, o.Detail)
	case Silent:
		return fmt.Sprintf("nobody answers at %s; if the network works otherwise, ask whoever runs it to let TCP port %s to %s through", o.At, port, host)
	case Refused:
		return fmt.Sprintf("%s refuses connections: the collector does not run, or a firewall on the way refuses them; ask the school's technician, or whoever runs the network to let TCP port %s to %s through", o.At, port, host)
	case NoNetwork:
		return fmt.Sprintf("this laptop has no network that leads to %s", o.At)
	}
	return o.proxySentence()
}

func (o *ObstacleError) proxySentence() string {
	switch o.Kind {
	case ProxyGone:
		return "the proxy cannot be reached: " + o.Detail
	case ProxySignIn:
		return o.Detail
	case ProxyForbids:
		return fmt.Sprintf("the proxy does not let this laptop reach %s (%s); ask whoever runs it to allow CONNECT to %s without inspection", o.At, o.Detail, o.At)
	}
	return fmt.Sprintf("the proxy does not lead to %s (%s); ask whoever runs it whether it may and can connect there", o.At, o.Detail)
}

// BlockedError says that no way led to the collector.
type BlockedError struct {
	Tried    []*ObstacleError // in the order of trying; at least one
	Troubles []string         // what could not be found out about ways
}

// Error says of each way what stood in it.
func (e *BlockedError) Error() string {
	var all []string
	for _, o := range e.Tried {
		words := o.Error()
		if o.Proxy.Address == "" && len(e.Tried) > 1 {
			words = Proxy{}.words() + ": " + words
		}
		all = append(all, words)
	}
	return strings.Join(append(all, e.Troubles...), "; ")
}

// Unwrap returns the obstacles.
func (e *BlockedError) Unwrap() []error {
	all := make([]error, len(e.Tried))
	for i, o := range e.Tried {
		all[i] = o
	}
	return all
}

// unreached says why nobody was reached.
func unreached(err error) *ObstacleError {
	o := &ObstacleError{Kind: Cut, err: err}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		o.Kind, o.Detail = Unresolved, "the name service does not answer"
		if name.IsNotFound {
			o.Detail = "there is no such name"
		}
		return o
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errTimedOut):
		o.Kind = Silent
	case errors.Is(err, errRefused):
		o.Kind = Refused
	case errors.Is(err, errNoNetwork), errors.Is(err, errNoHost):
		o.Kind = NoNetwork
	default:
		o.Detail = bare(err)
	}
	return o
}

// bare is what the system said, without the addresses that are said anyway.
func bare(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return wire.Visible(err.Error(), 120)
}
