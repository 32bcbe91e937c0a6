package web

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Records says how the schools' records stand: what the view cannot know.
type Records interface {
	// Record returns how a school's record stands.
	Record(school posture.SchoolID) Record
}

// Record is how a school's record stands beside what the view shows of it. The
// zero value says that all is well.
type Record struct {
	Stopped time.Time // since when nothing is recorded; zero: it is
	Reason  string    // why nothing is recorded
	Again   bool      // the collector opens the record again by itself
	Damage  *Damage   // what of the record cannot be read; nil: nothing that is known

	Refused    time.Time // since when attempts to record failed; zero: the last did not
	RefusedFor string

	LooksWaiting int // looks at devices that are kept until they can be recorded

	Behind  time.Time // since when the pages lack something that is recorded; zero: they lack nothing
	Waiting uint64    // entries of the record that they lack
	Failing string    // why they do not take these in; "": they are about to

	Forgotten []Forgotten // what was forgotten on purpose, in order

	ClockBack time.Time // what the record says it was already, by a clock that was since set back; zero: it was not
}

// Damage is a part of a record that cannot be read.
type Damage struct {
	File   string // below the school's ledger; "" if What says where
	Offset int64
	Entry  uint64 // the entry concerned, if Known
	Known  bool
	More   int    // further entries that are damaged
	What   string // is wrong
}

// Forgotten is a class and month of the record of which something was forgotten.
type Forgotten struct {
	At     time.Time
	Class  string // in one word, such as "media"
	Month  string // such as "2026-10"
	Reason string
	Item   string // the time of which was over; "" if somebody asked
}

// ofLives is the item of what is forgotten of devices whose life is over, and of
// no other.
const ofLives = "states"

// forgottenWords names what a class holds. What is not about one device is not
// among them.
var forgottenWords = map[string]string{
	"posture": "encryption, antivirus, settings and findings", "media": "sticks and other media",
	"inventory": "programs and program files", "contacts": "when the laptop was heard from",
}

// forgottenOf says what was forgotten of what a device has reported since it
// enrolled. What is forgotten month after month because its time is over is one line.
func (s *site) forgottenOf(v visit, d view.Device) []string {
	if s.Records == nil {
		return nil
	}
	var list []string
	all := s.Records.Record(v.school.ID).Forgotten
	for i, f := range all {
		month, err := time.Parse("2006-01", f.Month)
		about, ok := forgottenWords[f.Class]
		if err != nil || !ok || month.AddDate(0, 1, 0).Before(d.EnrolledAt) || f.Item == ofLives && d.RevokedAt.IsZero() {
			continue
		}
		of := "Reports of "
		if f.Item != "" {
			if slices.ContainsFunc(all[i+1:], func(o Forgotten) bool { return o.Item == f.Item && o.Class == f.Class && o.Month >= f.Month }) {
				continue
			}
			of = "Reports up to "
		}
		words := of + month.Format("January 2006") + " about " + about + ": forgotten on " + s.clockwork(v).moment(f.At).Text
		if f.Reason != "" {
			words += " (" + f.Reason + ")"
		}
		list = append(list, words+".")
	}
	return list
}

// notice is something about a record that whoever reads its pages must know.
type notice struct {
	Title string
	Words []string
	Grave bool // what these pages show may be wrong, or is not being kept up
}

// patience is how long the pages may lack something before they say so.
const patience = 10 * time.Second

// notices says what must be known of the record of a visit's school.
func (s *site) notices(v visit) []notice {
	if v.school.ID == "" || s.Records == nil {
		return nil
	}
	r, at := s.Records.Record(v.school.ID), s.clockwork(v)
	var list []notice
	switch {
	case r.Damage != nil:
		list = append(list, damageNotice(v.school, r, at))
	case !r.Stopped.IsZero():
		list = append(list, stopNotice(v.school, r, at))
	case !r.Refused.IsZero():
		list = append(list, notice{"What laptops report could not be recorded", []string{
			"Since " + at.moment(r.Refused).Text + ": " + r.RefusedFor + ".",
			"Laptops keep their reports and send them again, so nothing is lost. These pages do not show them yet.",
		}, true})
	}
	if !r.Behind.IsZero() && (r.Failing != "" || v.now.Sub(r.Behind) >= patience) {
		list = append(list, behindNotice(r, at))
	}
	if !r.ClockBack.IsZero() {
		list = append(list, notice{"The collector's clock was set back", []string{
			"It says " + at.moment(v.now).Text + ", and the record has an entry of " + at.moment(r.ClockBack).Text + ".",
			"Until the clock is put right, times on these pages may be wrong, and what has lapsed or is overdue may not look so.",
		}, true})
	}
	return list
}

func damageNotice(school view.School, r Record, at clockwork) notice {
	n := notice{Title: "Part of the record of " + school.Name + " cannot be read", Grave: true}
	if r.Stopped.IsZero() {
		n.Words = append(n.Words, "What laptops report is recorded all the same. What the damaged part said counts as not proven.")
	} else {
		n.Words = append(n.Words, "Nothing has been recorded for this school since "+at.moment(r.Stopped).Text+
			". These pages show what was known before, without the details that are in the record, and nothing that happened since. Laptops keep their reports and send them once the record is whole, so they are not lost.")
	}
	d := r.Damage
	where := d.What
	if d.File != "" {
		where = d.File + ", byte " + number(int(d.Offset)) + ": " + d.What
		if d.Known {
			where = "Entry " + number(int(d.Entry)) + ", " + where
		}
	}
	if d.More > 0 {
		where += "; " + number(d.More) + " more entries are damaged"
	}
	n.Words = append(n.Words, "For the technician: "+sentence(where)+
		" Put this file back from a backup and start the collector again; caretaker-collector ledger verify tells whether the record is whole.")
	return n
}

func stopNotice(school view.School, r Record, at clockwork) notice {
	n := notice{Title: "Nothing is being recorded for " + school.Name, Grave: true, Words: []string{
		"Since " + at.moment(r.Stopped).Text + ": " + r.Reason + ".",
		"Laptops keep their reports and send them again, so nothing is lost. These pages show what was recorded before.",
	}}
	if r.Again {
		n.Words = append(n.Words, "The collector tries again every minute.")
	} else {
		n.Words = append(n.Words, "For the technician: put it right and start the collector again.")
	}
	return n
}

func behindNotice(r Record, at clockwork) notice {
	until := "These pages show what was recorded until " + at.moment(r.Behind).Text
	newer := number(int(r.Waiting)) + " newer entries"
	if r.Waiting == 1 {
		newer = "1 newer entry"
	}
	if r.Failing == "" {
		return notice{"These pages are behind", []string{until + "; " + newer + " of the record " + isAre(int(r.Waiting)) + " being worked in."}, false}
	}
	return notice{"These pages are not being kept up to date", []string{
		until + "; " + newer + " of the record cannot be worked in: " + r.Failing + ".",
		"What laptops report is recorded all the same.",
	}, true}
}
