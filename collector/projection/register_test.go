package projection

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	switch rapid.IntRange(0, 7).Draw(t, "kept") {
	case 0:
		return drawMedium(t), ""
	case 1:
		return drawLicence(t, laptops, now)
	case 2:
		return drawList(t, now), ""
	}
	tag := rapid.SampledFrom([]string{"HB-1", "hb-1", "HB-2", "HB-3"}).Draw(t, "tag")
	l := rapid.SampledFrom(laptops).Draw(t, "whose")
	c := register.Change{Tag: tag, What: rapid.SampledFrom([]register.What{
		register.Import, register.Import, register.Import, register.Tie, register.Untie, register.Allocate, register.Allocate, register.Allocate,
		register.HandBack, register.Left, register.Left, register.Stays, register.DoneStep, register.Sign, register.Wiped, register.Retire, register.Recovery, register.Investigate,
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
	case register.Left:
		if rapid.Bool().Draw(t, "ahead") {
			c.When = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "leaves in")) * hour)
		}
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

// drawList draws a list of what no agent covers, which may be an old one, or says
// for how long such lists count.
func drawList(t *rapid.T, now time.Time) register.Change {
	if rapid.IntRange(0, 3).Draw(t, "setting") == 0 {
		return register.Change{What: register.ListsLast, Days: rapid.IntRange(1, 40).Draw(t, "days")}
	}
	yes := rapid.Bool().Draw(t, "listed")
	said := func(name string, of ...register.Said) register.Said { return rapid.SampledFrom(of).Draw(t, name) }
	d := register.Description{Managed: rapid.SampledFrom([]string{"Google Admin", ""}).Draw(t, "managed")}
	d.Encrypted = said("encrypted", "", register.SaysYes, register.SaysNo, register.ByDefault)
	d.Enrolled = said("enrolled", "", register.SaysYes, register.SaysNo)
	if rapid.Bool().Draw(t, "seen") {
		d.Seen = register.Date(now.AddDate(0, 0, -rapid.IntRange(0, 40).Draw(t, "days ago")).Format(time.DateOnly))
	}
	return register.Change{
		What: register.Import, AsOf: now.Add(-time.Duration(rapid.IntRange(0, 1200).Draw(t, "old")) * hour),
		Items: []register.Item{{Tag: rapid.SampledFrom([]string{"HB-1", "HB-CB-1"}).Draw(t, "tag"), Description: d, Listed: &yes}},
	}
}

// agreeOnLists checks that what a list says proves something until its time is
// over, and nothing from then on.
func agreeOnLists(t *rapid.T, f fixture, s *school, assets []view.Registered, now time.Time) {
	lasts, err := f.q.ListsLast(t.Context(), s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range assets {
		l := a.Listed
		if (l == nil) != (a.Managed == "") {
			t.Fatalf("%s is managed by %q and listed %+v", a.Tag, a.Managed, l)
		}
		if l == nil {
			continue
		}
		if l.Stale == now.Before(l.Until) || l.Until.After(l.At.Add(lasts)) {
			t.Fatalf("a list of %s that counts %s is stale %v at %s: %+v", l.At, lasts, l.Stale, now, l)
		}
		if a.Cover == view.ByImport && l.Stale || a.Cover == view.StaleImport && !l.Stale {
			t.Fatalf("%s is covered by %s, and its list is stale %v", a.Tag, a.Cover, l.Stale)
		}
		for _, said := range l.Says {
			if l.Stale && said.Standing != view.NotProven {
				t.Fatalf("%s: %+v of a list that is too old", a.Tag, said)
			}
		}
	}
}

// agreeOnRegister checks that no two assets are one device, that each device
// has the tag of the asset that it is, and that none is lost or counted twice.
func agreeOnRegister(t *rapid.T, f fixture, s *school, now time.Time) {
	page, err := f.q.Assets(t.Context(), s.id, view.AssetQuery{Limit: 500}, now)
	if err != nil {
		t.Fatal(err)
	}
	agreeOnLists(t, f, s, page.Assets, now)
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
	counted, err := f.q.CoverageCounts(t.Context(), s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	counted.Gaps = c.Gaps
	if diff := cmp.Diff(c, counted); diff != "" {
		t.Fatalf("at %v what is counted of the register differs from the register: %s", now, diff)
	}
	assets := c.Of(view.ByAgent) + c.Of(view.SilentAgent) + c.Of(view.ByImport) + c.Of(view.StaleImport) + c.Of(view.NeverEnrolled)
	if assets != c.Registered || c.Registered+c.Retired != len(page.Assets) {
		t.Fatalf("%d assets, and the coverage counts %+v", len(page.Assets), c)
	}
	enrolled, registered := 0, 0
	for _, d := range devices.Devices {
		if !d.RevokedAt.IsZero() {
			continue
		}
		if enrolled++; d.AssetTag != "" {
			registered++
		}
	}
	if c.Enrolled != enrolled || c.Of(view.NotRegistered) != enrolled-registered {
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

// TestNamesAreForThoseWhoAskForThem: without that neither a page nor a search
// tells who has a device, or had it.
func TestNamesAreForThoseWhoAskForThem(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.keep(t, term, "technician", "", listed("HB-1", "", term))
	for i, name := range []string{"S. Hazel", "A. Rowan"} {
		at := term.Add(time.Duration(i+1) * 10 * hour)
		s.keep(t, at, "technician", name, register.Change{What: register.Allocate, Tag: "HB-1", Allocation: &register.Allocation{Role: "Year 4", Named: true}})
		if i == 0 {
			s.keep(t, at.Add(hour), "technician", "", register.Change{What: register.HandBack, Tag: "HB-1"})
		}
	}
	f, now := open(t, s), term.Add(40*hour)
	f.catchUp(t)
	for _, c := range []struct {
		query view.AssetQuery
		found int
		held  string
	}{
		{view.AssetQuery{}, 1, ""},
		{view.AssetQuery{Search: "year 4"}, 1, ""},
		{view.AssetQuery{Search: "rowan"}, 0, ""},
		{view.AssetQuery{Search: "rowan", Names: true}, 1, "A. Rowan"},
		{view.AssetQuery{Names: true}, 1, "A. Rowan"},
	} {
		page, err := f.q.Assets(t.Context(), s.id, c.query, now)
		if err != nil || len(page.Assets) != c.found {
			t.Errorf("%+v: %d assets, %v", c.query, len(page.Assets), err)
			continue
		}
		for _, a := range page.Assets {
			if a.Held.Person != c.held || (a.Past[0].Person != "") != c.query.Names || a.Held.Role != "Year 4" {
				t.Errorf("%+v: %+v, %+v", c.query, a.Held, a.Past)
			}
		}
	}
	one, err := f.q.Asset(t.Context(), s.id, "HB-1", now)
	if err != nil || one.Held.Person != "A. Rowan" {
		t.Fatalf("%+v, %v", one.Held, err)
	}
	if less := one.Nameless(); less.Held.Person != "" || less.Past[0].Person != "" || one.Held.Person == "" || one.Past[0].Person == "" {
		t.Errorf("nameless: %+v %+v, and what it was made of: %+v %+v", less.Held, less.Past, one.Held, one.Past)
	}
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

// TestALeaverIsRecordedAhead: nothing fails until the day, from then on the rule
// does without a word from anybody, in every list alike, with the grace of a
// leaver; the day can be corrected and taken back.
func TestALeaverIsRecordedAhead(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	s.keep(t, term.Add(hour), "technician", "", listed("HB-LT-014", l.id, term))
	s.keep(t, term.Add(2*hour), "technician", "A. Rowan", register.Change{
		What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Year 4 class teacher", Ends: term.Add(300 * hour)},
	})
	left := func(recorded, day time.Duration) {
		t.Helper()
		s.keep(t, term.Add(recorded), "technician", "", register.Change{What: register.Left, Tag: "HB-LT-014", When: term.Add(day)})
	}
	f := open(t, s)
	want := func(at time.Duration, want view.Standing, status string) {
		t.Helper()
		f.catchUp(t)
		now := term.Add(at)
		d := f.device(t, s, "hb-lt-014", now)
		if got := standing(t, d, "LIF-03"); got.Standing != want {
			t.Errorf("after %s: %s, want %s", at, got.Standing, want)
		}
		column := map[view.Standing]int{view.Met: 0, view.NotMet: 1}[want]
		if got := counts(t, f.overview(t, s, now), "LIF-03"); got[column] != 1 {
			t.Errorf("after %s the overview counts %v", at, got)
		}
		page, err := f.q.Breaches(t.Context(), s.id, view.BreachQuery{Rule: "LIF-03"}, now)
		got := ""
		for _, b := range page.Breaches {
			got += fmt.Sprint(b.Status, " since ", b.FirstFailed.Sub(term), " until ", b.GraceEnds.Sub(term))
		}
		if err != nil || got != status {
			t.Errorf("after %s it lists %q, %v; want %q", at, got, err, status)
		}
	}
	left(3*hour, 40*hour)
	want(39*hour, view.Met, "")
	left(4*hour, 60*hour) // corrected
	want(41*hour, view.Met, "")
	want(60*hour-time.Millisecond, view.Met, "")
	want(60*hour, view.NotMet, "pending since 60h0m0s until 180h0m0s")
	want(179*hour, view.NotMet, "pending since 60h0m0s until 180h0m0s")
	want(180*hour, view.NotMet, "open since 60h0m0s until 180h0m0s")
	l.report(t, term.Add(181*hour), term.Add(181*hour))
	want(182*hour, view.NotMet, "open since 60h0m0s until 180h0m0s")
	s.keep(t, term.Add(183*hour), "technician", "", register.Change{What: register.Stays, Tag: "HB-LT-014"})
	want(184*hour, view.Met, "")
	want(301*hour, view.NotMet, "pending since 300h0m0.001s until 324h0m0.001s")
}

// TestWhoCanAdministerAGuestsDevice: a rule of a school reads of a guest's device
// how many accounts can administer it; what was not read is never none.
func TestWhoCanAdministerAGuestsDevice(t *testing.T) {
	for name, c := range map[string]struct {
		security posture.Answer[posture.Security]
		want     posture.Reading[int64]
	}{
		"none":          {answer(term, posture.Security{Administrators: posture.Read[int64](0)}), posture.Read[int64](0)},
		"two":           {answer(term, posture.Security{Administrators: posture.Read[int64](2)}), posture.Read[int64](2)},
		"not told":      {answer(term, posture.Security{}), posture.Unread[int64](posture.NotAsked)},
		"denied":        {posture.Answer[posture.Security]{Absent: posture.Denied}, posture.Unread[int64](posture.Denied)},
		"nothing in it": {posture.Answer[posture.Security]{Absent: posture.None}, posture.Unread[int64](posture.Unreadable)},
		"not asked":     {posture.Answer[posture.Security]{}, posture.Unread[int64](posture.NotAsked)},
	} {
		if got := administrators(c.security); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	guest := register.Asset{Held: &register.Held{Role: "supply teacher", Guest: true}}
	if a := allocation(guest, posture.Read[int64](1), term); !a.Guest.Value || a.Administrators != posture.Read[int64](1) {
		t.Errorf("a guest's: %+v", a)
	}
	if a := allocation(register.Asset{Held: &register.Held{Role: "Year 4"}}, posture.Read[int64](1), term); !a.Guest.Known() || a.Guest.Value {
		t.Errorf("a teacher's: %+v", a)
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
