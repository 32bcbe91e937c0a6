package rulebook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// chosen compiles the baseline with some of its choices made differently, each a
// line of the file and what takes its place.
func chosen(t *testing.T, choices map[string]string) *policy.Policy {
	t.Helper()
	_, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for name, value := range choices {
		list := "\n  " + name + ": []\n"
		mode := "\n  " + name + ":\n    value: "
		switch {
		case strings.Contains(text, list):
			text = strings.Replace(text, list, "\n  "+name+": "+value+"\n", 1)
		case strings.Contains(text, mode):
			before, after, _ := strings.Cut(text, mode)
			_, after, _ = strings.Cut(after, "\n")
			text = before + mode + value + "\n" + after
		default:
			t.Fatalf("the baseline has no choice %q", name)
		}
	}
	p, err := Compile("school.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// found lists what some rules of a policy find, in short: a rule, its subject and
// the result.
func found(p *policy.Policy, f posture.Facts, rules ...string) string {
	now := time.Date(2026, time.November, 3, 10, 0, 0, 0, time.UTC)
	for _, at := range []*time.Time{&f.System.ReadAt, &f.Media.ReadAt, &f.Programs.ReadAt, &f.Executables.ReadAt} {
		*at = now
	}
	var lines []string
	for _, x := range policy.Evaluate(p, policy.Assignment{Ownership: posture.SchoolSingleUser}, f, now) {
		if slices.Contains(rules, x.Rule) {
			subject := x.Subject.Label
			if x.Subject.Key == "" {
				subject = "rest"
			}
			lines = append(lines, fmt.Sprintf("%s=%s", subject, x.Result))
		}
	}
	return strings.Join(lines, " ")
}

func TestModesOfMedia(t *testing.T) {
	medium := func(name string, e posture.Reading[posture.EncryptionState], writable bool) posture.Medium {
		return posture.Medium{
			Serial: posture.Read(name), Product: name, Kind: posture.DiskMedium, Bus: "usb", Encryption: e,
			Capacity: posture.Read[int64](1 << 33), Writable: posture.Read(writable),
		}
	}
	facts := posture.Facts{Media: posture.Found("sysfs",
		medium("a-encrypted", posture.Read(posture.Encrypted), true),
		medium("b-plain", posture.Read(posture.Unencrypted), true),
		medium("c-film", posture.Read(posture.Unencrypted), false),
		medium("d-locked", posture.Unread[posture.EncryptionState](posture.Denied), true),
	)}
	for mode, want := range map[string]string{
		"record":     "rest=notapplicable",
		"encrypted":  "a-encrypted=pass b-plain=fail c-film=notapplicable d-locked=error",
		"registered": "a-encrypted=pass b-plain=fail c-film=notapplicable d-locked=error",
		"ban":        "a-encrypted=fail b-plain=fail c-film=notapplicable d-locked=fail",
	} {
		p := chosen(t, map[string]string{"media": mode})
		if got := found(p, facts, "USB-01"); got != want {
			t.Errorf("%s: got %s, want %s", mode, got, want)
		}
		for n, result := range map[int64]posture.Result{0: posture.Pass, 2: posture.Fail} {
			if mode != "registered" && mode != "ban" {
				result = posture.NotApplicable
			}
			school := policy.SchoolFacts{Register: posture.Found("register", policy.Register{UnknownMedia: posture.Read(n)})}
			for _, f := range policy.EvaluateSchool(p, policy.Assignment{Ownership: posture.SchoolSingleUser}, school, time.Time{}) {
				if f.Rule == "USB-02" && f.Result != result {
					t.Errorf("%s with %d unknown media: USB-02 is %s, want %s", mode, n, f.Result, result)
				}
			}
		}
	}
}

func TestModesOfPrograms(t *testing.T) {
	program := func(name, publisher string, signer posture.Reading[string]) posture.Program {
		return posture.Program{Source: "registry", Name: name, Publisher: publisher, Signer: signer}
	}
	unread := posture.Unread[string](posture.NotAsked)
	facts := posture.Facts{Programs: posture.Found("registry",
		program("a-maths", "Number Works", unread), program("b-paint", "Brush Ltd", posture.Read("Brush Ltd")), program("c-anydesk", "AnyDesk", unread),
	)}
	for name, row := range map[string]struct {
		choices    map[string]string
		exe1, exe2 string
	}{
		"record": {map[string]string{"programs": "record"}, "rest=notapplicable", "rest=notapplicable"},
		"deny":   {map[string]string{"programs": "deny", "deniedProducts": "[x]"}, "rest=notapplicable", "rest=pass"},
		"deny by name": {
			map[string]string{"programs": "deny", "deniedPublishers": "[any*]"}, "rest=notapplicable", "c-anydesk=fail rest=pass",
		},
		"deny by signer, where it is not known who signed": {
			map[string]string{"programs": "deny", "deniedSigners": "[Brush Ltd]"}, "rest=notapplicable", "b-paint=fail rest=notchecked",
		},
		"allow nothing":      {map[string]string{"programs": "allow"}, "a-maths=fail b-paint=fail c-anydesk=fail rest=pass", "rest=pass"},
		"allow by name":      {map[string]string{"programs": "allow", "allowedPrograms": "[a-*]"}, "b-paint=fail c-anydesk=fail rest=pass", "rest=pass"},
		"allow by publisher": {map[string]string{"programs": "allow", "allowedPublishers": "[number works]"}, "b-paint=fail c-anydesk=fail rest=pass", "rest=pass"},
		"allow by signer, where it is not known who signed": {
			map[string]string{"programs": "allow", "allowedPrograms": "[a-*]", "allowedSigners": "[Brush Ltd]"}, "rest=notchecked", "rest=pass",
		},
	} {
		p := chosen(t, row.choices)
		if got := found(p, facts, "EXE-01"); got != row.exe1 {
			t.Errorf("%s: EXE-01 %s, want %s", name, got, row.exe1)
		}
		if got := found(p, facts, "EXE-02"); got != row.exe2 {
			t.Errorf("%s: EXE-02 %s, want %s", name, got, row.exe2)
		}
	}
}

func TestModesOfPortablePrograms(t *testing.T) {
	hash := func(digit string) string { return strings.Repeat(digit, 64) }
	executable := func(product, digit string, s posture.SignatureState, signer string) posture.Executable {
		return posture.Executable{
			Location: posture.Downloads, Format: posture.PE, Product: posture.Read(product), SHA256: posture.Read(hash(digit)),
			Signature: posture.Read(s), Signer: posture.Read(signer),
		}
	}
	facts := posture.Facts{Executables: posture.Found("walk",
		executable("a-quest", "a", posture.Unsigned, ""), executable("b-tool", "b", posture.SignedValid, "Tools Ltd"), executable("c-fake", "c", posture.SignedInvalid, "Tools Ltd"),
	)}
	unread := facts
	unread.Executables.Items = slices.Clone(facts.Executables.Items)
	unread.Executables.Items[0].SHA256 = posture.Unread[string](posture.Denied)
	for name, row := range map[string]struct {
		choices map[string]string
		facts   posture.Facts
		want    string
	}{
		"record":                {map[string]string{"portablePrograms": "record"}, facts, "rest=notapplicable"},
		"allow nothing":         {nil, facts, "a-quest=fail b-tool=fail c-fake=fail rest=pass"},
		"allow by hash":         {map[string]string{"allowedExecutables": "[" + hash("a") + "]"}, facts, "b-tool=fail c-fake=fail rest=pass"},
		"allow by signer":       {map[string]string{"allowedSigners": "[Tools Ltd]"}, facts, "a-quest=fail c-fake=fail rest=pass"},
		"allowed and denied":    {map[string]string{"allowedSigners": "[Tools Ltd]", "deniedExecutables": "[" + hash("b") + "]"}, facts, "a-quest=fail b-tool=fail c-fake=fail rest=pass"},
		"deny nothing":          {map[string]string{"portablePrograms": "deny"}, facts, "rest=pass"},
		"deny by hash":          {map[string]string{"portablePrograms": "deny", "deniedExecutables": "[" + hash("a") + "]"}, facts, "a-quest=fail rest=pass"},
		"deny by signer":        {map[string]string{"portablePrograms": "deny", "deniedSigners": "[Tools Ltd]"}, facts, "b-tool=fail c-fake=fail rest=pass"},
		"deny by product":       {map[string]string{"portablePrograms": "deny", "deniedProducts": "['*quest']"}, facts, "a-quest=fail rest=pass"},
		"deny by a hash unread": {map[string]string{"portablePrograms": "deny", "deniedExecutables": "[" + hash("a") + "]"}, unread, "rest=error"},
	} {
		if got := found(chosen(t, row.choices), row.facts, "EXE-03"); got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
}
