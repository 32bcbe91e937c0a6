package rulebook

import (
	"cmp"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var moment = time.Date(2026, time.November, 3, 10, 0, 0, 0, time.UTC)

// texts are the policies that are changed at random: the shipped one, and one with
// conditions of every shape.
func texts(t *testing.T) []*policy.Policy {
	t.Helper()
	shipped, _, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("testdata/sway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shapes, err := Compile("sway.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return []*policy.Policy{shipped, shapes}
}

// oneIn is true once in n times.
func oneIn(t *rapid.T, n int) bool { return rapid.IntRange(1, n).Draw(t, "chance") == 1 }

// varied is a policy with some of it changed at random.
func varied(t *rapid.T, p *policy.Policy) *policy.Policy {
	out := *p
	out.Parameters, out.Rules = slices.Clone(p.Parameters), slices.Clone(p.Rules)
	for i := range out.Parameters {
		if oneIn(t, 8) {
			varyParameter(t, &out.Parameters[i])
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		varyRule(t, &out.Rules[rapid.IntRange(0, len(out.Rules)-1).Draw(t, "rule")], p)
	}
	if oneIn(t, 20) {
		out.Rules = slices.Delete(out.Rules, 0, 1)
	}
	return &out
}

var words = []string{"libre*", "tor", "scratch", "00", "11", "clamav", "sophos", "Northwick", "a", "anydesk"}

func varyParameter(t *rapid.T, q *policy.Parameter) {
	switch q.Kind {
	case policy.TextsParameter:
		q.Texts = rapid.SliceOfNDistinct(rapid.SampledFrom(words), 0, 4, rapid.ID[string]).Draw(t, "texts")
	case policy.TextParameter:
		q.Text = rapid.SampledFrom(q.Choices).Draw(t, "text")
	case policy.FlagParameter:
		q.Flag = !q.Flag
	case policy.NumberParameter:
		q.Number = rapid.Int64Range(0, 4).Draw(t, "number")
	case policy.DurationParameter:
		q.Number = int64(rapid.SampledFrom([]time.Duration{0, time.Minute, 10 * time.Minute, time.Hour, 3 * 24 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "span"))
	}
}

func varyRule(t *rapid.T, r *policy.Rule, all *policy.Policy) {
	severity := func() posture.Severity {
		return posture.Severity(rapid.IntRange(int(posture.Info), int(posture.Critical)).Draw(t, "severity"))
	}
	grace := func() time.Duration {
		return time.Duration(rapid.SampledFrom([]int{0, 1, 24, 5 * 24, 9 * 24}).Draw(t, "grace")) * time.Hour
	}
	switch rapid.IntRange(0, 11).Draw(t, "what") {
	case 0, 1:
		r.Severity = severity()
	case 2, 3:
		r.Grace = grace()
	case 4:
		r.GraceIn = rapid.SampledFrom([]policy.Clock{policy.CalendarTime, policy.SchoolDays, policy.OnlineTime}).Draw(t, "clock")
	case 5:
		r.MaxAge = time.Duration(rapid.SampledFrom([]int{0, 1, 24, 24 * 30}).Draw(t, "age")) * time.Hour
	case 6:
		r.Classes = rapid.SliceOfNDistinct(rapid.SampledFrom([]posture.Ownership{
			posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised,
		}), 1, 3, rapid.ID[posture.Ownership]).Draw(t, "classes")
	case 7:
		r.None = rapid.SampledFrom([]posture.Result{posture.NotApplicable, posture.Pass, posture.Error}).Draw(t, "none")
	case 8:
		r.When = nil
	case 9:
		for _, o := range all.Rules {
			if o.ID != r.ID && o.For == r.For && o.Side == r.Side && oneIn(t, 2) {
				r.Require, r.Facts = o.Require, o.Facts
			}
		}
	case 10:
		r.Escalate = &policy.Escalation{After: grace(), Severity: severity()}
	case 11:
		r.Variants = slices.Clone(r.Variants)
		if len(r.Variants) > 0 && oneIn(t, 2) {
			r.Variants = r.Variants[:len(r.Variants)-1]
		}
		for i := range r.Variants {
			r.Variants[i].Severity, r.Variants[i].Grace = severity(), grace()
		}
	}
}

func readings[T any](values ...T) *rapid.Generator[posture.Reading[T]] {
	return rapid.Custom(func(t *rapid.T) posture.Reading[T] {
		if oneIn(t, 8) {
			return posture.Unread[T](rapid.SampledFrom([]posture.Absence{posture.NotAsked, posture.Denied, posture.TimedOut}).Draw(t, "why"))
		}
		return posture.Read(rapid.SampledFrom(values).Draw(t, "value"))
	})
}

func answers[T any](t *rapid.T, least, most int, item func(t *rapid.T) T) posture.Answer[T] {
	a := posture.Answer[T]{Absent: posture.None, ReadAt: moment.Add(-rapid.SampledFrom([]time.Duration{0, 2 * time.Hour, 5 * 24 * time.Hour, 20 * 24 * time.Hour}).Draw(t, "age"))}
	if oneIn(t, 12) {
		a.Absent = posture.Denied
		return a
	}
	a.Items = rapid.SliceOfN(rapid.Custom(item), least, most).Draw(t, "items")
	if oneIn(t, 6) {
		a.Gaps = []posture.Gap{{Source: "other", Absent: posture.TimedOut}}
	}
	return a
}

// anything is a device with facts, as an agent may read them.
func anything(t *rapid.T) posture.Facts {
	flag := func(name string) posture.Reading[bool] { return readings(true, false).Draw(t, name) }
	number := func(name string) posture.Reading[int64] { return readings[int64](0, 1, 3, 300, 900).Draw(t, name) }
	when := func(name string) posture.Reading[time.Time] {
		return readings(moment.Add(-time.Hour), moment.Add(-20*24*time.Hour), moment.Add(-5*24*time.Hour), time.Time{}).Draw(t, name)
	}
	encryption := readings(posture.Unencrypted, posture.Partial, posture.Encrypted)
	return posture.Facts{
		System: answers(t, 1, 1, func(t *rapid.T) posture.System {
			return posture.System{Platform: posture.Linux, Chassis: readings(posture.Laptop, posture.Desktop).Draw(t, "chassis")}
		}),
		Volumes: answers(t, 0, 3, func(t *rapid.T) posture.Volume {
			return posture.Volume{
				ID:         rapid.SampledFrom([]string{"a", "b", "tor"}).Draw(t, "id"),
				Role:       rapid.SampledFrom([]posture.VolumeRole{posture.SystemVolume, posture.DataVolume, posture.SwapVolume}).Draw(t, "role"),
				Encryption: encryption.Draw(t, "encryption"),
				Protection: readings(posture.ProtectionOn, posture.ProtectionSuspended).Draw(t, "protection"),
			}
		}),
		Antivirus: answers(t, 0, 3, func(t *rapid.T) posture.Antivirus {
			return posture.Antivirus{
				Product: rapid.SampledFrom([]string{"clamav", "sophos", "tor"}).Draw(t, "product"),
				On:      flag("on"), RealTime: flag("realTime"), Expired: flag("expired"), DefinitionsAt: when("definitionsAt"), Current: flag("current"),
			}
		}),
		Media: answers(t, 0, 3, func(t *rapid.T) posture.Medium {
			return posture.Medium{
				Serial:   posture.Read(rapid.SampledFrom([]string{"1a", "2b"}).Draw(t, "serial")),
				Kind:     rapid.SampledFrom([]posture.MediumKind{posture.DiskMedium, posture.PhoneMedium}).Draw(t, "kind"),
				Capacity: number("capacity"), Writable: flag("writable"), Encryption: encryption.Draw(t, "encryption"),
			}
		}),
		Programs: answers(t, 0, 4, func(t *rapid.T) posture.Program {
			return posture.Program{Source: "dpkg", Name: rapid.SampledFrom([]string{"LibreOffice", "anydesk", "scratch", "tor"}).Draw(t, "name")}
		}),
		Executables: answers(t, 0, 3, func(t *rapid.T) posture.Executable {
			return posture.Executable{
				Location: posture.Downloads, Format: posture.ELF,
				SHA256:    posture.Read(rapid.SampledFrom([]string{"00", "11"}).Draw(t, "sha256")),
				Signature: readings(posture.Unsigned, posture.SignedValid).Draw(t, "signature"),
				Signer:    readings("", "Northwick").Draw(t, "signer"),
			}
		}),
		Security: answers(t, 1, 1, func(t *rapid.T) posture.Security {
			return posture.Security{
				OSSupported: flag("osSupported"), UpdatesImportant: number("updates"), ImportantSince: when("since"), UpdatesCheckedAt: when("checked"),
				Firewall: flag("firewall"), ScreenLock: flag("lock"), ScreenLockAfter: number("lockAfter"), PasswordSet: flag("password"),
				AutoLogon: flag("autoLogon"), AutoRun: flag("autoRun"), DailyUserAdmin: flag("admin"), OpenDetections: number("detections"),
			}
		}),
	}
}

// kept is what a collector may keep about a device.
func kept(t *rapid.T, system posture.Answer[posture.System]) policy.SchoolFacts {
	ago := func(name string) time.Time {
		return moment.Add(-time.Duration(rapid.SampledFrom([]int{0, 5, 20, 40}).Draw(t, name)) * 24 * time.Hour)
	}
	flag := func(name string) posture.Reading[bool] { return readings(true, false).Draw(t, name) }
	number := func(name string) posture.Reading[int64] { return readings[int64](0, 1, 3).Draw(t, name) }
	return policy.SchoolFacts{
		System:     system,
		Contact:    posture.Found("collector", policy.Contact{LastAt: ago("contact")}),
		Coverage:   posture.Found("collector", policy.Coverage{EncryptionProven: flag("proven"), EncryptionAt: posture.Read(ago("encryption"))}),
		Agent:      posture.Found("collector", policy.Agent{Skew: readings(0, time.Minute, -time.Hour).Draw(t, "skew"), ProbeErrors: number("errors"), Disagreements: number("disagreements"), Dropped: number("dropped")}),
		Register:   posture.Found("register", policy.Register{UnknownMedia: number("unknown")}),
		Licences:   posture.Found("register", policy.Licences{Over: number("over")}),
		Allocation: posture.Found("register", policy.Allocation{Held: flag("held"), Ends: flag("ends"), EndsAt: posture.Read(ago("endsAt")), Leaver: flag("leaver")}),
	}
}

// worst is how grave a failure is after it has stood for a while, and when it is
// open: after so much plain time, of which a share passes while the school is open
// and a share while the device is online.
func worst(p *policy.Policy, f posture.Finding, stood time.Duration) (posture.Severity, time.Duration) {
	r, _ := p.Rule(f.Rule)
	severity, open := f.Severity, f.Grace
	if e := r.Escalate; e != nil && e.After > 0 && stood >= e.After {
		severity = max(severity, e.Severity)
	}
	switch {
	case r.Pauses():
		open *= 3
	case r.Waits():
		open *= 2
	}
	return severity, open
}

// TestNothingFailsLessUnderAPolicyThatLoosensNothing: over random pairs of
// policies and random devices, where Compare finds no loosening every failure of
// the baseline is one of the policy too, as grave at every moment and open no
// later.
func TestNothingFailsLessUnderAPolicyThatLoosensNothing(t *testing.T) {
	all := texts(t)
	compared, tighter, failures := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SampledFrom(all).Draw(t, "text")
		base := varied(t, from)
		own := varied(t, base)
		found, err := Compare(Text{Policy: base}, Text{Policy: own})
		if err != nil {
			t.Fatal(err)
		}
		compared++
		lax := map[string]bool{}
		for _, l := range found {
			lax[l.Item] = true
		}
		// What is loosened is left out, with every rule that reads a parameter which is;
		// the others must hold by themselves.
		spared := func(id string) bool {
			r, _ := base.Rule(id)
			if lax[id] {
				return true
			}
			for _, condition := range conditions(r) {
				_, read, _ := swayOf(condition, parameters(base), parameters(base))
				for name := range read {
					if lax["param."+name] {
						return true
					}
				}
			}
			return false
		}
		a := policy.Assignment{Ownership: rapid.SampledFrom([]posture.Ownership{"", posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised}).Draw(t, "class")}
		if oneIn(t, 2) {
			a.Groups = []string{"lab"}
		}
		f := anything(t)
		s := kept(t, f.System)
		was := append(policy.Evaluate(base, a, f, moment), policy.EvaluateSchool(base, a, s, moment)...)
		is := append(policy.Evaluate(own, a, f, moment), policy.EvaluateSchool(own, a, s, moment)...)
		if len(found) == 0 && len(Diff(base, own)) > 0 {
			tighter++
		}
		for _, x := range was {
			if x.Result != posture.Fail || spared(x.Rule) {
				continue
			}
			failures++
			i := slices.IndexFunc(is, func(y posture.Finding) bool {
				return y.Rule == x.Rule && y.Subject == x.Subject
			})
			if i < 0 || is[i].Result != posture.Fail {
				t.Fatalf("%s %q failed under the baseline: %+v\nfound %+v\nparameters %+v\nand %+v", x.Rule, x.Subject.Key, is, found, base.Parameters, own.Parameters)
			}
			for _, stood := range []time.Duration{0, 2 * time.Hour, 30 * time.Hour, 30 * 24 * time.Hour} {
				s1, g1 := worst(base, x, stood)
				s2, g2 := worst(own, is[i], stood)
				if s2 < s1 || g2 > g1 {
					t.Fatalf("%s %q is %s and open after %s, under the baseline %s and %s", x.Rule, x.Subject.Key, s2, g2, s1, g1)
				}
			}
		}
	})
	t.Logf("%d pairs, %d of them only tighter, %d failures", compared, tighter, failures)
	if cmp.Or(tighter, failures) == 0 {
		t.Error("no pair was tighter, or nothing failed")
	}
}
