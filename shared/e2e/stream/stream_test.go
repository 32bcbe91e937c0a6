// Package stream holds stories of one laptop and its collector: both ends of
// the stream with their real rooms, over real TLS and disk, with a driven
// clock. It is tests only.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	agentenroll "github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// collector is one that can be stopped and started again at its address.
type collector struct {
	t       *testing.T
	clock   *clocktest.Driven
	school  *enroll.School
	address string
	limits  intake.Limits
	ledger  *ledger.Ledger
	roster  *roster.Roster
	stop    func()
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	return newCollectorWith(t, intake.Limits{})
}

func newCollectorWith(t *testing.T, limits intake.Limits) *collector {
	t.Helper()
	school, err := enroll.CreateSchool(t.TempDir(), "Hollybank Primary School", monday)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, clock: clocktest.NewDriven(monday), school: school, address: "127.0.0.1:0", limits: limits}
	c.start()
	t.Cleanup(func() {
		if _, err := c.ledger.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
			t.Error(err)
		}
		c.stop()
	})
	return c
}

func (c *collector) start() {
	t := c.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	signer, err := c.school.Key.Signer()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := c.school.Key.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	if c.ledger, err = ledger.Open(c.school.LedgerDir(), ledger.Options{School: string(c.school.ID), Signer: signer, Verifier: verifier.Note}); err != nil {
		t.Fatal(err)
	}
	if c.roster, err = roster.Open(ctx, roster.Options{School: c.school.ID, Ledger: c.ledger, Verifier: verifier, Snapshot: c.school.SnapshotFile()}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	in := intake.New(intake.Options{
		Name:    "collector",
		Schools: []intake.School{{ID: c.school.ID, Authority: c.school.Authority, Roster: c.roster, Ledger: c.ledger}},
		Desk:    enroll.NewService([]enroll.Desk{{School: c.school, Roster: c.roster, Ledger: c.ledger}}, "collector", c.clock, log),
		Limits:  c.limits, Clock: c.clock, Log: log,
	})
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.address = l.Addr().String()
	var running sync.WaitGroup
	for _, run := range []func() error{func() error { return in.Serve(ctx, l) }, func() error { return c.roster.Run(ctx) }} {
		running.Go(func() {
			if err := run(); err != nil {
				t.Error(err)
			}
		})
	}
	c.stop = func() {
		cancel()
		running.Wait()
		if err := c.ledger.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (c *collector) token(n enroll.NewToken) string {
	c.t.Helper()
	n.Addresses = []string{c.address}
	token, err := enroll.CreateToken(c.t.Context(), c.school, c.ledger, n, c.clock.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.roster.CatchUp(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return token.String()
}

func (c *collector) options(state, token string) agentenroll.Options {
	return agentenroll.Options{Token: token, State: state, Hostname: "hb-lt-014", Platform: posture.Linux, Built: monday.Add(-30 * day), Clock: c.clock}
}

func TestEnrollingIsTheSameAfterACrash(t *testing.T) {
	c := newCollector(t)
	state := filepath.Join(t.TempDir(), "state")
	if _, err := agentenroll.Load(state, monday); !errors.Is(err, agentenroll.ErrNotEnrolled) {
		t.Errorf("before: got %v", err)
	}
	token := c.token(enroll.NewToken{})
	first, err := agentenroll.Enroll(t.Context(), c.options(state, token))
	if err != nil {
		t.Fatal(err)
	}
	if first.SchoolName != "Hollybank Primary School" || first.School != c.school.ID {
		t.Errorf("got %+v", first.Identity)
	}
	if _, number, err := first.Document(agentenroll.Assignment); err != nil || number != 1 {
		t.Errorf("assignment: got number %d, %v", number, err)
	}
	if _, err := agentenroll.Enroll(t.Context(), c.options(state, token)); !errors.Is(err, agentenroll.ErrEnrolled) {
		t.Errorf("enrolled twice: got %v", err)
	}
	// A crash before the identity was stored, in each state that it can leave.
	for _, missing := range [][]string{{"identity.json"}, {"identity.json", "assignment.signed"}} {
		for _, name := range missing {
			if err := os.Remove(filepath.Join(state, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		again, err := agentenroll.Enroll(t.Context(), c.options(state, token))
		if err != nil || again.Device != first.Device {
			t.Errorf("without %v: got %v, %v, want device %s", missing, again, err, first.Device)
		}
	}
	loaded, err := agentenroll.Load(state, monday)
	if err != nil || loaded.Device != first.Device {
		t.Errorf("loaded: got %v, %v", loaded, err)
	}
	// The key of another laptop in its place.
	if err := os.Remove(filepath.Join(state, "device.key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := agentenroll.Load(state, monday); err == nil {
		t.Error("an identity without its key was loaded")
	}
}

func TestTokensThatDoNotWorkSayWhy(t *testing.T) {
	c := newCollector(t)
	enrol := func(token string) error {
		_, err := agentenroll.Enroll(t.Context(), c.options(t.TempDir(), token))
		return err
	}
	used := c.token(enroll.NewToken{})
	if err := enrol(used); err != nil {
		t.Fatal(err)
	}
	mistyped := used[:len(used)-1] + "q"
	if mistyped == used {
		mistyped = used[:len(used)-1] + "a"
	}
	ended := c.token(enroll.NewToken{Lasts: time.Hour})
	c.clock.Advance(2 * time.Hour)
	for name, story := range map[string]struct{ token, words string }{
		"mistyped": {mistyped, "mistyped"},
		"used":     {used, "used as often as it may"},
		"ended":    {ended, "has ended"},
		"nonsense": {"hello", "ctk1-"},
	} {
		if err := enrol(story.token); err == nil || !strings.Contains(err.Error(), story.words) {
			t.Errorf("%s: got %v, want a word on %q", name, err, story.words)
		}
	}
}

func TestCertificateIsRenewedEvenAfterItsEnd(t *testing.T) {
	c := newCollector(t)
	state := t.TempDir()
	d, err := agentenroll.Enroll(t.Context(), c.options(state, c.token(enroll.NewToken{})))
	if err != nil {
		t.Fatal(err)
	}
	for _, away := range []time.Duration{61 * day, 200 * day} {
		c.clock.Advance(away)
		before := string(d.Certificate)
		if err := d.Renew(t.Context(), c.clock); err != nil {
			t.Fatalf("after %s: %v", away, err)
		}
		if string(d.Certificate) == before {
			t.Errorf("after %s the certificate is still the old one", away)
		}
	}
	loaded, err := agentenroll.Load(state, monday)
	if err != nil || string(loaded.Certificate) != string(d.Certificate) {
		t.Errorf("the renewed certificate was not stored: %v", err)
	}
	// It keeps itself: KeepCertificate asks by itself when the time has come.
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- d.KeepCertificate(ctx, c.clock, slog.New(slog.DiscardHandler), func(error) {}) }()
	before := loaded.Certificate
	c.clock.Advance(61 * day) // and it stands still while the certificate is renewed
	for string(before) == string(loaded.Certificate) {
		runtime.Gosched()
		if loaded, err = agentenroll.Load(state, monday); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-kept; err != nil {
		t.Error(err)
	}
}

// laptop is the agent's end: a spool, an uplink and the loop's part of both.
type laptop struct {
	t      *testing.T
	device *agentenroll.Device
	spool  *spool.Spool

	sequence uint64
	previous proof.Digest
	contacts uint64

	mu       sync.Mutex // guards all below
	acked    spool.Position
	full     []string
	witness  proof.Checkpoint
	ended    []string
	arrivals chan struct{} // receives when something has come
}

func (l *laptop) note(change func()) {
	l.mu.Lock()
	change()
	l.mu.Unlock()
	select {
	case l.arrivals <- struct{}{}:
	default:
	}
}

func (l *laptop) Welcomed(now time.Time, _ time.Duration) error { return l.device.Heard(now, now) }
func (l *laptop) Acknowledged(p spool.Position) error {
	l.note(func() { l.acked = p })
	return nil
}
func (l *laptop) Policy([]byte) error     { return nil }
func (l *laptop) Assignment([]byte) error { return nil }
func (l *laptop) Recorded(uint64) error   { return nil }
func (l *laptop) Checkpoint(c proof.Checkpoint, _ []byte) error {
	l.note(func() { l.witness = c })
	return nil
}

func (l *laptop) SendFull(reason string) error {
	l.note(func() { l.full = append(l.full, reason) })
	return nil
}
func (l *laptop) AssessNow(string) error { return nil }

func (l *laptop) ReleaseOffered(string, time.Duration) error { return nil }

func (l *laptop) ReportPage(string) error { return nil }
func (l *laptop) Ended(reason error)      { l.note(func() { l.ended = append(l.ended, reason.Error()) }) }

func newLaptop(t *testing.T, c *collector, limit int64) *laptop {
	t.Helper()
	state := t.TempDir()
	d, err := agentenroll.Enroll(t.Context(), c.options(state, c.token(enroll.NewToken{})))
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(filepath.Join(state, "spool"), spool.Options{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return &laptop{t: t, device: d, spool: s, arrivals: make(chan struct{}, 1)}
}

// connect runs the uplink until the returned function is called.
func (l *laptop) connect(c *collector) func() {
	l.t.Helper()
	config, err := l.device.TLS()
	if err != nil {
		l.t.Fatal(err)
	}
	u := uplink.New(uplink.Config{
		Addresses: l.device.Addresses, TLS: config, School: l.device.Verifier, Spool: l.spool, Handler: l, Clock: c.clock,
		Log: slog.New(slog.DiscardHandler),
		Hello: func() uplink.Hello {
			l.mu.Lock()
			defer l.mu.Unlock()
			return uplink.Hello{Version: "test", Boot: "boot-1", Acknowledged: l.acked.Sequence}
		},
	})
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	}
}

// await drives the clock until something is so.
func (l *laptop) await(c *collector, what string, is func() bool) {
	l.t.Helper()
	so := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return is()
	}
	for !so() {
		select {
		case <-l.arrivals:
		case <-l.t.Context().Done():
			l.t.Fatalf("it never came to be that %s", what)
		default:
			c.clock.Advance(100 * time.Millisecond)
		}
	}
}

// report puts the next report into the spool.
func (l *laptop) report() {
	l.t.Helper()
	l.sequence++
	section := proof.Section{Name: wire.System, Class: proof.Posture, Salt: [proof.SaltSize]byte{byte(l.sequence)}, Body: fmt.Appendf(nil, "body %d", l.sequence)}
	statement, err := proof.ReportStatement{
		School: string(l.device.School), Device: string(l.device.Device), Sequence: l.sequence, Previous: l.previous,
		Boot: "boot-1", Sections: []proof.SectionRef{section.Ref(1, l.sequence)},
	}.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	l.previous, l.contacts = proof.HashReport(statement), 0
	signature, err := l.device.Key.Sign(l.previous)
	if err != nil {
		l.t.Fatal(err)
	}
	message, err := uplink.EncodeReport(statement, signature, []proof.Section{section})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.spool.Put(spool.Item{Position: spool.Position{Sequence: l.sequence}, Message: message}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *laptop) contact() {
	l.t.Helper()
	l.contacts++
	statement, err := proof.ContactStatement{
		School: string(l.device.School), Device: string(l.device.Device), Report: l.sequence, Hash: l.previous, Count: l.contacts, Boot: "boot-1",
	}.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	signature, err := l.device.Key.Sign(proof.HashContact(statement))
	if err != nil {
		l.t.Fatal(err)
	}
	message, err := uplink.EncodeContact(statement, signature)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.spool.Put(spool.Item{Position: spool.Position{Sequence: l.sequence, Contact: l.contacts}, Message: message}); err != nil {
		l.t.Fatal(err)
	}
}

// recorded returns the sequences of the laptop's reports in the ledger, in
// order, and how many of its gaps are there.
func (l *laptop) recorded(c *collector) (sequences []uint64, gaps int) {
	l.t.Helper()
	for rec, err := range c.ledger.Entries(l.t.Context(), 0, ledger.Index(c.ledger.Size())) {
		if err != nil {
			l.t.Fatal(err)
		}
		switch {
		case rec.Envelope.Subject != string(l.device.Device):
		case rec.Envelope.Kind == proof.KindReport:
			sequences = append(sequences, rec.Envelope.Sequence)
		case rec.Envelope.Kind == proof.KindGap:
			gaps++
		}
	}
	return sequences, gaps
}

func (l *laptop) wantAll(c *collector) {
	l.t.Helper()
	sequences, gaps := l.recorded(c)
	if uint64(len(sequences)) != l.sequence || gaps != 0 {
		l.t.Errorf("the ledger has %d reports and %d gaps, want %d reports, each once", len(sequences), gaps, l.sequence)
	}
	for i, s := range sequences {
		if s != uint64(i+1) {
			l.t.Fatalf("the ledger has report %d in place %d", s, i+1)
		}
	}
}

func TestNothingIsLostWhileTheCollectorIsAway(t *testing.T) {
	c := newCollector(t)
	l := newLaptop(t, c, 0)
	for range 100 { // more than a window
		l.report()
	}
	l.contact()
	disconnect := l.connect(c)
	l.await(c, "the spool is empty", func() bool { return l.spool.Stats().Waiting == 0 })
	l.await(c, "the collector has given a checkpoint", func() bool { return l.witness.Size > 0 })
	l.wantAll(c)

	c.stop()
	for range 20 {
		l.report()
		l.contact()
	}
	c.clock.Advance(42 * day)
	c.start()
	l.await(c, "the spool is empty again", func() bool { return l.spool.Stats().Waiting == 0 })
	l.wantAll(c)
	if len(l.full) > 0 {
		t.Errorf("asked for everything because of %v", l.full)
	}
	disconnect()
}

func TestReportsThatWereSentWhenTheStreamBroke(t *testing.T) {
	c := newCollector(t)
	l := newLaptop(t, c, 0)
	for round := range 10 {
		for range 40 {
			l.report()
		}
		disconnect := l.connect(c)
		want := uint64(40*round + 1 + 3*round)
		l.await(c, "some are acknowledged", func() bool { return l.acked.Sequence >= want })
		disconnect()
	}
	disconnect := l.connect(c)
	l.await(c, "the spool is empty", func() bool { return l.spool.Stats().Waiting == 0 })
	disconnect()
	l.wantAll(c)
}

func TestFullSpoolLeavesANamedGap(t *testing.T) {
	c := newCollector(t)
	l := newLaptop(t, c, 4<<10)
	for range 50 {
		l.report()
	}
	if l.spool.Stats().Dropped == 0 {
		t.Fatal("nothing was dropped")
	}
	disconnect := l.connect(c)
	l.await(c, "the spool is empty", func() bool { return l.spool.Stats().Waiting == 0 })
	disconnect()
	sequences, gaps := l.recorded(c)
	if gaps != 1 || sequences[len(sequences)-1] != 50 {
		t.Errorf("the ledger has %d gaps and reports %v", gaps, sequences)
	}
}

func TestRevokedLaptopIsToldSo(t *testing.T) {
	c := newCollector(t)
	l := newLaptop(t, c, 0)
	entry, err := roster.Maker{School: c.school.ID}.Revocation(roster.Revocation{Device: l.device.Device}, monday)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ledger.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	l.report()
	disconnect := l.connect(c)
	// The clock runs fast here, so that an attempt may end for want of time.
	l.await(c, "it was told", func() bool {
		return slices.ContainsFunc(l.ended, func(reason string) bool { return strings.Contains(reason, "revoked by the school") })
	})
	disconnect()
	if l.spool.Stats().Waiting != 1 {
		t.Error("the report is gone")
	}
}
