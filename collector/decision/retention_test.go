package decision

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestADecisionAboutHowLongThingsAreKept(t *testing.T) {
	d := Decision{Kind: Retention, By: "Jo Marsh", At: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Reason: "agreed by governors"}
	sections, err := RetentionSections(d, []byte(`{"times":{"media":"60 days"}}`), [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil || len(sections) != 2 || sections[0].Name != RetentionSection || sections[0].Class != proof.Kept || sections[1].Class != proof.People {
		t.Fatalf("got %+v, %v", sections, err)
	}
	if got, err := Decode(sections[1].Body); err != nil || got != d {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*Decision){
		"no reason":  func(d *Decision) { d.Reason = "" },
		"nobody":     func(d *Decision) { d.By = "" },
		"a person":   func(d *Decision) { d.Person = "S. Hazel" },
		"a breach":   func(d *Decision) { d.Breach = breach.Key{Device: "d-1", Rule: "ENC-01", Kind: "device"} },
		"a policy":   func(d *Decision) { d.Policy = &Policy{Draft: "autumn"} },
		"other kind": func(d *Decision) { d.Kind = Calendar },
	} {
		bad := d
		spoil(&bad)
		if _, err := RetentionSections(bad, []byte("{}"), [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("%s: it is recorded", name)
		}
	}
}
