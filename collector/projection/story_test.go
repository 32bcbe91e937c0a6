package projection

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const serial = "00000000000000000000000000000000000000000000000000000000000000aa"

func TestAGoodLaptop(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term.Add(time.Minute), term.Add(time.Minute))
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(hour))
	if len(d.Breaches) != 0 || len(d.Disagreements) != 0 || d.NotMet != 0 {
		t.Errorf("a good laptop: breaches %v, disagreements %v, findings %+v", line(d.Breaches), d.Disagreements, d.Findings)
	}
	for _, rule := range []string{"ENC-01", "ENC-05", "AV-01", "LIF-01", "LIF-02"} {
		if got := standing(t, d, rule); got.Standing != view.Met {
			t.Errorf("%s: got %s, %s", rule, got.Standing, got.Message)
		}
	}
	if got := standing(t, d, "LIF-03"); got.Standing != view.NotProven || got.Result != posture.NotChecked {
		t.Errorf("a rule without a fact: got %s, %s", got.Standing, got.Result)
	}
	if d.Facts.Volumes.Items[0].Method.Value != "LUKS2" || d.Hostname != "hb-lt-014" || d.Ownership != posture.SchoolSingleUser {
		t.Errorf("facts and row: %+v", d.Device)
	}
	o := f.overview(t, s, term.Add(hour))
	if o.Devices != 1 || o.Silent != 0 || counts(t, o, "ENC-01") != [5]int{1} || counts(t, o, "LIF-03") != [5]int{0, 0, 1} {
		t.Errorf("overview: %+v", o)
	}
}

func TestABreachFromFailureToRepair(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(t, term, term)
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(time.Minute))
	if got := standing(t, d, "ENC-01"); got.Standing != view.NotMet {
		t.Fatalf("ENC-01: got %s", got.Standing)
	}
	if len(d.Breaches) == 0 || d.Open == 0 {
		t.Fatalf("breaches: %v", line(d.Breaches))
	}
	// Two days without the network: the repair keeps its true time.
	l.facts.Volumes.Items = []posture.Volume{volume(true)}
	l.report(t, term.Add(10*hour), term.Add(58*hour))
	d = f.device(t, s, "hb-lt-014", term.Add(60*hour))
	for _, b := range d.Breaches {
		if b.Status != breach.Resolved || !b.ResolvedAt.Equal(term.Add(10*hour)) {
			t.Errorf("%s: %s at %v", b.Rule, b.Status, b.ResolvedAt)
		}
	}
	if got := standing(t, d, "ENC-01"); got.Standing != view.Met || !got.Since.Equal(term.Add(10*hour)) {
		t.Errorf("ENC-01: got %s since %v", got.Standing, got.Since)
	}
}

func TestAStickThatIsPulledOutResolvesNothing(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
	l.report(t, term, term)
	l.facts.Media.Items = nil
	l.report(t, term.Add(hour), term.Add(hour))
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(2*hour))
	if got := line(d.Breaches); got != "[USB-01 open]" {
		t.Errorf("pulled out: got %s", got)
	}
	if got := counts(t, f.overview(t, s, term.Add(2*hour)), "USB-01"); got != [5]int{0, 0, 0, 0, 1} {
		t.Errorf("pulled out: the overview has %v", got)
	}
	l.facts.Media.Items = []posture.Medium{stick(serial, posture.Encrypted)}
	l.report(t, term.Add(3*hour), term.Add(3*hour))
	d = f.device(t, s, "hb-lt-014", term.Add(4*hour))
	if got := line(d.Breaches); got != "[USB-01 resolved]" {
		t.Errorf("seen encrypted: got %s", got)
	}
}

func TestNotProvenNeitherOpensNorResolves(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Volumes = posture.NotFound[posture.Volume]("sysfs", posture.Denied)
	l.report(t, term, term)
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(hour))
	if got := line(d.Breaches); got != "[ENC-05 open]" { // the school's rule that encryption is proven
		t.Errorf("denied: got %s", got)
	}
	l.facts.Volumes = posture.Found("sysfs", volume(false))
	l.report(t, term.Add(hour), term.Add(hour))
	l.facts.Volumes = posture.NotFound[posture.Volume]("sysfs", posture.TimedOut)
	l.report(t, term.Add(2*hour), term.Add(2*hour))
	d = f.device(t, s, "hb-lt-014", term.Add(3*hour))
	for _, b := range d.Breaches {
		if b.Rule == "ENC-01" && b.Status != breach.Open {
			t.Errorf("timed out after a failure: ENC-01 is %s", b.Status)
		}
	}
	if got := standing(t, d, "ENC-01"); got.Standing != view.NotProven {
		t.Errorf("ENC-01: got %s", got.Standing)
	}
}

func TestSilence(t *testing.T) {
	s := newSchool(t, "hollybank")
	good := s.enrol(t, "hb-lt-014", term)
	good.report(t, term, term)
	bad := s.enrol(t, "hb-lt-015", term)
	bad.facts.Volumes.Items = []posture.Volume{volume(false)}
	bad.report(t, term, term)
	f := open(t, s)
	later := term.Add(20 * 24 * hour)
	d := f.device(t, s, "hb-lt-014", later)
	if !d.Silent || line(d.Breaches) != "[ENC-05 open LIF-01 open]" {
		t.Errorf("silent for 20 days: %v, breaches %s", d.Silent, line(d.Breaches))
	}
	if got := standing(t, d, "ENC-01"); got.Standing != view.NotProven || got.Reason != "stale" {
		t.Errorf("ENC-01 while silent: got %s, %s", got.Standing, got.Reason)
	}
	if got := standing(t, d, "LIF-01"); got.Standing != view.NotMet || !got.Since.After(term.Add(14*24*hour)) {
		t.Errorf("LIF-01 while silent: got %s since %v", got.Standing, got.Since)
	}
	if got := standing(t, f.device(t, s, "hb-lt-015", later), "ENC-01"); got.Standing != view.NotMet {
		t.Errorf("a failure while silent: got %s", got.Standing)
	}
	o := f.overview(t, s, later)
	if o.Silent != 2 || counts(t, o, "ENC-01") != [5]int{0, 1, 1} || counts(t, o, "LIF-01") != [5]int{0, 2} {
		t.Errorf("overview: %d silent, ENC-01 %v, LIF-01 %v", o.Silent, counts(t, o, "ENC-01"), counts(t, o, "LIF-01"))
	}
	missing := f.device(t, s, "hb-lt-014", term.Add(31*24*hour))
	for _, b := range missing.Breaches {
		if b.Rule == "LIF-01" && b.Severity != posture.High {
			t.Errorf("LIF-01 after 31 days: severity %s", b.Severity)
		}
	}
	// Back after the holidays: the breach by silence was real, and is over.
	good.contact(t, later, later)
	d = f.device(t, s, "hb-lt-014", later.Add(hour))
	if d.Silent || line(d.Breaches) != "[ENC-05 resolved LIF-01 resolved]" {
		t.Errorf("heard again: silent %v, breaches %s", d.Silent, line(d.Breaches))
	}
	if got := standing(t, d, "ENC-01"); got.Standing != view.Met {
		t.Errorf("ENC-01 when heard again: got %s", got.Standing)
	}
}

func TestDecisions(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(t, term, term)
	f := open(t, s)
	enc := keyOf("hb-lt-014", "ENC-01", "volume", "aaaaaaaaaaaa")
	decide := func(kind decision.Kind, at time.Time, key breach.Key) {
		s.decide(t, decision.Decision{Kind: kind, By: "technician", At: at, Reason: "sent away", Breach: key})
	}
	status := func(at time.Time, key breach.Key) breach.Status {
		for _, b := range f.device(t, s, "hb-lt-014", at).Breaches {
			if b.Rule == key.Rule {
				return b.Status
			}
		}
		return breach.NotYet
	}
	decide(decision.Acknowledge, term.Add(hour), enc)
	if got := status(term.Add(2*hour), enc); got != breach.Acknowledged {
		t.Errorf("acknowledged: got %s", got)
	}
	from, until := term.Add(2*hour), term.Add(50*hour)
	s.exempt(t, "ex-1", scopeOf(enc), from, until)
	if got := status(term.Add(3*hour), enc); got != breach.Exempt {
		t.Errorf("exempt: got %s", got)
	}
	d := f.device(t, s, "hb-lt-014", term.Add(3*hour))
	if got := standing(t, d, "ENC-01"); got.Standing != view.Exempt || got.Result != posture.Fail {
		t.Errorf("the finding under an exemption: %s, %s", got.Standing, got.Result)
	}
	if got := counts(t, f.overview(t, s, term.Add(3*hour)), "ENC-01"); got != [5]int{0, 0, 0, 1} {
		t.Errorf("overview during the exemption: %v", got)
	}
	if got := counts(t, f.overview(t, s, until), "ENC-01"); got != [5]int{0, 1} {
		t.Errorf("overview after the exemption: %v", got)
	}
	decide(decision.Resolve, term.Add(52*hour), enc)
	if got := status(term.Add(53*hour), enc); got != breach.Resolved {
		t.Errorf("resolved by hand: got %s", got)
	}
	l.contact(t, term.Add(54*hour), term.Add(54*hour))
	if got := status(term.Add(55*hour), enc); got == breach.Resolved {
		t.Errorf("failing still after a decision: got %s", got)
	}
	// A breach by silence can be acknowledged, though no entry speaks of it.
	lif := keyOf("hb-lt-014", "LIF-01", "device", "")
	later := term.Add(30 * 24 * hour)
	if got := status(later, lif); got != breach.Open {
		t.Errorf("silent: got %s", got)
	}
	decide(decision.Acknowledge, later, lif)
	if got := status(later.Add(hour), lif); got != breach.Acknowledged {
		t.Errorf("silent and acknowledged: got %s", got)
	}
	o := f.overview(t, s, later.Add(hour))
	want := []view.BreachCount{
		{Status: breach.Open, Severity: posture.High, Count: 1}, // ENC-05
		{Status: breach.Acknowledged, Severity: posture.Critical, Count: 1},
		{Status: breach.Acknowledged, Severity: posture.Moderate, Count: 1},
	}
	if !slices.Equal(o.Breaches, want) {
		t.Errorf("overview: got %+v, want %+v", o.Breaches, want)
	}
}

// TestExemptBeforeTheSilence exempts a laptop from being seen before it falls
// silent: its line, the overview and its own page then say the same.
func TestExemptBeforeTheSilence(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term).report(t, term, term)
	from, until := term.Add(hour), term.Add(40*24*hour)
	s.exempt(t, "ex-1", scopeOf(keyOf("hb-lt-014", "LIF-01", "device", "")), from, until)
	f := open(t, s)
	for at, want := range map[time.Time]view.Standing{
		term.Add(2 * hour): view.Met, term.Add(20 * 24 * hour): view.Exempt, until.Add(hour): view.NotMet,
	} {
		if got := standing(t, f.device(t, s, "hb-lt-014", at), "LIF-01"); got.Standing != want {
			t.Errorf("%s: its page says %s, want %s", at.Sub(term), got.Standing, want)
		}
		column := map[view.Standing]int{view.Met: 0, view.NotMet: 1, view.Exempt: 3}[want]
		if got := counts(t, f.overview(t, s, at), "LIF-01"); got[column] != 1 {
			t.Errorf("%s: the overview counts %v, want one %s", at.Sub(term), got, want)
		}
	}
}

func TestALieIsADisagreement(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.lie = "ENC-01"
	l.report(t, term, term)
	d := open(t, s).device(t, s, "hb-lt-014", term.Add(4*24*hour))
	if len(d.Disagreements) != 1 || d.Disagreements[0] != "ENC-01" {
		t.Errorf("disagreements: %v", d.Disagreements)
	}
	if got := standing(t, d, "LIF-02"); got.Standing != view.NotMet || !strings.HasSuffix(got.Message, "It judged a rule otherwise than the collector does from the same facts. Install the agent again; if that does not mend it, find out whether somebody changed it.") {
		t.Errorf("LIF-02: got %s, %q", got.Standing, got.Message)
	}
}

func TestAWithdrawnRuleEndsItsBreaches(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Security.Items[0].Firewall = posture.Read(false)
	l.report(t, term, term)
	s.publish(t, term.Add(hour), func(p *policy.Policy) {
		for i, r := range p.Rules {
			if r.ID == "CFG-01" {
				p.Rules = append(p.Rules[:i:i], p.Rules[i+1:]...)
				return
			}
		}
	})
	l.policy, l.number = s.policy, s.number
	l.report(t, term.Add(2*hour), term.Add(2*hour))
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(3*hour))
	if got := line(d.Breaches); got != "[CFG-01 resolved]" || d.Breaches[0].Resolution != breach.Withdrawn {
		t.Errorf("got %s", got)
	}
	if o := f.overview(t, s, term.Add(3*hour)); o.Policy != 1 {
		t.Errorf("the overview names policy %d", o.Policy)
	}
}

func TestSkewIsMeasuredNotTrusted(t *testing.T) {
	s := newSchool(t, "hollybank")
	fast := s.enrol(t, "hb-lt-014", term)
	fast.skew = 3 * hour
	fast.facts.Volumes.Items = []posture.Volume{volume(false)}
	fast.report(t, term.Add(hour), term.Add(hour))
	slow := s.enrol(t, "hb-lt-015", term)
	slow.skew = -3 * hour
	slow.report(t, term.Add(hour), term.Add(hour))
	slow.contact(t, term.Add(2*hour), term.Add(2*hour))
	late := s.enrol(t, "hb-lt-016", term)
	late.report(t, term.Add(hour), term.Add(30*hour))
	late.report(t, term.Add(2*hour), term.Add(30*hour+time.Second))
	f := open(t, s)
	d := f.device(t, s, "hb-lt-014", term.Add(31*hour))
	if d.Skew != posture.Read(3*hour) || !d.Breaches[0].FirstFailed.Equal(term.Add(hour)) {
		t.Errorf("a fast clock: skew %v, failed at %v", d.Skew, d.Breaches[0].FirstFailed)
	}
	if got := f.device(t, s, "hb-lt-015", term.Add(31*hour)).Skew; got != posture.Read(-3*hour) {
		t.Errorf("a slow clock: skew %v", got)
	}
	if got := f.device(t, s, "hb-lt-016", term.Add(31*hour)).Skew; got != posture.Unread[time.Duration](posture.NotVisible) {
		t.Errorf("late reports prove nothing of the clock: %v", got)
	}
	if got := standing(t, f.device(t, s, "hb-lt-016", term.Add(31*hour)), "LIF-02"); got.Standing != view.NotProven {
		t.Errorf("the rule about the clock is %s", got.Standing)
	}
	late.contact(t, term.Add(31*hour), term.Add(31*hour+time.Second))
	f = open(t, s)
	if got := f.device(t, s, "hb-lt-016", term.Add(32*hour)).Skew; got != posture.Read(time.Duration(0)) {
		t.Errorf("a contact came at once: %v", got)
	}
}

func TestMissingReportsAreAGap(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	l.sequence += 3
	l.report(t, term.Add(hour), term.Add(hour))
	d := open(t, s).device(t, s, "hb-lt-014", term.Add(2*hour))
	if len(d.Gaps) != 1 || d.Gaps[0].From != 2 || d.Gaps[0].To != 4 {
		t.Errorf("gaps: %+v", d.Gaps)
	}
}

func TestMediaEventsAreKeptNewestFirst(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	for i := range 3 {
		at := term.Add(time.Duration(i) * hour)
		l.facts.MediaEvents.Items = []posture.MediumEvent{{
			Number: uint64(i + 1), At: at, Action: posture.Attached, Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb",
		}}
		l.report(t, at, at)
	}
	d := open(t, s).device(t, s, "hb-lt-014", term.Add(4*hour))
	if len(d.Events) != 3 || d.Events[0].Number != 3 || d.Events[2].Number != 1 || d.Events[0].Entry != 4 {
		t.Errorf("events: %+v", d.Events)
	}
	if len(d.Disagreements) != 0 {
		t.Errorf("disagreements: %v", d.Disagreements)
	}
}

// TestProgramsThatGo: a program that fails and is uninstalled is gone, unless
// the list of programs is not whole.
func TestProgramsThatGo(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	bash := l.facts.Programs.Items[0]
	torrent := posture.Program{Source: "dpkg", Name: "transmission-gtk", Version: "4", Architecture: "amd64"}
	l.facts.Programs.Items = []posture.Program{bash, torrent}
	l.report(t, term, term)
	f := open(t, s)
	before := line(f.device(t, s, "hb-lt-014", term.Add(time.Minute)).Breaches)
	if before != "[EXE-02 open]" {
		t.Fatalf("a denied program: got %s", before)
	}
	l.facts.Programs.Items = []posture.Program{bash}
	l.facts.Programs.Gaps = []posture.Gap{{Source: "flatpak", Absent: posture.TimedOut}}
	l.report(t, term.Add(hour), term.Add(hour))
	if got := line(f.device(t, s, "hb-lt-014", term.Add(2*hour)).Breaches); got != "[EXE-02 open]" {
		t.Errorf("missing from a list with gaps: got %s", got)
	}
	l.facts.Programs.Gaps = nil
	l.report(t, term.Add(3*hour), term.Add(3*hour))
	if got := line(f.device(t, s, "hb-lt-014", term.Add(4*hour)).Breaches); got != "[EXE-02 resolved]" {
		t.Errorf("uninstalled: got %s", got)
	}
}

// TestAFailureOffTheListIsNotGone: more programs fail than are listed one by
// one, so that one which is not among them may fail still.
func TestAFailureOffTheListIsNotGone(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	last := posture.Program{Source: "dpkg", Name: "transmission-gtk", Version: "4", Architecture: "zzz"}
	l.facts.Programs.Items = []posture.Program{last}
	l.report(t, term, term)
	for i := range 150 {
		other := last
		other.Architecture = fmt.Sprintf("a%03d", i)
		l.facts.Programs.Items = append(l.facts.Programs.Items, other)
	}
	l.report(t, term.Add(hour), term.Add(hour))
	d := open(t, s).device(t, s, "hb-lt-014", term.Add(2*hour))
	for _, b := range d.Breaches {
		if b.Status == breach.Resolved {
			t.Errorf("resolved: %+v", b)
		}
	}
}

// TestHeardAgainAfterADecision settles a breach while nothing fails, and then the
// laptop is silent for too long: that it is heard again ends the silence, whatever
// was settled before.
func TestHeardAgainAfterADecision(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	s.decide(t, decision.Decision{
		Kind: decision.Resolve, By: "technician", At: term.Add(hour), Reason: "sent away", Breach: keyOf("hb-lt-014", "ENC-01", "volume", "aaaaaaaaaaaa"),
	})
	back := term.Add(22 * 24 * hour)
	l.assign(t, back, []string{"Year 6"}) // by which the silence is noticed
	l.contact(t, back.Add(hour), back.Add(hour))
	if got := line(open(t, s).device(t, s, "hb-lt-014", back.Add(2*hour)).Breaches); got != "[ENC-05 resolved LIF-01 resolved]" {
		t.Errorf("heard again: %s", got)
	}
}
