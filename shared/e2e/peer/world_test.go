// Package peer holds what a hostile end of the wire can do: a peer written for
// the purpose speaks every layer to a collector, from TLS to what a statement
// means, with valid beginnings and broken ends, while a real laptop beside it
// must never notice; and a hostile collector does the same to a real agent. It
// also replays recorded exchanges, which never change. It is tests only.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
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
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// patience bounds how long a test waits for what does not come. It says
// nothing about how fast anything is.
const patience = 2 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// thorough reports whether every case is to be run and not a part of them.
func thorough() bool { return os.Getenv("CARETAKER_THOROUGH") != "" }

// until waits for something that another goroutine brings about.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	look(t, time.Millisecond, what, so)
}

// untilPassing is until for what needs time to pass, and an answer before much
// of it has.
func (w *world) untilPassing(t *testing.T, what string, so func() bool) {
	t.Helper()
	look(t, 25*time.Millisecond, what, func() bool {
		if so() {
			return true
		}
		w.clock.Advance(10 * time.Second)
		return false
	})
}

func look(t *testing.T, every time.Duration, what string, so func() bool) {
	t.Helper()
	look, end := time.NewTicker(every), time.NewTimer(patience)
	defer look.Stop()
	defer end.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// loud is a log that fails a test when a program says that it failed: a
// peer may be refused, and must never be the reason of an error.
type loud struct{ t *testing.T }

func (e loud) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (e loud) WithAttrs([]slog.Attr) slog.Handler           { return e }
func (e loud) WithGroup(string) slog.Handler                { return e }
func (e loud) Handle(_ context.Context, r slog.Record) error {
	if e.t.Context().Err() == nil {
		var b strings.Builder
		r.Attrs(func(a slog.Attr) bool { b.WriteString(" " + a.String()); return true })
		e.t.Errorf("a program says that it failed: %s%s", r.Message, b.String())
	}
	return nil
}

// world is a collector with two schools and a laptop of the first that reports
// all the time.
type world struct {
	t       *testing.T
	clock   *clocktest.Driven
	address string
	intake  *intake.Intake
	schools [2]*place

	bystander *laptop
	token     identity.Token // of the first school; admits many
	resting   resting
}

// place is one school of a world.
type place struct {
	*enroll.School
	ledger *ledger.Ledger
	roster *roster.Roster
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clocktest.NewDriven(monday)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	run := func(part func(context.Context) error) {
		running.Go(func() {
			if err := part(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	data, log := t.TempDir(), slog.New(loud{t})
	var served []intake.School
	var desks []enroll.Desk
	for i, name := range []string{"Hollybank Primary School", "Ashgrove Academy"} {
		school, err := enroll.CreateSchool(data, name, monday)
		must(t, err)
		p := openPlace(t, ctx, school)
		w.schools[i] = p
		served = append(served, intake.School{ID: p.ID, Authority: p.Authority, Roster: p.roster, Ledger: p.ledger})
		desks = append(desks, enroll.Desk{School: school, Roster: p.roster, Ledger: p.ledger})
		run(p.roster.Run)
	}
	w.intake = intake.New(intake.Options{
		Name: "collector", Schools: served, Desk: enroll.NewService(desks, "collector", w.clock, log), Clock: w.clock, Log: log,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.address = listener.Addr().String()
	run(func(ctx context.Context) error { return w.intake.Serve(ctx, listener) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, p := range w.schools {
			if _, err := p.ledger.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
				t.Error(err)
			}
			must(t, p.ledger.Close())
		}
	})
	w.token = w.schools[0].token(w, 5000)
	w.bystander = newLaptop(w, w.address).connects()
	w.bystander.reports()
	w.resting = rest()
	return w
}

func openPlace(t *testing.T, ctx context.Context, s *enroll.School) *place {
	t.Helper()
	signer, err := s.Key.Signer()
	must(t, err)
	verifier, err := s.Key.Verifier()
	must(t, err)
	l, err := ledger.Open(s.LedgerDir(), ledger.Options{School: string(s.ID), Signer: signer, Verifier: verifier.Note})
	must(t, err)
	r, err := roster.Open(ctx, roster.Options{School: s.ID, Ledger: l, Verifier: verifier, Snapshot: s.SnapshotFile()})
	must(t, err)
	return &place{School: s, ledger: l, roster: r}
}

func (p *place) token(w *world, uses int) identity.Token {
	w.t.Helper()
	token, err := enroll.CreateToken(w.t.Context(), p.School, p.ledger, enroll.NewToken{Addresses: []string{w.address}, Uses: uses, Lasts: 300 * day}, w.clock.Now())
	must(w.t, err)
	must(w.t, p.roster.CatchUp(w.t.Context()))
	return token
}

// unharmed checks that the other laptop has noticed nothing, and moves time on
// so that no device comes up against what it may send in a while.
func (w *world) unharmed(t *testing.T) {
	t.Helper()
	w.clock.Advance(time.Second)
	w.bystander.reports()
	w.bystander.mu.Lock()
	defer w.bystander.mu.Unlock()
	if len(w.bystander.ended) > 0 || w.bystander.welcomes != 1 {
		t.Fatalf("the other laptop's stream broke: %d welcomes, ended with %v", w.bystander.welcomes, w.bystander.ended)
	}
}

// resting is what a process takes while nobody attacks.
type resting struct {
	goroutines int
	heap       uint64
}

func rest() resting {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return resting{runtime.NumGoroutine(), m.HeapAlloc}
}

// mostKept is by how much the heap may have grown after an attack, in bytes:
// the entries of ledgers and rosters that were made meanwhile, and buffers that
// are kept for the next message.
const mostKept = 12 << 20

// settled checks that what an attack took was given back. It is called by the
// test that made the world, with every connection of its own closed.
func (w *world) settled(t *testing.T) {
	t.Helper()
	most := w.resting.goroutines
	look, end := time.NewTicker(time.Millisecond), time.NewTimer(patience)
	defer look.Stop()
	defer end.Stop()
	for runtime.NumGoroutine() > most {
		select {
		case <-look.C:
		case <-end.C:
			var stacks strings.Builder
			must(t, pprof.Lookup("goroutine").WriteTo(&stacks, 1))
			t.Fatalf("%d goroutines are left, %d before:\n%s", runtime.NumGoroutine(), most, stacks.String())
		}
	}
	if now := rest(); now.heap > w.resting.heap+mostKept {
		t.Errorf("the heap has %d KB, %d KB before", now.heap>>10, w.resting.heap>>10)
	}
}

// laptop is the agent's end with its real rooms: a spool, an uplink, and an
// identity on disk.
type laptop struct {
	t      *testing.T
	device *agentenroll.Device
	spool  *spool.Spool
	signer *signer
	state  string
	run    func(context.Context) error

	mu       sync.Mutex // guards all below
	acked    uint64
	welcomes int
	full     []string
	asked    []string
	witness  proof.Checkpoint
	ended    []string
	news     chan struct{} // receives when something has come
}

// newLaptop enrols a laptop over an address.
func newLaptop(w *world, address string) *laptop {
	t := w.t
	t.Helper()
	state, token := t.TempDir(), w.token
	token.Addresses = []string{address}
	d, err := agentenroll.Enroll(t.Context(), agentenroll.Options{
		Token: token.String(), State: state, Hostname: "hb-lt-014", Platform: posture.Linux, Built: monday.Add(-30 * day), Clock: w.clock,
	})
	must(t, err)
	return laptopOf(t, state, d, w.clock, func() uplink.Hello { return uplink.Hello{Version: "test", Boot: "boot-1", Assignment: 1} })
}

// laptopOf is a laptop that is enrolled. It begins its streams with what hello
// says.
func laptopOf(t *testing.T, state string, d *agentenroll.Device, clock *clocktest.Driven, hello func() uplink.Hello) *laptop {
	t.Helper()
	s, err := spool.Open(filepath.Join(state, "spool"), spool.Options{})
	must(t, err)
	config, err := d.TLS()
	must(t, err)
	l := &laptop{
		t: t, device: d, spool: s, state: state, news: make(chan struct{}, 1),
		signer: &signer{t: t, school: d.School, id: d.Device, key: d.Key},
	}
	l.run = uplink.New(uplink.Config{
		Addresses: d.Addresses, TLS: config, School: d.Verifier, Spool: s, Handler: l, Clock: clock, Log: slog.New(slog.DiscardHandler), Hello: hello,
	}).Run
	return l
}

// connects keeps a stream open until the test ends.
func (l *laptop) connects() *laptop {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
	return l
}

// puts has the laptop make a report.
func (l *laptop) puts() {
	l.t.Helper()
	r := l.signer.report().GetReport()
	statement, signature := r.GetStatement(), r.GetSignature()
	message, err := uplink.EncodeReport(statement, signature, l.signer.carried)
	must(l.t, err)
	_, err = l.spool.Put(spool.Item{Position: spool.Position{Sequence: l.signer.sequence}, Message: message})
	must(l.t, err)
}

// reports has the laptop make a report and waits until it is acknowledged.
func (l *laptop) reports() {
	l.t.Helper()
	l.puts()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		l.mu.Lock()
		acked, ended := l.acked, l.ended
		l.mu.Unlock()
		switch {
		case acked == l.signer.sequence:
			return
		case len(ended) > 0:
			l.t.Fatalf("the other laptop's stream broke: %v", ended)
		}
		select {
		case <-l.news:
		case <-end.C:
			l.t.Fatalf("report %d of the other laptop was not acknowledged", l.signer.sequence)
		}
	}
}

func (l *laptop) note(change func()) error {
	l.mu.Lock()
	change()
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
	return nil
}

func (l *laptop) Welcomed(time.Time, time.Duration) error { return l.note(func() { l.welcomes++ }) }
func (l *laptop) Acknowledged(p spool.Position) error {
	return l.note(func() { l.acked = p.Sequence })
}
func (l *laptop) Recorded(uint64) error      { return nil }
func (l *laptop) Policy(signed []byte) error { return l.takes(agentenroll.Policy, signed) }

func (l *laptop) Assignment(signed []byte) error { return l.takes(agentenroll.Assignment, signed) }

func (l *laptop) Checkpoint(c proof.Checkpoint, _ []byte) error {
	return l.note(func() { l.witness = c })
}

func (l *laptop) SendFull(why string) error { return l.note(func() { l.full = append(l.full, why) }) }

func (l *laptop) ReleaseOffered(string, time.Duration) error { return nil }

func (l *laptop) ReportPage(string) error { return nil }

func (l *laptop) AssessNow(who string) error {
	return l.note(func() { l.asked = append(l.asked, who) })
}

// takes does with a document what the agent does.
func (l *laptop) takes(kind string, signed []byte) error {
	if _, err := l.device.Take(kind, signed); !errors.Is(err, agentenroll.ErrNotNewer) {
		return err
	}
	return nil
}

func (l *laptop) Ended(reason error) {
	_ = l.note(func() { l.ended = append(l.ended, reason.Error()) })
}

// attacker is an enrolled device in the hands of somebody else.
type attacker struct {
	*signer
	w         *world
	place     *place
	der       []byte // its certificate
	authority []byte
}

// enrol gives an attacker a real certificate of a school.
func (w *world) enrol(p *place) *attacker {
	w.t.Helper()
	key, err := identity.MakeDeviceKey(filepath.Join(w.t.TempDir(), "device.pem"))
	must(w.t, err)
	token := w.token
	if p != w.schools[0] {
		token = p.token(w, 1)
	}
	request := enrollRequest(w.t, token, key)
	answer := w.stranger(token.School).unary(enrollMethod, request)
	got := decodeEnrolled(w.t, answer)
	return &attacker{
		signer: &signer{t: w.t, school: p.ID, id: posture.DeviceID(got.GetDevice()), key: key},
		w:      w, place: p, der: got.GetCertificate(), authority: got.GetAuthority(),
	}
}

// config is the attacker's TLS, with its certificate unless another is given.
func (a *attacker) config(instead ...*tls.Certificate) *tls.Config {
	a.t.Helper()
	own, err := a.key.Certificate(a.der)
	must(a.t, err)
	if len(instead) > 0 {
		own = instead[0]
	}
	config, err := identity.Client{
		School: a.school, Authority: a.authority, Trusted: identity.NewTrusted(monday), Certificate: func() (*tls.Certificate, error) { return own, nil },
	}.Config()
	must(a.t, err)
	return config
}

// connect opens TLS as the attacker, and nothing more.
func (a *attacker) connect() *peer { return dial(a.t, a.w.address, a.config()) }

// stranger opens TLS without a certificate.
func (w *world) stranger(school posture.SchoolID) *peer {
	return dial(w.t, w.address, identity.PinnedConfig(school, w.token.Fingerprint, identity.NewTrusted(monday)))
}

// recorded returns how many entries of a kind the ledger holds about the
// attacker.
func (a *attacker) recorded(kind proof.Kind) int {
	a.t.Helper()
	n := 0
	for rec, err := range a.place.ledger.Entries(a.t.Context(), 0, ledger.Index(a.place.ledger.Size())) {
		must(a.t, err)
		if rec.Envelope.Kind == kind && rec.Envelope.Subject == string(a.id) {
			n++
		}
	}
	return n
}

// signer makes the messages of one device.
type signer struct {
	t      *testing.T
	school posture.SchoolID
	id     posture.DeviceID
	key    *identity.DeviceKey

	sequence uint64
	previous proof.Digest
	contacts uint64
	carried  []proof.Section // of the last report
}

func (s *signer) sections(names ...string) []proof.Section {
	var all []proof.Section
	for _, name := range names {
		class, ok := wire.Class(name)
		if !ok {
			class = proof.Posture
		}
		all = append(all, proof.Section{Name: name, Class: class, Salt: [proof.SaltSize]byte{byte(s.sequence), 1}, Body: []byte("body of " + name)})
	}
	return all
}
