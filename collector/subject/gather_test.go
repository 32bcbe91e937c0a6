package subject

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

func hour(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }

// story is a laptop that Sam Carter has from the tenth hour to the twentieth and
// Ash Lowe after that, and a trolley that Sam has for a while.
func story() Sources {
	finding := func(message string) []posture.Finding {
		return []posture.Finding{{Rule: "EXE-03", Subject: posture.Subject{Kind: "executable", Key: message, Label: message}, Result: posture.Fail, Message: "found " + message}}
	}
	s := Sources{
		School: "hollybank", Name: "Hollybank Primary School", Request: "sr-1", At: hour(100), By: "dpo", Zone: "Europe/London", People: []string{"Sam Carter"}, Accounts: []string{"sam"},
		Assets: []register.Asset{
			{
				Tag: "HB-LT-014", Device: "d-014", Held: &register.Held{Role: "Year 5", Person: "Ash Lowe", From: hour(20), Entry: 9},
				Past: []register.Held{{Role: "Year 4", Person: "Sam Carter", From: hour(10), Back: hour(20), Condition: "scratch by Robin's bag", Entry: 3}},
			},
			{Tag: "HB-TR-001", Device: "d-901", Past: []register.Held{{Role: "Year 4", Person: "sam  carter", From: hour(12), Back: hour(18)}}},
		},
		Ties:  map[string][]Tie{"hb-lt-014": {{Device: "d-014", From: hour(0)}}, "hb-tr-001": {{Device: "d-901", From: hour(0)}}},
		Owned: map[posture.DeviceID][]Owned{"d-014": {{hour(0), posture.SchoolSingleUser}}, "d-901": {{hour(0), posture.SchoolMultiUser}}},
		Told: map[posture.DeviceID][]Report{
			"d-014": {
				{Made: hour(5), Received: hour(5), Findings: finding("before.exe")},
				{Made: hour(12), Received: hour(12), Findings: finding("own.exe"), Media: []posture.MediumEvent{{At: hour(12), Action: posture.Attached, Product: "own stick"}, {At: hour(8), Product: "stick before"}}},
				{Made: hour(15), Received: hour(15), Findings: finding("own.exe")},
				{Made: hour(19), Received: hour(21), Findings: finding("late.exe")},
				{Made: hour(25), Received: hour(25), Findings: finding("after.exe")},
			},
			"d-901": {{Made: hour(14), Received: hour(14), Findings: finding("shared.exe")}},
		},
		Titles: map[string]string{"EXE-03": "Portable programs are on the school's list"},
		Uses:   []register.Use{{Role: "Year 4", Person: "Sam Carter", At: hour(10), Version: "2026"}, {Role: "Year 5", Person: "Ash Lowe", At: hour(20)}},
		Broken: []Broken{
			{Device: "d-014", Rule: "EXE-03", Subject: "own.exe", Message: "found own.exe", From: hour(12), Last: hour(15), To: hour(16)},
			{Device: "d-014", Rule: "EXE-03", Subject: "before.exe", Message: "found before.exe", From: hour(5), Last: hour(12), To: hour(13)},
			{Device: "d-014", Rule: "EXE-03", Subject: "after.exe", Message: "found after.exe", From: hour(25)},
		},
		Exemptions: []Permission{
			{ID: "ex-1", Rule: "EXE-03", State: "ended", Device: "d-014", AskedBy: "technician", Reason: "for Sam's lessons", Asked: hour(11), End: hour(19)},
			{ID: "ex-2", Rule: "EXE-03", State: "approved", Device: "d-014", AskedBy: "technician", Reason: "for Ash", Asked: hour(22), End: hour(99)},
			{ID: "ex-3", Rule: "CFG-01", State: "refused", AskedBy: "SAM", Reason: "I would like it", Asked: hour(50), End: hour(60)},
		},
		Incidents: []incident.Incident{
			{Number: "2026-01", Kind: incident.LostDevice, Opened: incident.Act{By: "office", Words: "Left in Robin Hale's car.", Recorded: hour(16)}, Links: []incident.Linked{{Link: incident.Link{What: incident.Device, Device: "d-014"}}}},
			{Number: "2026-02", Kind: incident.LostDevice, Opened: incident.Act{By: "office", Words: "Ash left it on a train.", Recorded: hour(30)}, Links: []incident.Linked{{Link: incident.Link{What: incident.Device, Device: "d-014"}}}},
		},
		Looks: []Seen{{hour(13), "technician", "page", "device", "d-014"}, {hour(40), "technician", "page", "device", "d-014"}, {hour(14), "technician", "page", "device", "d-901"}},
	}
	return s
}

func TestASheetHoldsWhatIsTheirs(t *testing.T) {
	s := Gather(story())
	data, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, theirs := range []string{"own.exe", "own stick", "HB-LT-014", "HB-TR-001", "ex-1", "ex-3", "2026-01", "Left in Robin Hale's car.", "you asked for it", "scratch by Robin's bag"} {
		if !strings.Contains(text, theirs) {
			t.Errorf("the sheet lacks %q", theirs)
		}
	}
	for _, others := range []string{"before.exe", "late.exe", "after.exe", "shared.exe", "stick before", "Ash", "Lowe", "Year 5", "ex-2", "2026-02", "d-901"} {
		if strings.Contains(text, others) {
			t.Errorf("the sheet holds %q, which is another's:\n%s", others, text)
		}
	}
	if len(s.Findings) != 1 || !s.Findings[0].From.Equal(hour(12)) || !s.Findings[0].To.Equal(hour(15)) {
		t.Errorf("findings: %+v", s.Findings)
	}
	if len(s.Breaches) != 2 || !s.Breaches[0].Stood || s.Breaches[0].Subject != "" || !s.Breaches[0].From.Equal(hour(10)) || s.Breaches[1].Subject != "own.exe" {
		t.Errorf("breaches: %+v", s.Breaches)
	}
	if len(s.Looks) != 1 || s.LeftOut != 1 || len(s.Uses) != 1 {
		t.Errorf("looks %+v, left out %d, uses %+v", s.Looks, s.LeftOut, s.Uses)
	}
	if len(s.Shared) != 1 || s.Shared[0].Tag != "HB-TR-001" {
		t.Errorf("shared: %+v", s.Shared)
	}
	for _, i := range s.Incidents {
		for _, words := range i.Texts {
			if !words.Check {
				t.Errorf("%q is not marked", words.Words)
			}
		}
	}
	again, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := Encode(again); err != nil || !bytes.Equal(twice, data) {
		t.Errorf("read and written again it is another file: %v", err)
	}
}

// TestNobodyElsesIsEverInASheet draws registers with overlaps, backdated loans,
// laptops that change their tag and class, and clocks that are wrong. What is in
// the sheet is of an hour in which the laptop was this person's and nobody's else.
func TestNobodyElsesIsEverInASheet(t *testing.T) {
	names := []string{"Sam Carter", "Ash Lowe", "Robin Hale", ""}
	tags := []string{"HB-LT-001", "HB-LT-002", "HB-LT-003"}
	devices := []posture.DeviceID{"d-1", "d-2"}
	const hours = 60
	rapid.Check(t, func(rt *rapid.T) {
		s := Sources{
			At: hour(hours), People: []string{"Sam Carter"}, Ties: map[string][]Tie{}, Owned: map[posture.DeviceID][]Owned{}, Told: map[posture.DeviceID][]Report{},
		}
		for n, tag := range tags {
			a := register.Asset{Tag: tag}
			for i := range rapid.IntRange(0, 5).Draw(rt, "loans") {
				from := rapid.IntRange(0, hours-1).Draw(rt, "from")
				h := register.Held{Role: "role", Person: rapid.SampledFrom(names).Draw(rt, "person"), From: hour(from), Back: hour(from + rapid.IntRange(0, 20).Draw(rt, "lasts")), Entry: uint64(n*10 + i)}
				a.Past = append(a.Past, h)
			}
			s.Assets = append(s.Assets, a)
		}
		for _, id := range devices { // a device is one asset at a time
			at := 0
			for at < hours && rapid.IntRange(0, 3).Draw(rt, "more") > 0 {
				tag := register.Key(rapid.SampledFrom(tags).Draw(rt, "tag"))
				to := at + rapid.IntRange(1, 30).Draw(rt, "tied")
				s.Ties[tag] = append(s.Ties[tag], Tie{id, hour(at), hour(to)})
				at = to
			}
			for at := 0; at < hours; at += rapid.IntRange(5, 40).Draw(rt, "class lasts") {
				s.Owned[id] = append(s.Owned[id], Owned{hour(at), rapid.SampledFrom([]posture.Ownership{posture.SchoolSingleUser, posture.SchoolSingleUser, posture.SchoolMultiUser, ""}).Draw(rt, "class")})
			}
			for n := range rapid.IntRange(0, 25).Draw(rt, "reports") {
				made := rapid.IntRange(0, hours-1).Draw(rt, "made")
				label := fmt.Sprintf("%s:%d", id, made)
				s.Told[id] = append(s.Told[id], Report{
					Made: hour(made), Received: hour(made + rapid.SampledFrom([]int{0, 0, 0, 3, -4}).Draw(rt, "late")),
					Findings: []posture.Finding{{Rule: fmt.Sprint(n), Subject: posture.Subject{Label: label}, Result: posture.Fail}},
					Media:    []posture.MediumEvent{{At: hour(made), Product: label}},
				})
				s.Broken = append(s.Broken, Broken{Device: id, Rule: "R", Subject: label, Message: label, From: hour(made), Last: hour(made), To: hour(made + 2)})
			}
		}
		// theirs says of a device and hour, worked out hour by hour, whose it is.
		theirs := func(id posture.DeviceID, n int) bool {
			t := hour(n)
			class := posture.Ownership("")
			for _, o := range s.Owned[id] {
				if !t.Before(o.From) {
					class = o.Class
				}
			}
			if class != posture.SchoolSingleUser {
				return false
			}
			for _, a := range s.Assets {
				if !slices.ContainsFunc(s.Ties[register.Key(a.Tag)], func(tie Tie) bool { return tie.Device == id && !t.Before(tie.From) && t.Before(tie.To) }) {
					continue
				}
				sam, other := false, false
				for _, h := range a.Past {
					if !t.Before(h.From) && t.Before(h.Back) {
						sam, other = sam || h.Person == "Sam Carter", other || h.Person != "Sam Carter"
					}
				}
				return sam && !other
			}
			return false
		}
		sheet := Gather(s)
		check := func(what, label string) {
			if label == "" {
				return
			}
			id, at, _ := strings.Cut(label, ":")
			var n int
			fmt.Sscan(at, &n)
			if !theirs(posture.DeviceID(id), n) {
				rt.Fatalf("%s of %s at hour %d is in the sheet, and was not theirs alone", what, id, n)
			}
		}
		for _, f := range sheet.Findings {
			check("a finding", f.Subject)
		}
		for _, m := range sheet.Media {
			check("a medium", m.Product)
		}
		for _, b := range sheet.Breaches {
			check("a breach", b.Subject)
		}
		data, err := Encode(sheet)
		if err != nil {
			rt.Fatal(err)
		}
		for _, name := range names[1:3] {
			if bytes.Contains(data, []byte(name)) {
				rt.Fatalf("the sheet names %s", name)
			}
		}
		if twice, err := Encode(Gather(s)); err != nil || !bytes.Equal(twice, data) {
			rt.Fatal("gathered twice it is another file")
		}
	})
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(Gather(story()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		once, err := Encode(s)
		if err != nil {
			return
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if twice, err := Encode(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written twice it is another file: %v", err)
		}
	})
}
