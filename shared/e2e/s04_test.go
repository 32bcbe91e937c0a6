package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/access"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// summer is a summer holiday with what is before and after it.
const summer = `name: Hollybank Primary School, summer 2027
zone: Europe/London
from: 2027-06-01
to: 2027-12-17
terms:
  - {name: Summer term, from: 2027-06-07, to: 2027-07-21}
  - {name: Autumn term, from: 2027-09-02, to: 2027-12-17}
`

// hasSummer sets that calendar once the school shows.
func (w *world) hasSummer() {
	w.t.Helper()
	until(w.t, "the school shows", func() bool { return w.do("calendar.show", collectorapp.CalendarArguments{}, new(any)) == nil })
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "summer.yaml", Source: []byte(summer)})
}

// trolley enrols so many laptops of a recorded machine, lets each report once, and
// switches them off. They are on the register.
func (w *world) trolley(c *collector, laptops int, machine string) []*laptop {
	w.t.Helper()
	arguments := tokenFor(c.agents)
	arguments.Uses = laptops
	token := ask[collectorapp.TokenAnswer](w, "token.create", arguments).Token
	list := "tag,class,host\n"
	var all []*laptop
	for i := range laptops {
		host := fmt.Sprintf("hb-lt-%03d", 101+i)
		l := &laptop{w: w, state: filepath.Join(w.dir, host), machine: filepath.Join(w.dir, host+"-machine")}
		must(w.t, os.Mkdir(l.machine, 0o755))
		l.becomesNamed(machine, host)
		id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token}, w.clock)
		must(w.t, err)
		l.device = string(id.Device)
		l.run()
		until(w.t, host+" has reported", func() bool { d := l.shown(); return d.LastReport == 1 && d.Hostname == host })
		must(w.t, l.stop())
		list += strings.ToUpper(host) + ",SM," + host + "\n"
		all = append(all, l)
	}
	w.imports(list, time.Time{})
	until(w.t, "the register shows", func() bool { return w.coverage().Of(view.NotRegistered) == 0 && w.coverage().Registered == laptops })
	return all
}

// becomesNamed is becomes for a machine with a host name of its own.
func (l *laptop) becomesNamed(machine, host string) {
	l.w.t.Helper()
	l.becomes(machine)
	file := filepath.Join(l.machine, "reads.jsonl")
	reads, err := os.ReadFile(file)
	must(l.w.t, err)
	must(l.w.t, os.WriteFile(file, bytes.ReplaceAll(reads, []byte("hb-lt-014"), []byte(host)), 0o644))
}

// until advances the clock in steps to a moment, and has the collector answer
// after each.
func (w *world) until(when time.Time, step time.Duration) {
	w.t.Helper()
	for w.clock.Now().Before(when) {
		w.clock.Advance(min(step, when.Sub(w.clock.Now())))
		ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{})
	}
}

// stayOn has the laptop be on until a moment, and be heard from as often as it
// speaks: what it says arrives before time goes on, or its clock would seem wrong.
func (l *laptop) stayOn(end time.Time) {
	l.w.t.Helper()
	for l.w.clock.Now().Before(end) {
		l.w.clock.Advance(5 * time.Minute)
		l.w.untilPassing(time.Second, "it is heard from", func() bool {
			return l.status().Waiting == 0 && l.w.clock.Now().Sub(l.shown().LastContact) < time.Hour
		})
	}
}

// breachesOf are the breaches of a rule that were not resolved.
func (w *world) breachesOf(rule string) []view.Breach {
	w.t.Helper()
	var list []view.Breach
	for a := (collectorapp.ListArguments{Limit: 500}); ; {
		page := ask[view.BreachPage](w, "breach.list", a)
		for _, b := range page.Breaches {
			if b.Rule == rule {
				list = append(list, b)
			}
		}
		if a.After = page.Next; a.After == "" {
			return list
		}
	}
}

// TestS4: antivirus lapses over the summer.
func TestS4(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(london(t, "2027-07-21 09:00").Sub(monday))
	c := w.collect()
	w.hasSummer()
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	w.tells(notify.Mail, "dpo@hollybank.example", "dpo")

	// Given 24 trolley laptops off 22 Jul to 2 Sep, subscription ended 31 Jul.
	laptops := w.trolley(c, 24, "trolley-laptop")
	for _, l := range laptops {
		if d := l.shown(); standing(d, "AV-01") != view.Met || standing(d, "AV-02") != view.Met || standing(d, "LIF-02") != view.Met || d.Open != 0 {
			t.Fatalf("in July %s has %d open breaches, AV-01 %s, AV-02 %s, LIF-02 %s: %+v", d.Hostname, d.Open, standing(d, "AV-01"), standing(d, "AV-02"), standing(d, "LIF-02"), d.Breaches)
		}
	}
	w.until(london(t, "2027-08-20 12:00"), 3*time.Hour)
	if got := w.breachesOf("LIF-01"); len(got) != 0 {
		t.Errorf("in August %d laptops in a cupboard were not seen recently: %+v", len(got), got[0])
	}
	if d := laptops[0].shown(); !d.Silent || standing(d, "AV-01") != view.NotProven {
		t.Errorf("in August, unheard, silent is %t and AV-01 %s", d.Silent, standing(d, "AV-01"))
	}

	// When switched on 2 Sep 08:05; then no alert was sent in August.
	morning := london(t, "2027-09-02 08:05")
	w.until(london(t, "2027-09-02 07:25"), 3*time.Hour)
	w.until(morning, time.Minute)
	if letters := alerts(server); len(letters) != 0 {
		t.Fatalf("before the laptops were switched on %d letters came, the first: %s", len(letters), letters[0].Data)
	}
	for _, l := range server.Letters() {
		if strings.Contains(l.Header("Subject"), ": Summary of ") && (!strings.Contains(l.Header("Subject"), "July 2027") || !strings.Contains(l.Data, "2 Sep 2027")) {
			t.Errorf("the summary of July comes once there is school again: %s", l.Data)
		}
	}
	for i, l := range laptops {
		l.becomesNamed("trolley-laptop-lapsed", fmt.Sprintf("hb-lt-%03d", 101+i))
		l.run()
		until(t, "the laptop reports again", func() bool { return l.shown().LastReport == 2 })
		if i > 0 {
			must(t, l.stop()) // one is enough to see hours pass by
		}
	}
	on := w.clock.Now()

	// The expired product gets no grace.
	expired := w.breachesOf("AV-01")
	if len(expired) != 24 {
		t.Fatalf("%d laptops have no antivirus that runs: %+v", len(expired), expired)
	}
	for _, b := range expired {
		if b.Status != breach.Open || b.Severity != posture.Critical || b.FirstFailed.Before(morning) || !b.GraceEnds.Equal(b.FirstFailed) {
			t.Errorf("the ended subscription on %s is %s, %s, since %s, with grace until %s", b.Hostname, b.Status, b.Severity, b.FirstFailed, b.GraceEnds)
		}
	}
	// 42-day definitions get 24 hours online to update.
	definitions := func(status breach.Status, left time.Duration, of *laptop) {
		t.Helper()
		for _, b := range w.breachesOf("AV-02") {
			if string(b.Device) != of.device {
				continue
			}
			if b.Status != status || b.GraceLeft != left || status == breach.Pending && !b.GraceEnds.IsZero() {
				t.Errorf("at %s the definitions of %s are %s, %s left, until %s; want %s, %s left", w.clock.Now(), b.Hostname, b.Status, b.GraceLeft, b.GraceEnds, status, left)
			}
			return
		}
		t.Errorf("at %s the definitions of %s are in no breach", w.clock.Now(), of.device)
	}
	stays, leaves := laptops[0], laptops[1]
	for _, l := range laptops {
		definitions(breach.Pending, 24*time.Hour, l)
	}

	// One grouped alert "24 devices, one cause".
	letters := w.delivered(server, 1)
	for _, want := range []string{
		"Not met on 24 laptops: Approved antivirus is on (AV-01, critical)", "\r\n24 laptops, one cause.\r\n", "HB-LT-101", "and 14 more", "Hollybank Primary School",
	} {
		if !strings.Contains(letters[0].Data, want) {
			t.Errorf("the alert does not have %q: %s", want, letters[0].Data)
		}
	}
	if letters[0].To != office || strings.Contains(letters[0].Data, "AV-02") || strings.Contains(letters[0].Data, "hb-lt-") {
		t.Errorf("the alert to %s is %s", letters[0].To, letters[0].Data)
	}
	if told := w.clock.Now().Sub(on); told > time.Hour {
		t.Errorf("it came %s after they were switched on", told)
	}

	// One laptop stays on; the others are put back into the trolley.
	stays.stayOn(on.Add(23 * time.Hour))
	if got := w.breachesOf("AV-02"); len(got) != 24 {
		t.Fatalf("%d laptops have old definitions", len(got))
	}
	technician := w.callerOf(c, "Morgan Ellis", access.Technician)
	var page view.BreachPage
	if got := technician.ask(technician.school()+"/breaches?rule=AV-02&limit=500", nil, &page); got != http.StatusOK || len(page.Breaches) != 24 {
		t.Fatalf("a program asks: %d, %d breaches", got, len(page.Breaches))
	}
	for _, b := range page.Breaches {
		if b.Status != breach.Pending {
			t.Errorf("after 23 hours the definitions of %s are %s", b.Hostname, b.Status)
		}
	}
	stays.stayOn(on.Add(26 * time.Hour))
	definitions(breach.Open, 0, stays)
	definitions(breach.Pending, 23*time.Hour, leaves)
	for _, b := range w.breachesOf("AV-02") {
		if string(b.Device) == stays.device && (b.GraceEnds.Before(on.Add(24*time.Hour)) || b.GraceEnds.After(on.Add(26*time.Hour))) {
			t.Errorf("its 24 hours online, from %s on, ended at %s", on, b.GraceEnds)
		}
	}
	must(t, stays.stop())

	// In the trolley time online stands still, and nothing passes.
	w.until(london(t, "2027-09-09 12:00"), 3*time.Hour)
	definitions(breach.Open, 0, stays)
	definitions(breach.Pending, 23*time.Hour, leaves)
	if got := standing(leaves.shown(), "AV-02"); got != view.NotMet {
		t.Errorf("after a week in the trolley the definitions are %s", got)
	}
	// Nothing is told twice; the one whose grace is over is in a digest.
	letters = w.delivered(server, 2)
	if d := letters[1].Data; !strings.Contains(d, "Not met on 1 laptop: Antivirus definitions are current (AV-02, high)") || strings.Contains(d, "AV-01") {
		t.Errorf("the digest is %s", d)
	}
	for _, l := range letters {
		if l.To != office {
			t.Errorf("%s was told of antivirus: %s", l.To, l.Data)
		}
	}
	same(w, "the definitions", func() []view.Breach { return w.breachesOf("AV-02") })
	same(w, "the antivirus", func() []view.Breach { return w.breachesOf("AV-01") })
	w.verified()
}

// TestACupboardAfterTheSummerIsOneLine: laptops that nobody takes out of the
// cupboard are one line, on the second day of term.
func TestACupboardAfterTheSummerIsOneLine(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(london(t, "2027-07-21 09:00").Sub(monday))
	c := w.collect()
	w.hasSummer()
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	w.trolley(c, 3, "trolley-laptop")
	w.until(london(t, "2027-09-02 18:00"), 3*time.Hour)
	if letters := alerts(server); len(letters) != 0 {
		t.Fatalf("on the first day of term %d letters had come, the first: %s", len(letters), letters[0].Data)
	}
	letter := w.delivered(server, 1)[0]
	if !strings.Contains(letter.Data, "Nothing heard in time from 3 laptops: Encryption is proven (ENC-05, high)") ||
		!strings.Contains(letter.Data, "3 laptops, one cause.") || !strings.Contains(letter.Header("Date"), "03 Sep 2027 0") {
		t.Errorf("the letter is %s", letter.Data)
	}
	// Fourteen days without holidays: those of July and of September together.
	w.until(london(t, "2027-09-14 18:00"), 3*time.Hour)
	if got := w.breachesOf("LIF-01"); len(got) != 0 {
		t.Errorf("after %s of term they were not seen recently", w.clock.Now())
	}
	w.until(london(t, "2027-09-15 18:00"), 3*time.Hour)
	if got := w.breachesOf("LIF-01"); len(got) != 3 {
		t.Errorf("after fourteen days of term %d were not seen recently", len(got))
	}
	w.verified()
}
