package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// imports imports a list, which must be good.
func (w *world) imports(file string, asOf time.Time) collectorapp.ImportAnswer {
	w.t.Helper()
	return ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte(file), AsOf: asOf})
}

// keeps records a change of the register at the console.
func (w *world) keeps(c register.Change, person string) {
	w.t.Helper()
	before := w.asset(c.Tag).Entry
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: c, Person: person})
	until(w.t, "the change shows", func() bool { return w.asset(c.Tag).Entry > before })
}

func (w *world) asset(tag string) view.Registered {
	w.t.Helper()
	return ask[view.Registered](w, "register.show", collectorapp.AssetArguments{Tag: tag})
}

func (w *world) coverage() view.Coverage {
	w.t.Helper()
	return ask[view.Coverage](w, "register.coverage", collectorapp.AssetArguments{})
}

// school is where the only school is, for a program.
func (p caller) school() string {
	p.w.t.Helper()
	var schools api.Schools
	if got := p.ask("/schools", nil, &schools); got != http.StatusOK || len(schools.Schools) != 1 {
		p.w.t.Fatalf("the schools: %d %+v", got, schools)
	}
	return "/schools/" + string(schools.Schools[0].ID)
}

// same checks that a rebuilt view answers as the one that was followed.
func same[A any](w *world, what string, question func() A) {
	w.t.Helper()
	before, err := json.Marshal(question())
	must(w.t, err)
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	after, err := json.Marshal(question())
	must(w.t, err)
	if string(before) != string(after) {
		w.t.Errorf("%s: rebuilt it is\n%s\nand was\n%s", what, after, before)
	}
}

// TestARegisterIsImportedAndCompared: a list with errors changes nothing, a good
// one is imported once however often it is sent, its tags show beside devices,
// and what the register has and agents do not shows as such.
func TestARegisterIsImportedAndCompared(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	host := l.shown().Hostname

	bad := collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag;class\r\nHB-LT-014;SS\r\nHB-LT-014;XX\r\n")}
	err := w.do("register.import", bad, new(any))
	for _, want := range []string{`line 3, column "class"`, `line 3, column "tag"`, "is on line 2 already"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a bad list: %v does not say %s", err, want)
		}
	}
	if got := w.coverage(); got.Registered != 0 {
		t.Errorf("a bad list registered %d", got.Registered)
	}

	list := "\xef\xbb\xbftag;what;class;host;managed\r\n" +
		"HB-LT-014;Dell Latitude 5440;SS;" + host + ";\r\n" +
		"HB-LT-015;Dell Latitude 5440;SS;hb-lt-099;\r\n" +
		"HB-CB-001;Chromebook;SM;;Google Admin\r\n"
	dry := ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte(list), DryRun: true})
	if len(dry.New) != 3 || len(dry.Tied) != 1 || len(dry.Unknown) != 1 || dry.Recorded || w.coverage().Registered != 0 {
		t.Fatalf("a dry run: %+v", dry)
	}
	if got := w.imports(list, time.Time{}); !got.Recorded {
		t.Fatalf("imported: %+v", got)
	}
	until(t, "the tag shows", func() bool { return l.shown().AssetTag == "HB-LT-014" })
	if again := w.imports(list, monday); again.Recorded || again.Same != 3 {
		t.Errorf("imported again: %+v", again)
	}
	// A host name that two have says nothing.
	other := w.laptop("other", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return other.shown().LastReport == 1 })
	if err := w.do("register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte(list)}, new(any)); err == nil ||
		!strings.Contains(err.Error(), `line 2, column "host": 2 enrolled devices are named `+host) {
		t.Errorf("two laptops of one name: %v", err)
	}
	cover := w.coverage()
	for of, want := range map[view.Cover]int{view.ByAgent: 1, view.ByImport: 1, view.NeverEnrolled: 1, view.NotRegistered: 1, view.StaleImport: 0} {
		if got := cover.Of(of); got != want {
			t.Errorf("%s: %d, want %d", of, got, want)
		}
	}
	if cover.Registered != 3 || cover.Enrolled != 2 || len(cover.Gaps) != 2 {
		t.Errorf("the coverage is %+v", cover)
	}
	// One device is never two assets.
	if err := w.do("register.change", collectorapp.RegisterArguments{
		Change: register.Change{What: register.Tie, Tag: "HB-LT-015"}, Device: l.device,
	}, new(any)); err == nil || !strings.Contains(err.Error(), "HB-LT-014 already") {
		t.Errorf("a device was tied twice: %v", err)
	}
	// A list that nobody renewed proves nothing any more, and neither does a
	// laptop of which nothing is heard.
	must(t, l.stop())
	must(t, other.stop())
	w.clock.Advance(40 * 24 * time.Hour)
	cover = w.coverage()
	for of, want := range map[view.Cover]int{view.ByAgent: 0, view.SilentAgent: 1, view.ByImport: 0, view.StaleImport: 1, view.NeverEnrolled: 1} {
		if got := cover.Of(of); got != want {
			t.Errorf("after forty days, %s: %d, want %d", of, got, want)
		}
	}
	dpo := w.callerOf(c, "Priya Anand", access.DPO)
	var asked view.Coverage
	if got := dpo.ask(dpo.school()+"/coverage", nil, &asked); got != http.StatusOK || asked.Of(view.StaleImport) != 1 {
		t.Errorf("a program asks: %d %+v", got, asked)
	}
	var page view.AssetPage
	if got := dpo.ask(dpo.school()+"/register?cover=never-enrolled", nil, &page); got != http.StatusOK || len(page.Assets) != 1 || page.Assets[0].Tag != "HB-LT-015" {
		t.Errorf("what was never enrolled: %d %+v", got, page)
	}
	if got := dpo.ask(dpo.school()+"/register", api.NewChange{Change: register.Change{What: register.Untie, Tag: "HB-LT-014"}, Reason: "no"}, nil); got != http.StatusForbidden {
		t.Errorf("a data-protection officer changes the register: %d", got)
	}
	same(w, "the register", func() view.AssetPage { return ask[view.AssetPage](w, "register.list", collectorapp.AssetArguments{}) })
	w.verified()
}

// TestALoanAndALeaver: a supply teacher's loan that is over shows, though the
// laptop is switched off; a leaver's checklist is worked off, and signed by two.
func TestALoanAndALeaver(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.imports("tag,class,host\nHB-LT-014,SS,"+l.shown().Hostname+"\n", time.Time{})
	until(t, "the tag shows", func() bool { return l.shown().AssetTag == "HB-LT-014" })

	ends := time.Date(2027, 1, 13, 16, 0, 0, 0, time.UTC)
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{
		Role: "supply teacher", Guest: true, Notice: true, Ends: ends,
	}}, "S. Hazel")
	if a := w.asset("HB-LT-014"); a.Held == nil || !a.Held.Notice || a.Held.Person != "S. Hazel" || a.Overdue {
		t.Errorf("lent: %+v", a.Held)
	}
	if got := standing(l.shown(), "LIF-03"); got != view.Met {
		t.Errorf("during the loan LIF-03 is %s", got)
	}
	must(t, l.stop())
	w.clock.Advance(ends.Sub(monday) + 48*time.Hour)
	loan := func() []view.Breach {
		return ask[view.BreachPage](w, "breach.list", collectorapp.ListArguments{Device: l.device}).Breaches
	}
	overdue := false
	for _, b := range loan() {
		overdue = overdue || b.Rule == "LIF-03" && b.AssetTag == "HB-LT-014" && b.FirstFailed.Sub(ends) < time.Second
	}
	if !overdue || !w.asset("HB-LT-014").Overdue || standing(l.shown(), "LIF-03") != view.NotMet {
		t.Errorf("the loan is over: %+v", loan())
	}
	w.keeps(register.Change{What: register.HandBack, Tag: "HB-LT-014"}, "")
	if got := standing(l.shown(), "LIF-03"); got == view.NotMet {
		t.Error("handed back, the loan is over still")
	}

	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Year 4 class teacher"}}, "A. Rowan")
	w.keeps(register.Change{What: register.Left, Tag: "HB-LT-014"}, "")
	if got := standing(l.shown(), "LIF-03"); got != view.NotMet {
		t.Errorf("who has it left, and LIF-03 is %s", got)
	}
	sign := collectorapp.RegisterArguments{Change: register.Change{What: register.Sign, Tag: "HB-LT-014"}}
	if err := w.do("register.change", sign, new(any)); err == nil || !strings.Contains(err.Error(), "not everything") {
		t.Errorf("signed with nothing done: %v", err)
	}
	for _, step := range register.Steps() {
		w.keeps(register.Change{What: register.DoneStep, Tag: "HB-LT-014", Step: step, Method: "reset, and its keys destroyed"}, "")
	}
	if got := standing(l.shown(), "LIF-03"); got == view.NotMet {
		t.Error("returned, and LIF-03 is not met still")
	}
	w.keeps(sign.Change, "")
	if err := w.do("register.change", sign, new(any)); err == nil || !strings.Contains(err.Error(), "another person") {
		t.Errorf("the console signed twice: %v", err)
	}
	head := w.callerOf(c, "Jo Marsh", access.Head)
	at := head.school()
	if got := head.ask(at+"/register/HB-LT-014/signatures", api.NewSignature{Reason: "seen"}, nil); got != http.StatusCreated {
		t.Fatalf("the head signs: %d", got)
	}
	until(t, "the checklist is closed", func() bool { a := w.asset("HB-LT-014"); return a.Leaver.Closed() })
	for _, b := range loan() {
		if b.Rule == "LIF-03" && b.Status != breach.Resolved {
			t.Errorf("it stands still: %+v", b)
		}
	}
	same(w, "the asset", func() view.Registered { return w.asset("HB-LT-014") })
	if a := w.asset("HB-LT-014"); len(a.Past) != 2 || len(a.Leaver.Signed) != 2 || a.Leaver.Signed[1].By != "Jo Marsh" {
		t.Errorf("in the end it is %+v", a)
	}
	w.verified()
}

// TestAFoundStick: a stick is registered while it is in a laptop. Found later,
// and plugged into the machine set aside for that, it is known again; one that
// nobody registered is known by where it was seen.
func TestAFoundStick(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop-with-stick", c.agents)
	machine := w.laptop("machine", "plain-laptop", c.agents)
	until(t, "the reports show", func() bool { return l.shown().LastReport >= 1 && machine.shown().LastReport >= 1 })
	find := func() view.FoundMedia { return ask[view.FoundMedia](w, "media.find", collectorapp.MediaArguments{}) }
	if got := find(); len(got.Machines) != 0 || len(got.Found) != 0 {
		t.Errorf("with no machine for it: %+v", got)
	}
	w.imports("tag,class\nHB-LT-014,SS\nHB-PC-001,SM\n", time.Time{})
	until(t, "the assets show", func() bool { return w.coverage().Registered == 2 })
	for tag, device := range map[string]string{"HB-LT-014": l.device, "HB-PC-001": machine.device} {
		ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{
			Change: register.Change{What: register.Tie, Tag: tag}, Device: device,
		})
	}
	w.keeps(register.Change{What: register.Investigate, Tag: "HB-PC-001", On: true}, "")
	until(t, "the tags show", func() bool { return l.shown().AssetTag == "HB-LT-014" && machine.shown().AssetTag == "HB-PC-001" })

	machine.becomes("plain-laptop-with-stick")
	machine.at(monday.Add(8 * time.Hour))
	until(t, "the stick is found", func() bool { return len(find().Found) == 1 })
	found := find().Found[0]
	if found.Match != view.Unregistered || found.On != "HB-PC-001" || len(found.Seen) != 1 || found.Seen[0].AssetTag != "HB-LT-014" || found.Encryption != "none" {
		t.Errorf("a stick of nobody's: %+v", found)
	}
	registers := collectorapp.RegisterArguments{Device: l.device, Change: register.Change{
		What: register.RegisterMedium, Tag: "M-031", Issue: &register.Issue{Role: "Year 4 class teacher"},
	}}
	ask[collectorapp.RegisterAnswer](w, "register.change", registers)
	until(t, "it is registered", func() bool { return find().Found[0].Match == view.IsRegistered })
	if found = find().Found[0]; found.Number != "M-031" || found.Role != "Year 4 class teacher" {
		t.Errorf("a registered stick: %+v", found)
	}
	registers.Change.Tag = "M-032"
	if err := w.do("register.change", registers, new(any)); err == nil || !strings.Contains(err.Error(), "M-031") {
		t.Errorf("one stick was registered twice: %v", err)
	}
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{
		Change: register.Change{What: register.EraseMedium, Tag: "M-031", Method: "overwritten once"},
	})
	medium := func() view.Medium {
		return ask[view.Medium](w, "media.show", collectorapp.MediaArguments{Number: "m-031"})
	}
	until(t, "it shows as erased", func() bool { return len(medium().Erased) == 1 })
	if m := medium(); len(m.Seen) != 1 || m.Erased[0].Method != "overwritten once" || m.Erased[0].By == "" {
		t.Errorf("the medium: %+v", m)
	}
	dpo := w.callerOf(c, "Priya Anand", access.DPO)
	var asked view.FoundMedia
	if got := dpo.ask(dpo.school()+"/found-media", nil, &asked); got != http.StatusOK || len(asked.Found) != 1 || asked.Found[0].Number != "M-031" {
		t.Errorf("a program asks: %d %+v", got, asked)
	}
	same(w, "what was found", find)
	w.verified()
}
