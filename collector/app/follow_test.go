package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// keyFor makes an account of a role and a key of it.
func keyFor(t *testing.T, data, name, role string) string {
	t.Helper()
	do[AccountAnswer](t, data, "account.create", AccountArguments{Name: name, Role: role})
	return do[KeyAnswer](t, data, "key.create", KeyArguments{Account: name, Label: "tests", Lasts: time.Hour}).Key
}

// TestWhatWasDecidedIsKnownAtOnce decides one thing upon another without a pause:
// each knows of the one before, and what is asked next shows it.
func TestWhatWasDecidedIsKnownAtOnce(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	dpo := keyFor(t, data, "Priya Anand", "dpo")
	stop := running(t, data)
	first := do[ImportAnswer](t, data, "register.import", ImportArguments{File: "assets.csv", Source: []byte("tag\nHB-LT-001\n")})
	if !first.Recorded || first.Entry != 0 {
		t.Errorf("the first entry of a record says recorded: %t, as entry %d", first.Recorded, first.Entry)
	}
	for n := range 20 {
		asked := do[ExemptionAnswer](t, data, "exemption.ask", AskExemptionArguments{
			Rule: "ENC-01", Whole: true, Until: time.Now().Add(time.Hour), Reason: "the disks are being changed",
		})
		do[ExemptionAnswer](t, data, "exemption.decide", ExemptionArguments{Kind: decision.Exempt, ID: asked.ID, Reason: "as agreed", Key: dpo})
		list := do[view.ExemptionPage](t, data, "exemption.list", ListExemptionsArguments{States: []string{"approved"}})
		if len(list.Exemptions) != 1 || list.Exemptions[0].ID != asked.ID {
			t.Fatalf("round %d: %d exemptions are approved, want that one", n, len(list.Exemptions))
		}
		do[ExemptionAnswer](t, data, "exemption.decide", ExemptionArguments{Kind: decision.EndExemption, ID: asked.ID, Reason: "they are changed", Key: dpo})

		tag := fmt.Sprintf("HB-LT-%03d", n+2)
		do[ImportAnswer](t, data, "register.import", ImportArguments{File: "assets.csv", Source: []byte("tag\n" + tag + "\n")})
		do[RegisterAnswer](t, data, "register.change", RegisterArguments{
			Change: register.Change{What: register.Retire, Tag: tag, Date: today()}, Reason: "sold",
		})
		aware := incident.NewMoment(time.Now().Add(-time.Hour), "Europe/London")
		opened := do[IncidentAnswer](t, data, "incident.change", IncidentChange{
			Words: "a laptop is missing", Change: incident.Change{What: incident.Open, Kind: incident.Other, Aware: &aware},
		})
		do[IncidentAnswer](t, data, "incident.change", IncidentChange{
			Incident: opened.Number, Words: "asked the bus company", Change: incident.Change{What: incident.Note},
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestWhatWasDecidedBeforeTheStartIsKnown decides as soon as the collector is
// there, while its view is made from the first entry on.
func TestWhatWasDecidedBeforeTheStartIsKnown(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	var tags strings.Builder
	for n := range 40 {
		makeToken(t, data, "")
		fmt.Fprintf(&tags, "HB-LT-%03d\n", n)
	}
	do[ImportAnswer](t, data, "register.import", ImportArguments{File: "assets.csv", Source: []byte("tag\n" + tags.String())})
	for n := range 5 {
		if err := os.RemoveAll(filepath.Join(data, "view")); err != nil {
			t.Fatal(err)
		}
		stop := running(t, data)
		do[RegisterAnswer](t, data, "register.change", RegisterArguments{
			Change: register.Change{What: register.Retire, Tag: fmt.Sprintf("HB-LT-%03d", n), Date: today()}, Reason: "sold",
		})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func today() register.Date { return register.Date(time.Now().UTC().Format(time.DateOnly)) }
