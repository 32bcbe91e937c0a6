package projection

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

const hour = time.Hour

var term = time.Date(2026, time.September, 7, 8, 0, 0, 0, time.UTC)

// shelf is a ledger in memory.
type shelf struct {
	mu      sync.Mutex
	grown   chan struct{}
	idle    chan int // told how many entries there are when a follower waits for more; nil: nobody is
	records []ledger.Record
	bodies  [][][]byte
	salted  [][]proof.Section
	shown   int                     // records that readers see
	holding bool                    // what is appended is not shown yet
	asked   int                     // how many bodies were read
	broken  map[ledger.Index]string // entries that are damaged, and how: "envelope" or the name of a section
}

// reads returns how many bodies were read.
func (s *shelf) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// corrupt returns what the ledger says of an entry that is damaged.
func (s *shelf) corrupt(i ledger.Index, what string) error {
	if how, ok := s.broken[i]; ok && how == what {
		return &ledger.CorruptError{File: what, Entry: i, Known: true, Err: errors.New("it is not what was written")}
	}
	return nil
}

func newShelf() *shelf { return &shelf{grown: make(chan struct{})} }

func (s *shelf) append(e proof.Envelope, sections ...proof.Section) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bodies [][]byte
	for _, section := range sections {
		e.Sections = append(e.Sections, section.Ref(0, e.Sequence))
		bodies = append(bodies, section.Body)
	}
	s.records = append(s.records, ledger.Record{Index: ledger.Index(len(s.records)), Envelope: e})
	s.bodies, s.salted = append(s.bodies, bodies), append(s.salted, sections)
	if s.holding {
		return
	}
	s.shown = len(s.records)
	close(s.grown)
	s.grown = make(chan struct{})
}

// together shows what f appends all at once, as one synced batch.
func (s *shelf) together(f func()) {
	s.mu.Lock()
	s.holding = true
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding, s.shown = false, len(s.records)
	close(s.grown)
	s.grown = make(chan struct{})
}

// purge forgets the bodies of a class and says so.
func (s *school) purge(at time.Time, class proof.Class) {
	s.purgeOf(at, func(_ int, section proof.SectionRef) bool { return section.Class == class })
}

// purgeOf forgets the sections that some are true of.
func (s *school) purgeOf(at time.Time, of func(entry int, section proof.SectionRef) bool) {
	s.ledger.mu.Lock()
	for i, r := range s.ledger.records {
		for n, section := range r.Envelope.Sections {
			if of(i, section) {
				s.ledger.bodies[i][n] = nil
			}
		}
	}
	s.ledger.mu.Unlock()
	s.ledger.append(s.envelope(proof.KindPurge, "", at), proof.Section{Name: "purge", Class: proof.Kept, Body: []byte("{}")})
}

func (s *shelf) Size() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(s.shown)
}

func (s *shelf) Entries(_ context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		for i := first; i < end; i++ {
			r, err := s.Read(context.Background(), i)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (s *shelf) Follow(ctx context.Context, first ledger.Index) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		for i := first; ; i++ {
			s.mu.Lock()
			for int(i) >= s.shown {
				grown := s.grown
				s.mu.Unlock()
				if s.idle != nil {
					s.idle <- int(i)
				}
				select {
				case <-grown:
				case <-ctx.Done():
					yield(ledger.Record{}, ctx.Err())
					return
				}
				s.mu.Lock()
			}
			r := s.records[i]
			s.mu.Unlock()
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *shelf) Body(_ context.Context, i ledger.Index, n int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	for _, what := range []string{"envelope", s.records[i].Envelope.Sections[n].Name} {
		if err := s.corrupt(i, what); err != nil {
			return nil, err
		}
	}
	if s.bodies[i][n] == nil {
		return nil, ledger.ErrForgotten
	}
	return s.bodies[i][n], nil
}

func (s *shelf) Read(_ context.Context, i ledger.Index) (ledger.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.corrupt(i, "envelope"); err != nil {
		return ledger.Record{}, err
	}
	return s.records[i], nil
}

func (s *shelf) Section(ctx context.Context, r ledger.Record, n int) (proof.Section, error) {
	body, err := s.Body(ctx, r.Index, n)
	return proof.Section{Name: r.Envelope.Sections[n].Name, Class: r.Envelope.Sections[n].Class, Body: body}, err
}

// school writes a school's ledger as its intake would.
type school struct {
	id     posture.SchoolID
	ledger *shelf
	key    ed25519.PrivateKey
	policy *policy.Loaded
	number uint64
}

var shipped = sync.OnceValues(baseline.Load)

func newSchool(tb testing.TB, id string) *school {
	tb.Helper()
	l, err := shipped()
	if err != nil {
		tb.Fatal(err)
	}
	seed := sha256.Sum256([]byte(id))
	return &school{id: posture.SchoolID(id), ledger: newShelf(), key: ed25519.NewKeyFromSeed(seed[:]), policy: l}
}

func (s *school) config() School {
	return School{ID: s.id, Name: "Hollybank Primary School", Ledger: s.ledger, Verifier: identity.SchoolVerifier{
		School: s.id, Key: s.key.Public().(ed25519.PublicKey),
	}}
}

func (s *school) envelope(kind proof.Kind, subject string, at time.Time) proof.Envelope {
	return proof.Envelope{Kind: kind, School: string(s.id), Subject: subject, ReceivedAt: uint64(at.UnixMilli()), Intake: "a"}
}

func body(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (s *school) publish(tb testing.TB, at time.Time, change func(*policy.Policy), beside ...proof.Section) {
	tb.Helper()
	p := *s.policy.Policy()
	p.Rules, p.Parameters = slices.Clone(p.Rules), slices.Clone(p.Parameters)
	s.number++
	p.Number = s.number
	if change != nil {
		change(&p)
	}
	data, err := policy.Encode(&p)
	if err != nil {
		tb.Fatal(err)
	}
	if s.policy, err = policy.Load(data); err != nil {
		tb.Fatal(err)
	}
	signed, err := proof.SignDocument("policy", data, s.key)
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindPolicy, "", at), append([]proof.Section{{Name: "policy", Class: proof.Kept, Body: signed}}, beside...)...)
}

func (s *school) decide(tb testing.TB, d decision.Decision) {
	tb.Helper()
	section, err := decision.Encode(d, [proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "technician", d.At), section)
}

// laptop is a device as its agent would have it.
type laptop struct {
	school     *school
	id         posture.DeviceID
	sequence   uint64
	carried    map[string]proof.SectionRef
	bodies     map[string]string
	facts      posture.Facts
	policy     *policy.Loaded
	number     uint64
	assignment policy.Assignment
	skew       time.Duration
	bootAt     time.Time
	contacts   uint64
	hash       proof.Digest // of the last report
	lie        string       // a rule whose failures it calls passes
	still      bool         // its antivirus and its updates stay as they are
}

func (s *school) enrol(tb testing.TB, id string, at time.Time) *laptop {
	tb.Helper()
	s.ledger.append(s.envelope(proof.KindEnrolment, id, at), proof.Section{Name: "enrolment", Class: proof.Kept, Body: body(tb, roster.Enrolment{
		Device: posture.DeviceID(id), Platform: posture.Linux, AgentVersion: "1.0.0", Ownership: posture.SchoolSingleUser,
	})}, hostname(tb, id))
	a := policy.Assignment{Number: 1, Ownership: posture.SchoolSingleUser}
	signed, err := proof.SignDocument("assignment", body(tb, roster.Assignment{School: s.id, Device: posture.DeviceID(id), Assignment: a}), s.key)
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindAssignment, id, at), proof.Section{Name: "assignment", Class: proof.Kept, Body: signed})
	return &laptop{
		school: s, id: posture.DeviceID(id), carried: map[string]proof.SectionRef{}, bodies: map[string]string{},
		policy: s.policy, number: s.number, assignment: a, bootAt: at, facts: goodFacts(id),
	}
}

// hostname is the section of an enrolment that names the device.
func hostname(tb testing.TB, name string) proof.Section {
	tb.Helper()
	bodies, err := wire.EncodeFacts(posture.Facts{System: posture.Found("enrolment", posture.System{Hostname: name, Platform: posture.Linux})}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return proof.Section{Name: bodies[0].Name, Class: proof.Kept, Body: bodies[0].Data}
}

// goodFacts are of a laptop that meets every rule of the baseline.
func goodFacts(host string) posture.Facts {
	yes, no := posture.Read(true), posture.Read(false)
	return posture.Facts{
		System: posture.Found("os-release", posture.System{
			Hostname: host, Platform: posture.Linux, OS: posture.Read("debian"), OSName: posture.Read("Debian GNU/Linux 13 (trixie)"),
			OSVersion: posture.Read("13"), OSBuild: posture.Read("6.12"), Architecture: "amd64", Chassis: posture.Read(posture.Laptop),
			Manufacturer: posture.Read("Acme"), Model: posture.Read("Note 3"),
		}),
		Volumes:     posture.Found("sysfs", volume(true)),
		Antivirus:   posture.Found("clamav", clam(yes)),
		Media:       posture.Found[posture.Medium]("sysfs"),
		Programs:    posture.Found("dpkg", posture.Program{Source: "dpkg", Name: "bash", Version: "5.2", Architecture: "amd64"}),
		Executables: posture.Found[posture.Executable]("walk"),
		Scripts:     posture.Found[posture.Tally]("walk"),
		Security: posture.Found("system", posture.Security{
			OSSupported: yes, OSSupportEnds: posture.Read(term.Add(20_000 * hour)), UpdatesPending: posture.Read[int64](0),
			UpdatesImportant: posture.Read[int64](0), ImportantSince: posture.Read(time.Time{}), UpdatesCheckedAt: posture.Read(term),
			UpdatesAutomatic: yes, RebootDue: no, Firewall: yes, ScreenLock: yes, ScreenLockAfter: posture.Read[int64](300),
			PasswordSet: yes, AutoLogon: no, AutoRun: no, DailyUserAdmin: no, Administrators: posture.Read[int64](1),
			OpenDetections: posture.Read[int64](0), SecureBoot: yes, TPM: yes,
		}),
	}
}

func volume(encrypted bool) posture.Volume {
	v := posture.Volume{
		ID: "aaaaaaaaaaaa", Role: posture.SystemVolume, Mount: "/", Filesystem: posture.Read("ext4"), Capacity: posture.Read[int64](1 << 38),
		Encryption: posture.Read(posture.Encrypted), Protection: posture.Read(posture.ProtectionOn), Method: posture.Read("LUKS2"), Cipher: posture.Read("aes-xts-plain64"),
	}
	if !encrypted {
		v.Encryption, v.Protection = posture.Read(posture.Unencrypted), posture.Read(posture.ProtectionOff)
		v.Method, v.Cipher = posture.Read(""), posture.Read("")
	}
	return v
}

func clam(on posture.Reading[bool]) posture.Antivirus {
	return posture.Antivirus{
		Product: "clamav", Name: "ClamAV", Version: posture.Read("1.4"), On: on, RealTime: on, Expired: posture.Read(false),
		Updating: posture.Read(true), Definitions: posture.Read("27000"), DefinitionsAt: posture.Read(term),
	}
}

func stick(serial string, encryption posture.EncryptionState) posture.Medium {
	return posture.Medium{
		Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb", Vendor: "Acme", Product: "Stick",
		Capacity: posture.Read[int64](1 << 33), Writable: posture.Read(true), Encryption: posture.Read(encryption),
	}
}

// report makes a report at a moment and gives it to the collector at another.
func (l *laptop) report(tb testing.TB, made, received time.Time) {
	tb.Helper()
	l.sequence++
	byClock := made.Add(l.skew).Truncate(time.Millisecond)
	f := l.facts
	for _, at := range []*time.Time{
		&f.System.ReadAt, &f.Volumes.ReadAt, &f.Antivirus.ReadAt, &f.Media.ReadAt, &f.MediaEvents.ReadAt, &f.Programs.ReadAt,
		&f.Executables.ReadAt, &f.Scripts.ReadAt, &f.Security.ReadAt,
	} {
		*at = byClock
	}
	if len(f.Antivirus.Items) == 1 && !l.still {
		f.Antivirus.Items = slices.Clone(f.Antivirus.Items)
		f.Antivirus.Items[0].DefinitionsAt = posture.Read(byClock.Add(-hour))
	}
	if len(f.Security.Items) == 1 && !l.still {
		f.Security.Items = slices.Clone(f.Security.Items)
		f.Security.Items[0].UpdatesCheckedAt = posture.Read(byClock.Add(-hour))
	}
	f.MediaEvents.Absent = posture.None
	findings := l.policy.Evaluate(l.assignment, f, byClock)
	for i := range findings {
		if findings[i].Rule == l.lie && findings[i].Result == posture.Fail {
			findings[i].Result = posture.Pass
		}
	}
	bodies, err := wire.EncodeFacts(f, findings)
	if err != nil {
		tb.Fatal(err)
	}
	st := proof.ReportStatement{
		School: string(l.school.id), Device: string(l.id), Sequence: l.sequence, Policy: l.number, Assignment: l.assignment.Number,
		MadeAt: uint64(byClock.UnixMilli()), Boot: "boot-1", Uptime: uint64(made.Sub(l.bootAt).Milliseconds()),
	}
	var sections []proof.Section
	for _, b := range bodies {
		ref, ok := l.carried[b.Name]
		if !ok || l.bodies[b.Name] != string(b.Data) {
			section := proof.Section{Name: b.Name, Class: b.Class, Body: b.Data}
			section.Salt[0] = byte(l.sequence)
			sections = append(sections, section)
			ref = section.Ref(0, l.sequence)
			l.bodies[b.Name] = string(b.Data)
		}
		if !b.ReadAt.IsZero() {
			ref.ReadAt = uint64(b.ReadAt.UnixMilli())
		}
		l.carried[b.Name] = ref
		st.Sections = append(st.Sections, ref)
	}
	if l.facts.MediaEvents.Items != nil {
		delete(l.carried, wire.MediaEvents)
		delete(l.bodies, wire.MediaEvents)
		l.facts.MediaEvents.Items = nil
	}
	e := l.school.envelope(proof.KindReport, string(l.id), received)
	e.Sequence = l.sequence
	if e.Statement, err = st.Encode(); err != nil {
		tb.Fatal(err)
	}
	l.school.ledger.append(e, sections...)
	l.hash, l.contacts = proof.HashReport(e.Statement), 0
}

// contact says that nothing has changed.
func (l *laptop) contact(tb testing.TB, made, received time.Time) {
	tb.Helper()
	l.school.ledger.append(l.school.envelope(proof.KindContacts, "", received), l.contactSection(tb, made))
}

func (l *laptop) contactSection(tb testing.TB, made time.Time) proof.Section {
	tb.Helper()
	l.contacts++
	byClock := uint64(made.Add(l.skew).UnixMilli())
	st := proof.ContactStatement{
		School: string(l.school.id), Device: string(l.id), Report: l.sequence, Hash: l.hash, Count: l.contacts, MadeAt: byClock,
		Boot: "boot-1", Uptime: uint64(made.Sub(l.bootAt).Milliseconds()), ReadAt: byClock,
	}
	statement, err := st.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	data, err := proof.SignedContact{Statement: statement, Signature: []byte{1}}.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return proof.Section{Name: "contact", Class: proof.Contacts, Body: data}
}

// cleaner is what tests, benchmarks and checks of properties have in common.
type cleaner interface {
	Helper()
	Fatal(args ...any)
	Error(args ...any)
	Cleanup(f func())
}

// fixture is a view of schools and what fills it.
type fixture struct {
	view *view.View
	*Projection
	q *view.Queries
}

func open(tb cleaner, schools ...*school) fixture {
	tb.Helper()
	var list []School
	for _, s := range schools {
		list = append(list, s.config())
	}
	return opened(tb, list)
}

func opened(tb cleaner, list []School) fixture {
	tb.Helper()
	look := 1 // small schools ask the index too
	if _, ok := tb.(*testing.B); ok {
		look = 0
	}
	v, err := view.Open("", view.Options{Memory: true, Facts: NewFacts(list), Look: look})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := v.Close(); err != nil {
			tb.Error(err)
		}
	})
	l, err := shipped()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := New(Options{View: v, Schools: list, Baseline: l.Policy()})
	if err != nil {
		tb.Fatal(err)
	}
	return fixture{v, p, v.Queries()}
}

func (f fixture) catchUp(tb testing.TB) {
	tb.Helper()
	if err := f.CatchUp(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (f fixture) dump(tb testing.TB, s *school) string {
	tb.Helper()
	var b bytes.Buffer
	if err := f.view.Dump(&b, s.id); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func (f fixture) device(tb testing.TB, s *school, id string, now time.Time) view.DeviceDetail {
	tb.Helper()
	f.catchUp(tb)
	d, err := f.q.Device(tb.Context(), s.id, posture.DeviceID(id), now)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (f fixture) overview(tb testing.TB, s *school, now time.Time) view.Overview {
	tb.Helper()
	f.catchUp(tb)
	o, err := f.q.Overview(tb.Context(), s.id, now)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// line shows a device's breaches in a row: rule, subject, status.
func line(breaches []view.Breach) string {
	var words []string
	for _, b := range breaches {
		words = append(words, fmt.Sprintf("%s %s", b.Rule, b.Status))
	}
	slices.Sort(words)
	return fmt.Sprint(words)
}

func standing(tb testing.TB, d view.DeviceDetail, rule string) view.Finding {
	tb.Helper()
	for _, f := range d.Findings {
		if f.Rule == rule {
			return f
		}
	}
	tb.Fatalf("device %s has no finding of %s", d.ID, rule)
	return view.Finding{}
}

func counts(tb testing.TB, o view.Overview, rule string) [5]int {
	tb.Helper()
	for _, r := range o.Rules {
		if r.Rule == rule {
			return [5]int{r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor}
		}
	}
	tb.Fatalf("the overview has no rule %s", rule)
	return [5]int{}
}

func keyOf(device, rule, kind, id string) breach.Key {
	return breach.Key{Device: posture.DeviceID(device), Rule: rule, Kind: kind, ID: id}
}
