package projection

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// keep records a change of the register, as the collector does.
func (s *school) keep(tb testing.TB, at time.Time, by, person string, c register.Change) {
	tb.Helper()
	if err := c.Name(person); err != nil {
		tb.Fatal(err)
	}
	d := decision.Decision{Kind: decision.Register, By: by, At: at, Reason: "the school's list", Person: person}
	sections, err := decision.RegisterSections(d, c, [2][proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

// listed is an import that ties an asset to a device.
func listed(tag string, device posture.DeviceID, at time.Time) register.Change {
	return register.Change{What: register.Import, AsOf: at, Items: []register.Item{{
		Tag: tag, Description: register.Description{What: "a laptop", Class: posture.SchoolSingleUser}, Device: device,
	}}}
}

// drawKeeping draws a change of the register, of which many are void.
func drawKeeping(t *rapid.T, laptops []*laptop, now time.Time) (register.Change, string) {
	switch rapid.IntRange(0, 5).Draw(t, "kept") {
	case 0:
		return drawMedium(t), ""
	case 1:
		return drawLicence(t, laptops, now)
	}
	tag := rapid.SampledFrom([]string{"HB-1", "hb-1", "HB-2", "HB-3"}).Draw(t, "tag")
	l := rapid.SampledFrom(laptops).Draw(t, "whose")
	c := register.Change{Tag: tag, What: rapid.SampledFrom([]register.What{
		register.Import, register.Import, register.Import, register.Tie, register.Untie, register.Allocate, register.Allocate, register.Allocate,
		register.HandBack, register.Left, register.DoneStep, register.Sign, register.Wiped, register.Retire, register.Recovery, register.Investigate,
	}).Draw(t, "change")}
	person := ""
	switch c.What {
	case register.Import:
		device := l.id
		if rapid.Bool().Draw(t, "untied") {
			device = ""
		}
		c = listed(tag, device, now)
	case register.Tie:
		c.Device = l.id
	case register.Allocate:
		c.Allocation = &register.Allocation{Role: "Year 4 class teacher"}
		if rapid.Bool().Draw(t, "loan") {
			c.Allocation.Ends = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "for")) * hour)
		}
		person = rapid.SampledFrom([]string{"", "A. Rowan"}).Draw(t, "person")
	case register.DoneStep:
		c.Step, c.Method = rapid.SampledFrom(register.Steps()).Draw(t, "step"), "by hand"
	case register.Wiped:
		c.Method = "installed again"
	case register.Retire:
		c.Date = register.Date(now.Format(time.DateOnly))
	case register.Recovery:
		c.Escrow = rapid.SampledFrom([]register.Escrow{register.KeyHeld, register.KeyNotHeld}).Draw(t, "escrow")
	case register.Investigate:
		c.On = rapid.Bool().Draw(t, "on")
	}
	return c, person
}

// agreeOnRegister checks that no two assets are one device, that each device
// has the tag of the asset that it is, and that none is lost or counted twice.
func agreeOnRegister(t *rapid.T, f fixture, s *school, now time.Time) {
	page, err := f.q.Assets(t.Context(), s.id, view.AssetQuery{Limit: 500}, now)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := f.q.Devices(t.Context(), s.id, view.DeviceQuery{Limit: 500}, now)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[posture.DeviceID]string{}
	for _, a := range page.Assets {
		if a.Device == "" {
			continue
		}
		if other, ok := tags[a.Device]; ok {
			t.Fatalf("%s and %s are both the device %s", other, a.Tag, a.Device)
		}
		tags[a.Device] = a.Tag
	}
	for _, d := range devices.Devices {
		if d.AssetTag != tags[d.ID] {
			t.Fatalf("device %s shows the tag %q; the register has %q", d.ID, d.AssetTag, tags[d.ID])
		}
	}
	c, err := f.q.Coverage(t.Context(), s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	assets := c.Of(view.ByAgent) + c.Of(view.SilentAgent) + c.Of(view.ByImport) + c.Of(view.StaleImport) + c.Of(view.NeverEnrolled)
	if assets != c.Registered || c.Registered+c.Retired != len(page.Assets) {
		t.Fatalf("%d assets, and the coverage counts %+v", len(page.Assets), c)
	}
	if c.Enrolled != devices.Total || c.Of(view.NotRegistered) != devices.Total-len(tags) {
		t.Fatalf("%d devices of which %d are registered, and the coverage counts %+v", devices.Total, len(tags), c)
	}
}

// TestAnImportTiesAnAssetOnce: whichever order lists come in, and however often,
// an asset is there once and a device is one asset.
func TestAnImportTiesAnAssetOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		var ids []posture.DeviceID
		for i := range 3 {
			ids = append(ids, s.enrol(t, fmt.Sprintf("hb-lt-%03d", i), term).id)
		}
		wanted := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(rt, "lists") {
			tag := rapid.SampledFrom([]string{"HB-1", "hb-1", "HB-2", "HB-3", "HB-4"}).Draw(rt, "tag")
			device := rapid.SampledFrom(append([]posture.DeviceID{""}, ids...)).Draw(rt, "device")
			wanted[register.Key(tag)] = true
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				s.keep(t, term.Add(hour), "technician", "", listed(tag, device, term))
			}
		}
		f := open(rt, s)
		f.catchUp(t)
		page, err := f.q.Assets(t.Context(), s.id, view.AssetQuery{}, term.Add(2*hour))
		if err != nil || len(page.Assets) != len(wanted) {
			rt.Fatalf("%d assets of %d: %v", len(page.Assets), len(wanted), err)
		}
		agreeOnRegister(rt, f, s, term.Add(2*hour))
	})
}

// TestALoanLapses: a loan that is over shows without a word from the device, in
// every list alike, and handing the device back ends it.
func TestALoanLapses(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	s.keep(t, term.Add(hour), "technician", "", listed("HB-LT-014", l.id, term))
	s.keep(t, term.Add(2*hour), "technician", "S. Hazel", register.Change{
		What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "supply teacher", Guest: true, Notice: true, Ends: term.Add(50 * hour)},
	})
	f := open(t, s)
	for at, want := range map[time.Duration]view.Standing{3 * hour: view.Met, 50 * hour: view.Met, 50*hour + time.Second: view.NotMet, 100 * hour: view.NotMet} {
		d := f.device(t, s, "hb-lt-014", term.Add(at))
		if got := standing(t, d, "LIF-03"); got.Standing != want || d.AssetTag != "HB-LT-014" {
			t.Errorf("after %s: %s, tag %q; want %s", at, got.Standing, d.AssetTag, want)
		}
		column := map[view.Standing]int{view.Met: 0, view.NotMet: 1}[want]
		if got := counts(t, f.overview(t, s, term.Add(at)), "LIF-03"); got[column] != 1 {
			t.Errorf("after %s the overview counts %v", at, got)
		}
	}
	page, err := f.q.Breaches(t.Context(), s.id, view.BreachQuery{Rule: "LIF-03"}, term.Add(100*hour))
	if err != nil || len(page.Breaches) != 1 || page.Breaches[0].Status != breach.Open || page.Breaches[0].AssetTag != "HB-LT-014" {
		t.Fatalf("the loan is over: %+v, %v", page.Breaches, err)
	}
	s.keep(t, term.Add(101*hour), "technician", "", register.Change{What: register.HandBack, Tag: "HB-LT-014"})
	f.catchUp(t)
	d := f.device(t, s, "hb-lt-014", term.Add(102*hour))
	if got := line(d.Breaches); got != "[LIF-03 resolved LIF-04 resolved]" || standing(t, d, "LIF-03").Standing != view.Met {
		t.Errorf("handed back: %s, %s", got, standing(t, d, "LIF-03").Standing)
	}
}

// TestWhoHasADeviceIsForgotten: once decisions are forgotten the register still
// has the device and its role, and nobody's name.
func TestWhoHasADeviceIsForgotten(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	s.keep(t, term, "technician", "", listed("HB-LT-014", l.id, term))
	s.keep(t, term.Add(hour), "technician", "S. Hazel", register.Change{
		What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "supply teacher"},
	})
	f := open(t, s)
	f.catchUp(t)
	before, err := f.q.Asset(t.Context(), s.id, "hb-lt-014", term.Add(2*hour))
	if err != nil || before.Held == nil || before.Held.Person != "S. Hazel" || before.Held.By != "technician" {
		t.Fatalf("it has %+v, %v", before.Held, err)
	}
	s.purge(term.Add(3*hour), proof.People)
	f.catchUp(t)
	after, err := f.q.Asset(t.Context(), s.id, "hb-lt-014", term.Add(4*hour))
	if err != nil || after.Held == nil || after.Held.Role != "supply teacher" || !after.Held.Named || after.Held.Person != "" || after.Held.By != "" || after.Device != l.id {
		t.Errorf("forgotten, it has %+v, %v", after.Held, err)
	}
}

// TestWhatTheRegisterSaysIsJudged: the school's rules about a recovery key and
// about who has left are judged by what was recorded, and not before.
func TestWhatTheRegisterSaysIsJudged(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	at := term
	keep := func(c register.Change) {
		at = at.Add(hour)
		c.Tag = "HB-LT-014"
		s.keep(t, at, "technician", "", c)
	}
	f := open(t, s)
	want := func(rule string, want view.Standing) {
		t.Helper()
		f.catchUp(t)
		if got := standing(t, f.device(t, s, "hb-lt-014", at.Add(time.Minute)), rule); got.Standing != want {
			t.Errorf("%s: %s, want %s", rule, got.Standing, want)
		}
	}
	s.keep(t, term, "technician", "", listed("HB-LT-014", l.id, term))
	want("ENC-04", view.NotProven)
	want("LIF-03", view.NotProven)
	keep(register.Change{What: register.Recovery, Escrow: register.KeyNotHeld})
	want("ENC-04", view.NotMet)
	keep(register.Change{What: register.Recovery, Escrow: register.KeyHeld})
	want("ENC-04", view.Met)
	keep(register.Change{What: register.Allocate, Allocation: &register.Allocation{Role: "Year 4 class teacher"}})
	want("LIF-03", view.Met)
	keep(register.Change{What: register.Left})
	want("LIF-03", view.NotMet)
	keep(register.Change{What: register.DoneStep, Step: register.Returned})
	want("LIF-03", view.Met)
	keep(register.Change{What: register.Untie})
	want("ENC-04", view.NotProven)
	if d := f.device(t, s, "hb-lt-014", at); d.AssetTag != "" {
		t.Errorf("untied it still has the tag %s", d.AssetTag)
	}
}
