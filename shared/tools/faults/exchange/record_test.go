package exchange

import (
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/ledger"
)

func TestWhatIsWrongWithARecordIsFound(t *testing.T) {
	entry := func(index ledger.Index, kind, subject string, sequence uint64) collectorapp.EntryView {
		return collectorapp.EntryView{Index: index, Kind: kind, Subject: subject, Sequence: sequence}
	}
	for _, story := range []struct {
		name    string
		entries []collectorapp.EntryView
		wrong   int
	}{
		{"good", []collectorapp.EntryView{entry(0, "token", "", 0), entry(1, "report", "a", 1), entry(2, "report", "b", 1), entry(3, "report", "a", 2)}, 0},
		{"twice", []collectorapp.EntryView{entry(0, "report", "a", 1), entry(1, "report", "a", 1)}, 1},
		{"out of order", []collectorapp.EntryView{entry(0, "report", "a", 2), entry(1, "report", "a", 1)}, 2},
		{"missing", []collectorapp.EntryView{entry(0, "report", "a", 1), entry(1, "report", "a", 3)}, 1},
		{"a gap", []collectorapp.EntryView{entry(0, "report", "a", 1), entry(1, "gap", "a", 2)}, 1},
		{"an entry missing", []collectorapp.EntryView{entry(0, "report", "a", 1), entry(2, "report", "a", 2)}, 1},
	} {
		var whole, parts Record
		if wrong := whole.add(story.entries); len(wrong) != story.wrong {
			t.Errorf("%s: found %q, want %d", story.name, wrong, story.wrong)
		}
		found := 0
		for _, e := range story.entries {
			found += len(parts.add([]collectorapp.EntryView{e}))
		}
		if found != story.wrong {
			t.Errorf("%s: one by one it found %d, want %d", story.name, found, story.wrong)
		}
	}
}
