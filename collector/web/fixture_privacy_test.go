package web

import (
	"context"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// said is who Hollybank says that it is; Oakfield has said nothing.
func said() particulars.Particulars {
	return particulars.Particulars{
		Controller:   "The governors of Hollybank Primary School, Hollybank Lane, Ashfield",
		Officer:      particulars.Officer{Name: "Robin Hale", Mail: "dpo@hollybank.example", Phone: "01632 960123"},
		Loss:         particulars.Loss{Who: "School office", Phone: "01632 960100", After: "01632 960199"},
		Registration: "ZA000000", Regulator: usualRegulator, Basis: "Public task (UK GDPR, article 6(1)(e))",
		Processors: []particulars.Processor{{Name: "Northfield IT", For: "looks after the collector", Where: "at the school"}},
		Policies:   []particulars.Link{{Words: "Data protection policy", Address: "https://hollybank.example/policies/data"}},
	}
}

func (s *school) Particulars(_ context.Context, id posture.SchoolID, _ time.Time) (view.Particulars, error) {
	if id != hollybank || s.fail != nil {
		return view.Particulars{}, s.fail
	}
	return view.Particulars{Particulars: said(), Entry: 31, By: "Morgan Ellis", At: now.Add(-240 * time.Hour), Reason: "a new officer"}, nil
}

// SetParticulars implements ParticularsSetter: it keeps what was said, and
// refuses what was said of something older.
func (s *school) SetParticulars(_ context.Context, _ posture.SchoolID, d decision.Decision, was uint64) (uint64, error) {
	if was != 31 {
		return 0, &decision.RefusedError{Why: "somebody else has changed the particulars meanwhile"}
	}
	s.decided = append(s.decided, d)
	return 32, nil
}

// askers are the requests at Hollybank: one that is open, and one of somebody whose
// name is an attack.
func askers() []subject.Request {
	take := func(r subject.Request, c subject.Change, words string) subject.Request {
		next, err := r.Take(subject.Taken{Change: c, Act: subject.Act{By: "head", Words: words, At: now, Entry: uint64(len(r.Taken) + 1)}})
		if err != nil {
			panic(err) // the fixture is wrong
		}
		return next
	}
	sheet, err := subject.Encode(gathered())
	if err != nil {
		panic(err)
	}
	one := take(subject.Request{}, subject.Change{ID: "sr-1", What: subject.Receive, On: "2026-09-30", Zone: Zone, Name: "Sam Carter", How: subject.Spoken}, "asked in the corridor")
	one = take(one, subject.Change{ID: "sr-1", What: subject.Export, People: []string{"Sam Carter"}, Digest: subject.Digest(sheet)}, "gathered")
	two := take(subject.Request{}, subject.Change{ID: "sr-2", What: subject.Receive, On: "2026-09-01", Zone: Zone, Name: "<script>alert(1)</script>", How: subject.Mail}, "<b>all of it</b>")
	return []subject.Request{two, one}
}

// gathered is what is kept about somebody who had one laptop.
func gathered() subject.Sheet {
	return subject.Gather(subject.Sources{
		School: hollybank, Name: "Hollybank Primary School", Request: "sr-1", At: now, By: "dpo", Zone: Zone, People: []string{"Sam Carter"},
		Assets: []register.Asset{{Tag: "HB-LT-014", Description: register.Description{What: "Dell Latitude 5440"}, Held: &register.Held{Role: "Year 4 class teacher", Person: "Sam Carter", From: now.Add(-400 * time.Hour), Condition: "<i>scratched</i>"}}},
		Ties:   map[string][]subject.Tie{"hb-lt-014": {{Device: "d-014", From: now.Add(-900 * time.Hour)}}},
		Owned:  map[posture.DeviceID][]subject.Owned{"d-014": {{From: now.Add(-900 * time.Hour), Class: posture.SchoolSingleUser}}},
		Told: map[posture.DeviceID][]subject.Report{"d-014": {{Made: now.Add(-40 * time.Hour), Received: now.Add(-40 * time.Hour), Findings: []posture.Finding{
			{Rule: "EXE-03", Subject: posture.Subject{Label: "game.exe"}, Result: posture.Fail, Message: "a portable program in Downloads"},
		}}}},
		Looks: []subject.Seen{{At: now.Add(-3 * time.Hour), By: "technician", Way: "page", What: "device", Device: "d-014"}},
	})
}

// subjectsOf is what follows requests, where a school does.
func subjectsOf(q Queries) Subjects {
	s, _ := q.(*school)
	return s
}

// keptOf is what tells how long things are kept, where a school does.
func keptOf(q Queries) KeptTimes {
	s, _ := q.(*school)
	return s
}

func (s *school) Requests(_ context.Context, id posture.SchoolID, _ time.Time) ([]subject.Request, error) {
	if id != hollybank || s.fail != nil {
		return nil, s.fail
	}
	return askers(), nil
}

func (s *school) Request(_ context.Context, id posture.SchoolID, name string, _ time.Time) (subject.Request, error) {
	for _, r := range askers() {
		if id == hollybank && r.ID == name {
			return r, s.fail
		}
	}
	return subject.Request{}, view.ErrNotFound
}

// RecordRequest implements Subjects: it keeps what was recorded, and refuses what
// says so.
func (s *school) RecordRequest(_ context.Context, _ posture.SchoolID, d decision.Decision) (subject.Request, error) {
	if d.Reason == "refuse this" {
		return subject.Request{}, &decision.RefusedError{Why: "it is answered already"}
	}
	s.decided = append(s.decided, d)
	return subject.Request{ID: "sr-9"}, nil
}

func (s *school) SubjectNames(context.Context, posture.SchoolID) (people, accounts []string, err error) {
	return []string{"Ash Lowe", "Sam Carter", "<b>Robin</b>"}, []string{"technician"}, s.fail
}

func (s *school) MakeExport(_ context.Context, _ posture.SchoolID, by, request string, people, accounts []string) (subject.Request, error) {
	s.asked = append(s.asked, by+" gathers "+strings.Join(append(people, accounts...), ", ")+" for "+request)
	return subject.Request{ID: request}, nil
}

func (s *school) ExportFile(_ context.Context, id posture.SchoolID, request string) (file []byte, kept bool, err error) {
	if id != hollybank || request != "sr-1" && request != "sr-2" {
		return nil, false, view.ErrNotFound
	}
	if request == "sr-2" {
		return nil, false, nil
	}
	file, err = subject.Encode(gathered())
	return file, true, err
}

func (s *school) KeptTimes(context.Context, posture.SchoolID) ([]KeptTime, error) {
	return []KeptTime{{"how a laptop changed, and what was decided about its breaches", "the end of the laptop's life", "1 year"}, {"the name of who had a device", "the day on which it was handed back", "6 months"}}, s.fail
}
