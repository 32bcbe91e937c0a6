package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

const (
	plain     = "plain-laptop"
	withStick = "plain-laptop-with-stick"
	encrypted = "encrypted-laptop"
)

// laptop is an enrolled laptop that is a recorded machine, and whose collector
// the test plays.
type laptop struct {
	*service
	t     *testing.T
	key   *identity.SchoolKey
	tpm   *tpm.TPM
	clock *clocktest.Driven
	asked *askedChildren
}

// askedChildren answers in this process and notes what it was asked.
type askedChildren struct {
	children
	requests []assess.Request
	failing  error
}

func (a *askedChildren) assess(ctx context.Context, r assess.Request) (assess.Outcome, error) {
	a.requests = append(a.requests, r)
	if a.failing != nil {
		return assess.Outcome{}, a.failing
	}
	return a.children.assess(ctx, r)
}

// newLaptop makes the state folder of an enrolled laptop and starts there.
func newLaptop(t *testing.T) *laptop {
	t.Helper()
	return newLaptopWith(t, nil)
}

// newLaptopWith makes one that has its key in a TPM, unless of is nil.
func newLaptopWith(t *testing.T, of *tpm.TPM) *laptop {
	t.Helper()
	dir := t.TempDir()
	authority, err := identity.NewAuthority(filepath.Join(dir), "s1", monday)
	must(t, err)
	school, err := identity.NewSchoolKey(filepath.Join(dir, "school.key"), "s1")
	must(t, err)
	state := filepath.Join(dir, "state")
	must(t, os.Mkdir(state, 0o700))
	keyFile := filepath.Join(state, "device.key.pem")
	var key *identity.DeviceKey
	if of == nil {
		key, err = identity.MakeDeviceKey(keyFile)
	} else {
		kept, made := tpm.Make(keyFile, of)
		must(t, made)
		key, err = identity.NewDeviceKey(kept, posture.InTPM)
	}
	must(t, err)
	certificate, err := authority.Issue("d1", key.Public(), monday)
	must(t, err)
	verifier, err := school.Verifier()
	must(t, err)
	id, err := json.Marshal(enroll.Identity{
		School: "s1", SchoolName: "Hollybank Primary School", Device: "d1", Addresses: []string{"127.0.0.1:1"},
		Certificate: certificate, Authority: authority.Certificate.Raw, SchoolKey: verifier.String(), MediaKey: make([]byte, 32),
	})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(state, "identity.json"), id, 0o600))
	l := &laptop{t: t, key: school, tpm: of, clock: clocktest.NewDriven(monday)}
	must(t, os.WriteFile(filepath.Join(state, "assignment.signed"), l.assignment(1, false), 0o600))
	l.start(state)
	return l
}

// start starts the service in a state folder, as after a crash.
func (l *laptop) start(state string) {
	l.t.Helper()
	s, err := newService(Config{State: state, TPM: l.tpm, Log: slog.New(slog.DiscardHandler)}, l.clock)
	must(l.t, err)
	l.service = s
	s.boot = func() (string, time.Duration, error) { return "boot-1", time.Hour, nil }
	l.becomes(plain)
}

func (l *laptop) becomes(machine string) {
	l.t.Helper()
	replay, err := system.OpenReplay(filepath.Join("..", "..", "shared", "e2e", "testdata", "machines", machine))
	must(l.t, err)
	l.asked = &askedChildren{children: inProcess{replay}}
	l.assessor.children = l.asked
}

func (l *laptop) assignment(number uint64, personal bool) []byte {
	l.t.Helper()
	body, err := json.Marshal(map[string]any{"number": number, "school": "s1", "device": "d1", "ownership": "school-single-user", "personalUse": personal})
	must(l.t, err)
	signed, err := l.key.SignDocument(enroll.Assignment, body)
	must(l.t, err)
	return signed
}

func (l *laptop) do() {
	l.t.Helper()
	must(l.t, l.work(l.t.Context()))
}

// passes lets time go by in steps, and does what is due.
func (l *laptop) passes(d, step time.Duration) {
	l.t.Helper()
	for gone := time.Duration(0); gone < d; gone += step {
		l.clock.Advance(step)
		l.do()
	}
}

// waiting returns what waits in the spool, by position.
func (l *laptop) waiting() map[spool.Position][]byte {
	l.t.Helper()
	all := map[spool.Position][]byte{}
	var at spool.Position
	for {
		item, ok, err := l.spool.After(at)
		must(l.t, err)
		if !ok {
			return all
		}
		all[item.Position], at = item.Message, item.Position
	}
}

// reports decodes the reports that wait, in order.
func (l *laptop) reports() []proof.ReportStatement {
	l.t.Helper()
	var list []proof.ReportStatement
	waiting := l.waiting()
	for _, p := range slices.SortedFunc(maps.Keys(waiting), func(a, b spool.Position) int {
		if a.Before(b) {
			return -1
		}
		return 1
	}) {
		m := new(pb.AgentMessage)
		must(l.t, wire.Unmarshal(waiting[p], m))
		if m.GetReport() == nil {
			continue
		}
		s, err := proof.DecodeReportStatement(m.GetReport().GetStatement())
		must(l.t, err)
		list = append(list, s)
	}
	return list
}

func full(s proof.ReportStatement) bool {
	return !slices.ContainsFunc(s.Sections, func(r proof.SectionRef) bool { return r.Carried != s.Sequence })
}

// copyOf copies a state folder, as it would be found after a crash.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "state")
	must(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledBetweenAnyTwoWrites puts together every state that a crash between
// two writes of one round can leave, and goes on from it.
func TestKilledBetweenAnyTwoWrites(t *testing.T) {
	l := newLaptop(t)
	l.do()
	before := copyOf(t, l.state.dir)
	l.clock.Advance(2 * time.Hour)
	l.becomes(encrypted)
	l.do()
	after := l.state.dir
	if got := l.reports(); len(got) != 2 {
		t.Fatalf("got %d reports", len(got))
	}
	written := []string{sectionsFile, chainFile, filepath.Join(spoolFolder, "00000000000000000002.report"), statusFile}
	for n := range len(written) + 1 {
		crashed := copyOf(t, before)
		for _, name := range written[:n] {
			data, err := os.ReadFile(filepath.Join(after, name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(crashed, name), data, 0o600))
		}
		again := &laptop{t: t, key: l.key, clock: clocktest.NewDriven(monday.Add(3 * time.Hour))}
		again.start(crashed)
		again.becomes(encrypted)
		again.do()
		got := again.reports()
		for i, s := range got {
			if s.Sequence != uint64(i+1) || i > 0 && s.Previous != hashOf(t, again, uint64(i)) {
				t.Errorf("killed after %v: report %d of %d does not follow the one before", written[:n], s.Sequence, len(got))
			}
		}
		// Once the chain with the statement is stored, that is the one of its
		// number.
		if position := (spool.Position{Sequence: 2}); n >= 2 && !bytes.Equal(again.waiting()[position], l.waiting()[position]) {
			t.Errorf("killed after %v: report 2 is another", written[:n])
		}
	}
}

func hashOf(t *testing.T, l *laptop, sequence uint64) proof.Digest {
	t.Helper()
	m := new(pb.AgentMessage)
	must(t, wire.Unmarshal(l.waiting()[spool.Position{Sequence: sequence}], m))
	return proof.HashReport(m.GetReport().GetStatement())
}

// TestWhatCannotBeStoredIsNotLost puts something in the way of each write.
func TestWhatCannotBeStoredIsNotLost(t *testing.T) {
	for _, name := range []string{sectionsFile, chainFile, filepath.Join(spoolFolder, "00000000000000000001.report")} {
		l := newLaptop(t)
		obstacle := l.state.path(name + ".tmp")
		must(t, os.MkdirAll(filepath.Join(obstacle, "full"), 0o700))
		for range 3 {
			if err := l.work(t.Context()); err == nil {
				t.Fatalf("%s: it could be stored", name)
			}
			if n := len(l.waiting()); n != 0 {
				t.Errorf("%s: %d wait", name, n)
			}
			l.clock.Advance(time.Minute)
		}
		must(t, os.RemoveAll(obstacle))
		l.do()
		if got := l.reports(); len(got) != 1 || got[0].Sequence != 1 {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// TestTheLoopOutlivesAFullDisk runs the loop itself.
func TestTheLoopOutlivesAFullDisk(t *testing.T) {
	l := newLaptop(t)
	obstacle := l.state.path(chainFile + ".tmp")
	must(t, os.MkdirAll(filepath.Join(obstacle, "full"), 0o700))
	said := make(chan string, 100)
	l.log = slog.New(slog.NewTextHandler(writer(func(p []byte) { said <- string(p) }), nil))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.loop(ctx) }()
	if words := <-said; !strings.Contains(words, "cannot be stored") {
		t.Errorf("it said %q", words)
	}
	trouble := func() string {
		l.inbox.mu.Lock()
		defer l.inbox.mu.Unlock()
		return l.inbox.run.trouble()
	}
	for trouble() == "" {
		runtime.Gosched() // it is said right after it was logged
	}
	if !strings.Contains(trouble(), chainFile) {
		t.Errorf("its trouble is %q", trouble())
	}
	must(t, os.RemoveAll(obstacle))
	for l.spool.Stats().Waiting == 0 {
		l.clock.Advance(time.Second)
	}
	cancel()
	must(t, <-ended)
}

// TestWokenItLooksAtTheClock lets time go by as it does while a machine
// sleeps: the timer does not notice.
func TestWokenItLooksAtTheClock(t *testing.T) {
	l := newLaptop(t)
	l.do()
	woken := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { l.wakeUp(ctx, woken); return nil })
	woken <- struct{}{}
	if !l.wait(ctx) {
		t.Error("it was told to end")
	}
	<-l.reachable
	cancel()
	must(t, g.Wait())
	if l.wait(ctx) {
		t.Error("it was woken twice")
	}
}

// TestAFolderOfOthersIsRefused before anything is read from it.
func TestAFolderOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	config := Config{State: filepath.Join(dir, "none"), Log: slog.New(slog.DiscardHandler)}
	if err := Run(t.Context(), config, clocktest.NewDriven(monday)); !errors.Is(err, enroll.ErrNotEnrolled) {
		t.Errorf("no folder: got %v", err)
	}
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can give a folder away; shared/durable has more")
	}
	must(t, os.Chown(dir, 1000, 1000))
	config.State = dir
	if err := Run(t.Context(), config, clocktest.NewDriven(monday)); !errors.Is(err, durable.ErrShared) {
		t.Errorf("a folder of somebody else's: got %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// TestAClockThatWasSet sets it back a year and forward a year: the agent goes
// on at once, and comes to rest.
func TestAClockThatWasSet(t *testing.T) {
	const year = 365 * 24 * time.Hour
	l := newLaptop(t)
	l.do()
	for _, step := range []time.Duration{-year, year, 2 * year, -3 * year} {
		asked := len(l.asked.requests)
		l.clock.Advance(step)
		said := l.position.Chain
		l.do()
		if len(l.asked.requests) == asked || l.position.Chain.Contacts == said.Contacts && l.position.Chain.Sequence == said.Sequence {
			t.Errorf("after %s it says nothing", step)
		}
		now := wall(l.clock)
		if rest := l.next(now).Sub(now); rest <= 0 || rest > contactEvery {
			t.Errorf("after %s it comes back in %s", step, rest)
		}
	}
}

func TestUptimeIsTheSystems(t *testing.T) {
	l := newLaptop(t)
	l.boot = func() (string, time.Duration, error) { return "boot-7", 5 * time.Minute, nil }
	l.clock.Advance(365 * 24 * time.Hour)
	l.do()
	if got := l.reports()[0]; got.Boot != "boot-7" || got.Uptime != uint64((5*time.Minute).Milliseconds()) {
		t.Errorf("got boot %q, up %d ms", got.Boot, got.Uptime)
	}
	l.boot = func() (string, time.Duration, error) { return "", 0, errors.New("it cannot be read") }
	if m := l.moment(monday, terms{}); m.Boot != "" || m.Uptime != 0 {
		t.Errorf("an unknown boot is %q, up %s", m.Boot, m.Uptime)
	}
}

// TestACollectorThatAsksAllTheTime is answered at once a few times, and then
// seldom.
func TestACollectorThatAsksAllTheTime(t *testing.T) {
	for name, ask := range map[string]func(*laptop, uint64){
		"assess now": func(l *laptop, _ uint64) { must(t, l.inbox.AssessNow("again")) },
		"send full":  func(l *laptop, _ uint64) { must(t, l.inbox.SendFull("again")) },
		"assignment": func(l *laptop, n uint64) { must(t, l.inbox.Assignment(l.assignment(n+2, false))) },
	} {
		l := newLaptop(t)
		l.do()
		first := len(l.asked.requests)
		for i := range uint64(40 * 6) { // 40 minutes
			ask(l, i)
			l.passes(10*time.Second, 10*time.Second)
		}
		if got := len(l.asked.requests) - first; got < 4 || got > 7 {
			t.Errorf("%s: %d assessments in 40 minutes", name, got)
		}
	}
}

// TestAskedWhileTheAssessmentFails: what was asked for is done once it can be.
func TestAskedWhileTheAssessmentFails(t *testing.T) {
	l := newLaptop(t)
	l.do()
	l.asked.failing = errors.New("the child was killed")
	must(t, l.inbox.SendFull("gap"))
	l.passes(time.Minute, time.Second)
	if got := len(l.asked.requests); got != 2 {
		t.Errorf("asked %d times while it fails", got)
	}
	l.asked.failing = nil
	l.passes(2*retryAfter, time.Minute)
	got := l.reports()
	if last := got[len(got)-1]; last.Sequence != 2 || !full(last) {
		t.Errorf("the last report is %d, full: %v", last.Sequence, full(last))
	}
}

// TestStateOlderThanTheRecord: the laptop's disk was restored from a copy.
func TestStateOlderThanTheRecord(t *testing.T) {
	l := newLaptop(t)
	l.do()
	must(t, l.inbox.Recorded(math.MaxUint64)) // no collector has that many
	l.do()
	must(t, l.inbox.Recorded(1))
	l.do()
	if n := len(l.reports()); n != 1 {
		t.Fatalf("got %d reports", n)
	}
	l.inbox.recorded = 0
	must(t, l.inbox.Recorded(9))
	l.do()
	got := l.reports()
	if last := got[len(got)-1]; last.Sequence != 10 || !full(last) || len(got) != 2 {
		t.Errorf("%d reports, the last is %d, full: %v", len(got), last.Sequence, full(last))
	}
}

func TestWhatTheSpoolDroppedIsSaidAgain(t *testing.T) {
	l := newLaptop(t)
	l.becomes(withStick)
	l.do()
	if len(l.position.Events) != 1 {
		t.Fatalf("events: %+v", l.position.Events)
	}
	must(t, os.Remove(l.state.path(filepath.Join(spoolFolder, "00000000000000000001.report"))))
	if n := len(l.waiting()); n != 0 {
		t.Fatalf("%d wait", n)
	}
	l.do()
	got := l.reports()
	if len(got) != 1 || got[0].Sequence != 2 || !full(got[0]) ||
		!slices.ContainsFunc(got[0].Sections, func(r proof.SectionRef) bool { return r.Name == wire.MediaEvents }) {
		t.Errorf("got %+v", got)
	}
}

func TestDamagedFiles(t *testing.T) {
	damage := func(l *laptop, name string) {
		t.Helper()
		must(t, os.WriteFile(l.state.path(name), []byte(`{"chain":`), 0o600))
	}
	l := newLaptop(t)
	l.do()
	l.passes(3*time.Hour, time.Hour)
	sequence := l.position.Chain.Sequence
	for _, name := range []string{chainFile, witnessFile, statusFile} {
		damage(l, name)
	}
	l.start(l.state.dir)
	l.do()
	got := l.reports()
	if last := got[len(got)-1]; last.Sequence != sequence+1 || !full(last) {
		t.Errorf("after %d comes %d, full: %v", sequence, last.Sequence, full(last))
	}
	if _, err := os.Stat(l.state.path(chainFile + ".damaged")); err != nil {
		t.Error(err)
	}

	damage(l, sectionsFile)
	l.schedule.hurry(wall(l.clock), wire.Media)
	l.do()
	if due := l.asked.requests[len(l.asked.requests)-1].Due; len(due) != len(assess.Sections()) {
		t.Errorf("without what was read last, %v was read", due)
	}

	damage(l, "assignment.signed")
	l.start(l.state.dir)
	said := l.position.Chain.Sequence
	l.do()
	if len(l.asked.requests) != 0 || l.position.Chain.Sequence != said || l.hello().Assignment != 0 {
		t.Errorf("without an assignment: %d judged, assignment %d", len(l.asked.requests), l.hello().Assignment)
	}
	must(t, l.inbox.Assignment(l.assignment(1, true)))
	l.passes(2*retryAfter, time.Minute)
	if len(l.asked.requests) == 0 || !l.asked.requests[0].Assignment.PersonalUse {
		t.Errorf("with the assignment: %d judged", len(l.asked.requests))
	}
}

func TestContradictionIsKept(t *testing.T) {
	l := newLaptop(t)
	one, other := proof.Digest{1}, proof.Digest{2}
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 5, Root: one}, []byte("five")))
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 5, Root: one}, []byte("five again")))
	var kept contradiction
	if found, err := l.state.load(contradictionFile, &kept); found || err != nil {
		t.Fatalf("before: %v, %v", found, err)
	}
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 5, Root: other}, []byte("another five")))
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 4, Root: other}, []byte("four")))
	if found, err := l.state.load(contradictionFile, &kept); !found || err != nil || kept.First != "five" || kept.Then != "another five" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if w := l.inbox.lastWitness(); w.Size != 5 || w.Root != one {
		t.Errorf("it witnesses %+v", w)
	}
	l.start(l.state.dir)
	if w := l.inbox.lastWitness(); w.Size != 5 || w.Root != one {
		t.Errorf("after a start it witnesses %+v", w)
	}
}

// TestFullDiskEndsNoStream: what the collector says and cannot be stored is no
// reason to keep back what waits.
func TestFullDiskEndsNoStream(t *testing.T) {
	l := newLaptop(t)
	for _, name := range []string{witnessFile, "told.json", "assignment.signed", statusFile} {
		must(t, os.MkdirAll(l.state.path(filepath.Join(name+".tmp", "full")), 0o700))
	}
	must(t, l.inbox.Welcomed(monday, 0))
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 5}, []byte("five")))
	must(t, l.inbox.Assignment(l.assignment(7, false)))
	if n := l.inbox.currentTerms().assignment.Number; n != 1 {
		t.Errorf("assignment %d is in force and not stored", n)
	}
	if err := l.inbox.Assignment([]byte("not signed")); err == nil {
		t.Error("what nobody signed was passed over in silence")
	}
}

func TestStatus(t *testing.T) {
	l := newLaptop(t)
	l.do()
	l.inbox.Ended(errors.New("\x1b[2Jno route"))
	s, err := ReadStatus(l.state.dir, time.Time{}, time.Now())
	must(t, err)
	var out bytes.Buffer
	PrintStatus(&out, s)
	if !s.Enrolled || s.Running || s.Waiting != 1 || !strings.Contains(out.String(), `Trouble:          \u{1b}[2Jno route`) {
		t.Errorf("got %+v:\n%s", s, out.String())
	}
	if s, err := ReadStatus(t.TempDir(), time.Time{}, time.Now()); err != nil || s.Enrolled {
		t.Errorf("of an empty folder: %+v, %v", s, err)
	}
}

// TestOnlyTheStatusIsForEverybody: whoever uses the laptop may read what the
// service says of itself, and nothing else that it keeps.
func TestOnlyTheStatusIsForEverybody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("who may read a file there is in a list of rights, not in its mode")
	}
	l := newLaptop(t)
	must(t, l.state.open())
	l.do()
	entries, err := os.ReadDir(l.state.dir)
	must(t, err)
	var open []string
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			open = append(open, e.Name())
		}
	}
	if !slices.Equal(open, []string{statusFile}) {
		t.Errorf("everybody may read %v, want %s alone", open, statusFile)
	}
	info, err := os.Stat(l.state.dir)
	must(t, err)
	if info.Mode().Perm() != 0o711 {
		t.Errorf("the folder has mode %o: the status cannot be reached, or the rest can be listed", info.Mode().Perm())
	}
}

func TestWalkWithoutAPlaceForWhatIsKnown(t *testing.T) {
	for name, s := range map[string]*state{"no state": nil, "no folder": {filepath.Join(t.TempDir(), "none")}, "a folder": {t.TempDir()}} {
		k, err := openKnown(s)
		must(t, err)
		_, err = k.fresh.WriteString("known")
		must(t, err)
		k.end(true)
		if name != "a folder" {
			continue
		}
		if data, err := os.ReadFile(s.path(knownFile)); err != nil || string(data) != "known" {
			t.Errorf("kept %q, %v", data, err)
		}
		k, err = openKnown(s)
		must(t, err)
		k.end(false)
		if data, err := os.ReadFile(s.path(knownFile)); err != nil || string(data) != "known" {
			t.Errorf("after a walk that failed: %q, %v", data, err)
		}
	}
}

func TestChecksNameEverySection(t *testing.T) {
	for _, section := range assess.Sections() {
		if checks()[section].What == "" {
			t.Errorf("%s is read and not named to whoever uses the laptop", section)
		}
	}
}

func TestAbsenceOfAChild(t *testing.T) {
	for err, want := range map[error]posture.Absence{
		system.ErrMemory: posture.TimedOut, system.ErrTooLarge: posture.TimedOut, system.ErrCrashed: posture.Unreadable,
		context.DeadlineExceeded: posture.TimedOut, os.ErrPermission: posture.Denied, os.ErrNotExist: posture.Unreadable, nil: posture.None,
	} {
		if got := absence(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}
