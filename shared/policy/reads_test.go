package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// section gives access to one section of facts.
type section struct {
	copy   func(to, from *posture.Facts)
	readAt func(*posture.Facts) *time.Time
}

func sections() map[string]section {
	return map[string]section{
		"system":       {func(to, from *posture.Facts) { to.System = from.System }, func(f *posture.Facts) *time.Time { return &f.System.ReadAt }},
		"encryption":   {func(to, from *posture.Facts) { to.Volumes = from.Volumes }, func(f *posture.Facts) *time.Time { return &f.Volumes.ReadAt }},
		"antivirus":    {func(to, from *posture.Facts) { to.Antivirus = from.Antivirus }, func(f *posture.Facts) *time.Time { return &f.Antivirus.ReadAt }},
		"media":        {func(to, from *posture.Facts) { to.Media = from.Media }, func(f *posture.Facts) *time.Time { return &f.Media.ReadAt }},
		"media-events": {func(to, from *posture.Facts) { to.MediaEvents = from.MediaEvents }, func(f *posture.Facts) *time.Time { return &f.MediaEvents.ReadAt }},
		"programs":     {func(to, from *posture.Facts) { to.Programs = from.Programs }, func(f *posture.Facts) *time.Time { return &f.Programs.ReadAt }},
		"executables": {func(to, from *posture.Facts) { to.Executables, to.Scripts = from.Executables, from.Scripts }, func(f *posture.Facts) *time.Time {
			f.Scripts.ReadAt = f.Executables.ReadAt
			return &f.Executables.ReadAt
		}},
		"security": {func(to, from *posture.Facts) { to.Security = from.Security }, func(f *posture.Facts) *time.Time { return &f.Security.ReadAt }},
	}
}

// outcomes is what two judgements are compared by.
func outcomes(findings []posture.Finding, rule string) []string {
	var list []string
	for _, f := range findings {
		if f.Rule == rule {
			list = append(list, fmt.Sprint(f.Subject.Kind, " ", f.Subject.Key, " ", f.Result, " ", f.Severity, " ", f.Grace))
		}
	}
	slices.Sort(list)
	return list
}

// TestReadsIsAllThatIsRead judges each rule by facts, and again by facts that
// are others but for the sections that the rule is said to read, at another
// moment: it finds the same as long as the ages that it allows are kept.
func TestReadsIsAllThatIsRead(t *testing.T) {
	l := load(t)
	rapid.Check(t, func(t *rapid.T) {
		first, second := facts().Draw(t, "first"), facts().Draw(t, "second")
		later := now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 30, 60 * 26, 60 * 24 * 15, -20, 60 * 24 * 120}).Draw(t, "minutes")) * time.Minute)
		age := rapid.SampledFrom([]time.Duration{0, time.Minute, 23 * time.Hour, 8 * 24 * time.Hour, -10 * time.Minute})
		a := policy.Assignment{Ownership: rapid.SampledFrom([]posture.Ownership{"", posture.SchoolSingleUser, posture.VisitorOwned}).Draw(t, "class")}
		all := sections()
		for name, s := range all {
			*s.readAt(&first) = now.Add(-age.Draw(t, name))
			s.readAt(&first)
			*s.readAt(&second) = later.Add(-age.Draw(t, name+" again"))
			s.readAt(&second)
		}
		for _, r := range l.Policy().Rules {
			if r.Side != policy.OnDevice {
				continue
			}
			reads, _ := l.Reads(r.ID)
			at, some := later, second
			if reads.Clock {
				at = now
			}
			same := true
			for _, name := range reads.Sections {
				s := all[name]
				readAt := *s.readAt(&second)
				s.copy(&some, &first)
				if !reads.Clock {
					*s.readAt(&some) = readAt
					s.readAt(&some)
				}
				same = same && r.Trust(*s.readAt(&some), at) == r.Trust(*s.readAt(&first), now)
			}
			if !same {
				continue
			}
			only := func(id string) bool { return id == r.ID }
			got, want := outcomes(l.EvaluateRules(a, some, at, only), r.ID), outcomes(l.Evaluate(a, first, now), r.ID)
			if !slices.Equal(got, want) {
				t.Fatalf("%s reads %+v: found %v, then %v", r.ID, reads, want, got)
			}
		}
	})
}

// TestWhatRulesRead names what the shipped rules read, and which of them the
// time itself changes.
func TestWhatRulesRead(t *testing.T) {
	l := load(t)
	for rule, want := range map[string]policy.Reads{
		"ENC-01": {Sections: []string{"encryption", "system"}},
		"ENC-02": {Sections: []string{"encryption"}},
		"AV-01":  {Sections: []string{"antivirus"}},
		"AV-02":  {Sections: []string{"antivirus"}, Clock: true},
		"AV-03":  {Sections: []string{"security"}},
		"USB-01": {Sections: []string{"media"}},
		"EXE-02": {Sections: []string{"programs"}},
		"EXE-03": {Sections: []string{"executables"}},
		"PAT-02": {Sections: []string{"security"}, Clock: true},
		"CFG-01": {Sections: []string{"security"}},
		"LIF-01": {Sections: []string{"contact"}, Clock: true},
		"LIF-02": {Sections: []string{"agent"}},
	} {
		if got, ok := l.Reads(rule); !ok || !slices.Equal(got.Sections, want.Sections) || got.Clock != want.Clock {
			t.Errorf("%s: got %+v, want %+v", rule, got, want)
		}
	}
	if _, ok := l.Reads("XYZ-99"); ok {
		t.Error("a rule that there is not reads something")
	}
}
