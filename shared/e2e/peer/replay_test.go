package peer

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	agentenroll "github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// enrolled returns the recorded answer to enrolling.
func (r recorded) enrolled(t *testing.T) *pb.EnrollResponse {
	t.Helper()
	return decoded(t, r.calls["enrolment"].one(t, "enrolled"), new(pb.EnrollResponse))
}

// token returns the recorded token, for a collector at an address.
func (r recorded) token(t *testing.T, address string) identity.Token {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(transcripts, r.version, "token"))
	must(t, err)
	token, err := identity.ParseToken(string(text))
	must(t, err)
	token.Addresses = []string{address}
	return token
}

// TestTodaysCollectorTakesRecordedAgents says to a collector, byte for byte,
// what agents have said, and expects what they were answered.
func TestTodaysCollectorTakesRecordedAgents(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			r := readRecorded(t, version)
			names := r.streams()
			d := serve(t, r.data(t), r.calls[names[0]].at)
			a := r.device(t, d)
			for _, name := range names {
				e := r.calls[name]
				d.clock.Advance(e.at.Sub(d.clock.Now()))
				r.replay(t, d, a, name, e)
			}
			renewal := r.calls["renewal"]
			d.clock.Advance(renewal.at.Sub(d.clock.Now()))
			o := a.connect().once(renewMethod, message(renewal.one(t, "renew")))
			if o.verdict() != "ok" {
				t.Fatalf("renewing ended with %v", o)
			}
			got := decoded(t, o.messages[0], new(pb.RenewResponse))
			want := decoded(t, renewal.one(t, "renewed"), new(pb.RenewResponse))
			sameHolder(t, got.GetCertificate(), want.GetCertificate())
		})
	}
}

// sameHolder checks that two certificates are for the same device and key.
func sameHolder(t *testing.T, a, b []byte) {
	t.Helper()
	first, err := x509.ParseCertificate(a)
	must(t, err)
	second, err := x509.ParseCertificate(b)
	must(t, err)
	if first.Subject.String() != second.Subject.String() || !bytes.Equal(first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo) || fmt.Sprint(first.URIs) != fmt.Sprint(second.URIs) {
		t.Errorf("the certificate is for %s at %v, and was for %s at %v", first.Subject, first.URIs, second.Subject, second.URIs)
	}
}

// replay says one stream's messages and compares the answers.
func (r recorded) replay(t *testing.T, d *desk, a *attacker, name string, e exchange) {
	t.Helper()
	p, o := a.connect(), newOutcome()
	defer p.close()
	id, heard := p.open(p.request(connectMethod)), 0
	for i := 0; i < len(e.said); {
		m := decoded(t, e.said[i].data, new(pb.AgentMessage))
		what := e.said[i].what
		answers := e.said[i+1:]
		if n := slices.IndexFunc(answers, func(s said) bool { return s.by == "agent" }); n >= 0 {
			answers = answers[:n]
		}
		for _, s := range answers {
			if asked := decoded(t, s.data, new(pb.CollectorMessage)).GetAssessNow(); asked != nil {
				must(t, d.intake.AssessNow(a.school, a.id, asked.GetRequest()))
			}
		}
		p.data(id, message(e.said[i].data), false, &o)
		if c := m.GetContact(); c != nil {
			st, err := proof.DecodeContactStatement(c.GetStatement())
			must(t, err)
			d.pass(func() bool { return d.place.roster.Contact(a.id).Count >= st.Count })
		}
		if !p.until(id, &o, func(o *outcome) bool { return len(o.messages) >= heard+len(answers) }) {
			t.Fatalf("%s: %s was answered with %v", name, what, o)
		}
		for k, s := range answers {
			sameAnswer(t, name+": "+what, d, o.messages[heard+k], s.data)
		}
		heard += len(answers)
		i += 1 + len(answers)
	}
}

// sameAnswer compares what a collector says with what one said: to the byte
// where it says nothing new.
func sameAnswer(t *testing.T, what string, d *desk, got, want []byte) {
	t.Helper()
	now, then := decoded(t, got, new(pb.CollectorMessage)), decoded(t, want, new(pb.CollectorMessage))
	switch {
	case then.GetCheckpoint() != nil: // of a ledger whose salts are others
		verifier, err := d.place.Key.Verifier()
		must(t, err)
		before, err := verifier.Checkpoint([]byte(then.GetCheckpoint().GetNote()))
		must(t, err)
		c, err := verifier.Checkpoint([]byte(now.GetCheckpoint().GetNote()))
		if err != nil || c.Size != before.Size {
			t.Errorf("%s: a checkpoint of %d entries was given, not of %d: %v", what, c.Size, before.Size, err)
		}
	case then.GetRefusal() != nil: // in words that may change
		if now.GetRefusal().GetCode() != then.GetRefusal().GetCode() {
			t.Errorf("%s: got %v, want %v", what, now, then)
		}
	case !bytes.Equal(got, want):
		t.Errorf("%s: got %v, want %v", what, now, then)
	}
}

// TestTodaysCollectorAdmitsRecordedAgents enrols with the recorded request:
// as a device that asks again, and as one that asks for the first time.
func TestTodaysCollectorAdmitsRecordedAgents(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			r := readRecorded(t, version)
			ask := func(d *desk) *pb.EnrollResponse {
				token := r.token(t, d.address)
				p := dial(t, d.address, identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(monday)))
				return decodeEnrolled(t, p.once(enrollMethod, message(r.calls["enrolment"].one(t, "enrol"))))
			}
			want, at := r.enrolled(t), r.calls["enrolment"].at
			again := serve(t, r.data(t), at)
			got := ask(again)
			sameHolder(t, got.GetCertificate(), want.GetCertificate())
			got.Certificate = want.GetCertificate()
			if !proto.Equal(got, want) {
				t.Errorf("asked again, it answers %v, and answered %v", got, want)
			}
			first := serve(t, r.before(t, again.place), at)
			if got = ask(first); got.GetDevice() == want.GetDevice() || got.GetSchool() != want.GetSchool() {
				t.Errorf("asked for the first time, it answers %v", got)
			}
		})
	}
}

// before returns a data folder whose ledger ends before the enrolment.
func (r recorded) before(t *testing.T, whole *place) string {
	t.Helper()
	data := r.data(t)
	schools, err := enroll.LoadSchools(data)
	must(t, err)
	must(t, os.RemoveAll(schools[0].LedgerDir()))
	if err := os.Remove(schools[0].SnapshotFile()); !os.IsNotExist(err) {
		must(t, err)
	}
	l, err := ledger.Open(schools[0].LedgerDir(), ledger.Options{School: string(schools[0].ID)})
	must(t, err)
	for rec, err := range whole.ledger.Entries(t.Context(), 0, ledger.Index(whole.ledger.Size())) {
		must(t, err)
		if rec.Envelope.Kind == proof.KindEnrolment {
			break
		}
		e := ledger.Entry{Envelope: rec.Envelope}
		for n := range rec.Envelope.Sections {
			s, err := whole.ledger.Section(t.Context(), rec, n)
			must(t, err)
			e.Sections = append(e.Sections, s)
		}
		_, err := l.Append(t.Context(), e)
		must(t, err)
	}
	must(t, l.Close())
	return data
}

// TestTodaysAgentTakesRecordedCollectors has the agent's rooms enrol, report
// and renew with a collector that says, byte for byte, what collectors have
// said. What the agent says is what agents said.
func TestTodaysAgentTakesRecordedCollectors(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			r := readRecorded(t, version)
			schools, err := enroll.LoadSchools(r.data(t))
			must(t, err)
			clock := clocktest.NewDriven(r.calls["enrolment"].at)
			f := newFrontOf(t, clock, schools[0], "")
			f.hostile.Store(true)
			state := r.enrolAgain(t, f)
			for _, name := range r.streams() {
				t.Run(name, func(t *testing.T) { r.report(t, f, state, r.calls[name]) })
			}
			device, err := agentenroll.Load(state, monday)
			must(t, err)
			ended := make(chan error, 1)
			go func() { ended <- device.Renew(t.Context(), clock) }()
			s := <-f.calls
			s.replyRaw(r.calls["renewal"].one(t, "renewed"))
			must(t, <-ended)
			s.hangUp()
			want := decoded(t, r.calls["renewal"].one(t, "renewed"), new(pb.RenewResponse))
			if !bytes.Equal(device.Certificate, want.GetCertificate()) {
				t.Error("the renewed certificate is not in force")
			}
		})
	}
}

// enrolAgain enrols with the recorded answer and returns the state folder.
func (r recorded) enrolAgain(t *testing.T, f *front) string {
	t.Helper()
	state := t.TempDir()
	key, err := os.ReadFile(filepath.Join(transcripts, r.version, "device.key.pem"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(state, "device.key.pem"), key, 0o600))
	ended := make(chan error, 1)
	go func() {
		_, err := agentenroll.Enroll(t.Context(), agentenroll.Options{
			Token: r.token(t, f.address()).String(), State: state, Hostname: "hb-lt-014", Platform: posture.Linux, Built: monday, Clock: f.clock,
		})
		ended <- err
	}()
	s := <-f.calls
	s.t = t
	s.replyRaw(r.calls["enrolment"].one(t, "enrolled"))
	must(t, <-ended)
	s.hangUp()
	got, want := decoded(t, s.o.messages[0], new(pb.EnrollRequest)), decoded(t, r.calls["enrolment"].one(t, "enrol"), new(pb.EnrollRequest))
	// The request for a certificate is signed anew each time.
	got.CertificateRequest, got.AgentVersion = want.GetCertificateRequest(), want.GetAgentVersion()
	// What agents say since, and older collectors pass over.
	got.Claim, got.Manufacturer, got.Model = want.GetClaim(), want.GetManufacturer(), want.GetModel()
	if !proto.Equal(got, want) {
		t.Errorf("the agent asks %v, and asked %v", got, want)
	}
	return state
}

// report replays one stream against the agent's uplink.
func (r recorded) report(t *testing.T, f *front, state string, e exchange) {
	device, err := agentenroll.Load(state, monday)
	must(t, err)
	h := decoded(t, e.said[0].data, new(pb.AgentMessage)).GetHello()
	dir := filepath.Join(t.TempDir(), "state")
	l := laptopOf(t, dir, device, clocktest.NewDriven(monday), func() uplink.Hello {
		return uplink.Hello{Version: h.GetAgentVersion(), Policy: h.GetPolicy(), Assignment: h.GetAssignment(), Boot: h.GetBoot(), Acknowledged: h.GetAcknowledged()}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var s *side
	heard, answered := 0, false
	defer func() {
		cancel()
		must(t, <-ended)
		s.hangUp()
	}()
	for _, m := range e.said {
		switch {
		case m.by == "collector":
			if !answered {
				s.answer()
				answered = true
			}
			s.raw(message(m.data))
		case m.what == "hello" && s == nil:
			go func() { ended <- l.run(ctx) }()
			s = <-f.calls
			s.t = t
			s.hear(1)
			heard = 1
			got := decoded(t, s.o.messages[0], new(pb.AgentMessage))
			got.GetHello().Spooled, got.GetHello().Dropped = h.GetSpooled(), h.GetDropped() // the spool begins anew here
			if want := decoded(t, m.data, new(pb.AgentMessage)); !proto.Equal(got, want) {
				t.Errorf("the agent says hello as %v, and said %v", got, want)
			}
		case m.what == "hello" || m.what == "progress": // no agent of this version says it
		default:
			position := positionOf(t, m.data)
			_, err := l.spool.Put(spool.Item{Position: position, Message: m.data})
			must(t, err)
			heard++
			s.hear(heard)
			if got := s.o.messages[heard-1]; !bytes.Equal(got, m.data) {
				t.Errorf("%s: the agent sends\n%x\nand sent\n%x", m.what, got, m.data)
			}
		}
	}
	r.took(t, l, e)
}

// positionOf returns the place of a statement in a spool.
func positionOf(t *testing.T, data []byte) spool.Position {
	t.Helper()
	m := decoded(t, data, new(pb.AgentMessage))
	if c := m.GetContact(); c != nil {
		st, err := proof.DecodeContactStatement(c.GetStatement())
		must(t, err)
		return spool.Position{Sequence: st.Report, Contact: st.Count}
	}
	st, err := proof.DecodeReportStatement(m.GetReport().GetStatement())
	must(t, err)
	return spool.Position{Sequence: st.Sequence}
}

// took checks that the agent took in all that a collector said.
func (r recorded) took(t *testing.T, l *laptop, e exchange) {
	t.Helper()
	var acked uint64
	var full, asked []string
	refused := ""
	for _, m := range e.of("collector") {
		c := decoded(t, m.data, new(pb.CollectorMessage))
		acked = max(acked, c.GetAcknowledge().GetSequence())
		if c.GetWelcome().GetSendFull() {
			full = append(full, "asked")
		}
		if c.GetSendFull() != nil {
			full = append(full, c.GetSendFull().GetReason())
		}
		if c.GetAssessNow() != nil {
			asked = append(asked, c.GetAssessNow().GetRequest())
		}
		if c.GetRefusal() != nil {
			refused = "refused (" + c.GetRefusal().GetCode() + ")"
		}
		if signed := c.GetPolicy(); signed != nil {
			defer inForce(t, l.device, agentenroll.Policy, signed.GetDocument())
		}
		if signed := c.GetAssignment(); signed != nil {
			defer inForce(t, l.device, agentenroll.Assignment, signed.GetDocument())
		}
	}
	until(t, fmt.Sprintf("%d is acknowledged, %v is asked for, and it ends with %q", acked, full, refused), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		ends := refused == "" && len(l.ended) == 0 || len(l.ended) > 0 && strings.Contains(l.ended[0], refused)
		return ends && l.acked == acked && slices.Equal(l.full, full) && slices.Equal(l.asked, asked) && l.witness.Size > 0
	})
}

// inForce checks that a document was taken.
func inForce(t *testing.T, d *agentenroll.Device, kind string, signed []byte) {
	t.Helper()
	want, err := d.Verifier.Document(kind, signed)
	must(t, err)
	if got, number, err := d.Document(kind); err != nil || number == 0 || !bytes.Equal(got, want) {
		t.Errorf("the %s in force is number %d: %v", kind, number, err)
	}
}

// holds is what a recorded ledger is known to hold.
type holds struct {
	School   string            `json:"school"`
	Key      string            `json:"key"` // the school's, as note verifiers write it
	Device   string            `json:"device"`
	Entries  uint64            `json:"entries"`
	Root     string            `json:"root"`
	Kinds    map[string]int    `json:"kinds"`
	Hostname string            `json:"hostname"`
	Last     uint64            `json:"lastReport"`
	Policy   uint64            `json:"policy"`
	Gaps     []string          `json:"gaps"`
	Media    int               `json:"media"`
	Findings map[string]string `json:"findings"` // of each rule that the laptop judged, and subject
}

// whatIsThere verifies a ledger, follows it and projects it.
func whatIsThere(t *testing.T, l *ledger.Ledger, verifier identity.SchoolVerifier, school, device string) holds {
	t.Helper()
	ctx, id := t.Context(), posture.SchoolID(school)
	_, err := l.Verify(ctx, ledger.VerifyOptions{})
	must(t, err)
	size, root := l.Root()
	h := holds{School: school, Key: verifier.String(), Device: device, Entries: size, Root: root.String(), Kinds: map[string]int{}, Findings: map[string]string{}}
	next := uint64(0)
	for rec, err := range l.Follow(ctx, 0) {
		must(t, err)
		h.Kinds[rec.Envelope.Kind.String()]++
		if next++; next == size {
			break
		}
	}
	_, err = roster.Open(ctx, roster.Options{School: id, Ledger: l, Verifier: verifier})
	must(t, err)
	source := projection.School{ID: id, Name: "Hollybank Primary School", Ledger: l, Verifier: verifier}
	shown, err := view.Open("", view.Options{Memory: true, Facts: projection.NewFacts([]projection.School{source})})
	must(t, err)
	defer shown.Close()
	built, err := policy.Decode(baseline.School())
	must(t, err)
	p, err := projection.New(projection.Options{View: shown, Schools: []projection.School{source}, Baseline: built})
	must(t, err)
	must(t, p.CatchUp(ctx))
	d, err := shown.Queries().Device(ctx, id, posture.DeviceID(device), monday.Add(4*time.Hour))
	must(t, err)
	h.Hostname, h.Last, h.Policy, h.Media = d.Hostname, d.LastReport, d.Policy, len(d.Facts.Media.Items)
	for _, g := range d.Gaps {
		h.Gaps = append(h.Gaps, fmt.Sprintf("%d-%d %s", g.From, g.To, g.Reason))
	}
	judged := judgedBy(t, l, d.Entry)
	for _, f := range d.Findings {
		if !judged[f.Rule] {
			continue // the collector's own rules may become others
		}
		h.Findings[strings.TrimSpace(f.Rule+" "+f.Subject.Key)] = f.Result.String()
	}
	return h
}

// judgedBy returns the rules of which a report holds findings.
func judgedBy(t *testing.T, l *ledger.Ledger, entry uint64) map[string]bool {
	t.Helper()
	rec, err := l.Read(t.Context(), ledger.Index(entry))
	must(t, err)
	rules := map[string]bool{}
	for n, ref := range rec.Envelope.Sections {
		if ref.Name != wire.Findings {
			continue
		}
		body, err := l.Body(t.Context(), rec.Index, n)
		must(t, err)
		var findings []posture.Finding
		must(t, wire.DecodeSection(ref.Name, body, monday, new(posture.Facts), &findings))
		for _, f := range findings {
			rules[f.Rule] = true
		}
	}
	return rules
}

// TestRecordedLedgersAreRead opens, verifies, follows and projects every ledger
// that was recorded, and holds every kind of entry to be in one.
func TestRecordedLedgersAreRead(t *testing.T) {
	seen := map[string]bool{}
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(goldenLedgers, version, "holds.json"))
			must(t, err)
			var want holds
			must(t, json.Unmarshal(text, &want))
			dir := filepath.Join(t.TempDir(), "ledger")
			must(t, os.CopyFS(dir, os.DirFS(filepath.Join(goldenLedgers, version, "ledger"))))
			verifier, err := identity.ParseSchoolVerifier(want.Key)
			must(t, err)
			for _, without := range [][]string{nil, {"hashes", "entries", "subjects", "mark"}} {
				for _, name := range without {
					must(t, os.Remove(filepath.Join(dir, name)))
				}
				l, err := ledger.Open(dir, ledger.Options{School: want.School, Verifier: verifier.Note})
				must(t, err)
				got := whatIsThere(t, l, verifier, want.School, want.Device)
				must(t, l.Close())
				if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
					t.Errorf("without %v it holds\n%s, want\n%s", without, g, w)
				}
			}
			for kind := range want.Kinds {
				seen[kind] = true
			}
		})
	}
	for kind := proof.Kind(1); kind <= proof.KindGap; kind++ {
		if !seen[kind.String()] {
			t.Errorf("no recorded ledger holds a %s", kind)
		}
	}
}
