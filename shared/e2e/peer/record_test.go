package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// record names a new version to record. One that is there is never written
// again: what was recorded stays, so that tomorrow's code reads today's bytes.
var record = flag.String("record", "", "record exchanges as a version that is not there yet, such as v2")

// goldenLedgers is where the ledgers lie that come of the exchanges.
const goldenLedgers = "../../../collector/ledger/testdata/golden"

// TestRecord records a whole life of one laptop with today's code. It runs only
// when it is asked to.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("nothing is recorded without -record")
	}
	dir, kept := filepath.Join(transcripts, *record), filepath.Join(goldenLedgers, *record)
	for _, d := range []string{dir, kept} {
		if _, err := os.Stat(d); !os.IsNotExist(err) {
			t.Fatalf("%s is there already, and what was recorded is never changed", d)
		}
	}
	bodies := exampleBodies(t)
	must(t, os.MkdirAll(dir, 0o755))
	data := filepath.Join(t.TempDir(), "data")
	_, err := enroll.CreateSchool(data, "Hollybank Primary School", monday)
	must(t, err)
	key, err := identity.MakeDeviceKey(filepath.Join(dir, "device.key.pem"))
	must(t, err)

	r := &recorder{t: t, dir: dir, desk: serve(t, data, monday), key: key, bodies: bodies}
	r.enrol()
	r.desk.stop()
	must(t, os.CopyFS(filepath.Join(dir, "data"), os.DirFS(data)))
	unlocked(t, filepath.Join(dir, "data"))

	r.desk = serve(t, data, monday.Add(time.Hour))
	r.a.w, r.a.place = &world{t: t, address: r.desk.address}, r.desk.place
	r.streams()
	r.renew()
	r.others()
	r.keep(kept, data)
	seal(t, dir)
}

// unlocked removes what says that a process has a ledger open.
func unlocked(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == "lock" {
			return os.Remove(path)
		}
		return err
	}))
}

// exampleBodies returns the sections that the whole agent makes of a recorded
// machine.
func exampleBodies(t *testing.T) []*pb.Section {
	t.Helper()
	var sections []*pb.Section
	t.Run("a report of a recorded machine", func(t *testing.T) {
		l := newWholeOf(newWorld(t), "plain-laptop-with-stick")
		s := l.front.next()
		s.welcome()
		s.hear(2)
		var m pb.AgentMessage
		must(t, wire.Unmarshal(s.o.messages[1], &m))
		sections = m.GetReport().GetSections()
		s.hangUp()
	})
	if len(sections) < 5 {
		t.Fatalf("the agent's first report has %d sections", len(sections))
	}
	return sections
}

// recorder plays a laptop against a real collector and writes down what both
// say.
type recorder struct {
	t      *testing.T
	dir    string
	desk   *desk
	key    *identity.DeviceKey
	a      *attacker
	bodies []*pb.Section
	last   []proof.SectionRef // of the last report
}

func (r *recorder) begin(method string) *exchange {
	return &exchange{method: method, at: r.desk.clock.Now()}
}

func (r *recorder) enrol() {
	t, school := r.t, r.desk.place
	token, err := enroll.CreateToken(t.Context(), school.School, school.ledger, enroll.NewToken{
		Addresses: []string{"collector.hollybank.example:7443"}, Uses: 3, Lasts: 300 * day, By: "head@hollybank.example",
	}, r.desk.clock.Now())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(r.dir, "token"), []byte(token.String()+"\n"), 0o644))
	entry, err := roster.Maker{School: school.ID}.Policy(policyOf(t, school.Key, 1), []byte("name: Hollybank\n"), r.desk.clock.Now())
	must(t, err)
	_, err = school.ledger.Append(t.Context(), entry)
	must(t, err)
	must(t, school.roster.CatchUp(t.Context()))

	e, request := r.begin(enrollMethod), enrollRequest(t, token, r.key)
	request.Hostname = "hb-lt-014"
	e.said = append(e.said, said{"agent", "enrol", encode(t, request)})
	p := dial(t, r.desk.address, identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(monday)))
	o := p.unary(enrollMethod, request)
	answer := decodeEnrolled(t, o)
	e.said = append(e.said, said{"collector", "enrolled", o.messages[0]})
	e.write(t, filepath.Join(r.dir, "enrolment.txt"))
	r.a = &attacker{
		signer: &signer{t: t, school: school.ID, id: posture.DeviceID(answer.GetDevice()), key: r.key},
		der:    answer.GetCertificate(), authority: answer.GetAuthority(),
	}
}

// stream records one stream: what is said, with how many messages come back
// for each.
func (r *recorder) stream(name string, talk func(say func(what string, m *pb.AgentMessage, answers int))) {
	e, p, o := r.begin(connectMethod), r.a.connect(), newOutcome()
	defer p.close()
	id := p.open(p.request(connectMethod))
	heard := 0
	talk(func(what string, m *pb.AgentMessage, answers int) {
		e.said = append(e.said, said{"agent", what, encode(r.t, m)})
		p.data(id, message(encode(r.t, m)), false, &o)
		if what == "contact" {
			r.desk.pass(func() bool { return r.desk.place.roster.Contact(r.a.id).Count >= r.a.contacts })
		}
		if !p.until(id, &o, func(o *outcome) bool { return len(o.messages) >= heard+answers }) {
			r.t.Fatalf("%s: %s was answered with %v", name, what, o)
		}
		for _, data := range o.messages[heard:] {
			e.said = append(e.said, said{"collector", called(r.t, data), data})
		}
		heard = len(o.messages)
	})
	e.write(r.t, filepath.Join(r.dir, name+".txt"))
}

// pass moves the collector's clock on, a second at most, until something is so.
func (d *desk) pass(so func() bool) {
	d.t.Helper()
	began := d.clock.Now()
	until(d.t, "a contact is recorded", func() bool {
		if !so() && d.clock.Now().Sub(began) < 5*time.Second {
			d.clock.Advance(100 * time.Millisecond)
		}
		return so()
	})
}

// called names a message of the collector by its kind.
func called(t *testing.T, data []byte) string {
	t.Helper()
	var m pb.CollectorMessage
	must(t, wire.Unmarshal(data, &m))
	which := m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().Get(0))
	if which == nil {
		return "nothing"
	}
	return strings.ReplaceAll(string(which.Name()), "_", " ")
}

// report makes the next report. It carries the named sections, or all.
func (r *recorder) report(names ...string) *pb.AgentMessage {
	carry := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	r.a.sequence++
	var refs []proof.SectionRef
	r.a.carried = nil
	for _, b := range r.bodies {
		class, _ := wire.Class(b.GetName())
		s := proof.Section{Name: b.GetName(), Class: class, Salt: sha16(fmt.Sprint(b.GetName(), r.a.sequence)), Body: b.GetBody()}
		at := slices.IndexFunc(r.last, func(ref proof.SectionRef) bool { return ref.Name == s.Name })
		if at >= 0 && !carry(s.Name) {
			refs = append(refs, r.last[at])
			continue
		}
		refs = append(refs, s.Ref(uint64(r.desk.clock.Now().UnixMilli()), r.a.sequence))
		r.a.carried = append(r.a.carried, s)
	}
	r.last = refs
	sequence := r.a.sequence
	r.a.sequence--
	carried := r.a.carried
	m := r.a.report(func(st *proof.ReportStatement) {
		st.Sections, r.a.carried, st.Policy, st.Assignment, st.Uptime = refs, carried, 1, 1, 3_600_000
	})
	if r.a.sequence != sequence {
		r.t.Fatal("the report has another number")
	}
	return m
}

func sha16(text string) [proof.SaltSize]byte {
	sum := sha256.Sum256([]byte(text))
	return [proof.SaltSize]byte(sum[:proof.SaltSize])
}

func (r *recorder) streams() {
	r.stream("stream-1-first-reports", func(say func(string, *pb.AgentMessage, int)) {
		say("hello", hello(func(h *pb.Hello) { h.Assignment, h.Spooled = 0, 1 }), 4) // welcome, policy, assignment, checkpoint
		say("full report", r.report(), 1)
		say("report that carries one section", r.report(wire.System), 1)
		say("contact", r.a.contact(), 1)
		say("contact", r.a.contact(), 1)
		must(r.t, r.desk.intake.AssessNow(r.a.school, r.a.id, "request-1"))
		say("progress", &pb.AgentMessage{Message: &pb.AgentMessage_Progress{Progress: &pb.Progress{Request: "request-1", Percent: 100}}}, 1)
	})
	r.desk.clock.Advance(time.Hour)
	r.stream("stream-2-gap", func(say func(string, *pb.AgentMessage, int)) {
		say("hello", hello(func(h *pb.Hello) { h.Policy, h.Acknowledged, h.Spooled, h.Dropped = 1, 2, 2, 2 }), 2) // welcome, checkpoint
		r.report()
		r.report()
		say("report after a gap", r.report(wire.System), 2) // acknowledge, send full
		say("full report", r.report(), 1)
	})
	r.desk.clock.Advance(time.Hour)
	r.stream("stream-3-restored", func(say func(string, *pb.AgentMessage, int)) {
		r.a.sequence += 3
		say("hello", hello(func(h *pb.Hello) { h.Policy, h.Acknowledged, h.Spooled = 1, r.a.sequence, 1 }), 2) // welcome, checkpoint
		say("full report", r.report(), 1)
	})
	now := func(h *pb.Hello) { h.Policy, h.Acknowledged, h.Spooled = 1, r.a.sequence, 1 }
	r.stream("stream-4-refused-signature", func(say func(string, *pb.AgentMessage, int)) {
		say("hello", hello(now), 2)
		before, previous := r.a.sequence, r.a.previous
		m := r.report()
		m.GetReport().Signature = r.key2(m.GetReport().GetStatement())
		say("report signed by another key", m, 1)
		r.a.sequence, r.a.previous = before, previous
	})
	r.stream("stream-5-refused-malformed", func(say func(string, *pb.AgentMessage, int)) {
		say("hello", hello(now), 2)
		say("hello", hello(now), 1)
	})
}

// key2 signs a statement with a key that is not the device's.
func (r *recorder) key2(statement []byte) []byte {
	r.t.Helper()
	other, err := identity.MakeDeviceKey(filepath.Join(r.t.TempDir(), "other.pem"))
	must(r.t, err)
	signature, err := other.Sign(proof.HashReport(statement))
	must(r.t, err)
	return signature
}

func (r *recorder) renew() {
	r.desk.clock.Advance(60 * day)
	request, err := r.key.Request()
	must(r.t, err)
	e, m := r.begin(renewMethod), &pb.RenewRequest{CertificateRequest: request}
	e.said = append(e.said, said{"agent", "renew", encode(r.t, m)})
	o := r.a.connect().unary(renewMethod, m)
	if o.verdict() != "ok" {
		r.t.Fatalf("renewing ended with %v", o)
	}
	e.said = append(e.said, said{"collector", "renewed", o.messages[0]})
	e.write(r.t, filepath.Join(r.dir, "renewal.txt"))
}

// others adds the entries that no device causes, so that the ledger holds
// every kind.
func (r *recorder) others() {
	t, place, now := r.t, r.desk.place, r.desk.clock.Now()
	maker := roster.Maker{School: place.ID, Intake: "collector"}
	assignment := roster.Assignment{Device: r.a.id}
	assignment.Number, assignment.Ownership, assignment.Groups = 2, posture.SchoolMultiUser, []string{"year-4"}
	assigned, _, err := maker.Assignment(place.Key, assignment, now)
	must(t, err)
	decided, err := decision.Encode(decision.Decision{
		Kind: decision.Acknowledge, By: "head@hollybank.example", At: now, Reason: "the technician looks at it on Friday",
		Breach: breach.Key{Device: r.a.id, Rule: "ENC-01", Kind: "volume", ID: "1"},
	}, sha16("decision"))
	must(t, err)
	notice := proof.Section{Name: "notice", Class: proof.People, Salt: sha16("notice"), Body: []byte(`{"to":"head@hollybank.example","about":"ENC-01"}`)}
	_, err = place.ledger.Append(t.Context(), assigned,
		maker.Entry(proof.KindDecision, "person:head", now, decided), maker.Entry(proof.KindNotice, "person:head", now, notice))
	must(t, err)
	_, err = place.ledger.Forget(t.Context(), proof.Media, ledger.Month{Year: monday.Year(), Month: monday.Month()},
		func(s ledger.Stored) bool { return s.Record.Envelope.Sequence == r.a.sequence },
		func(p ledger.Purge) (ledger.Entry, error) {
			body, err := json.Marshal(p)
			return maker.Entry(proof.KindPurge, "", now, proof.Section{Name: "purge", Class: proof.Kept, Salt: sha16("purge"), Body: body}), err
		})
	must(t, err)
}

// keep stores the ledger that came of it all, and what it is known to hold.
func (r *recorder) keep(kept, data string) {
	t, place := r.t, r.desk.place
	verifier, err := place.Key.Verifier()
	must(t, err)
	_, err = place.ledger.Checkpoint(t.Context())
	must(t, err)
	want := whatIsThere(t, place.ledger, verifier, string(place.ID), string(r.a.id))
	r.desk.stop()
	must(t, os.CopyFS(filepath.Join(kept, "ledger"), os.DirFS(place.LedgerDir())))
	unlocked(t, kept)
	text, err := json.MarshalIndent(want, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(kept, "holds.json"), append(text, '\n'), 0o644))
	seal(t, kept)
}

// sums is the name of the list of hashes of all that was recorded at one
// place.
const sums = "SHA256SUMS"

// seal adds the hashes of a new folder's files to the list beside it.
func seal(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(dir), sums)
	list, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	b := bytes.NewBuffer(list)
	for _, name := range files(t, dir) {
		b.WriteString(sumOf(t, filepath.Dir(dir), filepath.Base(dir)+"/"+name))
	}
	must(t, os.WriteFile(path, b.Bytes(), 0o644))
}

// files lists the files below a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(name))
		}
		return err
	}))
	return all
}

// sumOf returns a file's line of the list, as sha256sum writes it.
func sumOf(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	must(t, err)
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name)
}

// TestWhatWasRecordedStays notices a file that was changed, added or removed.
func TestWhatWasRecordedStays(t *testing.T) {
	for _, dir := range []string{transcripts, goldenLedgers} {
		list, err := os.ReadFile(filepath.Join(dir, sums))
		must(t, err)
		var got strings.Builder
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			if !e.IsDir() {
				continue // what the tests of the ledger hold to the byte themselves, and words
			}
			for _, name := range files(t, filepath.Join(dir, e.Name())) {
				got.WriteString(sumOf(t, dir, e.Name()+"/"+name))
			}
		}
		lines, want := strings.Split(got.String(), "\n"), strings.Split(string(list), "\n")
		slices.Sort(lines)
		slices.Sort(want)
		if slices.Equal(lines, want) {
			continue
		}
		for _, line := range lines {
			if !slices.Contains(want, line) {
				t.Errorf("%s: %s is not what was recorded", dir, line)
			}
		}
		for _, line := range want {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: %s was recorded, and is gone", dir, line)
			}
		}
	}
}
