package projection

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// history draws what happens at a school and calls after between the entries.
// It returns the moment at which it ends.
func history(tb testing.TB, t *rapid.T, s *school, after func()) time.Time {
	now := term
	var laptops []*laptop
	p := newPeople()
	for range rapid.IntRange(1, 25).Draw(t, "entries") {
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 30, 60, 600, 3000, 30_000}).Draw(t, "minutes")) * time.Minute)
		if len(laptops) == 0 || rapid.IntRange(0, 9).Draw(t, "enrol") == 0 {
			laptops = append(laptops, s.enrol(tb, fmt.Sprintf("hb-lt-%03d", len(laptops)), now))
			after()
			continue
		}
		l := rapid.SampledFrom(laptops).Draw(t, "laptop")
		made := now.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 0, 5, 5000}).Draw(t, "late")) * time.Minute)
		switch rapid.IntRange(0, 33).Draw(t, "what") {
		case 32, 33:
			drawDispute(tb, t, s, laptops, now)
		case 30, 31:
			drawConcern(tb, t, s, laptops, now)
		case 29:
			if rapid.Bool().Draw(t, "said") {
				drawSaid(t, s, now)
				break
			}
			if rapid.Bool().Draw(t, "of a year") {
				drawYear(tb, t, s, now)
				break
			}
			drawReport(tb, t, s, now)
		case 28:
			s.seals(tb, now)
		case 25, 26:
			if rapid.IntRange(0, 4).Draw(t, "revoked") == 0 {
				s.revokes(tb, now, l)
				break
			}
			s.admits(tb, now, drawAdmission(t, laptops))
		case 27:
			s.loses(tb, now, rapid.SampledFrom([]incident.What{incident.Open, incident.Found}).Draw(t, "lost"), l.id)
		case 24:
			drawLook(tb, t, s, laptops, now)
		case 22, 23:
			s.records(tb, now, drawIncident(t, laptops, now))
		case 20, 21:
			drawCalendar(tb, t, s, now)
		case 16, 17, 18:
			s.decide(tb, p.draw(t, l, now))
		case 19:
			drawTold(tb, t, l, now)
		case 13, 14, 15:
			c, person := drawKeeping(t, laptops, now)
			s.keep(tb, now, "technician", person, c)
		case 12:
			if rapid.Bool().Draw(t, "one") { // such as the name of who had a device
				entry := rapid.IntRange(0, len(s.ledger.records)-1).Draw(t, "entry")
				s.purgeOf(now, func(i int, section proof.SectionRef) bool { return i == entry && section.Class == proof.People })
				break
			}
			if rapid.IntRange(0, 3).Draw(t, "times") == 0 {
				s.setsTimes(tb, now, retentionTimes)
				break
			}
			s.purge(now, rapid.SampledFrom([]proof.Class{proof.Posture, proof.Media, proof.Inventory, proof.Contacts, proof.People, proof.Incidents}).Draw(t, "class"))
		case 0:
			s.publish(tb, now, dropRule(rapid.SampledFrom([]string{"", "", "CFG-01", "USB-01"}).Draw(t, "dropped")), s.approved(tb, now))
		case 1, 2:
			s.decide(tb, drawDecision(t, l, now))
		case 3, 4, 5:
			l.contact(tb, made, now)
		default:
			change(t, l, s)
			l.report(tb, made, now)
		}
		after()
	}
	return now
}

// TestHistoriesHoldEveryKindOfDecision: what is said of random histories is said of
// every decision that people can make.
func TestHistoriesHoldEveryKindOfDecision(t *testing.T) {
	found := map[decision.Kind]bool{}
	histories := rapid.Custom(func(rt *rapid.T) *school {
		s := newSchool(t, "hollybank")
		history(t, rt, s, func() {})
		return s
	})
	for seed := 0; seed < 4000 && len(found) < len(decision.Kinds()); seed++ {
		s := histories.Example(seed)
		for _, bodies := range s.ledger.bodies {
			for _, body := range bodies {
				if d, err := decision.Decode(body); err == nil {
					found[d.Kind] = true
				}
			}
		}
	}
	for _, kind := range decision.Kinds() {
		if !found[kind] {
			t.Errorf("no history holds a decision of the kind %q", kind)
		}
	}
}

// approved is the decision that is recorded beside the next policy.
func (s *school) approved(tb testing.TB, at time.Time) proof.Section {
	tb.Helper()
	d := decision.Decision{Kind: decision.PublishPolicy, By: "Jo Marsh", At: at, Reason: "agreed by governors", Policy: &decision.Policy{
		Digest: proof.Digest{1}, Number: s.number + 1, Drafter: "Morgan Ellis", Approver: "Jo Marsh", ApprovedAt: at,
	}}
	if err := d.Check(); err != nil {
		tb.Fatal(err)
	}
	return proof.Section{Name: decision.SectionPolicyApproval, Class: proof.Kept, Body: body(tb, d)}
}

func dropRule(id string) func(*policy.Policy) {
	return func(p *policy.Policy) {
		for i, r := range p.Rules {
			if r.ID == id {
				p.Rules = append(p.Rules[:i:i], p.Rules[i+1:]...)
				return
			}
		}
	}
}

func drawDecision(t *rapid.T, l *laptop, now time.Time) decision.Decision {
	return decision.Decision{
		Kind: rapid.SampledFrom([]decision.Kind{decision.Acknowledge, decision.Resolve}).Draw(t, "decision"),
		By:   "technician", At: now, Reason: "on order", Breach: rapid.SampledFrom(keysOf(l)).Draw(t, "key"),
	}
}

// keysOf are the breaches that a laptop of a random history may have.
func keysOf(l *laptop) []breach.Key {
	return []breach.Key{
		keyOf(string(l.id), "ENC-01", "volume", "aaaaaaaaaaaa"), keyOf(string(l.id), "CFG-01", "device", ""),
		keyOf(string(l.id), "LIF-01", "device", ""), keyOf(string(l.id), "USB-01", "medium", serial),
		keyOf(string(l.id), "AV-01", "device", ""),
	}
}

func change(t *rapid.T, l *laptop, s *school) {
	switch rapid.IntRange(0, 10).Draw(t, "change") {
	case 0, 1:
		l.facts.Volumes = posture.Found("sysfs", volume(rapid.Bool().Draw(t, "encrypted")))
	case 2:
		l.facts.Volumes = posture.NotFound[posture.Volume]("sysfs", posture.Denied)
	case 3:
		l.facts.Media.Items = nil
	case 4:
		l.facts.Media.Items = []posture.Medium{stick(serial, rapid.SampledFrom([]posture.EncryptionState{posture.Encrypted, posture.Unencrypted}).Draw(t, "stick"))}
	case 5:
		l.facts.Security.Items[0].Firewall = posture.Read(rapid.Bool().Draw(t, "firewall"))
	case 6:
		l.policy, l.number = s.policy, s.number
	case 9, 10:
		l.facts.Antivirus = posture.Found("clamav", clam(posture.Read(rapid.Bool().Draw(t, "antivirus"))))
		l.facts.Antivirus.Items[0].Expired = posture.Read(rapid.IntRange(0, 4).Draw(t, "expired") == 0)
	case 7:
		l.skew = time.Duration(rapid.IntRange(-5, 5).Draw(t, "skew")) * hour
	case 8:
		l.facts.MediaEvents.Items = []posture.MediumEvent{{
			Number: l.sequence + 1, At: term, Action: posture.Attached, Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb",
		}}
	}
}

// TestRebuildEqualsFollow folds random histories while they happen, in steps of
// random size, and again from the start: the views are the same to the byte.
// And what the totals say is what the devices' rows say, whenever one asks.
func TestRebuildEqualsFollow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		live := open(rt, s)
		live.catchUp(t)
		end := history(t, rt, s, func() {
			for range rapid.IntRange(0, 2).Draw(rt, "steps") {
				if _, err := live.folders[0].step(t.Context(), rapid.Uint64Range(1, 4).Draw(rt, "size")); err != nil {
					rt.Fatal(err)
				}
			}
		})
		live.catchUp(t)
		followed := live.dump(t, s)
		again := open(rt, s)
		again.catchUp(t)
		if rebuilt := again.dump(t, s); rebuilt != followed {
			rt.Fatalf("followed:\n%s\nrebuilt:\n%s", followed, rebuilt)
		}
		if err := live.Rebuild(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if rebuilt := live.dump(t, s); rebuilt != followed {
			rt.Fatalf("followed:\n%s\nrebuilt in place:\n%s", followed, rebuilt)
		}
		for _, later := range []time.Duration{0, hour, 30 * hour, 10 * 24 * hour, 20 * 24 * hour, 60 * 24 * hour} {
			agree(rt, live, s, end.Add(later))
			agreeOnRegister(rt, live, s, end.Add(later))
			agreeOnIncidents(rt, live, s, end.Add(later))
		}
		agreeOnLooks(rt, live, s, end)
	})
}

// agree compares the overview with what the devices' own pages add up to.
func agree(t *rapid.T, f fixture, s *school, now time.Time) {
	ctx := context.Background()
	o, err := f.q.Overview(ctx, s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	page, err := f.q.Devices(ctx, s.id, view.DeviceQuery{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != o.Devices || len(page.Devices) != o.Devices {
		t.Fatalf("%d devices listed of %d; the overview has %d", len(page.Devices), page.Total, o.Devices)
	}
	var sum [4]int
	for _, r := range o.Rules {
		sum[0], sum[1], sum[2], sum[3] = sum[0]+r.Met, sum[1]+r.NotMet, sum[2]+r.NotProven, sum[3]+r.Exempt
		if r.Met+r.NotMet+r.NotProven+r.Exempt+r.NotFor != o.Devices {
			t.Fatalf("rule %s does not count %d devices: %+v", r.Rule, o.Devices, r)
		}
	}
	silent := 0
	breaches := map[string]int{}
	for _, d := range page.Devices {
		sum[0], sum[1], sum[2], sum[3] = sum[0]-d.Met, sum[1]-d.NotMet, sum[2]-d.NotProven, sum[3]-d.Exempt
		if d.Silent {
			silent++
		}
		detail, err := f.q.Device(ctx, s.id, d.ID, now)
		if err != nil {
			t.Fatal(err)
		}
		agreeOn(t, o, detail)
		for _, b := range detail.Breaches {
			breaches[fmt.Sprint(b.Status, b.Severity)]++
		}
		for _, e := range detail.Earlier { // in no list: its breaches are history
			earlier, err := f.q.Device(ctx, s.id, e.Device, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range earlier.Breaches {
				if b.Status != breach.Resolved {
					t.Fatalf("a device that was replaced has a breach that is %s: %+v", b.Status, b)
				}
				breaches[fmt.Sprint(b.Status, b.Severity)]++
			}
		}
	}
	if sum != [4]int{} || silent != o.Silent {
		t.Fatalf("at %v the overview differs from the devices by %v; %d silent, not %d:\n%+v\n%+v", now, sum, silent, o.Silent, o.Rules, page.Devices)
	}
	for _, b := range o.Breaches {
		breaches[fmt.Sprint(b.Status, b.Severity)] -= b.Count
	}
	listed, err := f.q.Breaches(ctx, s.id, view.BreachQuery{Limit: 500, Statuses: breach.Statuses()}, now)
	if err != nil {
		t.Fatal(err)
	}
	total := len(listed.Breaches)
	for _, b := range o.Breaches {
		total -= b.Count
	}
	delete(breaches, "")
	for k, n := range breaches {
		if n != 0 && k[:7] != "not yet" {
			t.Fatalf("at %v the overview differs from the devices by %v: %+v", now, breaches, o.Breaches)
		}
	}
	if total != 0 {
		t.Fatalf("at %v the list has %d breaches more than the overview %+v: %+v", now, total, o.Breaches, listed.Breaches)
	}
}

// agreeOn compares a device's findings with its line in lists.
func agreeOn(t *rapid.T, o view.Overview, d view.DeviceDetail) {
	worst := map[string]view.Standing{}
	rank := map[view.Standing]int{view.NotMet: 4, view.NotProven: 3, view.Exempt: 2, view.Met: 1}
	for _, f := range d.Findings {
		if f.Result == posture.Fail && f.Standing == view.Met {
			t.Fatalf("a failure shows as met: %+v", f)
		}
		if rank[f.Standing] >= rank[worst[f.Rule]] {
			worst[f.Rule] = f.Standing
		}
	}
	var met, notMet int
	for _, r := range o.Rules {
		switch worst[r.Rule] {
		case view.Met:
			met++
		case view.NotMet:
			notMet++
		}
	}
	if met != d.Met || notMet != d.NotMet {
		t.Fatalf("device %s: findings say %d met and %d not met, its line %d and %d: %+v", d.ID, met, notMet, d.Met, d.NotMet, d.Findings)
	}
}

// TestWalls gives two schools devices of the same names: no question about one
// is answered from the other.
func TestWalls(t *testing.T) {
	a, b := newSchool(t, "hollybank"), newSchool(t, "hollybank-2")
	bad := a.enrol(t, "hb-lt-014", term)
	bad.facts.Volumes.Items = []posture.Volume{volume(false)}
	bad.report(t, term, term)
	b.enrol(t, "hb-lt-014", term).report(t, term, term)
	b.enrol(t, "hb-lt-015", term)
	f := open(t, a, b)
	f.catchUp(t)
	now := term.Add(hour)
	if o := f.overview(t, b, now); o.Devices != 2 || len(o.Breaches) != 0 || counts(t, o, "ENC-01") != [5]int{1, 0, 1} {
		t.Errorf("the good school: %+v", o)
	}
	if d := f.device(t, b, "hb-lt-014", now); d.NotMet != 0 || len(d.Breaches) != 0 || d.School != b.id {
		t.Errorf("the good school's device: %+v", d.Device)
	}
	page, err := f.q.Breaches(t.Context(), b.id, view.BreachQuery{Statuses: breach.Statuses()}, now)
	if err != nil || len(page.Breaches) != 0 {
		t.Errorf("the good school's breaches: %+v, %v", page, err)
	}
	if _, err := f.q.Device(t.Context(), a.id, "hb-lt-015", now); err == nil {
		t.Error("a device of another school was found")
	}
	if _, err := f.q.Overview(t.Context(), "hollyban", now); err == nil {
		t.Error("a school that does not exist was found")
	}
	schools, err := f.q.Schools(t.Context())
	if err != nil || len(schools) != 2 || schools[0].ID != a.id || schools[1].ID != b.id {
		t.Errorf("schools: %+v, %v", schools, err)
	}
	if err := f.view.Clear(a.id); err != nil {
		t.Fatal(err)
	}
	if o, err := f.q.Overview(t.Context(), b.id, now); err != nil || o.Devices != 2 {
		t.Errorf("after the other school was cleared: %+v, %v", o, err)
	}
}

// TestFoldingTwiceChangesNothing is what makes it safe to commit a very large
// entry in parts.
func TestFoldingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		f.catchUp(t)
		history(t, rt, s, func() {
			f.catchUp(t)
			before := f.dump(t, s)
			err := f.view.Update(s.id, func(tx *view.Tx) error {
				r := s.ledger.records[len(s.ledger.records)-1]
				return f.folders[0].fold(t.Context(), tx, r)
			})
			if err != nil {
				rt.Fatal(err)
			}
			if after := f.dump(t, s); after != before {
				rt.Fatalf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	})
}
