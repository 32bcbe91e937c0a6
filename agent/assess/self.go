package assess

import (
	"cmp"
	"slices"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SelfView is what an assessment found, in words for whoever sits at the device.
type SelfView struct {
	Policy string     `json:"policy"` // title of the policy that judged
	Met    int        `json:"met"`    // rules that are met
	Lines  []SelfLine `json:"lines"`  // what is not met or not proven, what matters most first
	More   int        `json:"more,omitempty"`
	// Shared says that several people use the device, so that nothing is said
	// of what one of them may have put there.
	Shared bool `json:"shared,omitempty"`
	// PersonalUse says that the device is its user's own too: names of programs
	// stay on it, but for those of Revealed that somebody at the school asked for.
	PersonalUse bool     `json:"personalUse,omitempty"`
	Revealed    []string `json:"revealed,omitempty"` // SHA-256
}

// SelfLine is one thing that is not as the policy has it.
type SelfLine struct {
	Rule   string `json:"rule"`
	Title  string `json:"title"`
	Proven bool   `json:"proven"` // not met; else it is not known whether it is
	Words  string `json:"words"`
	Remedy string `json:"remedy,omitempty"`
}

// mostSelf bounds the lines: what the part that stays keeps of it is small.
const mostSelf = 40

// theirs are the kinds of things that people put on a device, rather than the
// school.
var theirs = []string{"executable", "program", "medium"}

// withheldHere stands for what is not said on a device that several people use.
const withheldHere = "Several people use this laptop, so it is not said here what it is, nor whose. The school sees it without a name or a folder of a person."

// selfView puts findings into words for whoever sits at the device. On one that
// several people use it names nothing that one of them may have put there.
func selfView(rules *policy.Policy, a policy.Assignment, platform posture.Platform, findings []posture.Finding) SelfView {
	v := SelfView{
		Policy: rules.Title, Lines: []SelfLine{}, Shared: a.Ownership != posture.SchoolSingleUser,
		PersonalUse: a.PersonalUse, Revealed: slices.Clone(a.Reveal),
	}
	list := slices.Clone(findings)
	slices.SortStableFunc(list, func(x, y posture.Finding) int {
		return cmp.Or(-cmp.Compare(b2i(x.Result == posture.Fail), b2i(y.Result == posture.Fail)), -cmp.Compare(x.Severity, y.Severity), cmp.Compare(x.Rule, y.Rule))
	})
	bad := map[string]bool{}
	for _, f := range list {
		if f.Result == posture.Pass || f.Result == posture.NotApplicable {
			continue
		}
		line := lineOf(rules, platform, f)
		if v.Shared && f.Result == posture.Fail && slices.Contains(theirs, f.Subject.Kind) {
			line.Words = withheldHere
		}
		if v.Shared && bad[f.Rule] && slices.Contains(v.Lines, line) {
			continue // how many there are would tell as well
		}
		bad[f.Rule] = true
		if len(v.Lines) == mostSelf {
			v.More++
			continue
		}
		v.Lines = append(v.Lines, line)
	}
	met := map[string]bool{}
	for _, f := range findings {
		if f.Result == posture.Pass && !bad[f.Rule] {
			met[f.Rule] = true
		}
	}
	v.Met = len(met)
	return v
}

func lineOf(rules *policy.Policy, platform posture.Platform, f posture.Finding) SelfLine {
	line := SelfLine{Rule: f.Rule, Title: f.Rule, Proven: f.Result == posture.Fail, Words: f.Message}
	if rule, ok := rules.Rule(f.Rule); ok {
		line.Title = rule.Title
		if line.Proven {
			line.Remedy = rule.Remedy(platform)
		}
	}
	return line
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
