package retention

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// beside is the section that stands beside a decision.
type beside struct{ body []byte }

func (b beside) Body(context.Context, ledger.Index, int) ([]byte, error) {
	if b.body == nil {
		return nil, ledger.ErrForgotten
	}
	return b.body, nil
}

// decided is the decision of an entry that has a section beside it.
func decided(section string) ledger.Stored {
	return ledger.Stored{Number: 1, Record: ledger.Record{Envelope: proof.Envelope{
		Kind: proof.KindDecision, Sections: []proof.SectionRef{{Name: section, Class: proof.Kept}, {Name: "decision", Class: proof.People}},
	}}}
}

func TestWhatIsHeldIsKnown(t *testing.T) {
	h := Held{
		Devices: map[posture.DeviceID]bool{"d-14": true}, Assets: map[string]bool{"hb-lt-014": true}, Media: map[string]bool{"m-031": true},
		Incidents: map[string]bool{"in-1": true},
	}
	at := time.Date(2026, 11, 9, 12, 0, 0, 0, time.UTC)
	report := ledger.Stored{Record: ledger.Record{Envelope: proof.Envelope{Kind: proof.KindReport, Subject: "d-14"}}}
	other := report
	other.Record.Envelope.Subject = "d-15"
	torn := contact(t, 7, "d-15", at)
	torn.Section.Body = []byte("x")
	asJSON := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	moment := incident.NewMoment(at, "Europe/London")
	for _, x := range []struct {
		name   string
		stored ledger.Stored
		beside []byte
		want   bool
	}{
		{"its report", report, nil, true},
		{"another's report", other, nil, false},
		{"its contact", contact(t, 7, "d-14", at), nil, true},
		{"another's contact", contact(t, 7, "d-15", at), nil, false},
		{"a contact that cannot be read", torn, nil, true},
		{"who has it", decided(register.Section), asJSON(register.Change{What: register.HandBack, Tag: "HB-LT-014"}), true},
		{"who has another", decided(register.Section), asJSON(register.Change{What: register.HandBack, Tag: "HB-LT-015"}), false},
		{"its stick", decided(register.Section), asJSON(register.Change{What: register.EraseMedium, Tag: "M-031", Method: "shredded"}), true},
		{"an asset that is called as its stick", decided(register.Section), asJSON(register.Change{What: register.HandBack, Tag: "M-031"}), false},
		{"a list that has it", decided(register.Section), asJSON(register.Change{What: register.Import, Items: []register.Item{{Tag: "hb-lt-014"}}}), true},
		{"what a later version recorded", decided(register.Section), []byte(`{"what":"dance"}`), true},
		{"beside which nothing can be read", decided(register.Section), nil, true},
		{"a note of its incident", decided(incident.Section), asJSON(incident.Change{What: incident.Note, ID: "in-1"}), true},
		{"a note of another", decided(incident.Section), asJSON(incident.Change{What: incident.Note, ID: "in-2"}), false},
		{"an incident that names it", decided(incident.Section), asJSON(incident.Change{
			What: incident.Open, ID: "in-3", Kind: incident.Other, Aware: &moment, Links: []incident.Link{{What: incident.Device, Device: "d-14"}},
		}), true},
		{"the calendar", decided("calendar"), []byte("x"), false},
	} {
		got, err := h.About(t.Context(), beside{x.beside}, x.stored)
		if err != nil || got != x.want {
			t.Errorf("%s: held is %v, want %v (%v)", x.name, got, x.want, err)
		}
		if got, err := (Held{}).About(t.Context(), beside{x.beside}, x.stored); got || err != nil {
			t.Errorf("%s: held is %v though nothing is", x.name, got)
		}
	}
	if !h.Asset(" HB-lt-014 ") || !h.Medium("m-031") || h.Device("d-15") || !h.Any() || (Held{}).Any() {
		t.Error("what is held is not known by its names")
	}
}
