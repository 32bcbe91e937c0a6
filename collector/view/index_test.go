package view

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestABlockHoldsWhatWasPutIntoIt, whatever was there before and in whatever order
// it came.
func TestABlockHoldsWhatWasPutIntoIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]indexed{}
		var block []byte
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			var changes []indexChange
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 4, rapid.ID).Draw(t, "devices") {
				d := DeviceRow{ID: posture.DeviceID(fmt.Sprint("d-", n)), Hostname: rapid.StringMatching(`[A-Za-z0-9-]{0,9}`).Draw(t, "host"), AssetTag: rapid.StringMatching(`[A-Z0-9]{0,4}`).Draw(t, "tag")}
				for _, slot := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.Uint16Range(0, 40), 0, 5, rapid.ID).Draw(t, "slots"))) {
					d.Vector.Rules = append(d.Vector.Rules, RuleState{Slot: slot, Bits: rapid.Byte().Draw(t, "bits")})
				}
				c := indexChange{x: newIndexed(&d), gone: rapid.Bool().Draw(t, "gone")}
				for _, s := range d.Vector.Rules {
					if at, judged := c.x.state(s.Slot); !judged || at != place(s.settled()) {
						t.Fatalf("slot %d of %v stands at %d, %v", s.Slot, d.Vector.Rules, at, judged)
					}
				}
				if changes = append(changes, c); c.gone {
					delete(want, string(c.x.id))
				} else {
					want[string(c.x.id)] = c.x
				}
			}
			var err error
			if block, err = changeBlock(block, changes); err != nil {
				t.Fatal(err)
			}
		}
		var last []byte
		err := eachIndexed(block, func(x *indexed) {
			w, ok := want[string(x.id)]
			if !ok || !x.equal(w) || bytes.Compare(x.id, last) <= 0 {
				t.Fatalf("got %q after %q, want %q", x, last, w)
			}
			delete(want, string(x.id))
			last = bytes.Clone(x.id)
		})
		if err != nil || len(want) > 0 {
			t.Fatalf("%v; missing: %v", err, want)
		}
	})
}

func FuzzIndexBlock(f *testing.F) {
	d := DeviceRow{ID: "d-1", Hostname: "hb-lt-014", AssetTag: "HB-014", Vector: Vector{Rules: []RuleState{{Slot: 3, Bits: failing}}}}
	x := newIndexed(&d)
	f.Add(x.append(nil))
	f.Add([]byte{1, 'd', 0})
	f.Fuzz(func(t *testing.T, block []byte) {
		var again []byte
		if err := eachIndexed(block, func(x *indexed) { again = x.append(again) }); err == nil {
			_ = eachIndexed(again, func(x *indexed) { x.state(9) })
		}
	})
}

// TestAGistRulesNothingOutThatIsMeant: whatever a breach is like and whenever one
// asks, its gist lets it through if its status and severity were asked for.
func TestAGistRulesNothingOutThatIsMeant(t *testing.T) {
	severities := []posture.Severity{posture.Info, posture.Low, posture.Moderate, posture.High, posture.Critical}
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return start.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "hours")) * time.Hour)
		})
		b := breach.Breach{FirstFailed: moment.Draw(t, "first"), Terms: breach.Terms{
			Severity: rapid.SampledFrom(severities).Draw(t, "severity"), Grace: time.Duration(rapid.IntRange(0, 20).Draw(t, "grace")) * time.Hour,
			Pauses: rapid.Bool().Draw(t, "pauses"), Waits: rapid.Bool().Draw(t, "waits"),
			Escalate: breach.Escalation{After: time.Duration(rapid.IntRange(0, 20).Draw(t, "escalate")) * time.Hour, Severity: rapid.SampledFrom(severities).Draw(t, "escalated")},
		}}
		if rapid.Bool().Draw(t, "seen") {
			b.AcknowledgedAt = moment.Draw(t, "acknowledged")
		}
		if rapid.Bool().Draw(t, "exempted") {
			b.Exemption = breach.Exemption{ID: "ex-1", From: moment.Draw(t, "from"), Until: moment.Draw(t, "until")}
		}
		if rapid.Bool().Draw(t, "resolved") {
			b.ResolvedAt = b.FirstFailed.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "lasted")) * time.Hour)
		}
		p := &pager{r: &reader{now: moment.Draw(t, "now")}, query: BreachQuery{
			Statuses: rapid.SliceOfDistinct(rapid.SampledFrom(breach.Statuses()), rapid.ID).Draw(t, "statuses"),
		}}
		p.r.nowMs = ms(p.r.now)
		if rapid.Bool().Draw(t, "by severity") {
			p.query.Severities = []posture.Severity{rapid.SampledFrom(severities).Draw(t, "asked")}
		}
		g, ok := parseGist(gistOf(b))
		if !ok {
			t.Fatal("a gist cannot be read")
		}
		if p.wanted(b) && !p.mayBeMeant(g, !b.ResolvedAt.IsZero()) {
			t.Fatalf("%+v is %s and %s, and %+v rules it out", b, b.Status(p.r.now, p.r.terms), b.Severity(p.r.now), g)
		}
	})
}

func FuzzGist(f *testing.F) {
	f.Add(gistOf(breach.Breach{FirstFailed: start}))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(_ *testing.T, data []byte) { parseGist(data) })
}

func FuzzCoverKey(f *testing.F) {
	f.Add(looseKey("a")[len(key("a", famCover)):])
	f.Add([]byte("agent\x00linux\x00"))
	f.Fuzz(func(t *testing.T, k []byte) {
		if _, err := parseCover(k); err != nil && !errors.Is(err, errCover) {
			t.Error(err)
		}
	})
}
