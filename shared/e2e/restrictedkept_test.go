package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
)

// asSenior does something about a restricted incident at the console.
func (w *world) asSenior(as api.NewSeniorKey, c collectorapp.RestrictedChange) api.RestrictedMade {
	w.t.Helper()
	c.As, c.Passphrase = as.Name, as.Passphrase
	return ask[api.RestrictedMade](w, "restricted.act", c)
}

func (w *world) readsAs(as api.NewSeniorKey, id string) (told restricted.Told, err error) {
	w.t.Helper()
	err = w.do("restricted.show", collectorapp.RestrictedArguments{As: as.Name, RestrictedQuestion: api.RestrictedQuestion{Passphrase: as.Passphrase, Incident: id}}, &told)
	return told, err
}

// keyOf makes an account of a role, and its key, at the console.
func (w *world) keyOf(name, role string) api.NewSeniorKey {
	w.t.Helper()
	ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: name, Role: role})
	return ask[api.NewSeniorKey](w, "senior.key", collectorapp.SeniorArguments{Account: name})
}

// TestARestrictedIncidentIsKeptUntilItsTime: nothing of one that is open is
// forgotten, whoever asks for it and however old it is, and no purge counts it;
// once it was closed its views are forgotten after two years, and the rest after
// six.
func TestARestrictedIncidentIsKeptUntilItsTime(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-09 08:30"))
	head, officer := w.keyOf("Jo Marsh", "head"), w.keyOf("Priya Anand", "dpo")
	of := func(do api.Do, id, words string, change incident.Change) collectorapp.RestrictedChange {
		return collectorapp.RestrictedChange{Do: do, IncidentChange: collectorapp.IncidentChange{Incident: id, Words: words, Change: change}}
	}
	opens := of(api.DoOpen, "", wroteAlleged, incident.Change{What: incident.Open, Kind: incident.Other, Aware: atLondon(t, "2026-11-09 08:00")})
	opens.Seniors = []string{officer.Code}
	id := w.asSenior(head, opens).ID
	w.asSenior(officer, of(api.DoAgree, id, "", incident.Change{}))
	if _, err := w.readsAs(head, id); err != nil {
		t.Fatal(err)
	}
	forget := func(class string) collectorapp.ForgetAnswer {
		t.Helper()
		return ask[collectorapp.ForgetAnswer](w, "ledger.forget", collectorapp.ForgetArguments{Class: class, Months: []string{"2026-11"}, Reason: "tidying"})
	}
	w.clock.Advance(7 * 365 * 24 * time.Hour)
	for _, class := range []string{"incidents", "people"} {
		if got := forget(class); len(got.Months) != 0 {
			t.Errorf("of one that is open was forgotten: %+v", got)
		}
	}
	ask[collectorapp.PurgesAnswer](w, "retention.run", collectorapp.RetentionArguments{})
	told, err := w.readsAs(officer, id)
	if err != nil || told.Incident.Opened.Words != wroteAlleged || len(told.Views) != 2 {
		t.Fatalf("after seven years: %v %+v", err, told)
	}
	w.asSenior(head, of(api.DoClose, id, wroteEnd, incident.Change{What: incident.Close, Outcome: incident.Nothing}))
	w.asSenior(officer, of(api.DoAgree, id, "", incident.Change{}))

	w.clock.Advance(3 * 365 * 24 * time.Hour)
	if got := ask[collectorapp.PurgesAnswer](w, "retention.preview", collectorapp.RetentionArguments{On: w.clock.Now().AddDate(9, 0, 0)}); len(got.Purges) != 0 {
		t.Errorf("a preview tells of it: %+v", got)
	}
	ask[collectorapp.PurgesAnswer](w, "retention.run", collectorapp.RetentionArguments{})
	after, err := w.readsAs(officer, id)
	if err != nil || len(after.Views) != 1 || after.State != restricted.Closed {
		t.Fatalf("three years later: %v %+v", err, after.Views)
	}
	if diff := cmp.Diff(wroteAlleged, after.Incident.Opened.Words); diff != "" {
		t.Errorf("what was written went with the views: %s", diff)
	}
	w.clock.Advance(4 * 365 * 24 * time.Hour)
	ask[collectorapp.PurgesAnswer](w, "retention.run", collectorapp.RetentionArguments{})
	if _, err := w.readsAs(officer, id); err == nil || !strings.Contains(err.Error(), "no restricted incident") {
		t.Errorf("seven years later: %v", err)
	}
	w.verified()
}
