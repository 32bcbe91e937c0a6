package incident

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func wall(t testing.TB, text string) Moment {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return NewMoment(at, "Europe/London")
}

// opened is the laptop that was left on the 16:20 train.
func opened(t testing.TB) Change {
	happened, aware := wall(t, "2026-10-23 16:20"), wall(t, "2026-10-23 17:10")
	return Change{
		What: Open, ID: "in-1", Number: "2026-03", Kind: LostDevice, Happened: &happened, Aware: &aware,
		Links: []Link{{What: Device, Device: "d-14", Lost: true}, {What: Asset, Name: "HB-LT-014", Lost: true}},
	}
}

func taken(c Change, entry uint64, at time.Time) Taken {
	return Taken{Change: c, Act: Act{By: "Priya Anand", Words: string(c.What), Recorded: at, Entry: entry}}
}

// TestTheDeadlineIsAWallClockTime: 72 hours are 72 hours, also over the hour by
// which clocks change.
func TestTheDeadlineIsAWallClockTime(t *testing.T) {
	for aware, want := range map[string]string{
		"2026-10-23 17:10": "Mon 26 Oct 2026 16:10 GMT",
		"2026-10-26 17:10": "Thu 29 Oct 2026 17:10 GMT",
		"2027-03-26 17:10": "Mon 29 Mar 2027 18:10 BST",
		"2026-12-24 09:00": "Sun 27 Dec 2026 09:00 GMT",
	} {
		m := wall(t, aware)
		c := Change{What: Open, ID: "in-1", Kind: Other, Aware: &m}
		by, ok := From([]Taken{taken(c, 1, m.At)}).TellBy()
		if !ok || by.String() != want {
			t.Errorf("aware %s: tell by %s, want %s", aware, by, want)
		}
	}
}

func TestHowLongIsLeft(t *testing.T) {
	by := NewMoment(TellBy(wall(t, "2026-10-23 17:10").At), "Europe/London")
	for left, want := range map[time.Duration]string{
		72 * time.Hour:                 "due Mon 26 Oct 2026 16:10 GMT, in 3 days",
		51*time.Hour + 59*time.Minute:  "due Mon 26 Oct 2026 16:10 GMT, in 2 days 3 hours",
		time.Hour + time.Minute:        "due Mon 26 Oct 2026 16:10 GMT, in 1 hour 1 minute",
		59 * time.Second:               "due Mon 26 Oct 2026 16:10 GMT, in less than a minute",
		0:                              "due Mon 26 Oct 2026 16:10 GMT, in less than a minute",
		-time.Minute:                   "was due Mon 26 Oct 2026 16:10 GMT, 1 minute ago",
		-25*time.Hour - 10*time.Minute: "was due Mon 26 Oct 2026 16:10 GMT, 1 day 1 hour ago",
	} {
		if got := Due(by, by.At.Add(-left)); got != want {
			t.Errorf("%s before: %q, want %q", left, got, want)
		}
	}
	if got := (Moment{At: by.At, Zone: "Mars/Olympus"}).String(); got != "Mon 26 Oct 2026 16:10 UTC" {
		t.Errorf("in a zone that nobody knows: %s", got)
	}
}

// TestACorrectionStandsBeside: the deadline moves with what the school says it
// became aware of, and what was said before stays.
func TestACorrectionStandsBeside(t *testing.T) {
	first := opened(t)
	aware := wall(t, "2026-10-23 16:50")
	i := From([]Taken{
		taken(first, 1, first.Aware.At),
		taken(Change{What: Correct, ID: "in-1", Aware: &aware}, 2, first.Aware.At.Add(time.Hour)),
	})
	by, _ := i.TellBy()
	if len(i.Aware) != 2 || i.Aware[0].TellBy.String() != "Mon 26 Oct 2026 16:10 GMT" || by.String() != "Mon 26 Oct 2026 15:50 GMT" {
		t.Errorf("corrected: %+v", i.Aware)
	}
	happened := wall(t, "2026-10-23 15:30")
	i = From([]Taken{taken(first, 1, first.Aware.At), taken(Change{What: Correct, ID: "in-1", Happened: &happened}, 2, first.Aware.At)})
	if since, lost := i.Links[0].Lost(); !lost || since != happened || len(i.Happened) != 2 || len(i.Aware) != 1 {
		t.Errorf("it happened at another time: lost %v since %s, %+v", lost, since, i.Happened)
	}
}

func TestLostAndFound(t *testing.T) {
	first := opened(t)
	device := []Link{{What: Device, Device: "d-14"}}
	again := []Link{{What: Device, Device: "d-14", Lost: true}}
	back, gone := wall(t, "2026-10-27 09:00"), wall(t, "2026-11-02 12:00")
	list := []Taken{
		taken(first, 1, first.Aware.At),
		taken(Change{What: Close, ID: "in-1", Outcome: Internal}, 2, back.At),
		taken(Change{What: Found, ID: "in-1", Links: device, When: &back}, 3, back.At.Add(time.Hour)),
		taken(Change{What: Found, ID: "in-1", Links: device}, 4, back.At.Add(2*time.Hour)),
		taken(Change{What: Add, ID: "in-1", Links: again, When: &gone}, 5, gone.At.Add(time.Hour)),
		taken(Change{What: Add, ID: "in-1", Links: again}, 6, gone.At.Add(2*time.Hour)),
	}
	if _, lost := From(list[:2]).Links[0].Lost(); !lost {
		t.Error("closing the incident found the device")
	}
	i := From(list[:4])
	if _, lost := i.Links[0].Lost(); lost || *i.Links[0].Losses[0].Found != back {
		t.Errorf("found: %+v", i.Links[0])
	}
	if _, lost := i.Links[1].Lost(); !lost {
		t.Error("the asset was found with the device")
	}
	i = From(list)
	since, lost := i.Links[0].Lost()
	if !lost || since != gone || len(i.Links[0].Losses) != 2 || i.Links[0].Losses[0].Since != *first.Happened {
		t.Errorf("lost again: %+v", i.Links[0])
	}
}

// drawChange draws a change that is one.
func drawChange(t *rapid.T, tb testing.TB) Change {
	c := Change{ID: "in-1", What: rapid.SampledFrom([]What{Note, Lesson, Spoke, Tell, Add, Found, Correct, Close, Reopen}).Draw(t, "what")}
	moment := func() *Moment {
		if rapid.Bool().Draw(t, "said") {
			return nil
		}
		m := wall(tb, "2026-10-24 01:30")
		m.At = m.At.Add(time.Duration(rapid.IntRange(0, 60*48).Draw(t, "minutes")) * time.Minute)
		return &m
	}
	links := func(lost bool) []Link {
		return []Link{
			{What: Device, Device: "d-14", Lost: lost && rapid.Bool().Draw(t, "lost")},
			{What: Medium, Name: rapid.SampledFrom([]string{"M-031", "m-031", "M-032"}).Draw(t, "medium"), Lost: lost},
		}
	}
	switch c.What {
	case Spoke:
		c.Whom, c.When = "the train company", moment()
	case Tell:
		c.Audience, c.Answer, c.When = rapid.SampledFrom(Audiences()).Draw(t, "audience"), rapid.SampledFrom(Answers()).Draw(t, "answer"), moment()
	case Add, Found:
		c.Links, c.When = links(c.What == Add), moment()
	case Correct:
		if c.Aware = moment(); c.Aware == nil {
			c.Kind = rapid.SampledFrom(Kinds()).Draw(t, "kind")
		}
	case Close:
		c.Outcome = rapid.SampledFrom(Outcomes()).Draw(t, "outcome")
	}
	return c
}

// TestNothingIsLost: in whatever order changes are put together, and however
// often each, the incident is the same, everything that was written is in it
// once, and its deadline is that of the last time the school said when it became
// aware.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first := opened(t)
		changes := []Taken{taken(first, 1, first.Aware.At)}
		aware := []Moment{*first.Aware}
		for n := range rapid.IntRange(0, 20).Draw(rt, "changes") {
			c := drawChange(rt, t)
			if err := c.Check(); err != nil {
				rt.Fatal(err)
			}
			if c.Aware != nil {
				aware = append(aware, *c.Aware)
			}
			changes = append(changes, taken(c, uint64(n+2), first.Aware.At.Add(time.Duration(n)*time.Hour)))
		}
		want := From(changes)
		shuffled := slices.Concat(rapid.Permutation(changes).Draw(rt, "order"), rapid.SliceOf(rapid.SampledFrom(changes)).Draw(rt, "again"))
		if diff := cmp.Diff(want, From(shuffled), cmp.AllowUnexported(Loss{})); diff != "" {
			rt.Fatalf("in another order, and more than once:\n%s", diff)
		}
		if len(want.Aware) != len(aware) || want.Changes != len(changes) {
			rt.Fatalf("%d times said when, of %d; %d changes of %d", len(want.Aware), len(aware), want.Changes, len(changes))
		}
		by, _ := want.TellBy()
		if !by.At.Equal(aware[len(aware)-1].At.Add(72 * time.Hour)) {
			rt.Fatalf("tell by %s", by)
		}
		for n, a := range want.Aware {
			if a.When != aware[n] {
				rt.Fatalf("what was said before was changed: %s", a.When)
			}
		}
		shown, err := json.Marshal(want)
		if err != nil {
			rt.Fatal(err)
		}
		for _, c := range changes {
			if c.What != Found && !strings.Contains(string(shown), `"entry":`+string(mustJSON(rt, c.Entry))) && len(c.Links) == 0 {
				rt.Fatalf("change %d, %s, shows nowhere", c.Entry, c.What)
			}
		}
	})
}

func mustJSON(t *rapid.T, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatAChangeLacks(t *testing.T) {
	aware, later := wall(t, "2026-10-23 17:10"), wall(t, "2026-10-23 18:10")
	odd := Moment{At: aware.At.Add(time.Millisecond), Zone: "Europe/London"}
	digest := strings.Repeat("a", 64)
	for name, c := range map[string]Change{
		"nothing":           {},
		"unknown":           {What: "forgive", ID: "in-1"},
		"no incident":       {What: Note},
		"odd identifier":    {What: Note, ID: "In 1"},
		"not aware":         {What: Open, ID: "in-1", Kind: Other},
		"no kind":           {What: Open, ID: "in-1", Aware: &aware},
		"odd kind":          {What: Open, ID: "in-1", Aware: &aware, Kind: "theft"},
		"odd number":        {What: Open, ID: "in-1", Aware: &aware, Kind: Other, Number: "2026-3"},
		"happened later":    {What: Open, ID: "in-1", Aware: &aware, Happened: &later, Kind: Other},
		"finer than walls":  {What: Open, ID: "in-1", Aware: &odd, Kind: Other},
		"no year":           {What: Open, ID: "in-1", Aware: &Moment{Zone: "Europe/London"}, Kind: Other},
		"no zone":           {What: Open, ID: "in-1", Aware: &Moment{At: aware.At}, Kind: Other},
		"a note of links":   {What: Note, ID: "in-1", Links: []Link{{What: Device, Device: "d-1"}}},
		"nobody":            {What: Spoke, ID: "in-1"},
		"no audience":       {What: Tell, ID: "in-1", Answer: Yes},
		"no answer":         {What: Tell, ID: "in-1", Audience: Regulator},
		"told, and not":     {What: Tell, ID: "in-1", Audience: Regulator, Answer: No, Told: &aware},
		"no link":           {What: Add, ID: "in-1"},
		"link of nothing":   {What: Add, ID: "in-1", Links: []Link{{What: "pupil", Name: "HB-1"}}},
		"too much":          {What: Add, ID: "in-1", Links: []Link{{What: Asset, Name: "HB-1", Digest: digest}}},
		"lost evidence":     {What: Add, ID: "in-1", Links: []Link{{What: Evidence, Digest: digest, Lost: true}}},
		"odd digest":        {What: Add, ID: "in-1", Links: []Link{{What: Evidence, Digest: "abc"}}},
		"breach of nothing": {What: Add, ID: "in-1", Links: []Link{{What: Breach, Device: "d-1"}}},
		"found and lost":    {What: Found, ID: "in-1", Links: []Link{{What: Device, Device: "d-1", Lost: true}}},
		"found evidence":    {What: Found, ID: "in-1", Links: []Link{{What: Evidence, Digest: digest}}},
		"nothing corrected": {What: Correct, ID: "in-1"},
		"no outcome":        {What: Close, ID: "in-1"},
		"too many links":    {What: Add, ID: "in-1", Links: slices.Repeat([]Link{{What: Device, Device: "d-1"}}, mostLinks+1)},
	} {
		if _, err := Encode(c); err == nil {
			t.Errorf("%s: it was encoded", name)
		}
	}
	for text, want := range map[string][2]int{"2026-03": {2026, 3}, "2026-112": {2026, 112}, "2026-00": {}, "2026-3": {}, "in-1": {}, "-1-02": {}, "2026-03 ": {}} {
		if year, n, err := ParseNumber(text); [2]int{year, n} != want || (err == nil) != (want != [2]int{}) {
			t.Errorf("%q: %d %d %v", text, year, n, err)
		}
	}
	for zone, known := range map[string]bool{"Europe/London": true, "UTC": true, "": false, "Local": false, "Mars/Olympus": false} {
		if (CheckZone(zone) == nil) != known {
			t.Errorf("zone %q: %v", zone, CheckZone(zone))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []Change{opened(f), {What: Note, ID: "in-1"}, {What: Spoke, ID: "in-1", Whom: "police"}, {What: Close, ID: "in-1", Outcome: Police}} {
		body, err := Encode(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"what":"tell","id":"in-1","audience":"regulator","answer":"yes","told":{"at":"2026-10-24T09:00:00+01:00","zone":"Europe/London"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			return
		}
		body, err := Encode(c)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if again, err := Decode(body); err != nil || !cmp.Equal(again, c) {
			t.Fatalf("read again: %+v, %v", again, err)
		}
		i := From([]Taken{taken(c, 1, time.Date(2026, 10, 23, 16, 10, 0, 0, time.UTC)), taken(c, 2, time.Date(2026, 10, 23, 16, 11, 0, 0, time.UTC))})
		if _, err := json.Marshal(i); err != nil {
			t.Fatalf("what was read cannot be shown: %v", err)
		}
	})
}
