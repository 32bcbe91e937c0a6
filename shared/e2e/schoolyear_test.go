package e2e

import (
	"crypto/x509"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/view"
)

// wholeYear is a school year and the term after it.
const wholeYear = `name: Hollybank Primary School, 2026-27
zone: Europe/London
from: 2026-09-01
to: 2027-12-17
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
  - {name: Summer term, from: 2027-04-12, to: 2027-07-21}
  - {name: Next autumn term, from: 2027-09-02, to: 2027-12-17}
`

// TestASchoolYear follows two laptops of a school whose certificate authority is
// nearly twenty years old through a year: one is in use on every third Monday of
// the terms, goes home for the summer and comes back in September with a
// certificate that ended in August; the other is put into a cupboard before
// Christmas, and learns the next authority when somebody has approved it.
func TestASchoolYear(t *testing.T) {
	w := worldAt(t, inLondon(t, "2007-08-10 09:00"))
	w.clock.Advance(inLondon(t, "2026-09-07 09:00").Sub(w.clock.Now()))
	heard := &written{}
	serve := func() *collector {
		return w.collectBy(w.clock, func(config *collectorapp.Config) { config.Log = slog.New(slog.NewTextHandler(heard, nil)) })
	}
	c := serve()
	until(t, "the school shows", func() bool { return w.do("calendar.show", collectorapp.CalendarArguments{}, new(any)) == nil })
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "year.yaml", Source: []byte(wholeYear)})
	ask[any](w, "renewal.window", collectorapp.RenewalArguments{Days: 120, Reason: "a term and a half"})
	road, lane := newLink(t, c.agents), newLink(t, c.agents)
	to := func(when string) {
		t.Helper()
		w.clock.Advance(inLondon(t, when).Sub(w.clock.Now()))
	}
	on := func(l *laptop) { // it is switched on until it has said all
		t.Helper()
		l.run()
		now := w.clock.Now()
		until(t, "it assesses itself", func() bool { return !l.status().AssessedAt.Before(now) })
		w.untilPassing(time.Second, "it has reported", func() bool { return l.status().Acknowledged >= 1 })
		l.saysAll(now)
	}
	// weeks are every third Monday of a term, on which the laptop is in use. Its
	// certificate holds for ninety days, and has four weeks left each evening.
	var l *laptop
	weeks := func(first, last string) {
		t.Helper()
		for day := inLondon(t, first); !day.After(inLondon(t, last)); day = day.AddDate(0, 0, 21) {
			w.clock.Advance(day.Sub(w.clock.Now()))
			on(l)
			w.untilPassing(time.Second, "its certificate is renewed long before the end", func() bool { return l.certified().Sub(day) > 28*24*time.Hour })
			must(t, l.stop())
		}
	}

	// September: it is enrolled, and reports through the term.
	to("2026-09-14 08:30")
	l = w.unstarted("laptop", "windows-laptop", road.Address())
	first := l.certified()
	weeks("2026-09-14 08:30", "2026-12-07 08:30")
	to("2026-12-14 08:30")
	if !l.certified().After(first) {
		t.Error("its first certificate was not renewed in the term")
	}
	cupboard := w.unstarted("cupboard", "plain-laptop", lane.Address())
	on(cupboard)
	lane.Cut()
	until(t, "the agent notices", func() bool { return !cupboard.status().Connected })
	cupboard.becomes("plain-laptop-with-stick")
	cupboard.at(inLondon(t, "2026-12-14 15:00"))
	must(t, cupboard.stop())
	kept := cupboard.status().Waiting
	if kept == 0 {
		t.Fatal("it keeps nothing that it could not say")
	}

	// After Christmas what is counted in school days has hardly gone on.
	to("2027-01-05 08:30")
	w.allShown()
	if !slices.ContainsFunc(cupboard.shown().Breaches, func(b view.Breach) bool {
		return b.Rule == "CFG-02" && b.Status == breach.Pending && b.GraceEnds.UTC().Format(time.DateOnly) == "2027-01-07"
	}) {
		t.Errorf("seven school days from 14 December end on 7 January: %+v", cupboard.shown().Breaches)
	}

	// The spring, with a day that is asked about, and Easter.
	weeks("2027-01-18 08:30", "2027-03-22 08:30")
	asked := inLondon(t, "2027-03-03 12:00")
	w.allShown()
	_, then := w.bundle(l, asked)
	if s := then.Sheet; s.State != evidence.Encrypted || !s.HeldAt.Before(asked) || asked.Sub(s.HeldAt) > 3*24*time.Hour {
		t.Errorf("on 3 March it was %s, as last signed %v", s.State, s.HeldAt)
	}
	weeks("2027-04-12 08:30", "2027-07-05 08:30")
	ends := l.certified()
	if ends.Before(inLondon(t, "2027-08-01 00:00")) || ends.After(inLondon(t, "2027-09-01 00:00")) {
		t.Fatalf("the story wants a certificate that ends in August, and it ends %v", ends)
	}
	w.allShown()
	trend := ask[view.Trend](w, "trends.show", collectorapp.TrendArguments{From: "2026-09-07", To: "2027-07-05"})
	for _, want := range []string{"2026-12-19 2027-01-04", "2027-03-26 2027-04-11"} {
		if !slices.ContainsFunc(trend.Closed, func(c calendar.Span) bool { return c.From.String()+" "+c.To.String() == want }) {
			t.Errorf("Christmas and Easter are not all closed: %v", trend.Closed)
		}
	}

	// The summer: at home its protection is suspended, and it is switched off.
	road.Cut()
	failed := inLondon(t, "2027-07-24 10:00")
	w.clock.Advance(failed.Sub(w.clock.Now()))
	l.becomes("windows-laptop-suspended")
	l.run()
	until(t, "it assesses itself at home", func() bool { return l.status().AssessedAt.Equal(failed) && l.status().Waiting > 0 })
	must(t, l.stop())

	// In the holidays the collector is started anew, and its authority replaced.
	must(t, c.stop())
	to("2027-08-16 10:00")
	before := heard.has("authority was replaced")
	c = serve()
	if before || !heard.has("authority was replaced") {
		t.Errorf("the authority was replaced before the summer: %t; and in it: %t", before, heard.has("authority was replaced"))
	}

	// September: the known key renews its ended certificate, and what was kept arrives.
	back := inLondon(t, "2027-09-06 08:30")
	w.clock.Advance(back.Sub(w.clock.Now()))
	road.Mend(c.agents)
	lane.Mend(c.agents)
	if heard.has("code=expired") {
		t.Error("an ended certificate was met before the summer")
	}
	l.run()
	w.untilPassing(time.Minute, "it renews", func() bool { return l.certified().After(back) })
	l.saysAll(back)
	w.allShown()
	late := false
	for _, b := range l.shown().Breaches {
		late = late || b.Rule == "ENC-02" && b.FirstFailed.Equal(failed) && !b.ReceivedAt.Before(back) && b.ReportedLate
	}
	if n := l.status().Dropped; !late || n != 0 {
		t.Errorf("what it found at home on 24 July shows: %t; it lost %d statements", late, n)
	}

	// The other was away for longer than the school's window. With an ended
	// certificate it may ask for the next one, and do nothing else.
	cupboard.run()
	w.untilPassing(time.Minute, "its stream is refused", func() bool { return heard.has("code=expired") })
	w.untilPassing(time.Minute, "it says that it waits", func() bool {
		return strings.Contains(cupboard.status().Trouble, "waits for the school to approve the renewal of its certificate") && strings.Contains(cupboard.status().Trouble, "more than 120 days ago")
	})
	if n, ends, last := cupboard.status().Waiting, cupboard.certified(), cupboard.shown().LastContact; n < kept || ends.After(back) || !last.Before(back) {
		t.Errorf("nobody has approved it: of %d statements %d wait, its certificate ends %v, and it was heard from %v", kept, n, ends, last)
	}
	ask[collectorapp.AdmissionAnswer](w, "renewal.approve", collectorapp.RenewalArguments{Device: cupboard.device, Reason: "found in the cupboard of Year 4"})
	w.untilPassing(time.Minute, "it is current again", func() bool {
		return cupboard.status().Waiting == 0 && cupboard.status().Trouble == "" && cupboard.certified().After(back) && !cupboard.shown().LastContact.Before(back)
	})

	// Whoever is enrolled now knows the present authority alone.
	fresh := w.laptop("fresh", "windows-laptop", c.agents)
	w.untilPassing(time.Second, "it is acknowledged", func() bool { return fresh.status().Acknowledged >= 1 })
	w.allShown()
	for _, one := range []*laptop{l, cupboard, fresh} {
		w.once(one)
	}
	if _, now := w.bundle(l, asked); sheet(t, now) != sheet(t, then) {
		t.Errorf("of 3 March it said %s and says %s", sheet(t, then), sheet(t, now))
	}
	w.rebuiltSame(l, cupboard, fresh)
}

// certified returns when the certificate that a laptop keeps ends.
func (l *laptop) certified() time.Time {
	l.w.t.Helper()
	d, err := enroll.Load(l.state, time.Time{})
	must(l.w.t, err)
	one, err := x509.ParseCertificate(d.Certificate)
	must(l.w.t, err)
	return one.NotAfter
}
