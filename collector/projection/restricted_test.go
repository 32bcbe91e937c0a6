package projection

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// seals records an act of a restricted incident, as the collector does.
func (s *school) seals(tb testing.TB, at time.Time) {
	tb.Helper()
	secrets := [2]restricted.Secret{}
	var named []restricted.Named
	for i := range secrets {
		var err error
		if secrets[i], err = restricted.NewSecret(); err != nil {
			tb.Fatal(err)
		}
		named = append(named, restricted.Named{Account: string(rune('a' + i)), Key: secrets[i].Key()})
	}
	to, keys, err := restricted.Ring{}.Turn(named)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := secrets[0].Make(restricted.Head{
		School: s.id, Case: restricted.NewID(), What: restricted.Ask, Asked: restricted.Open, Named: named, To: to, Keys: keys,
	}, restricted.Content{By: "Jo Marsh", Words: "the technician"}, "")
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), proof.Section{Name: decision.Section, Class: proof.Incidents, Body: body})
}

// TestWhatIsRestrictedIsInNoView: an act of a restricted incident changes no row
// but how far the record is folded in, and is not spoken of in the log.
func TestWhatIsRestrictedIsInNoView(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term).report(t, term, term)
	f := open(t, s)
	var log bytes.Buffer
	f.folders[0].log = slog.New(slog.NewTextHandler(&log, nil))
	f.catchUp(t)
	before := f.dump(t, s)
	s.seals(t, term)
	f.catchUp(t)
	was, is := strings.Split(before, "\n"), strings.Split(f.dump(t, s), "\n")
	changed := 0
	for i := range was {
		if len(was) != len(is) {
			t.Fatalf("%d rows are %d", len(was), len(is))
		}
		if was[i] != is[i] {
			changed++
		}
	}
	if changed != 1 || log.Len() > 0 {
		t.Errorf("%d rows changed, and the log says %q", changed, log.String())
	}
}
