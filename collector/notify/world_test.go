package notify

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// monday is the first morning of a term, before the digest.
var monday = time.Date(2026, time.November, 2, 6, 0, 0, 0, time.UTC)

const hollybank posture.SchoolID = "shollybank"

// standing is a school of which a test says what stands.
type standing struct {
	mu       sync.Mutex
	breaches []view.Breach
	mark     uint64
	partly   bool
	reported []view.Concern
	disputed []view.Dispute
	lost     []view.Incident
	month    MonthSummary
	note     string // its checkpoint
	stopped  error  // why there is none
}

func (s *standing) Checkpoint(context.Context, posture.SchoolID) ([]byte, error) {
	if s.stopped != nil || s.note == "" {
		return nil, s.stopped
	}
	return []byte(s.note), nil
}

func (s *standing) Concerns(context.Context, posture.SchoolID, view.ConcernQuery, time.Time) (view.ConcernPage, error) {
	return view.ConcernPage{Concerns: s.reported}, nil
}

func (s *standing) Disputes(context.Context, posture.SchoolID, view.DisputeQuery, time.Time) (view.DisputePage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view.DisputePage{Disputes: s.disputed}, nil
}

func (s *standing) LastMonth(context.Context, posture.SchoolID, time.Time) (MonthSummary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.month, nil
}

func (s *standing) Incidents(context.Context, posture.SchoolID, view.IncidentQuery, time.Time) (view.IncidentPage, error) {
	return view.IncidentPage{Incidents: s.lost}, nil
}

func (s *standing) Schools(context.Context) ([]view.School, error) {
	return []view.School{{ID: hollybank, Name: "Hollybank Primary School"}}, nil
}

func (s *standing) Overview(_ context.Context, school posture.SchoolID, now time.Time) (view.Overview, error) {
	return view.Overview{School: school, At: now, Rules: []view.RuleCount{
		{Rule: "ENC-01", Clauses: []string{"C1", "C2", "C3"}},
		{Rule: "CFG-02", Clauses: []string{"C5"}},
		{Rule: "AV-01", Clauses: []string{"C10"}},
		{Rule: "LIF-01", Clauses: []string{"C23"}},
		{Rule: "ENC-05", Clauses: []string{"C1", "C49"}},
	}}, nil
}

func (s *standing) Breaches(_ context.Context, _ posture.SchoolID, q view.BreachQuery, _ time.Time) (view.BreachPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view.BreachPage{Breaches: slices.Clone(s.breaches)}, nil
}

func (s *standing) Whole(posture.SchoolID) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark, !s.partly
}

func (s *standing) set(list ...view.Breach) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breaches = list
}

// failing is an open breach of a rule on a laptop.
func failing(rule, tag string, severity posture.Severity) view.Breach {
	titles := map[string]string{
		"ENC-01": "System disk encrypted", "CFG-02": "Locks itself", "AV-01": "Antivirus is on", "LIF-01": "Seen recently", "ENC-05": "Encryption is proven",
	}
	return view.Breach{
		Device: posture.DeviceID("device-" + tag), Hostname: "janes-laptop", AssetTag: tag, Rule: rule, Title: titles[rule], Number: 1,
		Subject: posture.Subject{Kind: "device"}, Severity: severity, Status: breach.Open, FirstFailed: monday.Add(-time.Hour),
		Remediation: "Turn it on.",
	}
}

// term is a calendar with one holiday.
type term struct{ from, to time.Time }

func (c term) Quiet(_ posture.SchoolID, at time.Time, urgent bool) bool {
	return !urgent && !at.Before(c.from) && at.Before(c.to)
}

func (c term) Open(_ posture.SchoolID, from, to time.Time) time.Duration {
	closed := min(to.UnixNano(), c.to.UnixNano()) - max(from.UnixNano(), c.from.UnixNano())
	return to.Sub(from) - time.Duration(max(0, closed))
}

// place is a collector's folder of notices with a clock and a school.
type place struct {
	t      testing.TB
	dir    string
	clock  *clocktest.Driven
	school *standing
	term   Calendar
	teller *Teller
}

func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), clock: clocktest.NewDriven(monday), school: &standing{}, term: Always{}}
	p.open()
	return p
}

func (p *place) open() {
	p.t.Helper()
	p.teller = Open(Options{Dir: p.dir, Source: p.school, Calendar: p.term, Clock: p.clock, Log: slog.New(slog.DiscardHandler)})
	if err := p.teller.Trouble(); err != nil {
		p.t.Fatal(err)
	}
}

// restart closes and opens, as another run of the program does.
func (p *place) restart() {
	p.t.Helper()
	if err := p.teller.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

// pass lets time pass in steps of a minute, with a turn in each.
func (p *place) pass(d time.Duration) {
	p.t.Helper()
	for range d / time.Minute {
		p.clock.Advance(time.Minute)
		p.turn()
	}
}

func (p *place) turn() {
	p.t.Helper()
	var under sync.WaitGroup
	if err := p.teller.turn(context.Background(), &under); err != nil {
		p.t.Fatal(err)
	}
	under.Wait()
}

// receiver is a real server over TLS that takes webhooks.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request) bool // whether it took the notice
	notices  []Notice                                          // that it took and said so
	requests []*http.Request
	bodies   [][]byte
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusAccepted); return true }}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	r.StartTLS()
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	var n Notice
	_ = json.Unmarshal(body, &n) // a card is none
	r.mu.Lock()
	r.requests, r.bodies = append(r.requests, request), append(r.bodies, body)
	answer := r.answer
	r.mu.Unlock()
	if answer(w, request) {
		r.mu.Lock()
		r.notices = append(r.notices, n)
		r.mu.Unlock()
	}
}

func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) took() []Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notices)
}

func (r *receiver) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// authority is the receiver's certificate as a file of authorities holds it.
func (r *receiver) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
}

const secret = "a secret of some length"

// tell adds a webhook for a role and trusts its server.
func (p *place) tell(r *receiver, role access.Role) string {
	p.t.Helper()
	if err := p.teller.Set(func(s *Settings) error { s.Authorities = r.authority(); return nil }); err != nil {
		p.t.Fatal(err)
	}
	c, err := p.teller.Add(Channel{Kind: Webhook, School: hollybank, Role: role, Address: r.URL + "/notices", Secret: secret})
	if err != nil {
		p.t.Fatal(err)
	}
	return c.ID
}

// lines are the headlines of notices.
func lines(all []Notice) []string {
	var list []string
	for _, n := range all {
		for _, part := range n.Parts {
			for _, c := range part.Causes {
				list = append(list, c.Headline())
			}
		}
	}
	return list
}

func wantLines(t testing.TB, got []Notice, want ...string) {
	t.Helper()
	if l := lines(got); !slices.Equal(l, want) {
		t.Fatalf("told\n  %s\nwant\n  %s", strings.Join(l, "\n  "), strings.Join(want, "\n  "))
	}
}

func (p *place) file() string { return filepath.Join(p.dir, bookFile) }

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
