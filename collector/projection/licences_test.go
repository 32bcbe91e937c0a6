package projection

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// drawLicence draws a change of a licence, or an acknowledgement of the rules
// of use with the name of a person.
func drawLicence(t *rapid.T, laptops []*laptop, now time.Time) (register.Change, string) {
	l := rapid.SampledFrom(laptops).Draw(t, "licensed")
	c := register.Change{Tag: rapid.SampledFrom([]string{"Bash", "bash", "Sketch"}).Draw(t, "product")}
	switch rapid.IntRange(0, 5).Draw(t, "licence") {
	case 0:
		c.What, c.Purchase = register.SetLicence, &register.Purchase{Programs: []string{"bash*"}, Bought: rapid.IntRange(0, 2).Draw(t, "bought")}
	case 1:
		c.What, c.Device, c.Method = register.ExcludeDevice, l.id, "a twin"
	case 2, 3:
		c.What, c.Reconciled = register.SignLicence, &register.Reconciled{
			Product: c.Tag, At: now, Term: "autumn", Bought: rapid.IntRange(0, 1).Draw(t, "signed"), Devices: []register.Counted{{Device: l.id}},
		}
	default:
		c = register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4 class teacher"}}
		person := rapid.SampledFrom([]string{"", "A. Rowan"}).Draw(t, "who")
		c.Use.Named = person != ""
		return c, person
	}
	return c, ""
}

// TestLicencesAreCounted: the devices that have a product are counted, with what
// does not count and why, and judged by what was signed for.
func TestLicencesAreCounted(t *testing.T) {
	s := newSchool(t, "hollybank")
	var laptops []*laptop
	for _, name := range []string{"hb-lt-001", "hb-lt-002", "hb-lt-003", "hb-lt-004", "hb-lt-005"} {
		l := s.enrol(t, name, term)
		laptops = append(laptops, l)
		sketch := l.facts.Programs.Items[0]
		sketch.Name = "Sketch Studio 4"
		switch name {
		case "hb-lt-004":
			l.facts.Programs = posture.NotFound[posture.Program]("dpkg", posture.Denied)
		case "hb-lt-005":
		default:
			l.facts.Programs.Items = append(l.facts.Programs.Items, sketch)
		}
		l.report(t, term, term)
	}
	at := term
	keep := func(c register.Change) {
		at = at.Add(time.Minute)
		s.keep(t, at, "business manager", "", c)
	}
	keep(listed("HB-1", laptops[0].id, term))
	keep(listed("HB-2", laptops[1].id, term))
	keep(register.Change{What: register.Tie, Tag: "HB-2", Device: laptops[2].id}) // it was installed again
	keep(register.Change{What: register.SetLicence, Tag: "Sketch", Purchase: &register.Purchase{Programs: []string{"sketch studio*"}, Bought: 1}})
	f := open(t, s)
	reconcile := func() view.LicenceLine {
		t.Helper()
		f.catchUp(t)
		list, err := f.q.Licences(t.Context(), s.id, view.LicenceQuery{Product: "sketch", Devices: register.AllDevices}, at.Add(time.Minute))
		if err != nil || len(list.Licences) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list.Licences[0]
	}
	l := reconcile()
	if l.Installed != 2 || !l.Over || l.Bought != 1 || len(l.Now.Devices) != 3 || l.Now.Unread != 1 {
		t.Errorf("counted: %+v", l)
	}
	for _, d := range l.Now.Devices {
		if (d.Excluded != "") != (d.Device == laptops[1].id) || d.Tag == "" {
			t.Errorf("%s (%s): excluded for %q", d.Device, d.Tag, d.Excluded)
		}
	}
	sign := func() {
		t.Helper()
		now := reconcile().Now
		now.Term = "autumn 2026"
		keep(register.Change{What: register.SignLicence, Tag: "Sketch", Reconciled: &now})
		f.catchUp(t)
	}
	want := func(host string, want view.Standing) {
		t.Helper()
		if got := standing(t, f.device(t, s, host, at.Add(time.Minute)), "EXE-04"); got.Standing != want {
			t.Errorf("%s: EXE-04 is %s, want %s", host, got.Standing, want)
		}
	}
	want("hb-lt-001", view.NotProven)
	sign()
	want("hb-lt-001", view.NotMet)
	want("hb-lt-002", view.Met)
	want("hb-lt-005", view.NotProven)
	keep(register.Change{What: register.Retire, Tag: "HB-1", Date: register.Date(at.Format(time.DateOnly))})
	if l = reconcile(); l.Installed != 1 || l.Over || l.Signed == nil || l.Signed.By != "business manager" || l.Signed.Installed() != 2 {
		t.Errorf("once one is retired: %+v", l)
	}
	sign()
	want("hb-lt-001", view.Met)

	// What was two assets is, of those that have a device now, the first by tag.
	keep(listed("HB-3", laptops[1].id, term))
	keep(register.Change{What: register.Tie, Tag: "HB-3", Device: laptops[4].id})
	for _, d := range reconcile().Now.Devices {
		if d.Device == laptops[1].id && (d.Tag != "HB-2" || !strings.Contains(d.Excluded, string(laptops[2].id))) {
			t.Errorf("%s, excluded for %q", d.Tag, d.Excluded)
		}
	}
}

// TestTheRulesOfUse: who has a device acknowledged the rules of use, or did not;
// whoever is forgotten did neither.
func TestTheRulesOfUse(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	f := open(t, s)
	want := func(want view.Standing) {
		t.Helper()
		f.catchUp(t)
		if got := standing(t, f.device(t, s, "hb-lt-014", term.Add(20*hour)), "LIF-04"); got.Standing != want {
			t.Errorf("LIF-04 is %s, want %s", got.Standing, want)
		}
	}
	use := func(person string) register.Change {
		return register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4", Named: person != "", Version: "2026"}}
	}
	s.keep(t, term, "technician", "", listed("HB-1", l.id, term))
	want(view.NotProven)
	s.keep(t, term.Add(hour), "technician", "A. Rowan", register.Change{What: register.Allocate, Tag: "HB-1", Allocation: &register.Allocation{Role: "Year 4"}})
	want(view.NotMet)
	s.keep(t, term.Add(2*hour), "technician", "", use(""))
	want(view.NotMet) // another of the role may have; this person has not
	s.keep(t, term.Add(3*hour), "technician", "a.  rowan", use("a.  rowan"))
	want(view.Met)
	uses, err := f.q.Uses(t.Context(), s.id, "", 0, term.Add(4*hour))
	if err != nil || len(uses.Uses) != 2 || uses.Uses[0].Version != "2026" {
		t.Errorf("acknowledged: %+v, %v", uses, err)
	}
	s.purge(term.Add(5*hour), proof.People)
	want(view.NotProven)
}

// TestWhoseAcknowledgementItWasIsForgotten: once the name in an acknowledgement is
// forgotten, nobody knows of whom it was, and of whoever is named, and has no
// other, it is not known that they have none.
func TestWhoseAcknowledgementItWasIsForgotten(t *testing.T) {
	s := newSchool(t, "hollybank")
	one, other := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	for _, l := range []*laptop{one, other} {
		l.report(t, term, term)
	}
	f := open(t, s)
	want := func(host string, want view.Standing) {
		t.Helper()
		if got := standing(t, f.device(t, s, host, term.Add(20*hour)), "LIF-04"); got.Standing != want {
			t.Errorf("%s: LIF-04 is %s, want %s", host, got.Standing, want)
		}
	}
	s.keep(t, term, "technician", "", listed("HB-1", one.id, term))
	s.keep(t, term, "technician", "", listed("HB-2", other.id, term))
	give := func(tag, person string) {
		s.keep(t, term.Add(hour), "technician", person, register.Change{What: register.Allocate, Tag: tag, Allocation: &register.Allocation{Role: "Year 4", Named: person != ""}})
	}
	give("HB-1", "A. Rowan")
	give("HB-2", "")
	s.keep(t, term.Add(2*hour), "technician", "A. Rowan", register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4", Named: true}})
	entry := len(s.ledger.records) - 1
	f.catchUp(t)
	want("hb-lt-014", view.Met)
	want("hb-lt-015", view.NotMet)
	s.purgeOf(term.Add(3*hour), func(i int, section proof.SectionRef) bool { return i == entry && section.Class == proof.People })
	f.catchUp(t)
	want("hb-lt-014", view.NotProven)
	want("hb-lt-015", view.NotMet) // nobody is named: what a person acknowledged never counted
	if d := f.device(t, s, "hb-lt-014", term.Add(20*hour)); d.AssetTag != "HB-1" {
		t.Errorf("the register lost %+v", d.Device)
	}
	uses, err := f.q.Uses(t.Context(), s.id, "", 0, term.Add(4*hour))
	if err != nil || len(uses.Uses) != 0 {
		t.Errorf("acknowledged: %+v, %v", uses, err)
	}
	s.keep(t, term.Add(4*hour), "technician", "A. Rowan", register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4", Named: true}})
	f.catchUp(t)
	want("hb-lt-014", view.Met)
	followed := f.dump(t, s)
	again := open(t, s)
	again.catchUp(t)
	if rebuilt := again.dump(t, s); rebuilt != followed {
		t.Errorf("rebuilt: %s", differences(followed, rebuilt))
	}
}
