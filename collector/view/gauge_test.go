package view

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestDefinitionsOf: those count that protect; what is not known is never taken
// for fresh, nor for none.
func TestDefinitionsOf(t *testing.T) {
	yes, no, unread := posture.Read(true), posture.Read(false), posture.Unread[bool](posture.Denied)
	day := time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC)
	product := func(on, realTime, expired posture.Reading[bool], made time.Time) posture.Antivirus {
		return posture.Antivirus{On: on, RealTime: realTime, Expired: expired, DefinitionsAt: posture.Read(made)}
	}
	undated := func(current posture.Reading[bool]) posture.Antivirus {
		return posture.Antivirus{On: yes, RealTime: yes, Expired: no, Undated: true, Current: current}
	}
	dated := func(days int) Definitions {
		return Definitions{Word: DefinitionsDated, Made: dayOf(day.AddDate(0, 0, days))}
	}
	gap := posture.Answer[posture.Antivirus]{Gaps: []posture.Gap{{Absent: posture.Denied}}}
	for name, c := range map[string]struct {
		answer posture.Answer[posture.Antivirus]
		want   Definitions
	}{
		"never asked":                  {posture.Answer[posture.Antivirus]{Absent: posture.NotAsked}, Definitions{}},
		"no product":                   {posture.Found[posture.Antivirus]("x"), Definitions{Word: DefinitionsNone}},
		"a list with a gap":            {gap, Definitions{}},
		"one that protects":            {posture.Found("x", product(yes, yes, no, day)), dated(0)},
		"newer, switched off":          {posture.Found("x", product(yes, yes, no, day), product(no, yes, no, day.AddDate(0, 0, 3))), dated(0)},
		"the newer of two":             {posture.Found("x", product(yes, yes, no, day), product(yes, yes, no, day.AddDate(0, 0, 3))), dated(3)},
		"switched off":                 {posture.Found("x", product(no, yes, no, day)), Definitions{Word: DefinitionsNone}},
		"expired":                      {posture.Found("x", product(yes, yes, yes, day)), Definitions{Word: DefinitionsNone}},
		"off, though not all is known": {posture.Found("x", product(no, unread, unread, day)), Definitions{Word: DefinitionsNone}},
		"perhaps on":                   {posture.Found("x", product(yes, unread, no, day)), Definitions{}},
		"perhaps expired":              {posture.Found("x", product(yes, yes, unread, day)), Definitions{}},
		"one on, one perhaps":          {posture.Found("x", product(yes, yes, no, day), product(yes, unread, no, day)), dated(0)},
		"no date":                      {posture.Found("x", posture.Antivirus{On: yes, RealTime: yes, Expired: no, DefinitionsAt: posture.Unread[time.Time](posture.Denied)}), Definitions{}},
		"current by itself":            {posture.Found("x", undated(yes)), Definitions{Word: DefinitionsCurrent}},
		"out of date by itself":        {posture.Found("x", undated(no)), Definitions{Word: DefinitionsOutdated}},
		"does not say":                 {posture.Found("x", undated(unread)), Definitions{}},
	} {
		if got := DefinitionsOf(c.answer); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestAges puts each age into its place; the future is no age.
func TestAges(t *testing.T) {
	for age, want := range map[int]Ages{
		-2: {Unproven: 1}, -1: {Day: 1}, 0: {Day: 1}, 1: {Day: 1}, 2: {Days: 1}, 3: {Days: 1}, 4: {Week: 1}, 7: {Week: 1},
		8: {Month: 1}, 30: {Month: 1}, 31: {Older: 1}, 4000: {Older: 1},
	} {
		var got Ages
		got.add(Definitions{Word: DefinitionsDated, Made: uint64(20_000 - age)}, 20_000, 1)
		if got != want || got.Total() != 1 {
			t.Errorf("%d days: got %+v, want %+v", age, got, want)
		}
	}
}
