package e2e

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// at moves the clock to a time of the first day and waits until the agent has
// assessed the laptop then.
func (l *laptop) at(when time.Time) {
	l.w.t.Helper()
	l.w.clock.Advance(when.Sub(l.w.clock.Now()))
	until(l.w.t, "the agent assesses at "+when.String(), func() bool { return l.status().AssessedAt.Equal(when) })
}

func TestChangesWhileTheNetworkIsCutAppearWithTheirTrueTimes(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	network := newLink(t, c.agents)
	l := w.laptop("laptop", "plain-laptop", network.Address())
	until(t, "the first report shows", func() bool { return l.shown().LastReport == 1 })

	network.Cut()
	until(t, "the agent notices", func() bool { return !l.status().Connected })
	stick, encrypted, home := monday.Add(2*time.Hour), monday.Add(5*time.Hour), monday.Add(9*time.Hour)
	l.becomes("plain-laptop-with-stick")
	l.at(stick)
	l.becomes("encrypted-laptop")
	l.at(encrypted)
	if d := l.shown(); d.LastReport != 1 || standing(d, "ENC-01") != view.NotMet {
		t.Errorf("the collector knows report %d of a laptop that it cannot hear", d.LastReport)
	}
	l.at(home)
	if s := l.status(); s.Waiting < 2 {
		t.Errorf("%d statements wait, want both reports", s.Waiting)
	}

	network.Mend("")
	w.untilPassing(10*time.Second, "all has arrived", func() bool { return l.status().Waiting == 0 && l.shown().LastReport == 3 })
	d := l.shown()
	if got := standing(d, "ENC-01"); got != view.Met {
		t.Errorf("ENC-01 stands %q, want %q", got, view.Met)
	}
	for _, f := range d.Findings {
		if f.Rule == "ENC-01" && f.Standing == view.Met && !f.Since.Equal(encrypted) {
			t.Errorf("the disk is encrypted since %v, want %v", f.Since, encrypted)
		}
	}
	var came, went bool
	for _, e := range d.Events {
		came = came || e.Action == posture.Attached && e.At.Equal(stick)
		went = went || e.Action == posture.Detached && e.At.Equal(encrypted)
	}
	if !came || !went {
		t.Errorf("the stick came at %v and went at %v; the events are %+v", stick, encrypted, d.Events)
	}
	for _, b := range d.Breaches {
		if b.Rule == "USB-01" && (!b.FirstFailed.Equal(stick) || b.ReceivedAt.Before(home)) {
			t.Errorf("the breach began %v and was heard of %v; want %v and not before %v", b.FirstFailed, b.ReceivedAt, stick, home)
		}
	}
	if len(d.Gaps) > 0 {
		t.Errorf("reports are missing: %v", d.Gaps)
	}
	w.verified()
}

func TestSixWeeksWithoutNetworkLoseNothingAndFloodNobody(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	network := newLink(t, c.agents)
	l := w.laptop("laptop", "plain-laptop", network.Address())
	until(t, "the first report shows", func() bool { return l.shown().LastReport == 1 })

	network.Cut()
	until(t, "the agent notices", func() bool { return !l.status().Connected })
	day := 24 * time.Hour
	for week := range 6 {
		if week == 3 {
			l.becomes("encrypted-laptop")
		}
		l.at(monday.Add(time.Duration(week+1) * 7 * day))
	}
	before := len(w.entries())
	if d := l.shown(); !d.Silent {
		t.Error("a laptop that was not heard of for six weeks is not shown as silent")
	}

	network.Mend("")
	w.untilPassing(time.Minute, "all has arrived", func() bool { return l.status().Waiting == 0 && l.shown().LastReport > 1 })
	d := l.shown()
	changed := monday.Add(4 * 7 * day)
	for _, f := range d.Findings {
		if f.Rule == "ENC-01" && f.Standing == view.Met && !f.Since.Equal(changed) {
			t.Errorf("the disk is encrypted since %v, want %v", f.Since, changed)
		}
	}
	if standing(d, "ENC-01") != view.Met || len(d.Gaps) > 0 || d.Silent {
		t.Errorf("after six weeks: ENC-01 %s, gaps %v, silent %v", standing(d, "ENC-01"), d.Gaps, d.Silent)
	}
	if after := len(w.entries()); after-before > 20 {
		t.Errorf("six quiet weeks made %d entries", after-before)
	}
	w.verified()
}
