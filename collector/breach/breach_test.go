package breach

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var start = time.Date(2026, time.September, 1, 8, 0, 0, 0, time.UTC)

func failed(order uint64, at time.Time, terms Terms) Event {
	return Event{What: Failed, Order: order, At: at, Received: at, Terms: terms}
}

func exemption(id string, from, until time.Time) Exemption {
	return Exemption{
		ID: id, Scope: Scope{Rule: "ENC-01", Of: WholeSchool}, From: from, Until: until,
		AskedBy: "technician", Approver: "head", Reason: "on order",
	}
}

func TestStatusFollowsTimes(t *testing.T) {
	day := 24 * time.Hour
	b := Breach{}.After(failed(1, start, Terms{Severity: posture.High, Grace: day, Escalate: Escalation{2 * day, posture.Critical}}))
	acknowledged := b.After(Event{What: Acknowledge, Order: 2, At: start.Add(time.Hour), By: "technician"})
	exempt := b.After(Event{What: Exempted, Order: 2, At: start, Exemption: exemption("x", start, start.Add(3*day))})
	ended := exempt.After(Event{What: ExemptionEnded, Order: 3, At: start.Add(30 * time.Hour), Exemption: Exemption{ID: "x"}})
	resolved := b.After(Event{What: Met, Order: 2, At: start.Add(time.Hour)})
	for _, c := range []struct {
		name   string
		breach Breach
		at     time.Duration
		want   Status
	}{
		{"nothing failed", Breach{}, 0, NotYet},
		{"before it failed", b, -time.Second, NotYet},
		{"in grace", b, 0, Pending},
		{"end of grace", b, day, Open},
		{"acknowledged in grace", acknowledged, 2 * time.Hour, Pending},
		{"acknowledged", acknowledged, day, Acknowledged},
		{"exempt", exempt, 2 * day, Exempt},
		{"exemption over", exempt, 3 * day, Open},
		{"exemption taken back", ended, 31 * time.Hour, Open},
		{"before it was taken back", ended, 29 * time.Hour, Exempt},
		{"resolved", resolved, 2 * day, Resolved},
	} {
		if got := c.breach.Status(start.Add(c.at), nil); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := b.Severity(start.Add(day)); got != posture.High {
		t.Errorf("severity before it escalates: got %s", got)
	}
	if got := b.Severity(start.Add(2 * day)); got != posture.Critical {
		t.Errorf("severity after it escalates: got %s", got)
	}
	if got := resolved.Severity(start.Add(5 * day)); got != posture.High {
		t.Errorf("severity of a resolved breach rose: got %s", got)
	}
}

func TestFailingAgainSoonIsTheSameBreach(t *testing.T) {
	b := Breach{}.After(failed(1, start, Terms{Grace: time.Hour}))
	b = b.After(Event{What: Met, Order: 2, At: start.Add(30 * time.Minute)})
	again, closed := b.Next(failed(3, start.Add(2*time.Hour), Terms{Grace: time.Hour}))
	if closed != nil || again.Number != 1 || again.Reopened != 1 || !again.FirstFailed.Equal(start) {
		t.Errorf("flapping: got %+v, closed %v", again, closed)
	}
	if got := again.Status(start.Add(2*time.Hour), nil); got != Open {
		t.Errorf("flapping won another grace: got %s, want %s", got, Open)
	}
	late := start.Add(30*time.Minute + FlapWindow + time.Second)
	other, closed := b.Next(failed(3, late, Terms{}))
	if closed == nil || *closed != b || other.Number != 2 || !other.FirstFailed.Equal(late) {
		t.Errorf("failing much later: got %+v, closed %v", other, closed)
	}
}

func TestNewsOfThePastChangesNothing(t *testing.T) {
	b := Breach{}.After(failed(5, start, Terms{}))
	for _, what := range []What{Failed, Met, Vanished, ResolvedByHand, Acknowledge} {
		if got := b.After(Event{What: what, Order: 4, At: start.Add(-time.Hour)}); got != b {
			t.Errorf("event %d: got %+v, want %+v", what, got, b)
		}
	}
}

func TestOnlyWhatIsGoneForGoodLeaves(t *testing.T) {
	for kind, want := range map[string]bool{
		"program": true, "executable": true, "antivirus": true, "medium": false, "volume": false, "device": false, "": false,
	} {
		if got := Leaves(kind); got != want {
			t.Errorf("Leaves(%q): got %v, want %v", kind, got, want)
		}
	}
}

func TestExemptionCheck(t *testing.T) {
	good := exemption("x", start, start.Add(time.Hour))
	if err := good.Check(); err != nil {
		t.Errorf("a whole exemption: %v", err)
	}
	for name, spoil := range map[string]func(*Exemption){
		"no identifier": func(e *Exemption) { e.ID = "" },
		"no reason":     func(e *Exemption) { e.Reason = "" },
		"no approver":   func(e *Exemption) { e.Approver = "" },
		"own approver":  func(e *Exemption) { e.Approver = e.AskedBy },
		"no end":        func(e *Exemption) { e.Until = time.Time{} },
		"no start":      func(e *Exemption) { e.From = time.Time{} },
		"ends at start": func(e *Exemption) { e.Until = e.From },
		"for ever":      func(e *Exemption) { e.Until = e.From.Add(LongestExemption + 1) },
		"no scope":      func(e *Exemption) { e.Scope = Scope{} },
		"same person":   func(e *Exemption) { e.Approver = " Technician" },
	} {
		e := good
		spoil(&e)
		if e.Check() == nil {
			t.Errorf("%s: accepted %+v", name, e)
		}
		b := Breach{}.After(failed(1, start, Terms{})).After(Event{What: Exempted, Order: 2, At: start, Exemption: e})
		if got := b.Status(start, nil); got == Exempt {
			t.Errorf("%s: it exempted", name)
		}
	}
}

func TestStatusWords(t *testing.T) {
	for _, s := range append(Statuses(), NotYet) {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Status
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%q: got %v, %v, want %v", text, back, err, s)
		}
	}
	var s Status
	if s.UnmarshalText([]byte("fixed")) == nil {
		t.Error("a word of no status was accepted")
	}
}

// events draws a history: orders may repeat and go back, clocks may be set.
func events(t *rapid.T) []Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		e := Event{
			What:  What(rapid.IntRange(0, int(RuleWithdrawn)).Draw(t, "what")),
			Order: rapid.Uint64Range(1, 30).Draw(t, "order"),
			At:    start.Add(time.Duration(rapid.IntRange(-100, 400).Draw(t, "hours")) * time.Hour),
			By:    "technician",
			Terms: Terms{
				Severity: posture.Severity(rapid.IntRange(0, 4).Draw(t, "severity")),
				Grace:    time.Duration(rapid.IntRange(0, 50).Draw(t, "grace")) * time.Hour,
				Pauses:   rapid.Bool().Draw(t, "pauses"),
				Escalate: Escalation{
					After:    time.Duration(rapid.IntRange(0, 80).Draw(t, "after")) * time.Hour,
					Severity: posture.Severity(rapid.IntRange(0, 4).Draw(t, "raised")),
				},
			},
		}
		e.Exemption = exemption(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "exemption"), e.At,
			e.At.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "length"))*time.Hour))
		return e
	}), 0, 30).Draw(t, "events")
}

// TestNothingUnseenResolves feeds every mixture of late, repeated and doubtful
// events: a breach is resolved only by something that resolves, newer than its
// failure, and is never lost.
func TestNothingUnseenResolves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Breach
		var past int
		forever := start.Add(10_000 * time.Hour)
		for _, e := range events(t) {
			before := b
			next, closed := b.Next(e)
			if closed != nil {
				past++
				if *closed != before || closed.ResolvedAt.IsZero() || e.What != Failed {
					t.Fatalf("%+v closed %+v, which stood", e, *closed)
				}
			}
			resolves := slices.Contains([]What{Met, Vanished, ResolvedByHand, RuleWithdrawn}, e.What)
			if before.stands() && !next.stands() && !(resolves && e.Order > before.Order) {
				t.Fatalf("%+v resolved %+v", e, before)
			}
			if e.What == NotProven && next != before {
				t.Fatalf("not proven changed %+v to %+v", before, next)
			}
			if e.What == Failed && e.Order > before.Order && !next.stands() {
				t.Fatalf("%+v failed and does not stand: %+v", e, next)
			}
			if !before.FirstFailed.IsZero() && next.FirstFailed.IsZero() {
				t.Fatalf("%+v lost %+v", e, before)
			}
			if next.stands() && next.Exemption.Runs(forever) {
				t.Fatalf("exempt for ever: %+v", next)
			}
			if next.Order < before.Order {
				t.Fatalf("%+v went back to order %d from %d", e, next.Order, before.Order)
			}
			if again := next.After(e); again != next {
				t.Fatalf("%+v again: got %+v, want %+v", e, again, next)
			}
			if !next.ResolvedAt.IsZero() && next.ResolvedAt.Before(next.LastFailed) {
				t.Fatalf("resolved before it last failed: %+v", next)
			}
			b = next
		}
		if b.Number != 0 && b.Number != past+1 {
			t.Fatalf("%d breaches were closed before number %d", past, b.Number)
		}
	})
}

// TestTurnsAreAllTheTurns compares the named turns with the status and severity
// at every hour.
func TestTurnsAreAllTheTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Breach
		for _, e := range events(t) {
			b = b.After(e)
		}
		from := start.Add(-200 * time.Hour)
		days := rapid.SampledFrom([]*calendar.Calendar{nil, term(t)}).Draw(t, "calendar")
		turns := b.Turns(from, days)
		if b.FirstFailed.IsZero() || !b.ResolvedAt.IsZero() {
			if turns != nil {
				t.Fatalf("%+v has turns %v", b, turns)
			}
			return
		}
		for h := range 1000 {
			before, at := from.Add(time.Duration(h)*time.Hour), from.Add(time.Duration(h+1)*time.Hour)
			turned := slices.ContainsFunc(turns, func(turn time.Time) bool { return turn.After(before) && !turn.After(at) })
			changed := b.Status(before, days) != b.Status(at, days) || b.Severity(before) != b.Severity(at)
			if changed && !turned {
				t.Fatalf("%+v changes before %v and no turn says so: %v", b, at, turns)
			}
		}
	})
}
