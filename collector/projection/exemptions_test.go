package projection

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func scopeOf(k breach.Key) breach.Scope {
	return breach.Scope{Rule: k.Rule, Of: breach.OneBreach, Device: k.Device, Kind: k.Kind, Subject: k.ID}
}

// approval approves what was asked for.
func approval(ask decision.Decision, by string, at time.Time) decision.Decision {
	asked := *ask.Exemption
	asked.AskedBy, asked.Reason = ask.By, ask.Reason
	return decision.Approve(asked, by, "agreed", at)
}

// exempt has one person ask for an exemption and another approve it.
func (s *school) exempt(tb testing.TB, id string, scope breach.Scope, from, until time.Time) {
	tb.Helper()
	ask := decision.Ask(id, scope, until, "technician", "on order", from)
	s.decide(tb, ask)
	s.decide(tb, approval(ask, "head", from))
}

func (s *school) end(tb testing.TB, id string, at time.Time) {
	tb.Helper()
	s.decide(tb, decision.About(decision.EndExemption, id, "technician", "it has come", at))
}

// assign puts a laptop into groups. It takes the assignment in with its next
// report.
func (l *laptop) assign(tb testing.TB, at time.Time, groups []string) {
	tb.Helper()
	l.assignment.Number++
	l.assignment.Groups = groups
	signed, err := proof.SignDocument("assignment", body(tb, roster.Assignment{
		School: l.school.id, Device: l.id, Assignment: l.assignment,
	}), l.school.key)
	if err != nil {
		tb.Fatal(err)
	}
	l.school.ledger.append(l.school.envelope(proof.KindAssignment, string(l.id), at), proof.Section{Name: "assignment", Class: proof.Kept, Body: signed})
}

// people ask for exemptions and answer, and not always as they should.
type people struct {
	asked    map[string]decision.Decision // the last ask of an identifier
	answered map[string]bool
}

func newPeople() people {
	return people{asked: map[string]decision.Decision{}, answered: map[string]bool{}}
}

func (p people) draw(t *rapid.T, l *laptop, now time.Time) decision.Decision {
	var waiting, known []string
	for _, id := range slices.Sorted(maps.Keys(p.asked)) {
		known = append(known, id)
		if !p.answered[id] {
			waiting = append(waiting, id)
		}
	}
	by := rapid.SampledFrom([]string{"technician", "head", "Head"}).Draw(t, "who")
	switch n := rapid.IntRange(0, 9).Draw(t, "act"); {
	case len(known) == 0 || n < 3 && len(waiting) == 0:
		id := fmt.Sprintf("ex-%d", rapid.IntRange(1, 9).Draw(t, "exemption"))
		until := now.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 100, 300, 1000, 2000}).Draw(t, "hours")) * hour)
		ask := decision.Ask(id, drawScope(t, l), until, by, "on order", now)
		p.asked[id] = ask
		delete(p.answered, id)
		return ask
	case n < 6 && len(waiting) > 0:
		return p.approve(t, rapid.SampledFrom(waiting).Draw(t, "waiting"), by, l, now)
	case n == 6:
		return p.approve(t, rapid.SampledFrom(known).Draw(t, "known"), by, l, now)
	case n == 7:
		return decision.About(decision.RefuseExemption, rapid.SampledFrom(known).Draw(t, "known"), by, "it has come", now)
	}
	return decision.About(decision.EndExemption, rapid.SampledFrom(known).Draw(t, "known"), by, "it has come", now)
}

func (p people) approve(t *rapid.T, id, by string, l *laptop, now time.Time) decision.Decision {
	ask := p.asked[id]
	p.answered[id] = true
	if breach.SamePerson(by, ask.By) {
		by = "dpo"
	}
	d := approval(ask, by, now)
	switch rapid.IntRange(-16, 3).Draw(t, "approved") {
	case 0:
		d.Exemption.Scope = drawScope(t, l)
	case 1:
		d.Exemption.Until = d.Exemption.Until.Add(hour)
	case 2:
		d.Exemption.AskedBy = "somebody"
	case 3:
		d.Exemption.Reason = "why not"
	}
	if !d.Exemption.Until.After(now) { // which cannot even be written
		return decision.About(decision.EndExemption, id, by, "it is over", now)
	}
	return d
}

func drawScope(t *rapid.T, l *laptop) breach.Scope {
	k := keysOf(l)[rapid.SampledFrom([]int{0, 0, 1, 1, 2, 3}).Draw(t, "of")]
	switch rapid.SampledFrom(append(breach.Extents(), breach.Extents()[1:]...)).Draw(t, "extent") {
	case breach.OneDevice:
		return breach.Scope{Rule: k.Rule, Of: breach.OneDevice, Device: k.Device}
	case breach.OneGroup:
		return breach.Scope{Rule: k.Rule, Of: breach.OneGroup, Group: rapid.SampledFrom([]string{"Year 6", "Trolley B"}).Draw(t, "group")}
	case breach.WholeSchool:
		return breach.Scope{Rule: k.Rule, Of: breach.WholeSchool}
	}
	return scopeOf(k)
}

// status returns how a breach of a device stands, NotYet if there is none.
func (f fixture) status(tb testing.TB, s *school, device, rule string, at time.Time) breach.Status {
	tb.Helper()
	for _, b := range f.device(tb, s, device, at).Breaches {
		if b.Rule == rule {
			return b.Status
		}
	}
	return breach.NotYet
}

func (f fixture) state(tb testing.TB, s *school, id string, at time.Time) view.ExemptionState {
	tb.Helper()
	f.catchUp(tb)
	e, err := f.q.Exemption(tb.Context(), s.id, id, at)
	if err != nil {
		tb.Fatal(err)
	}
	return e.State
}

func plain(tb testing.TB, s *school, id string, at time.Time) *laptop {
	tb.Helper()
	l := s.enrol(tb, id, at)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(tb, at, at)
	return l
}

// TestTheLifeOfAnExemption: asked for it changes nothing; approved it changes
// how the breach shows and not the finding; taken back or over it is open again.
func TestTheLifeOfAnExemption(t *testing.T) {
	s := newSchool(t, "hollybank")
	plain(t, s, "hb-lt-014", term)
	other := plain(t, s, "hb-lt-015", term)
	f := open(t, s)
	until := term.Add(50 * hour)
	ask := decision.Ask("ex-1", breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "hb-lt-014"}, until, "Morgan Ellis", "a new disk is ordered", term.Add(hour))
	s.decide(t, ask)
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(hour)); got != breach.Open {
		t.Errorf("asked for: %s", got)
	}
	if got := f.state(t, s, "ex-1", term.Add(hour)); got != view.ExemptionAsked {
		t.Errorf("asked for: it is %s", got)
	}
	s.decide(t, approval(ask, "Priya Anand", term.Add(2*hour)))
	d := f.device(t, s, "hb-lt-014", term.Add(3*hour))
	if got := standing(t, d, "ENC-01"); got.Standing != view.Exempt || got.Result != posture.Fail {
		t.Errorf("approved: the finding is %s, %s", got.Standing, got.Result)
	}
	for _, b := range d.Breaches {
		if b.Rule != "ENC-01" {
			if b.Exemption != nil {
				t.Errorf("another rule has %+v", b.Exemption)
			}
			continue
		}
		if e := b.Exemption; b.Status != breach.Exempt || e == nil || e.AskedBy != "Morgan Ellis" || e.Approver != "Priya Anand" ||
			e.Reason != "a new disk is ordered" || !e.Until.Equal(until) || !e.From.Equal(term.Add(2*hour)) || e.Scope.Of != breach.OneDevice {
			t.Errorf("the breach says %s under %+v", b.Status, e)
		}
	}
	if got := f.status(t, s, "hb-lt-015", "ENC-01", term.Add(3*hour)); got != breach.Open {
		t.Errorf("another device is %s", got)
	}
	if got := f.status(t, s, "hb-lt-014", "ENC-01", until); got != breach.Open {
		t.Errorf("its end came: %s", got)
	}
	if got := f.state(t, s, "ex-1", until); got != view.ExemptionEnded {
		t.Errorf("its end came: it is %s", got)
	}
	s.end(t, "ex-1", term.Add(4*hour))
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(5*hour)); got != breach.Open {
		t.Errorf("taken back: %s", got)
	}
	if got := counts(t, f.overview(t, s, term.Add(5*hour)), "ENC-01"); got != [5]int{0, 2} {
		t.Errorf("taken back: the overview counts %v", got)
	}
	other.report(t, term.Add(6*hour), term.Add(6*hour))
	if got := f.state(t, s, "ex-1", term.Add(6*hour)); got != view.ExemptionEnded {
		t.Errorf("taken back: it is %s", got)
	}
}

// TestWhatComesLaterIsExemptToo: a device that fails, or joins the group, while
// an exemption runs is exempt from its first moment.
func TestWhatComesLaterIsExemptToo(t *testing.T) {
	s := newSchool(t, "hollybank")
	first := plain(t, s, "hb-lt-014", term)
	f := open(t, s)
	s.exempt(t, "ex-1", breach.Scope{Rule: "ENC-01", Of: breach.OneGroup, Group: "Year 6"}, term.Add(hour), term.Add(100*hour))
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(hour)); got != breach.Open {
		t.Errorf("of no group: %s", got)
	}
	first.assign(t, term.Add(2*hour), []string{"Trolley B", "Year 6"})
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(2*hour)); got != breach.Exempt {
		t.Errorf("joined: %s", got)
	}
	second := s.enrol(t, "hb-lt-015", term.Add(3*hour))
	second.assign(t, term.Add(3*hour), []string{"Year 6"})
	second.facts.Volumes.Items = []posture.Volume{volume(false)}
	second.report(t, term.Add(3*hour), term.Add(4*hour))
	if got := f.status(t, s, "hb-lt-015", "ENC-01", term.Add(4*hour)); got != breach.Exempt {
		t.Errorf("failed while it runs: %s", got)
	}
	first.assign(t, term.Add(5*hour), []string{"Trolley B"})
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(5*hour)); got != breach.Open {
		t.Errorf("left: %s", got)
	}
	// A late report from before the exemption does not undo it, and one by a
	// laptop that names its old assignment does not bring it back.
	first.assignment.Number--
	first.report(t, term.Add(30*time.Minute), term.Add(6*hour))
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(6*hour)); got != breach.Open {
		t.Errorf("left, and names its old assignment: %s", got)
	}
	if got := f.status(t, s, "hb-lt-015", "ENC-01", term.Add(100*hour)); got != breach.Open {
		t.Errorf("over: %s", got)
	}
}

// TestOfSeveralTheLastToEndCounts: while any exemption covers it, a breach is
// exempt, in whatever order they end.
func TestOfSeveralTheLastToEndCounts(t *testing.T) {
	s := newSchool(t, "hollybank")
	plain(t, s, "hb-lt-014", term)
	f := open(t, s)
	s.exempt(t, "ex-1", breach.Scope{Rule: "ENC-01", Of: breach.WholeSchool}, term.Add(hour), term.Add(100*hour))
	s.exempt(t, "ex-2", breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "hb-lt-014"}, term.Add(2*hour), term.Add(50*hour))
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(60*hour)); got != breach.Exempt {
		t.Errorf("the shorter is over: %s", got)
	}
	s.end(t, "ex-1", term.Add(3*hour))
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(4*hour)); got != breach.Exempt {
		t.Errorf("the longer was taken back: %s", got)
	}
	if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(60*hour)); got != breach.Open {
		t.Errorf("both are over: %s", got)
	}
	if got := counts(t, f.overview(t, s, term.Add(60*hour)), "ENC-01"); got != [5]int{0, 1} {
		t.Errorf("both are over: the overview counts %v", got)
	}
}

// TestASilenceUnderAnExemption of the whole school: of a laptop that was there
// and of one that comes later, and not after it was taken back.
func TestASilenceUnderAnExemption(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term).report(t, term, term)
	f := open(t, s)
	day := 24 * hour
	s.exempt(t, "ex-1", breach.Scope{Rule: "LIF-01", Of: breach.WholeSchool}, term.Add(hour), term.Add(300*day))
	s.enrol(t, "hb-lt-015", term.Add(2*hour)).report(t, term.Add(2*hour), term.Add(2*hour))
	for _, id := range []string{"hb-lt-014", "hb-lt-015"} {
		if got := f.status(t, s, id, "LIF-01", term.Add(30*day)); got != breach.Exempt {
			t.Errorf("%s is silent, and %s", id, got)
		}
	}
	if got := counts(t, f.overview(t, s, term.Add(30*day)), "LIF-01"); got != [5]int{0, 0, 0, 2} {
		t.Errorf("silent: the overview counts %v", got)
	}
	s.end(t, "ex-1", term.Add(40*day))
	for _, id := range []string{"hb-lt-014", "hb-lt-015"} {
		if got := f.status(t, s, id, "LIF-01", term.Add(41*day)); got != breach.Open {
			t.Errorf("taken back, %s is %s", id, got)
		}
	}
}

// TestWhoMayNotApprove: what is void changes nothing, whatever the entry says.
func TestWhoMayNotApprove(t *testing.T) {
	ask := decision.Ask("ex-1", breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "hb-lt-014"}, term.Add(50*hour), "Morgan Ellis", "on order", term.Add(hour))
	good := approval(ask, "head", term.Add(2*hour))
	change := func(f func(e *breach.Exemption)) decision.Decision {
		d, e := good, *good.Exemption
		f(&e)
		d.Exemption = &e
		return d
	}
	everywhere := breach.Scope{Rule: "ENC-01", Of: breach.WholeSchool}
	wider := decision.Ask("ex-1", everywhere, term.Add(70*hour), "head", "on order", term.Add(hour))
	for name, made := range map[string][]decision.Decision{
		"nobody asked":        {good},
		"asked for another":   {ask, change(func(e *breach.Exemption) { e.ID = "ex-2" })},
		"the whole school":    {ask, change(func(e *breach.Exemption) { e.Scope = everywhere })},
		"another rule":        {ask, change(func(e *breach.Exemption) { e.Scope.Rule = "CFG-01" })},
		"for longer":          {ask, change(func(e *breach.Exemption) { e.Until = e.Until.Add(time.Second) })},
		"asked by another":    {ask, change(func(e *breach.Exemption) { e.AskedBy = "Sam Okafor" })},
		"for another reason":  {ask, change(func(e *breach.Exemption) { e.Reason = "because" })},
		"refused":             {ask, decision.About(decision.RefuseExemption, "ex-1", "head", "no", term.Add(90*time.Minute)), good},
		"asked a second time": {ask, wider, approval(wider, "dpo", term.Add(2*hour))},
	} {
		s := newSchool(t, "hollybank")
		plain(t, s, "hb-lt-014", term)
		for _, d := range made {
			s.decide(t, d)
		}
		f := open(t, s)
		if got := f.status(t, s, "hb-lt-014", "ENC-01", term.Add(49*hour)); got != breach.Open {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// model is what a plain reading of the ledger permits: what the view is held
// against.
type model struct {
	asked    map[string]decision.Decision
	approved map[string]time.Time
	over     map[string]bool // refused, or taken back
	groups   map[posture.DeviceID][]string
}

// permits reports whether some exemption covers a breach at a moment.
func (m model) permits(k breach.Key, at time.Time) bool {
	for id, from := range m.approved {
		e := m.asked[id].Exemption
		if !m.over[id] && !at.Before(from) && at.Before(e.Until) && e.Scope.Covers(k, m.groups[k.Device]) {
			return true
		}
	}
	return false
}

// readModel reads the decisions and assignments of a school's ledger by
// themselves.
func readModel(tb testing.TB, s *school) model {
	tb.Helper()
	m := model{
		asked: map[string]decision.Decision{}, approved: map[string]time.Time{}, over: map[string]bool{}, groups: map[posture.DeviceID][]string{},
	}
	for i, r := range s.ledger.records {
		if r.Envelope.Kind == proof.KindAssignment {
			a, err := roster.OpenAssignment(s.config().Verifier, s.ledger.bodies[i][0])
			if err != nil {
				tb.Fatal(err)
			}
			m.groups[a.Device] = a.Groups
		}
		if r.Envelope.Kind != proof.KindDecision || s.ledger.bodies[i][0] == nil {
			continue
		}
		if d, err := decision.Decode(s.ledger.bodies[i][0]); err == nil && d.Exemption != nil {
			m.decide(d)
		}
	}
	return m
}

func (m model) decide(d decision.Decision) {
	id := d.Exemption.ID
	ask, asked := m.asked[id]
	_, approved := m.approved[id]
	switch {
	case d.Kind == decision.AskExemption && !asked:
		m.asked[id] = d
	case d.Kind == decision.RefuseExemption && asked && !approved && d.At.Before(ask.Exemption.Until):
		m.over[id] = true
	case d.Kind == decision.EndExemption && approved:
		m.over[id] = true
	case d.Kind == decision.Exempt && asked && !approved && !m.over[id] && !breach.SamePerson(d.By, ask.By):
		if *d.Exemption == *approval(ask, d.By, d.At).Exemption {
			m.approved[id] = d.At
		}
	}
}

// unexcused returns the school as if nobody had ever decided about exemptions.
func (s *school) unexcused() *school {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	bare := *s
	bare.ledger = &shelf{grown: make(chan struct{}), records: l.records, bodies: slices.Clone(l.bodies), salted: l.salted, shown: l.shown}
	for i, r := range l.records {
		if r.Envelope.Kind != proof.KindDecision {
			continue
		}
		if d, err := decision.Decode(l.bodies[i][0]); err == nil && d.Exemption != nil {
			bare.ledger.bodies[i] = [][]byte{nil}
		}
	}
	return &bare
}

// TestNoSequenceExcusesMoreThanWasApproved draws histories with every kind of
// decision about exemptions, right and wrong, and late reports. What is exempt
// is what a plain reading of the ledger permits, from its first moment and no
// longer; results, and breaches but for how they are shown, are those of the
// same history without exemptions; nothing of one school reaches another.
func TestNoSequenceExcusesMoreThanWasApproved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, other := newSchool(t, "hollybank"), newSchool(t, "ashfield")
		bystander := plain(t, other, "hb-lt-000", term)
		f := open(rt, s, other)
		f.catchUp(t)
		end := disputes(t, rt, s, func() { f.catchUp(t) })
		bystander.report(t, end, end)
		f.catchUp(t)
		bare := s.unexcused()
		g := open(rt, bare)
		g.catchUp(t)
		m := readModel(t, s)
		for _, later := range []time.Duration{0, 40 * hour, 400 * hour, 1001 * hour} {
			at := end.Add(later)
			page, err := f.q.Devices(t.Context(), s.id, view.DeviceQuery{Limit: 500}, at)
			if err != nil {
				rt.Fatal(err)
			}
			for _, d := range page.Devices {
				excusesNoMore(rt, f.device(t, s, string(d.ID), at), g.device(t, bare, string(d.ID), at), m, at)
			}
			for _, b := range f.device(t, other, "hb-lt-000", at).Breaches {
				if b.Exemption != nil || b.Status == breach.Exempt {
					rt.Fatalf("another school's breach is exempt: %+v", b)
				}
			}
		}
	})
}

// disputes draws what happens at a school in which two laptops fail much and
// people mostly decide about exemptions.
func disputes(tb testing.TB, t *rapid.T, s *school, after func()) time.Time {
	now := term
	var laptops []*laptop
	enrol := func() {
		l := s.enrol(tb, fmt.Sprintf("hb-lt-%03d", len(laptops)), now)
		l.facts.Volumes.Items = []posture.Volume{volume(false)}
		l.facts.Security.Items[0].Firewall = posture.Read(false)
		l.report(tb, now, now)
		laptops = append(laptops, l)
		after()
	}
	enrol()
	enrol()
	p := newPeople()
	for range rapid.IntRange(2, 25).Draw(t, "entries") {
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 30, 600, 3000}).Draw(t, "minutes")) * time.Minute)
		l := laptops[rapid.IntRange(0, len(laptops)-1).Draw(t, "laptop")]
		made := now.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 0, 5, 5000}).Draw(t, "late")) * time.Minute)
		switch rapid.IntRange(0, 19).Draw(t, "what") {
		case 0:
			enrol()
		case 1:
			s.publish(tb, now, dropRule(rapid.SampledFrom([]string{"", "CFG-01"}).Draw(t, "dropped")))
		case 2, 3:
			l.assign(tb, now, rapid.SampledFrom([][]string{nil, {"Year 6"}, {"Year 6", "Trolley B"}}).Draw(t, "groups"))
		case 4:
			s.decide(tb, drawDecision(t, l, now))
		case 5, 6:
			l.contact(tb, made, now)
		case 7, 8:
			change(t, l, s)
			l.report(tb, made, now)
		case 9, 10, 11:
			l.facts.Volumes = posture.Found("sysfs", volume(rapid.Bool().Draw(t, "encrypted")))
			l.facts.Security.Items[0].Firewall = posture.Read(rapid.Bool().Draw(t, "firewall"))
			l.report(tb, made, now)
		default:
			s.decide(tb, p.draw(t, l, now))
		}
		after()
	}
	return now
}

// excusesNoMore compares a device with what it would be without exemptions, and
// with what the model permits.
func excusesNoMore(t *rapid.T, d, bare view.DeviceDetail, m model, at time.Time) {
	keep := func(b view.Breach) view.Breach {
		b.Status, b.Exemption, b.ExemptUntil = breach.NotYet, nil, time.Time{}
		b.ReceivedAt = time.Time{} // of a silence: when an entry first spoke of it
		return b
	}
	without := map[view.Breach]view.Breach{}
	for _, b := range bare.Breaches {
		without[keep(b)] = b
	}
	if len(d.Breaches) != len(bare.Breaches) {
		t.Fatalf("at %v %d breaches, and %d without exemptions", at, len(d.Breaches), len(bare.Breaches))
	}
	for _, b := range d.Breaches {
		was, ok := without[keep(b)]
		if !ok {
			t.Fatalf("at %v %+v is not among\n%+v", at, b, bare.Breaches)
		}
		want := was.Status
		if k := keyOf(string(b.Device), b.Rule, b.Subject.Kind, b.Subject.Key); want != breach.Resolved && m.permits(k, at) {
			want = breach.Exempt
		}
		if b.Status != want {
			t.Fatalf("at %v %+v is %s, want %s; asked %+v, approved %v, over %v, groups %v", at, b, b.Status, want, m.asked, m.approved, m.over, m.groups)
		}
	}
	for i, f := range d.Findings {
		k := keyOf(string(d.ID), f.Rule, f.Subject.Kind, f.Subject.Key)
		switch was := bare.Findings[i]; {
		case f.Finding != was.Finding:
			t.Fatalf("at %v found %+v, and without exemptions %+v", at, f.Finding, was.Finding)
		case f.Standing != was.Standing && (f.Standing != view.Exempt || was.Standing != view.NotMet || !m.permits(k, at)):
			t.Fatalf("at %v %+v stands as %s, and without exemptions as %s", at, k, f.Standing, was.Standing)
		case was.Standing == view.NotMet && m.permits(k, at) && f.Standing != view.Exempt:
			t.Fatalf("at %v %+v stands as %s under an exemption", at, k, f.Standing)
		}
	}
}

// TestAWideExemptionIsFoldedInParts covers more laptops than one transaction
// holds, and loses the end of the last part, as a crash would: what is then
// folded in again comes out as if nothing had happened.
func TestAWideExemptionIsFoldedInParts(t *testing.T) {
	s := newSchool(t, "hollybank")
	const laptops = 250
	for i := range laptops {
		plain(t, s, fmt.Sprintf("hb-lt-%03d", i), term)
	}
	f := open(t, s)
	ask := decision.Ask("ex-1", breach.Scope{Rule: "ENC-01", Of: breach.WholeSchool}, term.Add(100*hour), "technician", "on order", term.Add(hour))
	s.decide(t, ask)
	f.catchUp(t)
	s.decide(t, approval(ask, "head", term.Add(2*hour)))
	power := errors.New("the power failed")
	err := f.view.Update(s.id, func(tx *view.Tx) error {
		if err := tx.Advance(term.Add(2 * hour)); err != nil {
			return err
		}
		if err := f.folders[0].fold(t.Context(), tx, s.ledger.records[len(s.ledger.records)-1]); err != nil {
			return err
		}
		return power
	})
	if !errors.Is(err, power) {
		t.Fatal(err)
	}
	f.folders[0].permissions = nil // as after any step that failed
	halfway := counts(t, overviewAsIs(t, f, s, term.Add(3*hour)), "ENC-01")
	if halfway[3] == 0 || halfway[3] == laptops {
		t.Errorf("the part that was committed: %v", halfway)
	}
	if got := counts(t, f.overview(t, s, term.Add(3*hour)), "ENC-01"); got != [5]int{0, 0, 0, laptops} {
		t.Errorf("folded in again: %v", got)
	}
	clean := open(t, s)
	clean.catchUp(t)
	if got, want := f.dump(t, s), clean.dump(t, s); got != want {
		t.Errorf("it differs from a view without the crash: %s", differences(got, want))
	}
	s.end(t, "ex-1", term.Add(4*hour))
	if got := counts(t, f.overview(t, s, term.Add(5*hour)), "ENC-01"); got != [5]int{0, laptops} {
		t.Errorf("taken back: %v", got)
	}
}

// overviewAsIs is the overview before anything more is folded in.
func overviewAsIs(tb testing.TB, f fixture, s *school, now time.Time) view.Overview {
	tb.Helper()
	o, err := f.q.Overview(tb.Context(), s.id, now)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}
