package rulebook

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
)

func shipped(t testing.TB) []byte {
	t.Helper()
	_, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestAnAmendmentChangesWhatItNamesAndNothingElse: values, lists and graces, with
// the comments of the text where they were.
func TestAnAmendmentChangesWhatItNamesAndNothingElse(t *testing.T) {
	source := shipped(t)
	amended, err := Amend("school.yaml", source, Amendment{
		MaxAge:     "5d",
		Parameters: map[string]string{"media": "registered", "seenWithin": "10d", "lockWithin": "10m"},
		Lists: map[string][]string{
			"approvedAntivirus": {"clamav", "sophos", "brook \"guard\""},
			"allowedSigners":    {"Brook Learning, Ltd: [UK]"},
			"deniedPublishers":  nil,
		},
		Graces: map[string]string{"ENC-03": "3d", "USB-03": "0", "USB-01": "2d", "EXE-01": "5 school days"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	before, _ := Compile("a", source)
	after, err := Compile("b", amended)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Diff(before, after) {
		if !strings.Contains(c.Words, "facts counted") { // of every rule without an age of its own
			words = append(words, c.Rule+c.Parameter+" "+c.Words)
		}
	}
	want := []string{
		"allowedSigners gains Brook Learning, Ltd: [UK]",
		"approvedAntivirus gains brook \"guard\"",
		"approvedAntivirus loses microsoft-defender, eset, crowdstrike, sentinelone, bitdefender, trend-micro, xprotect",
		"media was \"encrypted\" and becomes \"registered\"",
		"seenWithin was 14 days and becomes 10 days",
		"ENC-03 its grace is 3 days instead of 7 days",
		"USB-01 its grace is 2 days instead of none",
		"USB-03 its grace is none instead of 7 school days",
	}
	if !slices.Equal(words, want) {
		t.Errorf("it changes\n%s\nwant\n%s", strings.Join(words, "\n"), strings.Join(want, "\n"))
	}
	for line := range strings.Lines(string(source)) {
		if strings.Contains(line, "# ") && !bytes.Contains(amended, []byte(line)) {
			t.Errorf("the comment is gone: %s", line)
		}
	}
	same, err := Amend("school.yaml", source, Amendment{MaxAge: "7d", Parameters: map[string]string{"media": "encrypted"}, Graces: map[string]string{"ENC-01": "0"}})
	if err != nil || !bytes.Equal(same, source) {
		t.Errorf("what is so already changes the text: %v", err)
	}
}

// TestAnAmendmentThatCannotBeMadeSaysWhere: and of the amended text where it is
// that which is wrong.
func TestAnAmendmentThatCannotBeMadeSaysWhere(t *testing.T) {
	source := shipped(t)
	for name, c := range map[string]struct {
		amend Amendment
		where string
		words string
	}{
		"no such rule":      {Amendment{Graces: map[string]string{"ZZZ-01": "1d"}}, "", "no rule"},
		"no such parameter": {Amendment{Parameters: map[string]string{"sweets": "ban"}}, "", "no parameter"},
		"no such list":      {Amendment{Lists: map[string][]string{"sweets": nil}}, "", "no parameter"},
		"a list":            {Amendment{Parameters: map[string]string{"deniedPrograms": "x"}}, "parameter deniedPrograms", "is a list"},
		"no list":           {Amendment{Lists: map[string][]string{"media": {"x"}}}, "parameter media", "is no list"},
		"not a span":        {Amendment{Graces: map[string]string{"ENC-03": "soon"}}, "rule ENC-03, grace", "not a span of time"},
		"no school days":    {Amendment{Graces: map[string]string{"ENC-03": "7 school days"}}, "rule ENC-03, grace", "may not pause"},
		"more than a word":  {Amendment{Parameters: map[string]string{"media": "ban\nrules: []"}}, "parameter media", "cannot be put here"},
		"another field":     {Amendment{Graces: map[string]string{"ENC-03": "7d # for now"}}, "rule ENC-03, grace", "cannot be put here"},
		"not a choice":      {Amendment{Parameters: map[string]string{"media": "anything"}}, "parameter media", "not one of the choices"},
		"twice in a list":   {Amendment{Lists: map[string][]string{"allowedSigners": {"x", "x"}}}, "parameter allowedSigners", "twice"},
		"hidden in a list":  {Amendment{Lists: map[string][]string{"allowedSigners": {"a\u202eb"}}}, "parameter allowedSigners", "bidirectional"},
	} {
		amended, err := Amend("school.yaml", source, c.amend)
		found, ok := errors.AsType[fault.ListError](err)
		if !ok || !strings.Contains(found[0].Message, c.words) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := amended
		if text == nil {
			text = source
		}
		if where := Where(text, found[0].Line); c.where != "" && where != c.where {
			t.Errorf("%s: line %d is said to be of %q, want %q", name, found[0].Line, where, c.where)
		}
	}
}

// TestAmendmentsOfAnyKindCompileToWhatTheyAskFor draws values for the lists, spans
// and graces of the shipped policy, amends it twice, and looks at what is compiled.
func TestAmendmentsOfAnyKindCompileToWhatTheyAskFor(t *testing.T) {
	source := shipped(t)
	p, err := Compile("school.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	lists := []string{"allowedPrograms", "deniedPrograms", "allowedPublishers", "deniedPublishers", "allowedExecutables", "allowedSigners", "deniedSigners", "approvedAntivirus", "deniedProducts"}
	entry := rapid.StringMatching(`[a-zA-Zµ0-9'"#:\[\]{},&*!|>%@\\ .-]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		text := source
		want := map[string][]string{}
		for range 2 {
			a := Amendment{Lists: map[string][]string{}, Parameters: map[string]string{"updatesWithin": rapid.SampledFrom([]string{"1d", "36h", "20d"}).Draw(t, "span")}}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(lists), 0, 4, rapid.ID).Draw(t, "lists") {
				a.Lists[name] = rapid.SliceOfNDistinct(entry, 0, 6, rapid.ID).Draw(t, name)
			}
			maps.Copy(want, a.Lists)
			amended, err := Amend("school.yaml", text, a)
			if err != nil {
				t.Fatalf("%+v: %v", a, err)
			}
			text = amended
		}
		got, err := Compile("school.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		is := parameters(got)
		for name, texts := range want {
			have := slices.Clone(is[name].Texts)
			if slices.Sort(have); !slices.Equal(have, slices.Sorted(slices.Values(texts))) {
				t.Fatalf("%s holds %q, want %q", name, have, texts)
			}
		}
		for _, q := range p.Parameters {
			if _, asked := want[q.Name]; !asked && q.Name != "updatesWithin" && parameterWords(q) != parameterWords(is[q.Name]) {
				t.Fatalf("%s was not asked for and changed", q.Name)
			}
		}
	})
}

func FuzzAmend(f *testing.F) {
	f.Add([]byte("name: own\ntitle: Own\nparameters:\n  a: ['x, ]', \"y\"] # two\nrules:\n- {id: A-1, title: T, require: 'device.chassis in param.a', severity: low, classes: [SS], clauses: [C1], met: m, notMet: n, remediation: r}\n"), "a", "z", "3d")
	f.Add([]byte("name: own\r\ntitle: Own\r\nparameters:\r\n  a:\r\n  - x\r\n  - y\r\nrules:\r\n- id: A-1\r\n  title: T\r\n  require: device.chassis in param.a\r\n  severity: low\r\n  classes: [SS]\r\n  clauses: [C1]\r\n  met: m\r\n  notMet: n\r\n  remediation: r\r\n"), "a", "z", "3d")
	f.Add(shipped(f), "deniedSigners", "q", "4 school days")
	f.Fuzz(func(t *testing.T, source []byte, name, text, span string) {
		p, err := Compile("fuzz.yaml", source)
		if err != nil {
			return
		}
		amended, err := Amend("fuzz.yaml", source, Amendment{Lists: map[string][]string{name: {text}}, Graces: map[string]string{p.Rules[0].ID: span}})
		if err != nil {
			return
		}
		got, err := Compile("fuzz.yaml", amended)
		if err != nil {
			t.Fatalf("an amended text does not compile: %v\n%s", err, amended)
		}
		if list := parameters(got)[name]; list.Kind != policy.TextsParameter || !slices.Equal(list.Texts, []string{text}) {
			t.Fatalf("%s holds %+v, want %q\n%s", name, list, text, amended)
		}
		if len(got.Rules) != len(p.Rules) || len(got.Parameters) != len(p.Parameters) {
			t.Fatalf("there were %d rules and %d parameters, and are %d and %d", len(p.Rules), len(p.Parameters), len(got.Rules), len(got.Parameters))
		}
		Where(amended, len(source)%7)
	})
}

// TestADescriptionSaysWhatARuleReads: parameters and groups, in any part of its
// conditions, and how it is written.
func TestADescriptionSaysWhatARuleReads(t *testing.T) {
	source := strings.Replace(string(shipped(t)), "for: medium\n", "for: medium\n    # in the laboratory\n", 1)
	source = strings.Replace(source, `param.media != "record" &&`, `param.media != "record" && !("Science lab" in device.groups) &&`, 1)
	p, err := Compile("own.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Describe(Text{Source: []byte(source), Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	usb, av, lock := all["USB-01"], all["AV-01"], all["USB-03"]
	if !usb.Groups || !slices.Equal(usb.Reads, []string{"media"}) || !strings.Contains(usb.When, "Science lab") || usb.Require != `param.media != "ban" && medium.encryption == "full"` || usb.Grace != "none" {
		t.Errorf("of USB-01 it says %+v", usb)
	}
	if av.Groups || !slices.Equal(av.Reads, []string{"approvedAntivirus"}) || av.Grace != "4 hours online" || lock.Grace != "7 school days" {
		t.Errorf("of AV-01 it says %+v, of USB-03 %+v", av, lock)
	}
	other, err := Amend("own.yaml", []byte(source), Amendment{Parameters: map[string]string{"media": "ban"}})
	if err != nil {
		t.Fatal(err)
	}
	q, err := Compile("own.yaml", other)
	if err != nil {
		t.Fatal(err)
	}
	if SameRule("USB-01", p, q) || !SameRule("AV-01", p, q) || SameRule("ZZZ-01", p, q) {
		t.Error("another value of a parameter makes another rule of what reads it, and of nothing else")
	}
}
