package health

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func line(r Report, title string) Line {
	for _, l := range r.Lines() {
		if l.Title == title {
			return l
		}
	}
	return Line{Words: "there is no line " + title}
}

// TestWhatIsNotKnownIsNotWell: a report that says nothing has nothing in order
// that somebody would have to look for.
func TestWhatIsNotKnownIsNotWell(t *testing.T) {
	var nothing Report
	for title, want := range map[string]State{
		"Recording": Amiss, "Disk": Unknown, "The record is whole": Unknown, "Checkpoints given away": Unknown, "Backup": Amiss, "Notices": Amiss,
	} {
		if got := line(nothing, title); got.State != want {
			t.Errorf("%s: %s, want %s", title, got.State, want)
		}
	}
	if State(9).String() != "not known" {
		t.Error("a state that there is not is known")
	}
}

func TestWhatSomebodyHasToDo(t *testing.T) {
	free := uint64(40e9)
	well := Report{
		At: noon, Version: "v0.1.0", Free: &free, Recording: true, Entries: 7, Shown: 7, Verified: &Check{At: noon.Add(-time.Hour), Entries: 7},
		Given: &Given{To: "/srv/given", Last: noon.Add(-12 * time.Hour)}, Backup: &Backup{At: noon.Add(-20 * time.Hour), Bytes: 5e6}, Ways: 1, Certificate: &Certificate{Ends: noon.AddDate(0, 2, 0)}, Connected: 1,
	}
	if n := well.Amiss(); n != 0 {
		t.Errorf("%d lines of a collector that is well are amiss: %+v", n, well.Lines())
	}
	full := uint64(1e9)
	for words, change := range map[string]func(*Report){
		"nothing is recorded":         func(r *Report) { r.Recording = false },
		"the disk is full":            func(r *Report) { r.Trouble = []string{"the disk is full"} },
		"3 entries wait":              func(r *Report) { r.Shown, r.Behind = 4, noon.Add(-time.Hour) },
		"1.0 GB are free: make room":  func(r *Report) { r.Free = &full },
		"it is not: entry 5":          func(r *Report) { r.Verified = &Check{At: noon, Trouble: "entry 5 has no signature"} },
		"none was written into":       func(r *Report) { r.Given = &Given{To: "/srv/given"} },
		"the last in /srv/given":      func(r *Report) { r.Given = &Given{To: "/srv/given", Last: noon.AddDate(0, 0, -9)} },
		"none was ever taken":         func(r *Report) { r.Backup = nil },
		"for more than a week":        func(r *Report) { r.Backup = &Backup{At: noon.AddDate(0, 0, -9)} },
		"nobody is told":              func(r *Report) { r.Ways = 0 },
		"they do not arrive on 1 of ": func(r *Report) { r.Ways, r.Failing = 2, 1 },
		"it was set back":             func(r *Report) { r.ClockBack = noon.Add(time.Hour) },
		"it ends soon":                func(r *Report) { r.Certificate = &Certificate{Ends: noon.AddDate(0, 0, 3)} },
		"the authority says no":       func(r *Report) { r.Certificate = &Certificate{Trouble: "the authority says no"} },
	} {
		r := well
		change(&r)
		said := ""
		for _, l := range r.Lines() {
			if l.State == Amiss {
				said += l.Words
			}
		}
		if r.Amiss() != 1 || !strings.Contains(said, words) {
			t.Errorf("%q: %d lines are amiss: %s", words, r.Amiss(), said)
		}
	}
	soon := well
	soon.Shown, soon.Behind = 6, noon.Add(-time.Second)
	if l := line(soon, "These pages"); l.State != Well || !strings.Contains(l.Words, "1 entry is being worked in") {
		t.Errorf("got %+v", l)
	}
	old := well
	old.Verified = &Check{At: noon.AddDate(-1, 0, 0)}
	if l := line(old, "The record is whole"); l.State != Unknown {
		t.Errorf("verified a year ago: %+v", l)
	}
	for _, s := range []State{Unknown, Well, Amiss} {
		var back State
		text, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != s {
			t.Errorf("%s came back as %s, %v", s, back, err)
		}
	}
	if text, err := json.Marshal(well.Lines()[0]); err != nil || !strings.Contains(string(text), `"in order"`) {
		t.Errorf("got %s, %v", text, err)
	}
}
