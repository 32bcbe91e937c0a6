package rulebook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// against compares a changed text of the shipped baseline with another, and lists
// what is loosened.
func against(t *testing.T, base, own string) []Loosening {
	t.Helper()
	text := func(file, source string) Text {
		p, err := Compile(file, []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		return Text{File: file, Source: []byte(source), Policy: p}
	}
	found, err := Compare(text("baseline.yaml", base), text("hollybank.yaml", own))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func items(found []Loosening) string {
	var list []string
	for _, l := range found {
		word := string(l.Direction)
		if word == "" {
			word = "unclear"
		}
		list = append(list, strings.Trim(l.Item+"."+l.Field, ".")+" "+word)
	}
	return strings.Join(list, ", ")
}

// edited is the text of the shipped baseline with one thing said otherwise.
func edited(t *testing.T, pairs ...string) string {
	t.Helper()
	_, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the baseline does not say %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// TestModesAreOrdered: of each choice that a school makes, one is stricter than
// the next.
func TestModesAreOrdered(t *testing.T) {
	for name, order := range map[string][]string{
		"media":            {"record", "encrypted", "registered", "ban"},
		"programs":         {"record", "deny", "allow"},
		"portablePrograms": {"record", "deny", "allow"},
	} {
		for i, a := range order {
			for j, b := range order {
				found, err := Compare(Text{Policy: chosen(t, map[string]string{name: a})}, Text{Policy: chosen(t, map[string]string{name: b})})
				if err != nil {
					t.Fatal(err)
				}
				want := ""
				if j < i {
					want = "param." + name + " looser"
				}
				if got := items(found); got != want {
					t.Errorf("%s from %s to %s: got %q, want %q: %+v", name, a, b, got, want, found)
				}
			}
		}
	}
}

func TestLooserAndTighter(t *testing.T) {
	firewall := "    require: facts.security.firewall\n    severity: high\n    grace: 24h\n"
	with := func(severity, grace string) string {
		return fmt.Sprintf("    require: facts.security.firewall\n    severity: %s\n    grace: %s\n", severity, grace)
	}
	for name, c := range map[string]struct {
		change []string
		want   string
	}{
		"nothing":                     {nil, ""},
		"other words":                 {[]string{"title: Firewall is on", "title: The firewall"}, ""},
		"graver and sooner":           {[]string{firewall, with("critical", "1h")}, ""},
		"a lower severity":            {[]string{firewall, with("medium", "24h")}, "CFG-01.severity looser"},
		"a longer grace":              {[]string{firewall, with("high", "25h")}, "CFG-01.grace looser"},
		"the same in school days":     {[]string{firewall, with("high", "1 school day")}, "CFG-01.grace looser"},
		"the same online":             {[]string{firewall, with("high", "24h online")}, "CFG-01.grace looser"},
		"fewer hours online":          {[]string{firewall, with("high", "2h online")}, "CFG-01.grace unclear"},
		"plain time for school days":  {[]string{"grace: 7 school days", "grace: 7d"}, ""},
		"longer plain time":           {[]string{"grace: 7 school days", "grace: 8d"}, "ENC-04.grace unclear"},
		"plain time for time online":  {[]string{"grace: 24h online", "grace: 24h"}, ""},
		"a class less":                {[]string{"classes: [SS, SM, AU]", "classes: [SS, AU]"}, "ENC-01.classes looser"},
		"a class more":                {[]string{"classes: [SS, SM]", "classes: [SS, SM, AU]"}, ""},
		"older facts":                 {[]string{"maxAge: 24h", "maxAge: 48h"}, "USB-01.maxAge looser"},
		"only the newest facts":       {[]string{"maxAge: 24h", "maxAge: 1s"}, "USB-01.maxAge unclear"},
		"another condition":           {[]string{"require: facts.security.firewall", "require: facts.security.firewall || true"}, "CFG-01.require unclear"},
		"a condition for covering":    {[]string{firewall, "    when: device.chassis == \"laptop\"\n" + firewall}, "CFG-01.when unclear"},
		"covers everything":           {[]string{"    when: volume.role in [\"data\", \"swap\"]\n", ""}, ""},
		"no escalation":               {[]string{"    escalate:\n      after: 24h\n      severity: critical\n", ""}, "ENC-02.escalate looser"},
		"a later escalation":          {[]string{"      after: 24h\n", "      after: 48h\n"}, "ENC-02.escalate looser"},
		"critical at once":            {[]string{"    severity: high\n    grace: 24h\n    escalate:\n      after: 24h\n      severity: critical\n", "    severity: critical\n    grace: 24h\n"}, ""},
		"a longer case":               {[]string{"grace: 90d", "grace: 91d"}, "ENC-01.variants looser"},
		"no cases":                    {[]string{"    variants:\n      - when: device.chassis == \"desktop\"\n        severity: medium\n        grace: 90d\n", ""}, ""},
		"nothing found is met":        {[]string{"none: error", "none: pass"}, "ENC-01.none looser"},
		"a longer span":               {[]string{"updatesWithin: 14d", "updatesWithin: 15d"}, "param.updatesWithin looser"},
		"a shorter span":              {[]string{"updatesWithin: 14d", "updatesWithin: 13d"}, ""},
		"one more product":            {[]string{"    - clamav\n", "    - clamav\n    - homemade\n"}, "AV-01.variants unclear, param.approvedAntivirus unclear"},
		"a denied program less":       {[]string{"    - tor\n", ""}, "param.deniedPrograms looser"},
		"a denied program more":       {[]string{"    - tor\n", "    - tor\n    - i2p\n"}, ""},
		"an allowed file":             {[]string{"allowedExecutables: []", "allowedExecutables: [\"00\"]"}, "param.allowedExecutables looser"},
		"a denied signer":             {[]string{"deniedSigners: []", "deniedSigners: [Northwick]"}, ""},
		"a longer silence":            {[]string{"seenWithin: 14d", "seenWithin: 15d"}, "param.seenWithin looser"},
		"a later case about silence":  {[]string{"missingAfter: 30d", "missingAfter: 31d"}, "LIF-01.variants unclear"},
		"a wrong clock for longer":    {[]string{"clockWithin: 10m", "clockWithin: 11m"}, "param.clockWithin looser"},
		"lists in another order":      {[]string{"    - tor\n    - tor browser*\n", "    - tor browser*\n    - tor\n"}, ""},
		"all that may not be allowed": {[]string{"    value: deny\n", "    value: record\n", "seenWithin: 14d", "seenWithin: 20d"}, "param.programs looser, param.seenWithin looser"},
	} {
		if got := items(against(t, edited(t), edited(t, c.change...))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestALooseningSaysWhereItStands: with the line of the policy and that of the
// baseline, and in words.
func TestALooseningSaysWhereItStands(t *testing.T) {
	base := edited(t)
	own := edited(t, "# The policy that Caretaker ships", "#\n# The policy that Caretaker ships", "updatesWithin: 14d", "updatesWithin: 30d",
		"    grace: 7 school days\n    classes: [SS, SM]\n    clauses: [C9]", "    grace: 9 school days\n    classes: [SS, SM]\n    clauses: [C9]")
	line := func(text, of string) int { return 1 + strings.Count(text[:strings.Index(text, of)], "\n") }
	found := against(t, base, own)
	if len(found) != 2 {
		t.Fatalf("found %+v", found)
	}
	for i, want := range []struct {
		own, base, words string
	}{
		{"    grace: 9 school days", "    grace: 7 school days\n    classes: [SS, SM]\n    clauses: [C9]", "ENC-04: its grace is 9 school days, and in the baseline 7 school days"},
		{"  updatesWithin: 30d", "  updatesWithin: 14d", "param.updatesWithin: is 30 days, and in the baseline 14 days: PAT-02 asks less"},
	} {
		l := found[i]
		if l.Line != line(own, want.own) || l.Baseline != line(base, want.base) {
			t.Errorf("%s stands in line %d, and %d of the baseline", l.Item, l.Line, l.Baseline)
		}
		if got := l.Fault("hollybank.yaml").String(); got != fmt.Sprintf("hollybank.yaml:%d:%d: %s (line %d of the baseline)", l.Line, l.Column, want.words, l.Baseline) {
			t.Errorf("said %q", got)
		}
	}
}

// TestAMarkIsOfWhatWasSeen: what was allowed is allowed as it stood. Anything else
// about the same rule, and another value that its own condition reads, is another.
func TestAMarkIsOfWhatWasSeen(t *testing.T) {
	marks := func(base, own string) map[string][32]byte {
		m := map[string][32]byte{}
		for _, l := range against(t, base, own) {
			m[l.Item] = l.Mark
		}
		return m
	}
	firewall, longer := "    severity: high\n    grace: 24h\n    classes: [SS, SM, AU]\n    clauses: [C12]", "    severity: high\n    grace: 48h\n    classes: [SS, SM, AU]\n    clauses: [C12]"
	base := edited(t)
	first := marks(base, edited(t, firewall, longer))["CFG-01"]
	if first == ([32]byte{}) {
		t.Fatal("there is no mark")
	}
	for name, c := range map[string]struct {
		base, own string
		same      bool
	}{
		"another text beside it": {base, edited(t, firewall, longer, "title: Firewall is on", "title: Fire", "lockWithin: 10m", "lockWithin: 5m"), true},
		"a still longer grace":   {base, edited(t, firewall, strings.Replace(longer, "48h", "49h", 1)), false},
		"a stricter baseline":    {edited(t, firewall, strings.Replace(longer, "48h", "12h", 1)), edited(t, firewall, longer), false},
	} {
		if got := marks(c.base, c.own)["CFG-01"]; (got == first) != c.same {
			t.Errorf("%s: the same %v", name, !c.same)
		}
	}
	other := []string{"require: \"!facts.security.autoRun\"", "require: \"!facts.security.autoRun || facts.security.screenLockAfter > param.lockWithin\""}
	slack := marks(base, edited(t, other...))["USB-03"]
	if got := marks(base, edited(t, append(slices.Clone(other), "lockWithin: 10m", "lockWithin: 1s")...))["USB-03"]; got == slack {
		t.Error("its own condition reads another value, and what was allowed holds still")
	}
}

// TestWhatIsAllowedOfOneParameterLetsNoOtherIn: a condition in which one parameter
// counts only once another is loosened names both, so that who allows the first as
// it stood has not allowed whatever the second may be.
func TestWhatIsAllowedOfOneParameterLetsNoOtherIn(t *testing.T) {
	condition := []string{"require: facts.security.firewall", "require: facts.security.firewall || param.media == \"record\" && facts.security.screenLockAfter > param.lockWithin"}
	base := edited(t, condition...)
	looser := append(slices.Clone(condition), "    value: encrypted\n", "    value: record\n")
	if !strings.Contains(items(against(t, base, edited(t, looser...))), "param.media") {
		t.Fatal("media: record is not found to ask less")
	}
	found := items(against(t, base, edited(t, append(looser, "lockWithin: 10m", "lockWithin: 1s")...)))
	if !strings.Contains(found, "param.lockWithin") {
		t.Errorf("another parameter made it looser still: got %q", found)
	}
}

// FuzzCompare: whatever compiles can be compared, every loosening has a place in
// words and a mark, and nothing asks less than itself.
func FuzzCompare(f *testing.F) {
	const rule = "name: a\ntitle: b\nparameters: {x: {value: a, choices: [a, b]}, y: 3h}\nrules:\n  - id: X-01\n    title: c\n    for: device\n    when: 'param.x == \"a\"'\n" +
		"    require: facts.security.screenLockAfter <= param.y\n    severity: high\n    grace: 24h\n    classes: [SS]\n    clauses: [C9]\n    met: d\n    notMet: e\n    remediation: {all: f}\n"
	f.Add([]byte(rule), []byte(strings.Replace(rule, "value: a", "value: b", 1)))
	f.Add(schoolSource, []byte(rule))
	f.Fuzz(func(t *testing.T, base, own []byte) {
		var texts []Text
		for _, source := range [][]byte{base, own} {
			p, err := Compile("policy", source)
			if err != nil {
				return
			}
			texts = append(texts, Text{File: "policy", Source: source, Policy: p})
		}
		found, err := Compare(texts[0], texts[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			if l.Item == "" || l.Words == "" || l.Mark == ([32]byte{}) {
				t.Errorf("a loosening without a name, words or mark: %+v", l)
			}
		}
		if same, err := Compare(texts[1], texts[1]); err != nil || len(same) > 0 {
			t.Errorf("it asks less than itself: %+v, %v", same, err)
		}
	})
}
