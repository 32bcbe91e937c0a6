package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// The marks that a recorded machine is given, and what it says them of.
const (
	markOfHost    = "hb-zq7fw3xk9t"
	markOfStick   = "Vj8kQz3TmWx5"
	markOfProgram = "rp6zxuqw9lkt"
)

// marks are words that can be found in the place of a recorded machine's host
// name, its stick's product and one of its programs.
func (l *laptop) marks() {
	l.w.t.Helper()
	name := filepath.Join(l.machine, "reads.jsonl")
	data, err := os.ReadFile(name)
	must(l.w.t, err)
	words := []string{"hb-lt-014", markOfHost, "Cruzer Blade", markOfStick, "Package: adduser", "Package: " + markOfProgram}
	for i := 0; i < len(words); i += 2 {
		if !bytes.Contains(data, []byte(words[i])) {
			l.w.t.Fatalf("the recorded machine does not say %q", words[i])
		}
	}
	must(l.w.t, os.WriteFile(name+".new", []byte(strings.NewReplacer(words...).Replace(string(data))), 0o644))
	must(l.w.t, os.Rename(name+".new", name))
}

// holding lists the files below a folder that hold some bytes.
func holding(t *testing.T, dir, what string) []string {
	t.Helper()
	var list []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(what)) {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// TestNoFileHoldsWhatWasForgotten: the collector forgets a month while it runs,
// and then none of its files, those of the view included, holds a byte of it;
// the record verifies and says how much is gone, and the pages say that it was
// forgotten, when and why, and neither that there was nothing nor that it was
// well.
func TestNoFileHoldsWhatWasForgotten(t *testing.T) {
	w := newWorld(t)
	school := w.only()
	c := w.collect()
	road := newLink(t, c.agents)
	l := w.laptopAt(school, "laptop", "plain-laptop-with-stick", road.Address())
	must(t, l.stop())
	l.marks()
	w.clock.Advance(3 * time.Hour)
	l.run()
	shows := func(what string, so func() bool) {
		t.Helper()
		w.untilPassing(10*time.Second, what, func() bool { return so() && w.status(school).Shown == w.status(school).Entries })
	}
	shows("the marks show", func() bool { return l.shown().Hostname == markOfHost })
	before := l.shown()
	road.Cut()
	must(t, c.stop())
	marks := []string{markOfHost, markOfStick, markOfProgram}
	for _, m := range marks { // else finding none later would prove nothing
		if len(holding(t, filepath.Join(w.data, "schools"), m)) == 0 {
			t.Errorf("the record does not hold %s", m)
		}
	}
	for _, m := range marks[:2] {
		if len(holding(t, filepath.Join(w.data, "view"), m)) == 0 {
			t.Errorf("the view does not hold %s", m)
		}
	}

	c = w.collect()
	road.Mend(c.agents)
	l.becomes("encrypted-laptop")
	w.clock.Advance(30 * 24 * time.Hour) // in February
	shows("the next report shows", func() bool { return l.shown().Hostname != markOfHost && l.shown().LastReport > before.LastReport })
	w.clock.Advance(25 * 24 * time.Hour) // in March
	shows("the laptop is heard from", func() bool { return w.clock.Now().Sub(l.shown().LastContact) < 24*time.Hour })
	kept := l.shown().Facts

	args := collectorapp.ForgetArguments{Months: []string{"2027-01", "2027-02"}, Reason: "the term is over", DryRun: true}
	for _, args.Class = range []string{"posture", "media", "inventory", "contacts"} {
		would := ask[collectorapp.ForgetAnswer](w, "ledger.forget", args)
		really := args
		really.DryRun = false
		did := ask[collectorapp.ForgetAnswer](w, "ledger.forget", really)
		// Contacts may all be the last of their days.
		if len(did.Months) == 0 && args.Class != "contacts" || !slices.Equal(would.Months, did.Months) {
			t.Errorf("%s: it would forget %+v and forgot %+v", args.Class, would.Months, did.Months)
		}
		if again := ask[collectorapp.ForgetAnswer](w, "ledger.forget", args); len(again.Months) != 0 {
			t.Errorf("%s: there is still something to forget: %+v", args.Class, again.Months)
		}
	}
	refusedWith(t, w.do("ledger.forget", collectorapp.ForgetArguments{Class: "kept", Reason: "no"}, new(collectorapp.ForgetAnswer)), "stays as long as the ledger")
	refusedWith(t, w.do("ledger.forget", collectorapp.ForgetArguments{Class: "media", Months: []string{"2027-03"}, Reason: "no"}, new(collectorapp.ForgetAnswer)), "not over")
	refusedWith(t, w.do("ledger.forget", collectorapp.ForgetArguments{Class: "media", Months: []string{"2027-01"}}, new(collectorapp.ForgetAnswer)), "reason")
	shows("the view is made again", func() bool { return w.status(school).Well() })

	kept.MediaEvents = posture.Answer[posture.MediumEvent]{} // what came and went is history
	if diff := cmp.Diff(kept, l.shown().Facts); diff != "" {
		t.Errorf("what is so now was forgotten too:\n%s", diff)
	}
	p := w.signIn(c, "dpo")
	page := "/schools/" + string(school) + "/devices/" + l.device
	p.shows(page, "Reports of January 2027 about sticks and other media: forgotten on", "(the term is over)", "apart from what was")
	checked := func() {
		t.Helper()
		if r := w.verified(); r.Forgotten == 0 {
			t.Errorf("verify says that nothing was forgotten: %+v", r)
		}
	}
	checked()
	must(t, l.stop())
	road.Cut()
	must(t, c.stop())
	gone := func() {
		t.Helper()
		for _, m := range marks {
			for _, file := range holding(t, w.data, m) {
				t.Errorf("%s holds %s", file, m)
			}
		}
	}
	gone()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	gone()
	checked()
}
