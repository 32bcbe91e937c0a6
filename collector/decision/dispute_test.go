package decision

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestADisputeIsRecordedInThreeParts: what stays names nobody, and what was
// written stands apart from who wrote it.
func TestADisputeIsRecordedInThreeParts(t *testing.T) {
	change := dispute.Change{What: dispute.Raise, ID: "dp-1", About: dispute.Encryption, Device: "d-014", Asset: "HB-LT-014", Fact: 7, On: "2026-11-02", Due: "2026-12-02"}
	good := NewDispute(change, &dispute.Told{For: "Sam Carter"}, "technician", start)
	salts := [3][proof.SaltSize]byte{{1}, {2}, {3}}
	sections, err := DisputeSections(good, change, "it was replaced in October", salts)
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 3 || sections[0].Class != proof.Kept || sections[1].Class != proof.People || sections[2].Class != proof.People || sections[2].Name != Section {
		t.Fatalf("sections: %+v", sections)
	}
	for n, said := range map[int][]string{0: {"Carter", "technician", "replaced"}, 1: {"Carter", "technician"}, 2: {"replaced"}} {
		for _, words := range said {
			if strings.Contains(string(sections[n].Body), words) {
				t.Errorf("section %s holds %q: %s", sections[n].Name, words, sections[n].Body)
			}
		}
	}
	if d, err := Decode(sections[2].Body); err != nil || !cmp.Equal(d, good) {
		t.Errorf("the decision is %+v, %v", d, err)
	}
	answer := dispute.Change{What: dispute.Answer, ID: "dp-1", Outcome: dispute.Upheld}
	if _, err := DisputeSections(NewDispute(answer, nil, "dpo", start), answer, "read again", salts); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(d *Decision, c *dispute.Change, words *string){
		"another kind":    func(d *Decision, _ *dispute.Change, _ *string) { d.Kind = Concern },
		"nobody's":        func(d *Decision, _ *dispute.Change, _ *string) { d.Dispute = nil },
		"no words":        func(_ *Decision, _ *dispute.Change, words *string) { *words = "" },
		"no identifier":   func(_ *Decision, c *dispute.Change, _ *string) { c.ID = "" },
		"of a person too": func(d *Decision, _ *dispute.Change, _ *string) { d.Person = "Sam Carter" },
		"a long name": func(d *Decision, _ *dispute.Change, _ *string) {
			d.Dispute = &dispute.Told{For: strings.Repeat("x", 201)}
		},
	} {
		d, c, words := good, change, "it was replaced"
		spoil(&d, &c, &words)
		if _, err := DisputeSections(d, c, words, salts); err == nil {
			t.Errorf("%s: it is recorded", name)
		}
	}
	stray := Decision{Kind: Acknowledge, By: "dpo", At: start, Reason: "x", Dispute: &dispute.Told{}}
	if err := stray.Check(); err == nil || !strings.Contains(err.Error(), "disputes nothing") {
		t.Errorf("another decision says who disputes: %v", err)
	}
}
