package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// operations lists what the console can be asked, as the code has it.
func operations(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "collector", "app", "operations.go"), nil, 0)
	must(t, err)
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name != "do" {
			return false
		}
		if c, ok := n.(*ast.CaseClause); ok {
			for _, e := range c.List {
				if l, ok := e.(*ast.BasicLit); ok {
					name, err := strconv.Unquote(l.Value)
					must(t, err)
					names = append(names, name)
				}
			}
		}
		return true
	})
	if len(names) < 40 {
		t.Fatalf("only %d operations were found", len(names))
	}
	return names
}

// purges: purge stops. What is forgotten of November is, and what is held is
// kept aside first; no count is another than without the hold.
func (x *allegation) purges(t *testing.T) {
	for _, class := range []string{"posture", "media", "inventory", "contacts"} {
		args := collectorapp.ForgetArguments{Class: class, Months: []string{"2026-11"}, Reason: "the month is over", DryRun: true}
		would := ask[collectorapp.ForgetAnswer](x.w, "ledger.forget", args)
		args.DryRun = false
		did := ask[collectorapp.ForgetAnswer](x.w, "ledger.forget", args)
		if diff := cmp.Diff(would.Months, did.Months); diff != "" {
			t.Errorf("%s: %s", class, diff)
		}
	}
	x.w.allShown()
	gone := map[uint64]int{} // of the held laptop's reports, by entry
	for _, e := range x.w.entries() {
		for _, s := range e.Sections {
			if e.Subject == x.l.device && s.Gone {
				gone[uint64(e.Index)]++
			}
		}
	}
	if len(gone) == 0 {
		t.Fatal("nothing of the held laptop was forgotten: the story proves nothing")
	}
	x.officer.back()
	var held api.HeldPage
	q := api.RestrictedQuestion{Passphrase: x.officer.Passphrase, Incident: x.id, Limit: 500}
	if got := x.officer.ask(x.officer.school()+"/restricted/held", q, &held); got != http.StatusOK {
		t.Fatalf("what is held: %d", got)
	}
	x.views++
	for _, b := range held.Bodies {
		if !b.Proven || len(b.Body) == 0 {
			t.Errorf("kept aside and not proven: entry %d, %s", b.Entry, b.Section)
		}
		if b.Subject == x.l.device {
			gone[b.Entry]--
		} else if b.Class != "contacts" {
			t.Errorf("of another: %+v", b)
		}
	}
	for entry, n := range gone {
		if n != 0 {
			t.Errorf("of entry %d, %d bodies were lost", entry, n)
		}
	}
	if !slices.ContainsFunc(held.Bodies, func(b api.HeldBody) bool { return b.Section == "media" }) {
		t.Error("the stick that was in it is not among what is held")
	}
	if got := x.technician.raw(http.MethodPost, api.Prefix+x.officer.school()+"/restricted/held", `{"passphrase":"`+x.officer.Passphrase+`","incident":"`+x.id+`"}`); !strings.HasPrefix(got, "403") {
		t.Errorf("the technician, with the officer's passphrase, gets %s", got)
	}
}

// isLeftAlone: update and remediation stop. The held laptop is asked for nothing
// and given nothing, and the answers are those of any laptop.
func (x *allegation) isLeftAlone(t *testing.T) {
	was, sequence := x.l.status().Policy, x.l.shown().LastReport
	asked := ask[collectorapp.AssessAnswer](x.w, "device.assess", collectorapp.ListArguments{Device: x.l.device})
	if string(asked.Device) != x.l.device {
		t.Errorf("asked: %+v", asked)
	}
	source, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	made := ask[collectorapp.PublishAnswer](x.w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: source})
	until(t, "the other laptop judges by the new policy", func() bool { return x.other.status().Policy == made.Number })
	before := x.other.status().AssessedAt
	x.w.clock.Advance(time.Second)
	ask[collectorapp.AssessAnswer](x.w, "device.assess", collectorapp.ListArguments{Device: x.other.device})
	until(t, "the other laptop assesses itself", func() bool { return x.other.status().AssessedAt.After(before) })
	if now := x.l.status(); now.Policy != was || now.Policy == made.Number {
		t.Errorf("the held laptop was given policy %d", now.Policy)
	}
	if x.l.shown().LastReport != sequence {
		t.Error("the held laptop was asked for an assessment")
	}
	// What it says by itself is recorded as ever.
	x.l.becomes("plain-laptop")
	x.l.assesses(x.w.clock.Now().Add(time.Hour))
	until(t, "what the held laptop says shows", func() bool { return x.l.shown().LastReport > sequence })
	if x.l.status().Policy != was {
		t.Error("an hour later the held laptop was given a policy")
	}
}

// forgetsAPassphrase: the officer makes another key, and the head names it.
func (x *allegation) forgetsAPassphrase(t *testing.T) {
	x.head.back()
	x.officer.back()
	x.deputy.back()
	if _, got := x.deputy.sees(x.id); got != http.StatusNotFound {
		t.Errorf("a senior who is not named: %d", got)
	}
	x.officer.makesKey()
	if _, got := x.officer.sees(x.id); got != http.StatusConflict {
		t.Errorf("with a key that nobody named: %d", got)
	}
	x.head.does(api.RestrictedAct{Do: api.DoName, Incident: x.id, Seniors: []string{x.officer.Code}, Words: "forgot the passphrase"})
	told, got := x.officer.sees(x.id)
	x.views++
	if got != http.StatusOK || told.Incident.Opened.Words != wroteAlleged || len(told.Seniors) != 2 {
		t.Errorf("with the new key: %d %+v", got, told)
	}
	x.head.does(api.RestrictedAct{Do: api.DoName, Incident: x.id, Seniors: []string{x.deputy.Code}})
	if told, got := x.deputy.sees(x.id); got != http.StatusOK || told.Incident.Opened.Words != wroteAlleged {
		t.Errorf("the deputy, once named: %d", got)
	}
	x.views++
}

// ends: one person alone cannot close it, nor lift the hold.
func (x *allegation) ends(t *testing.T) {
	closes := api.RestrictedAct{Do: api.DoClose, Incident: x.id, Words: wroteEnd, Change: &incident.Change{What: incident.Close, Outcome: incident.Internal}}
	if _, got := x.head.tries(closes); got != http.StatusConflict {
		t.Errorf("closed over a hold: %d", got)
	}
	agree := api.RestrictedAct{Do: api.DoAgree, Incident: x.id}
	x.head.does(api.RestrictedAct{Do: api.DoLift, Incident: x.id, Words: "not wanted", Device: posture.DeviceID(x.l.device)})
	if _, got := x.head.tries(agree); got != http.StatusConflict {
		t.Errorf("one person lifts the hold: %d", got)
	}
	x.officer.does(agree)
	x.w.clock.Advance(time.Hour)
	x.w.untilPassing(time.Second, "the laptop is given what it missed", func() bool { return x.l.status().Policy == x.other.status().Policy })
	if made := x.head.does(closes); made.State != restricted.Opened || made.Asked != restricted.Close {
		t.Errorf("one person closes it: %+v", made)
	}
	if _, got := x.head.tries(agree); got != http.StatusConflict {
		t.Errorf("one person alone closes it: %d", got)
	}
	if made := x.deputy.does(agree); made.State != restricted.Closed {
		t.Errorf("two have closed it: %+v", made)
	}
	told, _ := x.head.sees(x.id)
	x.views++
	if !told.Incident.Closed || told.Incident.Closings[0].Words != wroteEnd || told.Incident.Closings[0].By != "Jo Marsh and Ayo Bright" {
		t.Errorf("closed: %+v", told.Incident.Closings)
	}
	// Every view is logged: who, when.
	if len(told.Views) != x.views {
		t.Errorf("%d views are recorded of %d: %+v", len(told.Views), x.views, told.Views)
	}
	for _, v := range told.Views {
		if v.By == "" || v.At.IsZero() || v.What == "" {
			t.Errorf("a view of nobody: %+v", v)
		}
	}
	classes := map[string]int{}
	for _, e := range x.w.entries() {
		if len(e.Sections) == 1 && e.Sections[0].Name == "decision" && e.Sections[0].Bytes > 700 {
			classes[e.Sections[0].Class]++
		}
	}
	if classes["people"] != x.views || classes["incidents"] != len(told.Acts) {
		t.Errorf("entries by class: %v; %d views and %d acts", classes, x.views, len(told.Acts))
	}
}

// isNowhere: what was written is in no file and in no log, the collector may be
// started again and the view made again, and those who are named read it all.
func (x *allegation) isNowhere(t *testing.T) {
	same(x.w, "the record of the laptop", func() string { return x.l.shown().Hostname })
	must(t, x.l.stop())
	must(t, x.other.stop())
	before, _ := x.head.sees(x.id)
	x.views++
	must(t, x.c.stop())
	for _, word := range x.secret()[1:] {
		if files := holding(t, x.w.data, word); len(files) > 0 {
			t.Errorf("%q is in %v", word, files)
		}
		if strings.Contains(x.heard.String(), word) {
			t.Errorf("the log has %q", word)
		}
	}
	if strings.Contains(x.heard.String(), x.id) || strings.Contains(x.heard.String(), "not understood") {
		t.Errorf("the log tells of it:\n%s", x.heard)
	}
	must(t, os.RemoveAll(filepath.Join(x.w.data, "view")))
	must(t, os.RemoveAll(filepath.Join(x.w.data, "schools", string(x.w.only()), "roster.snapshot")))
	x.c = x.w.collect()
	x.head.c = x.c
	after, got := x.head.sees(x.id)
	x.views++
	if diff := cmp.Diff(before.Incident, after.Incident); got != http.StatusOK || diff != "" || len(after.Views) != len(before.Views)+1 {
		t.Errorf("made again: %d, %d views after %d\n%s", got, len(after.Views), len(before.Views), diff)
	}
}
