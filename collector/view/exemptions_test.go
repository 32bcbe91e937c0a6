package view

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var monday = time.Date(2026, time.September, 7, 8, 0, 0, 0, time.UTC)

func exemptionRow(id string, entry uint64) ExemptionRow {
	return ExemptionRow{
		ID: id, Scope: breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "hb-lt-014"}, Until: monday.Add(10 * time.Hour),
		Asked: Act{By: "Morgan Ellis", At: monday, Reason: "a new disk is ordered", Entry: entry},
	}
}

func TestStateOfAnExemption(t *testing.T) {
	act := func(hours int) Act {
		return Act{By: "Priya Anand", At: monday.Add(time.Duration(hours) * time.Hour), Reason: "x"}
	}
	asked, refused, approved := exemptionRow("ex-1", 1), exemptionRow("ex-1", 1), exemptionRow("ex-1", 1)
	refused.Refused, approved.Approved = act(2), act(2)
	ended := approved
	ended.Ended = act(4)
	for _, c := range []struct {
		name string
		row  ExemptionRow
		hour int
		want ExemptionState
	}{
		{"asked", asked, 1, ExemptionAsked},
		{"never answered", asked, 10, ExemptionEnded},
		{"before it was refused", refused, 1, ExemptionAsked},
		{"refused", refused, 2, ExemptionRefused},
		{"refused long ago", refused, 20, ExemptionRefused},
		{"before it was approved", approved, 1, ExemptionAsked},
		{"approved", approved, 2, ExemptionApproved},
		{"its end came", approved, 10, ExemptionEnded},
		{"before it was taken back", ended, 3, ExemptionApproved},
		{"taken back", ended, 4, ExemptionEnded},
	} {
		now := monday.Add(time.Duration(c.hour) * time.Hour)
		if got := c.row.State(now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if runs := c.row.Permission().Runs(now); runs != (c.want == ExemptionApproved) {
			t.Errorf("%s: runs %v", c.name, runs)
		}
	}
}

// TestExemptionsAreListedNewestFirst in pages, by state, rule and device, and of
// one school alone.
func TestExemptionsAreListedNewestFirst(t *testing.T) {
	v, err := Open("", Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, school := range []posture.SchoolID{"ashfield", "hollybank"} {
		err := v.Update(school, func(tx *Tx) error {
			if err := tx.PutSchool("x"); err != nil {
				return err
			}
			for i, id := range []string{"ex-a", "ex-b", "ex-c"} {
				row := exemptionRow(id, uint64(i))
				if id == "ex-b" {
					row.Scope = breach.Scope{Rule: "USB-01", Of: breach.WholeSchool}
					row.Approved = Act{By: "Priya Anand", At: monday, Reason: "x", Entry: 9}
				}
				if school == "ashfield" {
					row.ID = "other-" + id
				}
				if err := tx.PutExemption(row); err != nil {
					return err
				}
			}
			list, err := tx.Permissions()
			if err == nil && (len(list) != 1 || list[0].Scope.Rule != "USB-01" || list[0].Check() != nil) {
				t.Errorf("permitted: %+v", list)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(q ExemptionQuery) (ids []string) {
		for {
			page, err := v.Queries().Exemptions(t.Context(), "hollybank", q, monday.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Exemptions {
				ids = append(ids, e.ID)
			}
			if q.After = page.Next; q.After == "" {
				return ids
			}
		}
	}
	for name, c := range map[string]struct {
		query ExemptionQuery
		want  []string
	}{
		"all":        {ExemptionQuery{}, []string{"ex-c", "ex-b", "ex-a"}},
		"one a page": {ExemptionQuery{Limit: 1}, []string{"ex-c", "ex-b", "ex-a"}},
		"waiting":    {ExemptionQuery{States: []ExemptionState{ExemptionAsked}}, []string{"ex-c", "ex-a"}},
		"a rule":     {ExemptionQuery{Rule: "USB-01"}, []string{"ex-b"}},
		"a device":   {ExemptionQuery{Device: "hb-lt-014", Limit: 1}, []string{"ex-c", "ex-a"}},
		"none":       {ExemptionQuery{Device: "hb-lt-015"}, nil},
	} {
		if got := list(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	e, err := v.Queries().Exemption(t.Context(), "hollybank", "ex-b", monday)
	if err != nil || e.State != ExemptionApproved || e.Asked.Entry != 1 {
		t.Errorf("one: %+v, %v", e, err)
	}
	if _, err := v.Queries().Exemption(t.Context(), "hollybank", "other-ex-a", monday); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another school: %v", err)
	}
}

// TestABreachKeepsItsExemption whole, in its row.
func TestABreachKeepsItsExemption(t *testing.T) {
	row := exemptionRow("ex-1", 1)
	row.Approved = Act{By: "Priya Anand", At: monday, Reason: "x"}
	want := breach.Breach{Key: breach.Key{Device: "hb-lt-014", Rule: "ENC-01", Kind: "volume", ID: "a"}, Number: 1, FirstFailed: monday, Exemption: row.Permission()}
	var got breach.Breach
	if err := decode(encode(breachRow{Breach: &want}), breachRow{Breach: &got}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
}
