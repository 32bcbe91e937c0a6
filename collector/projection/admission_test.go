package projection

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// admits records what the school decided about two enrolments, as the collector
// does: the older of one computer is revoked by the same entry.
func (s *school) admits(tb testing.TB, at time.Time, c admission.Change) {
	tb.Helper()
	d := decision.Decision{Kind: decision.Admission, By: "Morgan Ellis", At: at, Reason: "set up anew"}
	sections, err := decision.AdmissionSections(d, c, [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil {
		tb.Fatal(err)
	}
	if c.What == admission.SameHardware {
		revocation, err := roster.Section(roster.SectionRevocation, proof.Kept, roster.Revocation{Device: c.Earlier, Reason: "set up anew"})
		if err != nil {
			tb.Fatal(err)
		}
		sections = append([]proof.Section{revocation}, sections...)
	}
	s.ledger.append(s.envelope(proof.KindDecision, string(c.Earlier), at), sections...)
}

// revokes records that a laptop is known no more, as the collector does.
func (s *school) revokes(tb testing.TB, at time.Time, l *laptop) {
	tb.Helper()
	revocation, err := roster.Section(roster.SectionRevocation, proof.Kept, roster.Revocation{Device: l.id, Reason: "sold"})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := decision.Encode(decision.Decision{Kind: decision.Revoke, By: "Morgan Ellis", At: at, Reason: "sold"}, [proof.SaltSize]byte{3})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, string(l.id), at), revocation, d)
}

// made gives a laptop the numbers of a computer.
func (l *laptop) made(uuid, serial string) {
	known := func(s string) posture.Reading[string] {
		if s == "" {
			return posture.Unread[string](posture.Denied)
		}
		return posture.Read(s)
	}
	l.facts.System.Items[0].SystemUUID, l.facts.System.Items[0].SystemSerial = known(uuid), known(serial)
}

func (f fixture) same(tb testing.TB, s *school, all bool) []view.Same {
	tb.Helper()
	f.catchUp(tb)
	list, err := f.q.Same(tb.Context(), s.id, "", all, term)
	if err != nil {
		tb.Fatal(err)
	}
	return list.Same
}

// TestSetUpAnew: the same hardware with another key is proposed, and nothing
// else follows until somebody says that it is the same.
func TestSetUpAnew(t *testing.T) {
	s := newSchool(t, "hollybank")
	old := s.enrol(t, "hb-lt-014", term)
	old.made("u1", "s1")
	old.facts.Security.Items[0].Firewall = posture.Read(false)
	old.report(t, term, term)
	s.keep(t, term, "technician", "", register.Change{What: register.Import, AsOf: term, Items: []register.Item{{Tag: "HB-LT-014", Device: old.id}}})
	anew := s.enrol(t, "hb-lt-014b", term.Add(hour))
	anew.made("u1", "s1")
	anew.report(t, term.Add(hour), term.Add(hour))
	f := open(t, s)
	list := f.same(t, s, false)
	if len(list) != 1 || list[0].Device != anew.id || list[0].Earlier != old.id || list[0].Both || list[0].AssetTag != "HB-LT-014" || !slices.Equal(list[0].Agree, []string{"system-uuid", "system-serial"}) {
		t.Fatalf("proposed: %+v", list)
	}
	at := term.Add(4 * hour)
	if o := f.overview(t, s, at); o.Devices != 2 || counts(t, o, "CFG-01") != [5]int{1, 1} {
		t.Errorf("before anybody decided: %d devices, CFG-01 %v", o.Devices, counts(t, o, "CFG-01"))
	}
	s.admits(t, term.Add(2*hour), admission.Change{What: admission.SameHardware, Device: anew.id, Earlier: old.id})
	if list := f.same(t, s, true); len(list) != 0 {
		t.Errorf("decided, and proposed still: %+v", list)
	}
	if o := f.overview(t, s, at); o.Devices != 1 || counts(t, o, "CFG-01") != [5]int{1} || len(o.Breaches) != 1 || o.Breaches[0].Count != 1 {
		t.Errorf("the counts are %d devices, CFG-01 %v, breaches %+v", o.Devices, counts(t, o, "CFG-01"), o.Breaches)
	}
	now := f.device(t, s, string(anew.id), at)
	if now.AssetTag != "HB-LT-014" || len(now.Earlier) != 1 || now.Earlier[0].Device != old.id || !now.EnrolledAt.Equal(term.Add(hour)) {
		t.Errorf("the new enrolment: tag %q, earlier %+v", now.AssetTag, now.Earlier)
	}
	before := f.device(t, s, string(old.id), at)
	if before.ReplacedBy != anew.id || before.AssetTag != "" || before.RevokedAt.IsZero() || before.Facts.Volumes.Items == nil || line(before.Breaches) != "[CFG-01 resolved]" {
		t.Errorf("what it said before: replaced by %q, tag %q, breaches %s", before.ReplacedBy, before.AssetTag, line(before.Breaches))
	}
	again := open(t, s)
	again.catchUp(t)
	if got, want := again.dump(t, s), f.dump(t, s); got != want {
		t.Errorf("folded anew: %s", differences(got, want))
	}
}

// TestNotTheSame: what cannot be read is never equal, more that differs than is
// the same is another computer, a number that many have is no number, and who
// said once that two are not one is not asked again.
func TestNotTheSame(t *testing.T) {
	s := newSchool(t, "hollybank")
	enrol := func(name, uuid, serial string) *laptop {
		l := s.enrol(t, name, term)
		l.made(uuid, serial)
		l.report(t, term, term)
		return l
	}
	f := open(t, s)
	enrol("a1", "", "")
	enrol("a2", "", "")
	enrol("b1", "u1", "s1")
	enrol("b2", "u1", "s2")
	for _, name := range []string{"c1", "c2", "c3", "c4", "c5"} {
		enrol(name, "filled by nobody", "")
	}
	if list := f.same(t, s, true); len(list) != 0 {
		t.Errorf("proposed: %+v", list)
	}
	d1, d2 := enrol("d1", "u3", ""), enrol("d2", "u3", "")
	if list := f.same(t, s, false); len(list) != 1 {
		t.Fatalf("proposed: %+v", list)
	}
	s.admits(t, term.Add(hour), admission.Change{What: admission.OtherHardware, Device: d2.id, Earlier: d1.id})
	if list := f.same(t, s, false); len(list) != 0 {
		t.Errorf("proposed once more: %+v", list)
	}
	if list := f.same(t, s, true); len(list) != 1 || list[0].Refused == nil || list[0].Refused.By != "Morgan Ellis" {
		t.Errorf("all: %+v", list)
	}
}

// TestTwoThatReportAreNotOne: an earlier enrolment that is heard from after the
// newer one enrolled was not set up anew, whoever confirms it; nor is one that
// is lost, by whom it has.
func TestTwoThatReportAreNotOne(t *testing.T) {
	s := newSchool(t, "hollybank")
	one, two := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-014b", term.Add(hour))
	for _, l := range []*laptop{one, two} {
		l.made("u1", "s1")
		l.report(t, term.Add(2*hour), term.Add(2*hour))
	}
	f := open(t, s)
	if list := f.same(t, s, false); len(list) != 1 || !list[0].Both {
		t.Fatalf("two at once: %+v", list)
	}
	s.admits(t, term.Add(3*hour), admission.Change{What: admission.SameHardware, Device: two.id, Earlier: one.id})
	f.catchUp(t)
	if o := f.overview(t, s, term.Add(4*hour)); o.Devices != 2 {
		t.Errorf("two at once were merged: %d devices", o.Devices)
	}
	lost, stolen := s.enrol(t, "hb-lt-015", term), s.enrol(t, "hb-lt-016", term.Add(5*hour))
	lost.made("u2", "s2")
	lost.report(t, term, term.Add(4*hour))
	s.loses(t, term.Add(4*hour), incident.Open, lost.id)
	stolen.made("u2", "s2") // the hashes are no secret of the laptop's
	stolen.report(t, term.Add(5*hour), term.Add(5*hour))
	list := f.same(t, s, false)
	if i := slices.IndexFunc(list, func(s view.Same) bool { return s.Earlier == lost.id }); i < 0 || !list[i].Lost {
		t.Fatalf("of a lost one: %+v", list)
	}
	s.admits(t, term.Add(6*hour), admission.Change{What: admission.SameHardware, Device: stolen.id, Earlier: lost.id})
	f.catchUp(t)
	if d := f.device(t, s, string(lost.id), term.Add(7*hour)); d.ReplacedBy != "" || d.Lost == nil {
		t.Errorf("a lost laptop was replaced by %q", d.ReplacedBy)
	}
}

// TestAReplacedLaptopThatWasSilentHasNothingOpen: that its asset is another device
// by now judges it once more, in the same entry, and what that finds failed when it
// did, and is settled.
func TestAReplacedLaptopThatWasSilentHasNothingOpen(t *testing.T) {
	s := newSchool(t, "hollybank")
	f := open(t, s)
	old := s.enrol(t, "hb-lt-014", term)
	s.keep(t, term, "technician", "", listed("HB-LT-014", old.id, term))
	late := term.Add(25 * 24 * hour)
	anew := s.enrol(t, "hb-lt-014-anew", late)
	s.admits(t, late.Add(hour), admission.Change{What: admission.SameHardware, Device: anew.id, Earlier: old.id})
	f.catchUp(t)
	d := f.device(t, s, string(old.id), late.Add(2*hour))
	if d.ReplacedBy != anew.id || len(d.Breaches) == 0 {
		t.Fatalf("it is replaced by %q, with breaches %v", d.ReplacedBy, d.Breaches)
	}
	for _, b := range d.Breaches {
		if b.ResolvedAt.IsZero() {
			t.Errorf("open: %+v", b)
		}
		if since := b.FirstFailed.Sub(term); b.Rule == "LIF-01" && since.Round(time.Minute) != 14*24*hour {
			t.Errorf("it was silent for too long from %s after its enrolment on", since)
		}
	}
}

// drawAdmission draws what a school may decide about enrolments, sense or not.
func drawAdmission(t *rapid.T, laptops []*laptop) admission.Change {
	c := admission.Change{What: rapid.SampledFrom([]admission.What{
		admission.SameHardware, admission.SameHardware, admission.OtherHardware, admission.ApproveRenewal,
	}).Draw(t, "admission"), Device: rapid.SampledFrom(laptops).Draw(t, "newer").id}
	if c.What == admission.ApproveRenewal {
		return c
	}
	if c.Earlier = rapid.SampledFrom(laptops).Draw(t, "earlier").id; c.Earlier == c.Device {
		return admission.Change{What: admission.SetWindow, Days: 30}
	}
	return c
}

// TestNoOrderCountsTwice: whatever the order of enrolments, confirmations,
// losses and late reports, a computer that was confirmed to be another counts
// once, and nothing that comes from a lost one changes what is shown of it.
func TestNoOrderCountsTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		now, end := term, term.Add(1000*hour)
		var laptops []*laptop
		for range rapid.IntRange(1, 20).Draw(rt, "entries") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
			if len(laptops) == 0 || rapid.IntRange(0, 4).Draw(rt, "enrol") == 0 {
				l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", len(laptops)), now)
				l.made(rapid.SampledFrom([]string{"u1", "u2"}).Draw(rt, "computer"), "")
				laptops = append(laptops, l)
				continue
			}
			l := rapid.SampledFrom(laptops).Draw(rt, "laptop")
			f.catchUp(t)
			before := f.device(t, s, string(l.id), end)
			says := true
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				s.admits(t, now, drawAdmission(rt, laptops))
				says = false
			case 1:
				s.loses(t, now, rapid.SampledFrom([]incident.What{incident.Open, incident.Found}).Draw(rt, "lost"), l.id)
				says = false
			case 2:
				l.contact(t, now, now)
			default:
				l.facts.Security.Items[0].Firewall = posture.Read(rapid.Bool().Draw(rt, "firewall"))
				l.report(t, now.Add(-time.Duration(rapid.IntRange(0, 300).Draw(rt, "late"))*time.Minute), now)
			}
			after := f.device(t, s, string(l.id), end)
			if says && (before.Lost != nil || before.ReplacedBy != "") {
				if diff := cmp.Diff(frozen(before), frozen(after)); diff != "" {
					rt.Fatalf("what a lost or replaced laptop said changed what is shown of it:\n%s", diff)
				}
			}
		}
		stands, listed := 0, map[posture.DeviceID]bool{}
		for _, l := range laptops {
			if d := f.device(t, s, string(l.id), end); d.ReplacedBy == "" {
				stands, listed[l.id] = stands+1, true
			}
		}
		o := f.overview(t, s, end)
		page, err := f.q.Devices(t.Context(), s.id, view.DeviceQuery{Limit: 500}, end)
		if err != nil {
			rt.Fatal(err)
		}
		if o.Devices != stands || len(page.Devices) != stands || page.Total != stands {
			rt.Fatalf("%d laptops stand: the overview has %d, the list %d of %d", stands, o.Devices, len(page.Devices), page.Total)
		}
		for _, r := range o.Rules {
			if n := r.Met + r.NotMet + r.NotProven + r.Exempt + r.NotFor; n != stands {
				rt.Fatalf("%s counts %d of %d laptops", r.Rule, n, stands)
			}
		}
		for _, d := range page.Devices {
			if !listed[d.ID] {
				rt.Fatalf("the list has %s, which was replaced", d.ID)
			}
		}
	})
}
