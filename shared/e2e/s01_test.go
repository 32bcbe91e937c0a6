package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// inLondon reads a time as clocks in London showed it.
func inLondon(t *testing.T, text string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	must(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	must(t, err)
	return at.UTC()
}

// worldAt is newWorld at another moment.
func worldAt(t *testing.T, now time.Time) *world {
	t.Helper()
	w := emptyWorld(t)
	w.clock = clocktest.NewDriven(now)
	must(t, w.do("init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer)))
	return w
}

// assesses has a laptop assess itself at a moment, and waits until what it has
// to say is shown. A stream that ended over a long time takes some seconds to
// come again.
func (l *laptop) assesses(when time.Time) {
	l.w.t.Helper()
	l.at(when)
	l.saysAll(when)
}

// saysAll waits until what a laptop has to say since a moment is shown.
func (l *laptop) saysAll(when time.Time) {
	l.w.t.Helper()
	l.w.untilPassing(time.Second, "what it says of "+when.String()+" is shown", func() bool {
		return l.status().Waiting == 0 && !l.shown().LastContact.Before(when)
	})
	l.w.allShown()
}

// allShown waits until the whole record is shown.
func (w *world) allShown() {
	w.t.Helper()
	school := w.only()
	until(w.t, "all is shown", func() bool { s := w.status(school); return s.Shown == s.Entries })
}

// autumn is what becomes of HB-LT-014 until it is lost: sixteen days in a
// cupboard, a stick, and two hours with its protection suspended.
func autumn(t *testing.T, w *world, l *laptop) {
	t.Helper()
	for _, day := range []struct{ at, machine string }{
		{"2026-09-21 09:00", ""},
		{"2026-09-28 09:00", ""},
		{"2026-10-05 09:00", "windows-laptop-with-stick"},
		{"2026-10-05 11:00", "windows-laptop"},
		{"2026-10-12 09:00", ""},
		{"2026-10-13 09:00", "windows-laptop-suspended"},
		{"2026-10-13 11:00", "windows-laptop"},
		{"2026-10-20 09:00", ""},
		{"2026-10-23 15:52", ""},
	} {
		if day.machine != "" {
			l.becomes(day.machine)
		}
		l.assesses(inLondon(t, day.at))
	}
}

// TestS1 is "Laptop on a train": HB-LT-014 last reported on Fri 23 Oct 2026 at
// 15:52; at 17:10 a teacher rings to say that it was left on the 16:20 train.
func TestS1(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-09-04 08:00"))
	c := w.collect()
	l := w.laptop("laptop", "windows-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag,what\nHB-LT-014,staff laptop\n")})
	w.allShown()
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Tie, Tag: "HB-LT-014"}, Device: l.device})
	w.allShown()
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Recovery, Tag: "HB-LT-014", Escrow: register.KeyHeld}})
	autumn(t, w, l)
	must(t, l.stop()) // it is switched off, and lies on the train
	dpo := w.callerOf(c, "Priya Anand", access.DPO)
	path := "/schools/" + string(w.only()) + "/devices/" + l.device + "/evidence?at=2026-10-23T16:20:00%2B01:00&aware=2026-10-23T17:10:00%2B01:00"

	// Within two minutes, without the technician: the clock stands at 17:10, and
	// nobody but the officer asks.
	w.clock.Advance(inLondon(t, "2026-10-23 17:10").Sub(w.clock.Now()))
	w.allShown()
	var answer api.Evidence
	if got := dpo.ask(path, nil, &answer); got != http.StatusOK {
		t.Fatalf("the officer asks: %d", got)
	}
	b, _, err := evidence.Verify(answer.Sealed, evidence.Trust{})
	must(t, err)
	s1Sheet(t, b, answer)
	s1Page(t, answer.Page)
	if answer.MadeBy != "Priya Anand" {
		t.Errorf("made by %s", answer.MadeBy)
	}
	if got := w.callerOf(c, "Gail Governor", access.Governor).ask(path, nil, nil); got != http.StatusForbidden {
		t.Errorf("a governor asks: %d", got)
	}

	// Frozen: later contact adds to the timeline, and changes nothing earlier.
	found := inLondon(t, "2026-10-26 10:00")
	w.clock.Advance(found.Sub(w.clock.Now()))
	l.becomes("windows-laptop-suspended")
	l.run()
	l.saysAll(found)
	dpo.key = ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: "Priya Anand", Label: "Monday", Lasts: time.Hour}).Key
	var again api.Evidence
	if got := dpo.ask(path, nil, &again); got != http.StatusOK {
		t.Fatalf("the officer asks again: %d", got)
	}
	later, _, err := evidence.Verify(again.Sealed, evidence.Trust{})
	must(t, err)
	if then, now := sheet(t, b), sheet(t, later); then != now {
		t.Errorf("what was proven of the moment was %s and is %s", then, now)
	}
	var after api.Evidence
	if got := dpo.ask("/schools/"+string(w.only())+"/devices/"+l.device+"/evidence", nil, &after); got != http.StatusOK {
		t.Fatalf("the officer asks of now: %d", got)
	}
	grown, _, err := evidence.Verify(after.Sealed, evidence.Trust{})
	must(t, err)
	if n := len(b.Sheet.Spans); after.State != string(evidence.Unprotected) || len(grown.Sheet.Spans) != n+1 || !begins(grown.Sheet.Spans, b.Sheet.Spans) {
		t.Errorf("the timeline was %+v and is %+v", b.Sheet.Spans, grown.Sheet.Spans)
	}
	s1Quarantine(t, w, l, dpo, path, b)
	strangerVerifies(t, w.dir, answer.Sealed, b)
	if dir := os.Getenv("CARETAKER_KEEP_EVIDENCE"); dir != "" {
		must(t, os.WriteFile(filepath.Join(dir, "hb-lt-014.evidence"), answer.Sealed, 0o644))
	}
}

// s1Quarantine: once the office has marked it lost, later contact is recorded
// and acknowledged, and changes nothing that is shown: it stands apart.
func s1Quarantine(t *testing.T, w *world, l *laptop, dpo caller, path string, b *evidence.Bundle) {
	t.Helper()
	aware := incident.NewMoment(w.clock.Now(), "Europe/London")
	opened := ask[collectorapp.IncidentAnswer](w, "incident.change", collectorapp.IncidentChange{
		Change: incident.Change{What: incident.Open, Kind: incident.LostDevice, Aware: &aware}, Words: "left on the 16:20 train", Devices: []string{l.device}, Lost: true,
	})
	w.allShown()
	before := l.shown()
	l.becomes("windows-laptop")
	marked := w.clock.Now().Add(2 * time.Hour)
	l.at(marked)
	w.untilPassing(time.Second, "what it says is acknowledged and apart", func() bool {
		q := l.shown().Quarantine
		return l.status().Waiting == 0 && q != nil && q.Reports+q.Contacts > 0 && !q.LastContact.Before(marked)
	})
	w.allShown()
	after := l.shown()
	if after.LastReport != before.LastReport || !after.LastContact.Equal(before.LastContact) || standing(after, "ENC-02") != standing(before, "ENC-02") || standing(after, "ENC-02") == view.Met {
		t.Errorf("what it said while lost shows: report %d, ENC-02 %s; it was report %d, %s", after.LastReport, standing(after, "ENC-02"), before.LastReport, standing(before, "ENC-02"))
	}
	var again api.Evidence
	dpo.key = ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: "Priya Anand", Label: "later", Lasts: time.Hour}).Key
	if got := dpo.ask(path, nil, &again); got != http.StatusOK {
		t.Fatalf("the officer asks once more: %d", got)
	}
	same, _, err := evidence.Verify(again.Sealed, evidence.Trust{})
	must(t, err)
	if then, now := sheet(t, b), sheet(t, same); then != now {
		t.Errorf("what was proven of the moment was %s and is %s", then, now)
	}
	if now := w.sheetOf(l.device, w.clock.Now()); now.State != evidence.Unprotected {
		t.Errorf("what a lost laptop says of itself is taken for evidence: %s", now.State)
	}
	// Found, by decision: it says anew how it is, and what was apart stays so.
	apart := after.Quarantine.Reports
	ask[collectorapp.IncidentAnswer](w, "incident.change", collectorapp.IncidentChange{
		Incident: opened.ID, Change: incident.Change{What: incident.Found}, Words: "handed in at the station", Devices: []string{l.device},
	})
	w.untilPassing(time.Second, "it says anew how it is", func() bool {
		return l.shown().LastReport > before.LastReport && standing(l.shown(), "ENC-02") == view.Met
	})
	if q := l.shown().Quarantine; q.Reports != apart || q.Spans[0].Until.IsZero() {
		t.Errorf("what was apart is %+v", q)
	}
	w.rebuiltSame(l)
}

// begins reports whether a timeline goes on from another: its last span may
// have become longer, and nothing else.
func begins(grown, was []evidence.Span) bool {
	n := len(was) - 1
	return len(grown) > n && slices.EqualFunc(grown[:n], was[:n], func(a, b evidence.Span) bool {
		a.Quiet, b.Quiet = nil, nil
		return a == b
	}) && grown[n].From.Equal(was[n].From) && grown[n].State == was[n].State && !grown[n].To.Before(was[n].To)
}

// s1Sheet checks what programs are told.
func s1Sheet(t *testing.T, b *evidence.Bundle, answer api.Evidence) {
	t.Helper()
	s := b.Sheet
	if s.State != evidence.Encrypted || !answer.HeardAt.Equal(inLondon(t, "2026-10-23 15:52")) {
		t.Errorf("at last contact, %v, it was %s", answer.HeardAt, s.State)
	}
	var spans []evidence.State
	for _, p := range s.Spans {
		spans = append(spans, p.State)
	}
	if !slices.Equal(spans, []evidence.State{evidence.Encrypted, evidence.Unprotected, evidence.Encrypted}) ||
		!s.Spans[0].From.Equal(inLondon(t, "2026-09-04 08:00")) || !s.Spans[1].From.Equal(inLondon(t, "2026-10-13 09:00")) || !s.Since.Equal(inLondon(t, "2026-10-13 11:00")) {
		t.Errorf("since when: %+v", s.Spans)
	}
	if len(s.Silences) != 1 || !s.Silences[0].From.Equal(inLondon(t, "2026-09-04 08:00")) || !s.Silences[0].To.Truncate(time.Minute).Equal(inLondon(t, "2026-09-21 09:00")) {
		t.Errorf("every gap: %+v", s.Silences)
	}
	disk := s.Volumes[slices.IndexFunc(s.Volumes, func(v posture.Volume) bool { return v.Role == posture.SystemVolume })]
	if disk.Method.Value != "BitLocker XTS-AES-128" || disk.Protectors.Value != "recovery-password, tpm" || s.Recovery == nil || !s.Recovery.Held {
		t.Errorf("method, protector and recovery key: %+v, %+v", disk, s.Recovery)
	}
	if s.Security == nil || !s.Security.ScreenLock.Value || s.Security.ScreenLockAfter.Value != 600 {
		t.Errorf("lock: %+v", s.Security)
	}
	if len(s.Media) == 0 || s.Media[0].Product != "Cruzer Blade" {
		t.Errorf("media in the 30 days before: %+v", s.Media)
	}
	if len(s.KeyPrint) != 64 || s.Reported.Entry == 0 || s.Heard == nil || s.Heard.Entry <= s.Reported.Entry || !strings.HasPrefix(s.TokenBy, "console") {
		t.Errorf("key %s, receipts %d and %+v, enrolled by %s", s.KeyPrint, s.Reported.Entry, s.Heard, s.TokenBy)
	}
	if !b.TellBy.Equal(time.Date(2026, 10, 26, 16, 10, 0, 0, time.UTC)) {
		t.Errorf("the deadline is %v", b.TellBy)
	}
}

// s1Page checks what the officer reads.
func s1Page(t *testing.T, page string) {
	t.Helper()
	for _, want := range []string{
		"HB-LT-014 of " + schoolName,
		"ENCRYPTED, and its keys were guarded, when it was last heard from, Fri 23 Oct 2026 15:52 BST: 28 minutes before.",
		"since Tue 13 Oct 2026 11:00 BST",
		"Fri 4 Sep 2026 08:00 BST", "not protected, after Mon 12 Oct 2026 09:00 BST, over by Tue 13 Oct 2026 11:00 BST",
		"Not heard from between Fri 4 Sep 2026 08:00 BST and Mon 21 Sep 2026 09:00 BST",
		"BitLocker XTS-AES-128, opened by a recovery password, its own chip (TPM)", "has a recovery key", "holds its recovery key",
		"Screen lock  yes, after 10 minutes", "Cruzer Blade", "receipt: entry", "key ", "with token",
		"whether it was asleep", "what was on the device",
		"must be told by Mon 26 Oct 2026 16:10 GMT: 72 hours after Fri 23 Oct 2026 17:10 BST",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the sheet does not say %q:\n%s", want, page)
		}
	}
}
