package e2e

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
)

var update = flag.Bool("update", false, "rewrite the list of the JSON documents' fields")

// reading are the commands of the collector that only read, by their words.
func reading(device string) map[string][]string {
	return map[string][]string{
		"account list":   {"account", "list"},
		"policy check":   {"policy", "check", "testdata/hollybank.yaml"},
		"calendar check": {"calendar", "check", "testdata/calendar.yaml"},
		"policy show":    {"policy", "show"},
		"device list":    {"device", "list"},
		"device show":    {"device", "show", device},
		"breach list":    {"breach", "list"},
		"ledger show":    {"ledger", "show"},
		"ledger verify":  {"ledger", "verify"},
		"ledger forget":  {"ledger", "forget", "--class", "media", "--dry-run"},
		"view rebuild":   {"view", "rebuild"},
		"views list":     {"views", "list"},
		"update show":    {"update", "show"},
	}
}

// making are the commands that add something.
func making(n string) map[string][]string {
	return map[string][]string{
		"init":           {"init", "--school", "School " + n},
		"token create":   {"token", "create", "--school", schoolName, "--address", "127.0.0.1:1"},
		"account create": {"account", "create", "--role", "technician", "--name", "person-" + n},
		"policy publish": {"policy", "publish", "--school", schoolName, "testdata/hollybank.yaml"},
	}
}

// deeds are the commands that need one another, or change what they answer.
var deeds = []string{
	"key create", "key list", "key revoke", "breach acknowledge", "breach resolve", "evidence device", "evidence school", "evidence verify",
	"policy diff", "policy rollback", "ledger checkpoint", "calendar set", "calendar show",
	"exemption ask", "exemption list", "exemption approve", "exemption refuse", "exemption end",
	"retention show", "retention set", "retention preview", "retention run",
	"report term", "report year", "report month", "trends show", "trends changes", "particulars show", "particulars set",
	"notice set", "notice add", "notice test", "notice list", "notice log", "notice remove",
}

// doing does them, about a breach of the laptop that nobody has decided about,
// and returns what each answered.
func doing(t *testing.T, x *talk, person string) map[string]string {
	t.Helper()
	answers := map[string]string{}
	at := []string{"--data", x.Data, "--json"}
	do := func(args ...string) string {
		t.Helper()
		name := args[0] + " " + args[1]
		answers[name] = good(t, "caretaker-collector", append(args, at...)...)
		return answers[name]
	}
	school := []string{"--school", schoolName}
	key := asJSON[collectorapp.KeyAnswer](t, do("key", "create", "--account", person, "--label", "story"))
	do("key", "list")
	do("key", "revoke", key.ID)
	open := asJSON[view.BreachPage](t, good(t, "caretaker-collector", append([]string{"breach", "list", "--school", schoolName}, at...)...))
	i := slices.IndexFunc(open.Breaches, func(b view.Breach) bool { return b.Status == breach.Open })
	if i < 0 {
		t.Fatalf("no breach is open: %+v", open)
	}
	for _, deed := range []string{"acknowledge", "resolve"} {
		do(append([]string{"breach", deed, x.Device, open.Breaches[i].Rule, "--reason", "a story"}, school...)...)
	}
	file := filepath.Join(t.TempDir(), "evidence")
	do(append([]string{"evidence", "device", x.Device, "--output", file}, school...)...)
	checked := command(t, "caretaker-collector", "evidence", "verify", file, "--json")
	if checked.Status != 3 || !strings.Contains(checked.Stderr, "ORIGIN NOT PROVEN") {
		t.Errorf("evidence without trust: status %d, %s", checked.Status, checked.Stderr)
	}
	answers["evidence verify"] = checked.Stdout
	do(append([]string{"policy", "diff", "testdata/hollybank.yaml", "--from", "1"}, school...)...)
	good(t, "caretaker-collector", append([]string{"policy", "publish", "testdata/hollybank.yaml", "--school", schoolName}, at...)...)
	do(append([]string{"policy", "rollback", "1"}, school...)...)
	do(append([]string{"ledger", "checkpoint"}, school...)...)
	doingAdmissions(x, do) // before what counts laptops
	doingPolicy(t, person, do)
	doingCalendar(t, person, do)
	doingRegister(t, x, person, answers)
	doingIncidents(t, x, answers)
	doingConcerns(t, x, person, do)
	doingRestricted(t, x, person, answers)
	doingNotices(t, do)
	do(append([]string{"report", "term", "list"}, school...)...)
	do(append([]string{"report", "year", "list"}, school...)...)
	do(append([]string{"report", "month"}, school...)...)
	do(append([]string{"trends", "show"}, school...)...)
	do(append([]string{"trends", "changes"}, school...)...)
	do(append([]string{
		"particulars", "set", "--officer", "Officer of " + person, "--processor", "Northfield IT; looks after the collector; at the school",
		"--policy", "Data policy; https://hollybank.example/data",
	}, school...)...)
	do(append([]string{"particulars", "show"}, school...)...)
	doingSubjects(t, x, "Officer of "+person, do)
	doingDisputes(t, x, "Officer of "+person, do)
	days := map[bool]string{true: "60 days", false: "61 days"}[person == "person-one"] // what is so already is refused
	do(append([]string{"retention", "set", "--media", days, "--reason", "a story"}, school...)...)
	for _, command := range []string{"show", "preview", "run"} {
		do(append([]string{"retention", command}, school...)...)
	}
	doingAccounts(t, person, do)
	doingExemptions(t, x, "Head of "+person, do)
	doingTrust(t, x, person, do)
	doingBackup(t, x, answers)
	do(append([]string{"evidence", "school", "--at", time.Now().Format(time.RFC3339Nano), "--output", filepath.Join(t.TempDir(), "school")}, school...)...)
	return answers
}

// left is what of an answer shrinks while time passes.
var left = regexp.MustCompile(`"graceLeft": \d+`)

func TestCommandsAnswerAlikeWithAndWithoutACollector(t *testing.T) {
	x := newTalk(t)
	x.says() // that a stick is in it
	x.settled()
	device := x.Device
	x.killAgent()
	fields := map[string][]string{
		"agent check":  fieldsOf(t, command(t, "caretaker-agent", "check", "--json", "--replay", "testdata/machines/plain-laptop-with-stick").Stdout),
		"agent status": fieldsOf(t, good(t, "caretaker-agent", "status", "--json", "--state", x.State)),
	}
	answers := func(commands map[string][]string) map[string]string {
		all := map[string]string{}
		for name, args := range commands {
			all[name] = good(t, "caretaker-collector", append(args, "--data", x.Data, "--json")...)
		}
		return all
	}
	made := answers(making("one"))
	for name, answer := range doing(t, x, "person-one") {
		made[name] = answer
	}
	x.killCollector()
	x.startCollector()
	asking := func() map[string][]string {
		commands := reading(device)
		for name, args := range commands {
			if !slices.Contains([]string{"account list", "policy check", "calendar check", "view rebuild"}, name) {
				commands[name] = append(args, "--school", schoolName)
			}
		}
		return commands
	}
	read := func() map[string]string { return answers(asking()) }
	running := read()
	for name, args := range asking() { // and people read it in words
		if a := command(t, "caretaker-collector", append(args, "--data", x.Data)...); a.Status != 0 || a.Stdout == "" || a.Stderr != "" {
			t.Errorf("%s: status %d, %q, %q", name, a.Status, a.Stdout, a.Stderr)
		}
	}
	x.killCollector()
	for name, alone := range read() {
		// What tells of the record itself has more to tell each time: who looks is in it.
		if slices.Contains([]string{"ledger show", "ledger verify", "view rebuild", "views list"}, name) {
			if got, want := fieldsOf(t, alone), fieldsOf(t, running[name]); !slices.Equal(got, want) {
				t.Errorf("%s --json has %v while no collector runs, and %v while one does", name, got, want)
			}
			fields[name] = fieldsOf(t, alone)
			continue
		}
		if left.ReplaceAllString(alone, "") != left.ReplaceAllString(running[name], "") {
			t.Errorf("%s --json answers\n%s\nwhile no collector runs, and while one does\n%s", name, alone, running[name])
		}
		fields[name] = fieldsOf(t, alone)
	}
	// How far the view has come may differ by what is under way.
	fields["status"] = fieldsOf(t, good(t, "caretaker-collector", "status", "--json", "--data", x.Data))
	fields["health"] = fieldsOf(t, command(t, "caretaker-collector", "health", "--json", "--data", x.Data, "--school", schoolName).Stdout)
	again := answers(making("two"))
	for name, answer := range doing(t, x, "person-two") {
		again[name] = answer
	}
	for name, alone := range again {
		fields[name] = fieldsOf(t, made[name])
		if name == "init" {
			continue // says in a field of its own whether a collector runs
		}
		if got := fieldsOf(t, alone); !slices.Equal(got, fields[name]) {
			t.Errorf("%s --json has %v while no collector runs, and %v while one does", name, got, fields[name])
		}
	}
	stableFields(t, fields)
}

// stableFields compares the fields of all documents with the committed list:
// fields are added, never renamed or removed.
func stableFields(t *testing.T, fields map[string][]string) {
	t.Helper()
	const file = "testdata/json-fields.txt"
	var got []string
	for name, paths := range fields {
		for _, p := range paths {
			got = append(got, name+"\t"+p)
		}
	}
	sort.Strings(got)
	if *update {
		must(t, os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o644))
	}
	data, err := os.ReadFile(file)
	must(t, err)
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, f := range want {
		if !slices.Contains(got, f) {
			t.Errorf("a field that others may rely on is gone: %s", f)
		}
	}
	for _, f := range got {
		if !slices.Contains(want, f) {
			t.Errorf("a new field: %s; if that is meant, describe it in its type's comment and run this test with -update", f)
		}
	}
}

// fieldsOf lists the paths of all fields of the one document in text.
func fieldsOf(t *testing.T, text string) []string {
	t.Helper()
	paths := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				walk(path+"."+k, inner)
			}
		case []any:
			for _, inner := range v {
				walk(path+"[]", inner)
			}
			if len(v) == 0 {
				paths[path+"[]"] = true
			}
		default:
			paths[path] = true
		}
	}
	walk("", asJSON[any](t, text))
	var list []string
	for p := range paths {
		list = append(list, p)
	}
	sort.Strings(list)
	return list
}

func TestAnErrorIsASentenceOnStandardError(t *testing.T) {
	dir := openDir(t)
	for _, c := range []struct {
		program string
		args    []string
		words   string
	}{
		{"caretaker-collector", []string{"serve", "--data", dir + "/none"}, "make one with init"},
		{"caretaker-collector", []string{"device", "show", "x", "--data", dir + "/none"}, "make one with init"},
		{"caretaker-collector", []string{"policy", "check", "testdata/none.yaml"}, "testdata/none.yaml"},
		{"caretaker-agent", []string{"run", "--state", dir}, "not enrolled"},
		{"caretaker-agent", []string{"enroll", "--state", dir, "--token", "ctk1-x"}, "token"},
		{"caretaker-agent", []string{"check", "--policy", "testdata/hollybank.yaml"}, "policy"},
	} {
		o := command(t, c.program, c.args...)
		if o.Status != 2 || !strings.Contains(o.Stderr, c.words) || o.Stdout != "" {
			t.Errorf("%s %v: status %d, want 2 and a word of %q; it said %q and %q", c.program, c.args, o.Status, c.words, o.Stderr, o.Stdout)
		}
	}
}

func TestEveryCommandAnswersWithOneDocument(t *testing.T) {
	// That each prints exactly one is checked where the answers are compared;
	// here, that no command was left out of those lists.
	help := good(t, "caretaker-collector", "--help")
	known := reading("")
	for name, args := range making("") {
		known[name] = args
	}
	known["status"], known["health"] = []string{"status"}, []string{"health"} // their fields alone
	for _, name := range slices.Concat(deeds, accountDeeds, policyDeeds, registerDeeds, incidentDeeds, concernDeeds, disputeDeeds, admissionDeeds, restrictedDeeds, subjectDeeds, trustDeeds, backupDeeds) {
		known[name] = strings.Fields(name)
	}
	for _, group := range commandsIn(help) {
		inner := commandsIn(good(t, "caretaker-collector", group, "--help"))
		if len(inner) == 0 {
			inner = []string{""}
		}
		for _, c := range inner {
			name := strings.TrimSpace(group + " " + c)
			if known[name] == nil && !slices.Contains([]string{"update add", "update offer", "update stop", "serve", "help", "policy compile", "device assess", "device revoke"}, name) {
				t.Errorf("%q is in no test of the JSON documents", name)
			}
		}
	}
}

// commandsIn lists the commands that a help text names.
func commandsIn(help string) []string {
	_, list, ok := strings.Cut(help, "Available Commands:\n")
	if !ok {
		return nil
	}
	var names []string
	for line := range strings.Lines(list) {
		if strings.TrimSpace(line) == "" {
			break
		}
		names = append(names, strings.Fields(line)[0])
	}
	return names
}
