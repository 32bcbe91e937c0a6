package system

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Query names one line of the allow-list of questions to local sockets.
type Query string

// The queries that a probe may ask. All of them only read.
const (
	// ClamdAnswersVersion is answered with a line such as
	// "ClamAV 1.4.3/27830/Thu Nov 20 09:28:13 2026" and a zero byte.
	ClamdAnswersVersion Query = "clamd-version"
	// SnapdSnaps is answered with snapd's JSON document of installed snaps.
	SnapdSnaps Query = "snapd-snaps"
)

// QuerySpec is one line of the allow-list.
type QuerySpec struct {
	Name     Query
	On       posture.Platform
	Sockets  []string // where the socket may lie; the first that exists is asked
	Request  string   // sent as it is
	HTTP     bool     // the answer is an HTTP response, of which the body is returned
	Deadline time.Duration
	Limit    int // bytes of the answer; more is ErrTooLarge
}

var queries = []QuerySpec{
	{
		Name: ClamdAnswersVersion, On: posture.Linux,
		Sockets: []string{
			"/run/clamav/clamd.ctl", "/var/run/clamav/clamd.ctl", "/run/clamav/clamd.sock",
			"/run/clamd.scan/clamd.sock", "/var/run/clamd.scan/clamd.sock",
			"/tmp/clamd.socket", "/tmp/clamd.sock", "/tmp/clamd",
		},
		Request:  "zVERSION\x00",
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// HTTP/1.0, so that the answer comes in one piece and ends with the
		// connection.
		Name: SnapdSnaps, On: posture.Linux,
		Sockets:  []string{"/run/snapd.socket"},
		Request:  "GET /v2/snaps HTTP/1.0\r\nHost: localhost\r\n\r\n",
		HTTP:     true,
		Deadline: 30 * time.Second, Limit: large,
	},
}

// Queries returns the allow-list, for documents and tests.
func Queries() []QuerySpec { return append([]QuerySpec(nil), queries...) }

func (q Query) spec(on posture.Platform) (QuerySpec, error) {
	for _, s := range queries {
		switch {
		case s.Name != q:
		case s.On != on:
			return QuerySpec{}, fmt.Errorf("ask %s: it is a query of %s: %w", q, s.On, fs.ErrNotExist)
		default:
			return s, nil
		}
	}
	return QuerySpec{}, fmt.Errorf("ask %q: it is not in the allow-list: %w", string(q), fs.ErrPermission)
}
