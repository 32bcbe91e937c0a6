package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/shared/wire"
)

var (
	// errLate means that the hello was not answered.
	errLate = fmt.Errorf("the collector did not answer within %s", answerWithin)
	// errTalks means that the collector says more than it has reason to.
	errTalks = errors.New("the collector asks for more than it has reason to")
)

// inWords returns why a stream ended in words for a technician: what gRPC says
// of itself is taken off, and what may come from the other end is bounded and
// made visible, since it is logged and shown.
func inWords(ctx context.Context, err error) error {
	var refused *RefusedError
	var blocked *route.BlockedError
	var told interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &blocked):
		return err // before what the system said of a way, which may be EOF
	case errors.Is(context.Cause(ctx), errLate):
		return errLate
	case errors.As(err, &told):
	case errors.Is(err, io.EOF):
		return &endedError{words: "the collector closed the stream", err: err}
	default:
		return err
	}
	words := told.GRPCStatus().Message()
	for _, prefix := range []string{`connection error: desc = "`, "transport: ", "error reading from server: ", "Error while dialing: ", "authentication handshake failed: "} {
		words = strings.TrimPrefix(words, prefix)
	}
	words = wire.Visible(strings.TrimSuffix(words, `"`), 300)
	if words == "EOF" || words == "unexpected EOF" {
		words = "the collector closed the connection"
	}
	return &endedError{words: words, err: err}
}

// endedError is what gRPC said, put into words.
type endedError struct {
	words string
	err   error
}

func (e *endedError) Error() string { return e.words }
func (e *endedError) Unwrap() error { return e.err }

// A collector has reason to say some documents and questions at once, and a
// checkpoint an hour. Without a bound it could keep a laptop busy and fill its
// log.
const (
	mostAtOnce = 100
	oneMore    = time.Minute // for each further message
)
