package rulebook_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func lines(changes []rulebook.Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s%s: %s [%s]\n", c.Rule, c.Parameter, c.Words, c.Direction)
	}
	return b.String()
}

// changedBaseline is the shipped policy with something changed in it.
func changedBaseline(t *testing.T, change func(*policy.Policy)) (from, to *policy.Policy) {
	t.Helper()
	from, _, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	body, err := policy.Encode(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err = policy.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	change(to)
	return from, to
}

func ruleOf(p *policy.Policy, id string) *policy.Rule {
	for i := range p.Rules {
		if p.Rules[i].ID == id {
			return &p.Rules[i]
		}
	}
	panic("there is no rule " + id)
}

func TestDiffInWords(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*policy.Policy)
		want   string
	}{
		"nothing":          {func(*policy.Policy) {}, ""},
		"a lower severity": {func(p *policy.Policy) { ruleOf(p, "ENC-01").Severity = posture.High }, "ENC-01: its severity was critical and becomes high [looser]\n"},
		"a longer grace":   {func(p *policy.Policy) { ruleOf(p, "ENC-02").Grace = 49 * time.Hour }, "ENC-02: its grace is 2 days 1 hour instead of 1 day [looser]\n"},
		"another clock":    {func(p *policy.Policy) { ruleOf(p, "ENC-02").GraceIn = policy.SchoolDays }, "ENC-02: its grace is 1 school day instead of 1 day [looser]\n"},
		"hours online":     {func(p *policy.Policy) { ruleOf(p, "ENC-02").GraceIn = policy.OnlineTime }, "ENC-02: its grace is 24 hours online instead of 1 day [looser]\n"},
		"fewer of them":    {func(p *policy.Policy) { ruleOf(p, "AV-02").Grace = time.Hour }, "AV-02: its grace is 1 hour online instead of 24 hours online [tighter]\n"},
		"none at all":      {func(p *policy.Policy) { ruleOf(p, "USB-03").Grace = 0 }, "USB-03: its grace is none instead of 7 school days [tighter]\n"},
		"days for hours":   {func(p *policy.Policy) { ruleOf(p, "AV-02").GraceIn = policy.SchoolDays }, "AV-02: its grace is 1 school day instead of 24 hours online []\n"},
		"any age":          {func(p *policy.Policy) { ruleOf(p, "ENC-02").MaxAge = 0 }, "ENC-02: facts counted for 7 days and count for as long as they stand [looser]\n"},
		"a class less": {
			func(p *policy.Policy) {
				ruleOf(p, "ENC-01").Classes = []posture.Ownership{posture.SchoolSingleUser, posture.SchoolMultiUser}
			},
			"ENC-01: it no longer covers devices that are authorised [looser]\n",
		},
		"a class more": {
			func(p *policy.Policy) { r := ruleOf(p, "ENC-03"); r.Classes = append(r.Classes, posture.Authorised) },
			"ENC-03: it now covers devices that are authorised [tighter]\n",
		},
		"a rule less":       {func(p *policy.Policy) { p.Rules = p.Rules[1:] }, "ENC-01: is no longer a rule: System disk encrypted [looser]\n"},
		"another condition": {func(p *policy.Policy) { ruleOf(p, "ENC-01").Require = ruleOf(p, "ENC-02").Require }, "ENC-01: what it requires changes []\n"},
		"other words":       {func(p *policy.Policy) { ruleOf(p, "ENC-01").Met = "Yes." }, "ENC-01: its words change []\n"},
		"no escalation":     {func(p *policy.Policy) { ruleOf(p, "ENC-02").Escalate = nil }, "ENC-02: the cases in which its severity or grace differ, or rise, change []\n"},
		"parameters": {
			func(p *policy.Policy) {
				for i := range p.Parameters {
					switch q := &p.Parameters[i]; q.Name {
					case "definitionsWithin":
						q.Number = int64(90 * time.Minute)
					case "media":
						q.Text = "ban"
					case "approvedAntivirus":
						q.Texts = append(q.Texts[1:], "panda")
					}
				}
			},
			"approvedAntivirus: gains panda []\napprovedAntivirus: loses microsoft-defender []\n" +
				"definitionsWithin: was 3 days and becomes 1 hour 30 minutes []\nmedia: was \"encrypted\" and becomes \"ban\" []\n",
		},
	} {
		from, to := changedBaseline(t, c.change)
		if diff := cmp.Diff(c.want, lines(rulebook.Diff(from, to))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		// The other way round, what was looser is tighter; but for the age of facts, for
		// what fails on old ones is then only not proven.
		for i, back := range rulebook.Diff(to, from) {
			there := rulebook.Diff(from, to)
			if i < len(there) && name != "any age" && (there[i].Direction == rulebook.Looser) != (back.Direction == rulebook.Tighter) {
				t.Errorf("%s: there %+v and back %+v", name, there[i], back)
			}
		}
	}
}

// TestDiffSeesEveryChange: two policies that are not the same to the byte
// differ in words too.
func TestDiffSeesEveryChange(t *testing.T) {
	for id := range map[string]bool{"ENC-01": true, "AV-01": true, "LIF-03": true} {
		for name, change := range map[string]func(*policy.Rule){
			"title": func(r *policy.Rule) { r.Title += "!" }, "side": func(r *policy.Rule) { r.Side += "!" },
			"for": func(r *policy.Rule) { r.For += "!" }, "when": func(r *policy.Rule) { r.When = append(r.When, 1) },
			"none": func(r *policy.Rule) { r.None++ }, "remediation": func(r *policy.Rule) { r.Remediation += "!" },
			"clauses": func(r *policy.Rule) { r.Clauses = nil }, "variants": func(r *policy.Rule) { r.Variants = append(r.Variants, policy.Variant{}) },
			"escalate": func(r *policy.Rule) { r.Escalate = &policy.Escalation{After: 1} },
		} {
			from, to := changedBaseline(t, func(p *policy.Policy) { change(ruleOf(p, id)) })
			if got := rulebook.Diff(from, to); len(got) != 1 || got[0].Rule != id {
				t.Errorf("%s of %s: %s", name, id, lines(got))
			}
		}
	}
}

// TestDiffMissesNoField: whatever a field of a policy comes to hold, that is a
// change that somebody reads before they publish it.
func TestDiffMissesNoField(t *testing.T) {
	for part, of := range map[string]func(*policy.Policy) reflect.Value{
		"policy":    func(p *policy.Policy) reflect.Value { return reflect.ValueOf(p).Elem() },
		"rule":      func(p *policy.Policy) reflect.Value { return reflect.ValueOf(ruleOf(p, "ENC-02")).Elem() },
		"parameter": func(p *policy.Policy) reflect.Value { return reflect.ValueOf(&p.Parameters[0]).Elem() },
	} {
		for i := range of(&policy.Policy{Parameters: []policy.Parameter{{}}, Rules: []policy.Rule{{ID: "ENC-02"}}}).NumField() {
			var field string
			from, to := changedBaseline(t, func(p *policy.Policy) {
				field = of(p).Type().Field(i).Name
				v := of(p).Field(i)
				if part == "parameter" {
					// The field counts only in a parameter of its kind.
					kind := map[string]policy.ParameterKind{"Flag": policy.FlagParameter, "Number": policy.NumberParameter, "Text": policy.TextParameter}[field]
					if kind != "" {
						p.Parameters[0].Kind = kind
					}
				}
				alter(v)
			})
			if part == "policy" && (field == "Format" || field == "Number") {
				continue // what every publication changes by itself
			}
			if got := rulebook.Diff(from, to); len(got) == 0 {
				t.Errorf("%s: another %s is no change", part, field)
			}
		}
	}
}

// alter gives a field another value.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		alter(one)
		v.Set(reflect.Append(v, one))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.ValueOf("x"))
	case reflect.Struct:
		alter(v.Field(0))
	case reflect.Pointer:
		v.SetZero()
	default:
		panic("a field of a new kind: " + v.String())
	}
}
