package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var start = time.Date(2026, time.September, 7, 8, 0, 0, 0, time.UTC)

func inMemory(t *testing.T) *View {
	t.Helper()
	v, err := Open("", Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// school writes a school with a policy of one rule.
func school(t *testing.T, v *View, id posture.SchoolID, f func(*Tx) error) {
	t.Helper()
	err := v.Update(id, func(tx *Tx) error {
		err := tx.PutSchool("Hollybank Primary School")
		if err == nil {
			err = tx.PutPolicy(Policy{Title: "School", Silence: 14 * 24 * time.Hour, Rules: []Rule{{ID: "ENC-01", Title: "System disk encrypted"}}})
		}
		if err == nil && f != nil {
			err = f(tx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, v *View, id posture.SchoolID) string {
	t.Helper()
	var b bytes.Buffer
	if err := v.Dump(&b, id); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func device(id string) DeviceRow {
	d := DeviceRow{ID: posture.DeviceID(id), Hostname: strings.ToUpper(id), AssetTag: "TAG-" + id, LastContact: start}
	d.SetTimes(time.Time{})
	return d
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	v := inMemory(t)
	school(t, v, "hollybank", nil)
	before := dump(t, v, "hollybank")
	broken := errors.New("broken")
	err := v.Update("hollybank", func(tx *Tx) error {
		tx.SetNext(9)
		if err := tx.PutDevice(DeviceRow{}, device("a")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || dump(t, v, "hollybank") != before {
		t.Errorf("got %v and:\n%s", err, dump(t, v, "hollybank"))
	}
}

func TestAViewOfAnotherVersionIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	var words bytes.Buffer
	reopen := func(made string) *View {
		v, err := Open(dir, Options{Made: made, Log: slog.New(slog.NewTextHandler(&words, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := reopen("a")
	school(t, v, "hollybank", func(tx *Tx) error { tx.SetNext(7); return nil })
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = reopen("a")
	if dump(t, v, "hollybank") == "" || words.Len() != 0 {
		t.Errorf("the same version: rows %q, words %q", dump(t, v, "hollybank"), words.String())
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = reopen("b")
	if dump(t, v, "hollybank") != "" || !strings.Contains(words.String(), "another version") {
		t.Errorf("another version: rows %q, words %q", dump(t, v, "hollybank"), words.String())
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAViewThatCannotBeReadIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	school(t, v, "hollybank", nil)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("not a manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	var words bytes.Buffer
	v, err = Open(dir, Options{Log: slog.New(slog.NewTextHandler(&words, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if dump(t, v, "hollybank") != "" || !strings.Contains(words.String(), "cannot be read") {
		t.Errorf("rows %q, words %q", dump(t, v, "hollybank"), words.String())
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("a view in use was opened again")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDevicesInPages(t *testing.T) {
	v := inMemory(t)
	school(t, v, "hollybank", func(tx *Tx) error {
		for i := range 25 {
			if err := tx.PutDevice(DeviceRow{}, device(fmt.Sprintf("hb-lt-%03d", i))); err != nil {
				return err
			}
		}
		old := device("hb-lt-003")
		renamed := old
		renamed.Hostname = "zz-last"
		return tx.PutDevice(old, renamed)
	})
	var names []string
	for query := (DeviceQuery{Limit: 10}); ; {
		page, err := v.Queries().Devices(t.Context(), "hollybank", query, start)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != 25 || len(page.Devices) > 10 {
			t.Errorf("page of %d, total %d", len(page.Devices), page.Total)
		}
		for _, d := range page.Devices {
			names = append(names, d.Hostname)
		}
		if query.After = page.Next; page.Next == "" {
			break
		}
	}
	if len(names) != 25 || !slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		t.Errorf("got %d: %v", len(names), names)
	}
	for search, want := range map[string]int{"LT-01": 10, "zz-": 1, "tag-hb-lt-003": 1, "hb-lt-003": 1, "none such": 0} {
		page, err := v.Queries().Devices(t.Context(), "hollybank", DeviceQuery{Search: search}, start)
		if err != nil || len(page.Devices) != want {
			t.Errorf("%q: got %d, %v, want %d", search, len(page.Devices), err, want)
		}
	}
	if _, err := v.Queries().Devices(t.Context(), "hollybank", DeviceQuery{After: "%%%"}, start); !errors.Is(err, ErrNotFound) {
		t.Errorf("a forged place: %v", err)
	}
}

func TestBreachesInPages(t *testing.T) {
	v := inMemory(t)
	school(t, v, "hollybank", func(tx *Tx) error {
		for i := range 30 {
			k := breach.Key{Device: "hb-lt-014", Rule: fmt.Sprintf("R-%d", i%3), Kind: "volume", ID: fmt.Sprint(i)}
			b := breach.Breach{Key: k}.After(breach.Event{
				What: breach.Failed, Order: 1, At: start.Add(time.Duration(i) * time.Minute), Terms: breach.Terms{Severity: posture.Severity(i % 5)},
			})
			if i%2 == 0 {
				b = b.After(breach.Event{What: breach.Met, Order: 2, At: start.Add(time.Hour)})
			}
			if err := tx.PutCase(breach.Breach{Key: k}, b, nil); err != nil {
				return err
			}
		}
		return nil
	})
	later := start.Add(2 * time.Hour)
	all := func(q BreachQuery) (list []Breach) {
		for {
			page, err := v.Queries().Breaches(t.Context(), "hollybank", q, later)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, page.Breaches...)
			if q.After = page.Next; page.Next == "" {
				return list
			}
		}
	}
	for name, c := range map[string]struct {
		query BreachQuery
		want  int
	}{
		"standing":     {BreachQuery{Limit: 4}, 15},
		"all":          {BreachQuery{Limit: 7, Statuses: breach.Statuses()}, 30},
		"resolved":     {BreachQuery{Statuses: []breach.Status{breach.Resolved}}, 15},
		"of a rule":    {BreachQuery{Rule: "R-1", Limit: 2, Statuses: breach.Statuses()}, 10},
		"critical":     {BreachQuery{Severities: []posture.Severity{posture.Critical}, Statuses: breach.Statuses()}, 6},
		"of no device": {BreachQuery{Device: "hb-lt-015"}, 0},
	} {
		list := all(c.query)
		sorted := slices.IsSortedFunc(list, func(a, b Breach) int { return b.FirstFailed.Compare(a.FirstFailed) })
		if len(list) != c.want || !sorted {
			t.Errorf("%s: got %d, newest first %v; want %d", name, len(list), sorted, c.want)
		}
	}
}

// TestALargeChangeIsCommittedInParts writes more than a transaction holds.
func TestALargeChangeIsCommittedInParts(t *testing.T) {
	v := inMemory(t)
	const many = 20_000
	school(t, v, "hollybank", func(tx *Tx) error {
		for i := range many {
			k := breach.Key{Device: "hb-lt-014", Rule: "EXE-03", Kind: "executable", ID: fmt.Sprint(i)}
			b := breach.Breach{Key: k}.After(breach.Event{What: breach.Failed, Order: 1, At: start})
			if err := tx.PutCase(breach.Breach{Key: k}, b, nil); err != nil {
				return err
			}
		}
		return nil
	})
	o, err := v.Queries().Overview(t.Context(), "hollybank", start)
	if err != nil || len(o.Breaches) != 1 || o.Breaches[0].Count != many {
		t.Errorf("got %+v, %v", o.Breaches, err)
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	v := inMemory(t)
	school(t, v, "hollybank", func(tx *Tx) error {
		for i := range 2000 {
			if err := tx.PutDevice(DeviceRow{}, device(fmt.Sprintf("hb-lt-%03d", i))); err != nil {
				return err
			}
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Queries().Devices(ctx, "hollybank", DeviceQuery{Search: "none"}, start); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStandingIsTheWorstOfTheSubjects(t *testing.T) {
	p := Policy{Silence: 14 * 24 * time.Hour}
	for name, c := range map[string]struct {
		bits byte
		at   time.Duration
		want Standing
	}{
		"nothing covered":            {0, 0, NotFor},
		"met":                        {passing, 0, Met},
		"met, long silent":           {passing, 15 * 24 * time.Hour, NotProven},
		"failing, long silent":       {failing | passing, 15 * 24 * time.Hour, NotMet},
		"one fails":                  {failing | unproven | excused | passing, 0, NotMet},
		"one is not proven":          {unproven | excused | passing, 0, NotProven},
		"one is exempt":              {excused | passing, 0, Exempt},
		"the exemption has ended":    {excused | passing, 2 * time.Hour, NotMet},
		"one is not proven, and two": {unproven | excused, 2 * time.Hour, NotMet},
	} {
		v := Vector{LastContact: ms(start)}
		s := RuleState{Bits: c.bits, Until: ms(start.Add(time.Hour))}
		if got := v.standing(&p, &Rule{}, s, ms(start.Add(c.at))); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestACohortHoldsItsDevices draws vectors: their cohort's times are no later,
// by less than an interval, and every cohort is its own.
func TestACohortHoldsItsDevices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		when := rapid.Uint64Range(0, 5*cohortSpan)
		v := Vector{LastContact: when.Draw(t, "contact"), HeldAt: when.Draw(t, "held"), EncryptionAt: when.Draw(t, "encryption")}
		for i := range v.ReadAt {
			v.ReadAt[i] = when.Draw(t, "read")
		}
		c := v.cohort()
		l := c.latest()
		times := func(v Vector) []uint64 {
			list := []uint64{v.LastContact, v.HeldAt, v.EncryptionAt, v.oldest()}
			for _, at := range v.ReadAt {
				if at > 0 {
					at = max(at, v.HeldAt)
				}
				list = append(list, at)
			}
			return list
		}
		own, early, late := times(v), times(c), times(l)
		for i := range own {
			if early[i] > own[i] || late[i] < own[i] || (early[i] == 0) != (own[i] == 0) {
				t.Fatalf("time %d is %d, not from %d to %d", i, own[i], early[i], late[i])
			}
		}
		again := c.cohort()
		if !bytes.Equal(again.bytes(), c.bytes()) || interval(late[0]) != early[0] {
			t.Fatalf("the cohort of %v is %v, and of that %v", v, c, again)
		}
	})
}

// TestManyThingsAreOneEntry has a laptop with more unlisted programs than a
// page lists, found on two days, and another laptop between them.
func TestManyThingsAreOneEntry(t *testing.T) {
	v := inMemory(t)
	school(t, v, "hollybank", func(tx *Tx) error {
		row := device("hb-lt-014")
		if err := tx.PutDevice(DeviceRow{}, row); err != nil {
			return err
		}
		for i := range mostThings + 40 {
			at := start.Add(time.Duration(i%2) * 24 * time.Hour)
			k := breach.Key{Device: "hb-lt-014", Rule: "EXE-03", Kind: "executable", ID: fmt.Sprintf("%04d", i)}
			b := breach.Breach{Key: k}.After(breach.Event{
				What: breach.Failed, Order: 1, At: at, Terms: breach.Terms{Severity: posture.Moderate, Grace: time.Duration(i%4) * 24 * time.Hour},
			})
			if err := tx.PutCase(breach.Breach{Key: k}, b, nil); err != nil {
				return err
			}
		}
		k := breach.Key{Device: "hb-lt-015", Rule: "EXE-03", Kind: "executable", ID: "a"}
		b := breach.Breach{Key: k}.After(breach.Event{What: breach.Failed, Order: 1, At: start.Add(time.Hour)})
		return tx.PutCase(breach.Breach{Key: k}, b, nil)
	})
	now := start.Add(30 * time.Hour)
	page, err := v.Queries().BreachGroups(t.Context(), "hollybank", BreachQuery{Limit: 1}, now)
	if err != nil || len(page.Groups) != 1 || page.Next == "" {
		t.Fatalf("got %d groups, %v", len(page.Groups), err)
	}
	g := page.Groups[0]
	want := []StatusCount{{breach.Open, 60}, {breach.Pending, 180}}
	if g.Count != mostThings+40 || len(g.Things) != mostThings || g.Status != breach.Open || !slices.Equal(g.Statuses, want) || g.AssetTag != "TAG-hb-lt-014" {
		t.Errorf("%d things, %d listed, %s, %v, %s", g.Count, len(g.Things), g.Status, g.Statuses, g.AssetTag)
	}
	if !g.FirstFailed.Equal(start.Add(24*time.Hour)) || !g.Things[len(g.Things)-1].FirstFailed.Equal(start) {
		t.Errorf("not newest first: %v, %v", g.FirstFailed, g.Things[len(g.Things)-1].FirstFailed)
	}
	page, err = v.Queries().BreachGroups(t.Context(), "hollybank", BreachQuery{Limit: 1, After: page.Next}, now)
	if err != nil || len(page.Groups) != 1 || page.Groups[0].Device != "hb-lt-015" {
		t.Fatalf("the second page: %+v, %v", page, err)
	}
	page, err = v.Queries().BreachGroups(t.Context(), "hollybank", BreachQuery{After: page.Next}, now)
	if err != nil || len(page.Groups) != 0 || page.Next != "" {
		t.Errorf("the last page: %+v, %v", page, err)
	}
}

func TestKeysKeepTheirPartsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 2, 'a', '/', 'é'})), 2, 2)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		x, y := text(text(nil, a[0]), a[1]), text(text(nil, b[0]), b[1])
		if got, want := bytes.Compare(x, y), slices.Compare(a, b); got != want {
			t.Fatalf("%q and %q: got %d, want %d", a, b, got, want)
		}
		first, rest, _ := part(x)
		second, rest, ok := part(rest)
		if !ok || first != a[0] || second != a[1] || len(rest) != 0 {
			t.Fatalf("%q: got %q, %q, %q", a, first, second, rest)
		}
	})
}

func FuzzVector(f *testing.F) {
	v := Vector{LastContact: 5, HeldAt: 6, Rules: []RuleState{{Slot: 1, Bits: excused, Until: 9}, {Slot: 300, Bits: passing}}}
	f.Add(v.bytes())
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, again Vector
		if v.decode(data) != nil {
			return
		}
		if err := again.decode(v.bytes()); err != nil || !slices.Equal(again.Rules, v.Rules) || again.ReadAt != v.ReadAt {
			t.Errorf("%x: got %+v, %v, want %+v", data, again, err, v)
		}
	})
}

func FuzzStates(f *testing.F) {
	f.Add(encodeStates([]State{{Kind: "volume", Key: "a", Result: posture.Fail, Since: start, Cased: true}, {Kind: "device", Gone: true}}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		states, err := decodeStates(data)
		if err != nil {
			return
		}
		again, err := decodeStates(encodeStates(states))
		if err != nil || !slices.Equal(again, states) {
			t.Errorf("%x: got %+v, %v, want %+v", data, again, err, states)
		}
	})
}

func FuzzListKey(f *testing.F) {
	base := len(key("a", famList)) + 1
	f.Add(listKey("a", breach.Breach{Key: breach.Key{Device: "d", Rule: "r", Kind: "k", ID: "i"}, Number: 2, FirstFailed: start})[base:])
	f.Add([]byte("12345678"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, ok := parseList(data)
		if !ok {
			return
		}
		again, ok := parseList(number(breachParts(number(nil, ^l.first), l.key), l.number))
		if !ok || again != l {
			t.Errorf("%x: got %+v, want %+v", data, again, l)
		}
	})
}
