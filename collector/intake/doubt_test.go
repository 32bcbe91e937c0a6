package intake

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// numbersOf are the hashes of a computer's numbers, of which only the first two
// are known.
func numbersOf(computer byte) []string {
	return []string{strings.Repeat(fmt.Sprintf("%02x", computer), 16), strings.Repeat(fmt.Sprintf("%02x", computer+1), 16), "", ""}
}

// systemOf is the section in which a computer says its numbers.
func systemOf(t testing.TB, numbers []string) []byte {
	t.Helper()
	system := posture.System{Hostname: "hb-lt-014", Platform: posture.Linux}
	if numbers != nil {
		system.SystemUUID, system.SystemSerial = posture.Read(numbers[0]), posture.Read(numbers[1])
	}
	bodies, err := wire.EncodeFacts(posture.Facts{System: posture.Found("firmware", system)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(bodies, func(b wire.Body) bool { return b.Name == wire.System })
	return bodies[i].Data
}

// copied returns a machine that begins with everything that the laptop has.
func (l *laptop) copied() *laptop {
	c := *l
	c.refs, c.bodies = slices.Clone(l.refs), map[string][]byte{wire.System: l.bodies[wire.System]}
	return &c
}

func (l *laptop) part(key *identity.DeviceKey, numbers []string, moved bool) (*pb.PartResponse, error) {
	l.t.Helper()
	request, err := key.Request()
	if err != nil {
		l.t.Fatal(err)
	}
	conn := dial(l.t, l.w, l.config(l.school))
	defer conn.Close()
	return pb.NewUplinkClient(conn).Part(l.t.Context(), &pb.PartRequest{
		CertificateRequest: request, Machine: numbers, Platform: "linux", Hostname: "hb-lt-014", AgentVersion: "test", Moved: moved,
	})
}

// decides records what somebody decided about a machine.
func (w *world) decides(p *place, c admission.Change) {
	w.t.Helper()
	section, err := roster.Section(admission.Section, proof.Kept, c)
	if err != nil {
		w.t.Fatal(err)
	}
	entry := roster.Maker{School: p.ID, Intake: "collector"}.Entry(proof.KindDecision, string(c.Device), w.clock.Now(), section)
	if _, err := p.ledger.Append(w.t.Context(), entry); err != nil {
		w.t.Fatal(err)
	}
	if err := p.roster.CatchUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// doubts returns what is recorded of two machines with one name.
func (p *place) doubts(t *testing.T, device posture.DeviceID) (list []roster.Doubt) {
	t.Helper()
	for rec, err := range p.ledger.Entries(t.Context(), 0, ledger.Index(p.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := p.doubt(t, rec); ok && d.Device == device {
			list = append(list, d)
		}
	}
	return list
}

func (p *place) doubt(t *testing.T, rec ledger.Record) (d roster.Doubt, ok bool) {
	t.Helper()
	n := slices.IndexFunc(rec.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == roster.SectionDoubt })
	if n < 0 {
		return d, false
	}
	body, err := p.ledger.Body(t.Context(), rec.Index, n)
	if err == nil {
		d, err = roster.DecodeDoubt(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d, true
}

func TestTwoMachinesAreToldApartByTheirFirmware(t *testing.T) {
	w := newWorld(t, Limits{})
	p := w.schools[0]
	l := w.enrol(p)
	l.bodies = map[string][]byte{wire.System: systemOf(t, numbersOf(0x10))}
	c := l.open(&pb.Hello{})
	c.send(l.report())
	c.wantAck(1, 0)
	copied := l.copied()
	c.send(l.report(wire.Encryption))
	c.wantAck(2, 0)
	c.close()
	// The copy speaks for the first time, on other hardware, which its report says.
	copied.bodies[wire.System] = systemOf(t, numbersOf(0x20))
	c = copied.open(&pb.Hello{Acknowledged: 1, Boot: "boot-2"})
	c.wantAck(2, 0) // of what the other made
	copied.sequence, copied.previous = 2, proof.Digest{1}
	c.send(copied.report())
	c.wantRefusal("twice")
	l.connect(&pb.Hello{Acknowledged: 2}).wantRefusal("twice")
	if d := p.doubts(t, l.id); len(d) != 1 || d[0].Why != roster.DoubtHardware || p.count(t, proof.KindReport) != 2 {
		t.Fatalf("noticed is %+v", d)
	}
	if w.intake.AssessNow(p.ID, l.id, "x") == nil {
		t.Error("it is asked for something")
	}
	// Neither gets a certificate, and the copy no name.
	if _, err := l.renew(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("it was renewed: %v", err)
	}
	theirs, _ := newKey(t)
	if _, err := copied.part(theirs, numbersOf(0x20), false); status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("the copy: %v", err)
	}
	mine, _ := newKey(t)
	if a, err := l.part(mine, numbersOf(0x10), false); err != nil || !a.GetKeeps() || a.GetRecorded() != 2 || proof.Digest(a.GetHash()) != l.previous {
		t.Fatalf("the original: %v, %v", a, err)
	}
	works := func() {
		t.Helper()
		c := l.open(&pb.Hello{Acknowledged: l.sequence, Told: hashOf(t, mine)})
		defer c.close()
		c.send(l.report())
		c.wantAck(l.sequence, 0)
	}
	works()
	l.connect(&pb.Hello{Acknowledged: l.sequence}).wantRefusal("twice") // whoever was not told is not the one
	// The copy waits until somebody approves it, and is a device of its own.
	waiting := w.desk().Claimants(p.ID, l.id)
	if len(waiting) != 1 || len(waiting[0].Differ) != 2 || waiting[0].Code == "" {
		t.Fatalf("who waits is %+v", waiting)
	}
	w.decides(p, admission.Change{What: admission.TellApart, Device: l.id, Key: waiting[0].Key})
	own, err := copied.part(theirs, numbersOf(0x20), false)
	if err != nil || own.GetOwn().GetDevice() == "" || own.GetOwn().GetDevice() == string(l.id) {
		t.Fatalf("the copy: %v, %v", own, err)
	}
	again, err := copied.part(theirs, numbersOf(0x20), false)
	if err != nil || again.GetOwn().GetDevice() != own.GetOwn().GetDevice() {
		t.Errorf("asked again it is %v, %v", again.GetOwn().GetDevice(), err)
	}
	fresh := &laptop{t: t, w: w, school: p.ID, id: posture.DeviceID(own.GetOwn().GetDevice()), key: theirs, der: own.GetOwn().GetCertificate(), ca: l.ca}
	fresh.works()
	works()
	if len(w.desk().Claimants(p.ID, "")) != 0 {
		t.Error("somebody waits still")
	}
}

func (l *laptop) renew() (*pb.RenewResponse, error) {
	l.t.Helper()
	request, err := l.key.Request()
	if err != nil {
		l.t.Fatal(err)
	}
	conn := dial(l.t, l.w, l.config(l.school))
	defer conn.Close()
	return pb.NewUplinkClient(conn).Renew(l.t.Context(), &pb.RenewRequest{CertificateRequest: request})
}

func (w *world) desk() *enroll.Service { return w.intake.o.Desk.(*enroll.Service) }

func TestABootThatComesBackIsAnotherMachine(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	for _, boot := range []string{"boot-1", "boot-1", "boot-2", "boot-2"} { // a laptop that was started anew
		l.open(&pb.Hello{Boot: boot}).close()
	}
	live := l.open(&pb.Hello{Boot: "boot-3"})
	l.connect(&pb.Hello{Boot: "boot-2"}).wantRefusal("twice")
	if _, err := live.Recv(); err == nil { // the first that it gets is an assignment or a checkpoint
		for err == nil {
			_, err = live.Recv()
		}
	}
	if d := w.schools[0].doubts(t, l.id); len(d) != 1 || d[0].Why != roster.DoubtStreams {
		t.Errorf("noticed is %+v", d)
	}
}

// TestAnyInterleavingOfTwoMachines: whatever two machines with one key do, from
// when they are noticed nothing of either is recorded until they are told apart,
// and then nothing of the wrong one.
func TestAnyInterleavingOfTwoMachines(t *testing.T) {
	w := newWorld(t, Limits{})
	rapid.Check(t, func(r *rapid.T) {
		s := newStory(t, w, rapid.Bool().Draw(r, "numbered"))
		for range rapid.IntRange(4, 24).Draw(r, "steps") {
			m := s.machines[rapid.IntRange(0, 1).Draw(r, "machine")]
			m.acts(rapid.SampledFrom([]string{"report", "contact", "drop", "reboot", "ask", "decide"}).Draw(r, "act"))
		}
		s.check(r)
		for _, m := range s.machines {
			m.drop()
		}
	})
}

// story is two machines with one key, of which the second was copied from the
// first.
type story struct {
	t        *testing.T
	w        *world
	p        *place
	id       posture.DeviceID // of both, at first
	machines [2]*actor
}

type actor struct {
	*laptop
	s       *story
	first   bool // it is the original
	numbers []string
	boot    string
	boots   int
	line    *line
	asks    *identity.DeviceKey // it was told to ask who it is
	told    string              // by which key it was told that it is the one
	signed  map[proof.Digest]bool
}

func newStory(t *testing.T, w *world, numbered bool) *story {
	s := &story{t: t, w: w, p: w.schools[0]}
	l := w.enrol(s.p)
	s.id = l.id
	var numbers [2][]string
	if numbered {
		numbers = [2][]string{numbersOf(0x10), numbersOf(0x20)}
	}
	l.bodies = map[string][]byte{wire.System: systemOf(t, numbers[0])}
	first := &actor{laptop: l, s: s, first: true, numbers: numbers[0], boot: "first-0", signed: map[proof.Digest]bool{}}
	first.acts("report")
	second := &actor{laptop: l.copied(), s: s, numbers: numbers[1], boot: "second-0", signed: map[proof.Digest]bool{}}
	second.bodies[wire.System] = systemOf(t, numbers[1])
	s.machines = [2]*actor{first, second}
	return s
}

func (a *actor) drop() {
	if a.line != nil {
		a.line.close()
		a.line = nil
	}
}

// acts does what an agent does, or what happens to it.
func (a *actor) acts(what string) {
	switch what {
	case "drop":
		a.drop()
	case "reboot":
		a.drop()
		a.boots++
		a.boot = fmt.Sprint(a.boot[:strings.Index(a.boot, "-")+1], a.boots)
	case "report", "contact":
		if a.asks != nil {
			return // it was told to say nothing
		}
		m := a.report()
		if what == "contact" {
			m = a.contact()
		}
		a.signed[a.previous] = true
		a.say(m)
	case "ask":
		a.ask()
	case "decide":
		a.decide()
	}
}

// say opens a stream if there is none, and sends; what comes back ends it or not.
func (a *actor) say(m *pb.AgentMessage) {
	if a.line == nil {
		a.line = a.connect(&pb.Hello{Boot: a.boot, Told: a.told})
		if first, err := a.line.Recv(); err != nil || !a.heard(first) {
			return
		}
	}
	_ = a.line.Send(m) // if the stream has ended, Recv says so
	for a.line != nil {
		answer, err := a.next(m.GetContact() != nil)
		if err != nil {
			a.drop()
			return
		}
		if !a.heard(answer) || answer.GetSendFull() != nil {
			return
		}
		if ack := answer.GetAcknowledge(); ack != nil && ack.GetSequence() >= a.sequence {
			return
		}
	}
}

// next returns the next message. A contact is answered when its batch is
// written, which takes time. One of a report that the collector does not have is
// not answered at all: then the stream is given up, as if it had broken.
func (a *actor) next(contact bool) (m *pb.CollectorMessage, err error) {
	came := make(chan struct{})
	go func() {
		defer close(came)
		m, err = a.line.Recv()
	}()
	for polls := 1; ; polls++ {
		select {
		case <-came:
			return m, err
		case <-time.After(time.Millisecond):
			if contact {
				a.w.clock.Advance(contactsWait)
			}
			if contact && polls == 200 {
				a.line.close()
			}
		}
	}
}

// heard reports whether the stream goes on after a message.
func (a *actor) heard(m *pb.CollectorMessage) bool {
	if m.GetRefusal().GetCode() == "twice" && a.asks == nil {
		a.asks, _ = newKey(a.t)
	}
	if m.GetRefusal() != nil {
		a.drop()
		return false
	}
	return true
}

func hashOf(t *testing.T, key *identity.DeviceKey) string {
	t.Helper()
	hash, err := identity.KeyFingerprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash[:])
}

func (a *actor) ask() {
	if a.asks == nil {
		return
	}
	answer, err := a.part(a.asks, a.numbers, false)
	switch {
	case err != nil:
	case answer.GetKeeps():
		// Its reports go on behind those that are recorded.
		a.told = hashOf(a.t, a.asks)
		a.sequence, a.previous, a.asks = answer.GetRecorded(), proof.Digest(answer.GetHash()), nil
	default:
		a.key, a.id, a.der = a.asks, posture.DeviceID(answer.GetOwn().GetDevice()), answer.GetOwn().GetCertificate()
		a.sequence, a.previous, a.refs, a.asks, a.told = 0, proof.Digest{}, nil, nil, ""
	}
}

// decide is a technician who knows which laptop is which.
func (a *actor) decide() {
	if a.asks == nil {
		return
	}
	key := hashOf(a.t, a.asks)
	if !slices.ContainsFunc(a.w.desk().Claimants(a.s.p.ID, a.s.id), func(c admission.Claimant) bool { return c.Key == key }) {
		return
	}
	a.w.decides(a.s.p, admission.Change{What: admission.TellApart, Device: a.s.id, Key: key, Keeps: a.first})
}

// check reads the record: from when two machines were noticed.
func (s *story) check(r *rapid.T) {
	noticed, settled := false, false
	for rec, err := range s.p.ledger.Entries(s.t.Context(), 0, ledger.Index(s.p.ledger.Size())) {
		if err != nil {
			r.Fatal(err)
		}
		if rec.Envelope.Subject != string(s.id) {
			continue
		}
		if d, ok := s.p.doubt(s.t, rec); ok {
			noticed, settled = true, d.What == roster.DoubtSettled
		}
		if rec.Envelope.Kind == proof.KindDecision && s.p.keeps(s.t, rec) {
			settled = true
		}
		if rec.Envelope.Kind != proof.KindReport || !noticed {
			continue
		}
		hash := proof.HashReport(rec.Envelope.Statement)
		if !settled || !s.machines[0].signed[hash] || s.machines[1].signed[hash] {
			r.Fatalf("entry %d is report %d: settled %v, of the original %v", rec.Index, rec.Envelope.Sequence, settled, s.machines[0].signed[hash])
		}
	}
}

func (p *place) keeps(t *testing.T, rec ledger.Record) bool {
	t.Helper()
	body, err := p.ledger.Body(t.Context(), rec.Index, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := admission.Decode(body)
	return err == nil && c.Keeps
}
