package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// drawFleet fills a school with devices of which some have something wrong,
// unread, old or unheard, and returns when that ends.
func drawFleet(tb testing.TB, t *rapid.T, s *school) ([]*laptop, time.Time) {
	now := term
	var laptops []*laptop
	for n := range rapid.IntRange(1, 6).Draw(t, "devices") {
		l := s.enrol(tb, fmt.Sprintf("hb-lt-%03d", n), now)
		laptops = append(laptops, l)
		for range rapid.IntRange(0, 3).Draw(t, "reports") {
			for range rapid.IntRange(0, 2).Draw(t, "changes") {
				drawState(t, l)
			}
			l.report(tb, now, now)
			now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 60, 600, 3000}).Draw(t, "minutes")) * time.Minute)
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				s.decide(tb, drawDecision(t, l, now))
			case 1:
				l.contact(tb, now, now)
			case 2:
				ask := decision.Ask(fmt.Sprintf("ex-%d", s.ledger.Size()), breach.Scope{
					Rule: rapid.SampledFrom([]string{"ENC-01", "CFG-01", "EXE-02", "LIF-01"}).Draw(t, "exempt"), Of: breach.WholeSchool,
				}, now.Add(100*24*hour), "Morgan Ellis", "on order", now)
				s.decide(tb, ask)
				s.decide(tb, approval(ask, "Priya Anand", now))
			}
		}
	}
	return laptops, now
}

// drawState changes something about a laptop that no rule forgives.
func drawState(t *rapid.T, l *laptop) {
	switch rapid.IntRange(0, 9).Draw(t, "state") {
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
		l.facts.Security.Items[0].ScreenLockAfter = posture.Read(rapid.SampledFrom([]int64{300, 540, 900}).Draw(t, "lock"))
	case 7, 8:
		l.facts.Programs.Items = nil
		for range rapid.IntRange(0, 8).Draw(t, "programs") {
			l.facts.Programs.Items = append(l.facts.Programs.Items, posture.Program{
				Source: "dpkg", Architecture: rapid.SampledFrom([]string{"amd64", "all"}).Draw(t, "architecture"), Version: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"),
				Name: rapid.SampledFrom([]string{"bash", "vim", "gimp", "transmission-gtk", "anydesk", "rustdesk"}).Draw(t, "program"),
			})
		}
		l.facts.Programs.Gaps = nil
		if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
			l.facts.Programs.Gaps = []posture.Gap{{Source: "flatpak", Absent: posture.TimedOut}}
		}
	case 9:
		l.facts.Executables.Items = nil
		for n := range rapid.IntRange(0, 3).Draw(t, "executables") {
			l.facts.Executables.Items = append(l.facts.Executables.Items, posture.Executable{
				Location: posture.Downloads, Format: posture.ELF, SHA256: posture.Read(fmt.Sprintf("%064x", n)),
				Product: posture.Read(""), Version: posture.Read(""), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
			})
		}
	}
}

// drawPolicy changes the policy in force: rules go and come back, parameters
// and terms differ.
func drawPolicy(t *rapid.T) func(*policy.Policy) {
	dropped := rapid.SampledFrom([]string{"", "", "CFG-01", "USB-01", "EXE-02", "LIF-01", "ENC-05"}).Draw(t, "dropped")
	mode := rapid.SampledFrom([]string{"record", "deny", "allow"}).Draw(t, "programs")
	portable := rapid.SampledFrom([]string{"record", "deny"}).Draw(t, "portable")
	media := rapid.SampledFrom([]string{"record", "encrypted", "ban"}).Draw(t, "media")
	lock := rapid.SampledFrom([]time.Duration{6 * time.Minute, 10 * time.Minute, 20 * time.Minute}).Draw(t, "lock")
	grave := rapid.SampledFrom([]posture.Severity{posture.Low, posture.High, posture.Critical}).Draw(t, "severity")
	grace := rapid.SampledFrom([]time.Duration{0, 48 * hour}).Draw(t, "grace")
	allowed := rapid.SampledFrom([][]string{nil, {"bash", "vim"}, {"*"}}).Draw(t, "allowed")
	return func(p *policy.Policy) {
		dropRule(dropped)(p)
		p.Parameters = slices.Clone(p.Parameters)
		for i := range p.Parameters {
			q := &p.Parameters[i]
			switch q.Name {
			case "programs":
				q.Text = mode
			case "portablePrograms":
				q.Text = portable
			case "media":
				q.Text = media
			case "lockWithin":
				q.Number = int64(lock)
			case "allowedPrograms":
				q.Texts = allowed
			}
		}
		for i := range p.Rules {
			if p.Rules[i].ID == "CFG-02" {
				p.Rules[i].Severity, p.Rules[i].Grace = grave, grace
			}
		}
	}
}

// drafted is the policy in force with a change, as it would be drafted.
func (s *school) drafted(change func(*policy.Policy)) *policy.Policy {
	p := *s.policy.Policy()
	p.Rules = slices.Clone(p.Rules)
	change(&p)
	return &p
}

// standingBreaches lists what stands on each device, with its status and severity.
func standingBreaches(tb testing.TB, f fixture, s *school, now time.Time) map[breach.Key]string {
	tb.Helper()
	found := map[breach.Key]string{}
	for after := ""; ; {
		page, err := f.q.Breaches(context.Background(), s.id, view.BreachQuery{Statuses: breach.Statuses(), Limit: 500, After: after}, now)
		if err != nil {
			tb.Fatal(err)
		}
		for _, b := range page.Breaches {
			if b.Status != breach.Resolved && b.Status != breach.NotYet {
				found[breach.Key{Device: b.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key}] = fmt.Sprint(b.Severity)
			}
		}
		if after = page.Next; after == "" {
			return found
		}
	}
}

// previewed lists what a preview says opens and closes.
func previewed(p view.Preview) (opens, closes []string) {
	for _, r := range p.Rules {
		for _, d := range r.Listed {
			for _, b := range d.Breaches {
				line := fmt.Sprintf("%s %s %s:%s", d.ID, r.Rule, b.Subject.Kind, b.Subject.Key)
				if b.Closes {
					closes = append(closes, line)
				} else {
					opens = append(opens, line+" "+b.Severity.String())
				}
			}
		}
	}
	slices.Sort(opens)
	slices.Sort(closes)
	return opens, closes
}

// TestPreviewEqualsPublishing: what a preview says is what the same policy finds
// once it is published and every device that is heard of judged by it, through
// the real folding. The preview writes nothing.
func TestPreviewEqualsPublishing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		if rapid.Bool().Draw(rt, "own policy") {
			s.publish(t, term, drawPolicy(rt))
		}
		laptops, now := drawFleet(t, rt, s)
		// Every device speaks before the preview, so that what is held is not old.
		for _, l := range laptops {
			l.policy, l.number = s.policy, s.number
			l.report(t, now, now)
		}
		f := open(rt, s)
		f.catchUp(t)
		before, dump := standingBreaches(t, f, s, now), f.dump(t, s)
		change := drawPolicy(rt)
		p, err := f.Preview(t.Context(), s.id, Draft{Policy: s.drafted(change), Now: now})
		if err != nil {
			rt.Fatal(err)
		}
		if f.dump(t, s) != dump {
			rt.Fatal("the preview changed the view")
		}
		s.publish(t, now, change)
		for _, l := range laptops {
			l.policy, l.number = s.policy, s.number
			l.report(t, now, now)
		}
		f.catchUp(t)
		after := standingBreaches(t, f, s, now)
		var opened, closed []string
		for k, severity := range after {
			if _, stood := before[k]; !stood {
				opened = append(opened, fmt.Sprintf("%s %s %s:%s %s", k.Device, k.Rule, k.Kind, k.ID, severity))
			}
		}
		for k := range before {
			if _, stands := after[k]; !stands {
				closed = append(closed, fmt.Sprintf("%s %s %s:%s", k.Device, k.Rule, k.Kind, k.ID))
			}
		}
		slices.Sort(opened)
		slices.Sort(closed)
		if p.Opens != len(opened) || p.Closes != len(closed) {
			rt.Fatalf("the preview says %d open and %d close; publishing opens %v and closes %v\n%+v", p.Opens, p.Closes, opened, closed, p)
		}
		opens, closes := previewed(p)
		if len(opens)+len(closes) == p.Opens+p.Closes && (!slices.Equal(opens, opened) || !slices.Equal(closes, closed)) {
			rt.Fatalf("the preview opens %v and closes %v; publishing opens %v and closes %v", opens, closes, opened, closed)
		}
		o := f.overview(t, s, now)
		for i, r := range o.Rules {
			want := view.StandingCount{Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor}
			if got := p.Rules[i]; got.Rule != r.Rule || got.After != want {
				rt.Fatalf("%s: the preview counts %+v, publishing %+v", r.Rule, got, want)
			}
		}
	})
}

// TestPreviewNeverPassesWhatIsNotHeld: what is too old, forgotten or damaged is
// not proven in a preview, and opens and closes nothing.
func TestPreviewNeverPassesWhatIsNotHeld(t *testing.T) {
	for name, spoil := range map[string]func(s *school, l *laptop){
		"old":       func(*school, *laptop) {},
		"forgotten": func(s *school, _ *laptop) { forgetBodies(s) },
		"damaged":   func(s *school, _ *laptop) { s.ledger.spoil(2, "security") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchool(t, "hollybank")
			l := s.enrol(t, "hb-lt-014", term)
			l.facts.Security.Items[0].Firewall = posture.Read(false)
			l.report(t, term, term)
			now := term.Add(hour)
			f := open(t, s)
			f.catchUp(t)
			spoil(s, l)
			if name == "old" {
				now = term.Add(10 * 24 * hour)
			}
			p, err := f.Preview(t.Context(), s.id, Draft{Policy: s.drafted(func(*policy.Policy) {}), Now: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Rules {
				if r.Rule == "CFG-01" && (r.After != view.StandingCount{NotProven: 1} || r.Closes != 0) {
					t.Errorf("CFG-01: %+v", r)
				}
				if r.Rule == "CFG-02" && r.After.Met != 0 {
					t.Errorf("CFG-02 passes on what is not held: %+v", r)
				}
			}
		})
	}
}

// forgetBodies takes every body about posture out of a shelf.
func forgetBodies(s *school) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for i := range s.ledger.bodies {
		for n := range s.ledger.bodies[i] {
			if s.ledger.records[i].Envelope.Sections[n].Name == "security" {
				s.ledger.bodies[i][n] = nil
			}
		}
	}
}

// TestPreviewCanBeStopped: it ends when nobody waits any more, and says how far
// it is on the way.
func TestPreviewCanBeStopped(t *testing.T) {
	s := newSchool(t, "hollybank")
	for n := range 3 * chunkDevices {
		l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", n), term)
		l.report(t, term, term)
	}
	f := open(t, s)
	f.catchUp(t)
	ctx, stop := context.WithCancel(t.Context())
	var told []string
	_, err := f.Preview(ctx, s.id, Draft{Policy: s.drafted(func(*policy.Policy) {}), Now: term, Progress: func(done, total int) {
		told = append(told, fmt.Sprintf("%d of %d", done, total))
		stop()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(told) == 0 || !strings.HasSuffix(told[0], " of 96") {
		t.Errorf("told %v", told)
	}
}

// TestPreviewOfManyFailuresIsBounded: devices are listed up to a bound, and all
// counted.
func TestPreviewOfManyFailuresIsBounded(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.publish(t, term, dropRule("CFG-01"))
	const devices = mostListed + 20
	for n := range devices {
		l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", n), term)
		l.facts.Security.Items[0].Firewall = posture.Read(false)
		l.report(t, term, term)
	}
	f := open(t, s)
	f.catchUp(t)
	base, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Preview(t.Context(), s.id, Draft{Policy: base.Policy(), Now: term})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rules {
		if r.Rule != "CFG-01" {
			continue
		}
		if !r.New || r.Opens != devices || r.Pending != devices || r.Touched != devices || len(r.Listed) != mostListed || r.Listed[0].Hostname != "hb-lt-000" {
			t.Errorf("CFG-01: opens %d, pending %d, touched %d, listed %d", r.Opens, r.Pending, r.Touched, len(r.Listed))
		}
	}
	if p.Opens != devices || p.Affected != devices || p.Closes != 0 || p.From != 1 {
		t.Errorf("opens %d on %d devices, closes %d, from policy %d", p.Opens, p.Affected, p.Closes, p.From)
	}
}
