package e2e

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system/systemtest/crafted"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// The serial number of the stick in the recorded machines, and two others of the
// same length.
const (
	recordedStick = "4C531001490518112283"
	carParkStick  = "4C531001490518119999"
	strangeStick  = "4C531001490518110000"
)

// becomesLike puts a recorded machine in the place of the laptop, with some texts
// of it replaced.
func (l *laptop) becomesLike(machine string, replace ...string) {
	l.w.t.Helper()
	dir := l.w.t.TempDir()
	for _, name := range []string{"machine.json", "reads.jsonl"} {
		data, err := os.ReadFile(filepath.Join("testdata", "machines", machine, name))
		must(l.w.t, err)
		must(l.w.t, os.WriteFile(filepath.Join(dir, name), []byte(strings.NewReplacer(replace...).Replace(string(data))), 0o644))
	}
	for _, name := range []string{"machine.json", "reads.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(l.w.t, err)
		must(l.w.t, os.WriteFile(filepath.Join(l.machine, name+".new"), data, 0o644))
		must(l.w.t, os.Rename(filepath.Join(l.machine, name+".new"), filepath.Join(l.machine, name)))
	}
}

// holds waits until a laptop has said that so many media are in it. It is asked to
// assess itself again and again: what it was at may have begun before it changed.
func (l *laptop) holds(media int) {
	l.w.t.Helper()
	l.w.untilPassing(time.Second, "it says which media are in it", func() bool {
		if f := l.shown().Facts.Media; f.Absent == posture.None && len(f.Items) == media {
			return true
		}
		_ = l.w.do("device.assess", collectorapp.ListArguments{Device: l.device}, new(any)) // it may not be connected yet
		return false
	})
	l.w.allShown()
}

// found looks up what was found.
func (p caller) found(school, query string) view.FoundMedia {
	p.w.t.Helper()
	var f view.FoundMedia
	if got := p.ask(school+"/found-media"+query, nil, &f); got != http.StatusOK {
		p.w.t.Fatalf("found media %s: %d", query, got)
	}
	return f
}

// stored returns every byte that programs have stored below some folders.
func stored(t *testing.T, dirs ...string) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, dir := range dirs {
		must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // what went away meanwhile was not left behind
			}
			if data, err := os.ReadFile(path); err == nil {
				all.Write(data)
			}
			return nil
		}))
	}
	return all.Bytes()
}

// carPark is the story of S2 until the stick is found: M-031 is registered, and
// another stick was in HB-LT-022 three times.
func carPark(t *testing.T, w *world, c *collector) (pc *laptop) {
	t.Helper()
	good, other := w.laptop("good", "windows-laptop", c.agents), w.laptop("other", "plain-laptop", c.agents)
	pc = w.laptop("pc", "plain-laptop", c.agents)
	other.becomesLike("plain-laptop", "hb-lt-014", "hb-lt-022")
	pc.becomesLike("plain-laptop", "hb-lt-014", "hb-pc-001")
	for name, l := range map[string]*laptop{"hb-lt-014": good, "hb-lt-022": other, "hb-pc-001": pc} {
		w.untilPassing(time.Second, name+" says its name", func() bool {
			if d := l.shown(); d.Hostname == name && d.LastReport > 0 {
				return true
			}
			_ = w.do("device.assess", collectorapp.ListArguments{Device: l.device}, new(any)) // it may not be connected yet
			return false
		})
	}
	w.imports("tag,what\nHB-LT-014,laptop\nHB-LT-022,laptop\nHB-PC-001,old PC without a network drive\n", time.Time{})
	for tag, l := range map[string]*laptop{"HB-LT-014": good, "HB-LT-022": other, "HB-PC-001": pc} {
		ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Tie, Tag: tag}, Device: l.device})
	}
	good.becomes("windows-laptop-with-stick") // BitLocker, and it is open
	good.holds(1)
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{
		Device: good.device,
		Change: register.Change{What: register.RegisterMedium, Tag: "M-031", Issue: &register.Issue{Role: "Year 4 class teacher"}},
	})
	good.becomes("windows-laptop")
	good.holds(0)
	for _, day := range []string{"2026-11-03 10:00", "2026-11-04 10:00", "2026-11-05 10:00"} {
		w.clock.Advance(inLondon(t, day).Sub(w.clock.Now()))
		// What it was at the day before must be over: it would see the stick, and
		// say that it was there then.
		w.untilPassing(time.Second, "it looks on that day", func() bool {
			_ = w.do("device.assess", collectorapp.ListArguments{Device: other.device}, new(any)) // it may not be connected yet
			return !other.status().AssessedAt.Before(inLondon(t, day))
		})
		other.becomesLike("plain-laptop-with-stick", "hb-lt-014", "hb-lt-022", recordedStick, carParkStick)
		other.holds(1)
		other.becomesLike("plain-laptop", "hb-lt-014", "hb-lt-022")
		other.holds(0)
	}
	must(t, good.stop())
	must(t, other.stop())
	return pc
}

// TestS2 is "Stick in the car park": a stick is found on Mon 9 Nov at 07:40.
func TestS2(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-02 09:00"))
	c := w.collect()
	pc := carPark(t, w, c)
	found := inLondon(t, "2026-11-09 07:40")
	w.clock.Advance(found.Sub(w.clock.Now()))
	dpo := w.callerOf(c, "Priya Anand", access.DPO)
	school := dpo.school()
	query := "?found=" + url.QueryEscape(found.Format(time.RFC3339)) + "&zone=Europe/London"
	w.clock.Advance(time.Minute)

	// Until then the answer says "do not plug it in": without a machine that is
	// set aside for it, with one that does not know it yet, and with one that does.
	if f := dpo.found(school, query); !strings.Contains(f.Advice, "Do not plug it in. No machine") || len(f.Found) > 0 {
		t.Errorf("without a machine for it: %+v", f)
	}
	must(t, pc.stop())
	w.keeps(register.Change{What: register.Investigate, Tag: "HB-PC-001", On: true}, "")
	if f := dpo.found(school, query); !strings.Contains(f.Advice, "Do not plug it in. HB-PC-001 is set aside for it and has not said yet") {
		t.Errorf("a machine that was not told: %+v", f)
	}
	pc.run()
	w.untilPassing(time.Second, "the machine says that it knows", func() bool {
		return strings.Contains(dpo.found(school, query).Advice, "Do not plug it in anywhere but into HB-PC-001")
	})

	// It is plugged only into the tagged machine. A program lies on it.
	game := base64.StdEncoding.EncodeToString(crafted.Named("Secret Ledger", "1.0"))
	plug := func(serial string) view.FoundMedia {
		t.Helper()
		pc.becomesLike("plain-laptop-with-stick", "hb-lt-014", "hb-pc-001", recordedStick, serial,
			`{"walk":{"files":[`, `{"walk":{"files":[{"location":"media","base64":"`+game+`"},`)
		pc.holds(1)
		f := dpo.found(school, query)
		pc.becomesLike("plain-laptop", "hb-lt-014", "hb-pc-001")
		pc.holds(0)
		return f
	}
	stranger := plug(carParkStick)
	s2Unregistered(t, stranger)
	// How the officer tells which stick it was: the last one on the machine comes first.
	registered := plug(recordedStick)
	if m := registered.Found[0]; len(registered.Found) != 2 || m.Match != view.IsRegistered || m.Number != "M-031" || m.Role != "Year 4 class teacher" ||
		m.Encryption == "" || len(m.Seen) != 1 || m.Seen[0].AssetTag != "HB-LT-014" || m.Seen[0].Encryption != posture.Encrypted {
		t.Errorf("registered: %+v", registered.Found)
	}
	if never := plug(strangeStick); len(never.Found) != 3 || never.Found[0].Match != view.NeverSeen || len(never.Found[0].Seen) != 0 {
		t.Errorf("never seen: %+v", never.Found)
	}
	if f := dpo.found(school, "?number=m-031"); len(f.Found) != 1 || f.Found[0].Number != "M-031" || f.Found[0].Offer != nil {
		t.Errorf("asked by its number: %+v", f)
	}
	if got := dpo.ask(school+"/found-media?number=M-999", nil, nil); got != http.StatusNotFound {
		t.Errorf("a number that there is not: %d", got)
	}

	// No file is listed, in no fact, no finding and no byte that was stored; and
	// the machine and its people have no breach for it.
	d := pc.shown()
	for _, e := range d.Facts.Executables.Items {
		t.Errorf("the machine lists %+v", e)
	}
	for _, b := range d.Breaches {
		if strings.HasPrefix(b.Rule, "USB-01") || strings.HasPrefix(b.Rule, "USB-02") || b.Rule == "EXE-03" {
			t.Errorf("a breach of %s against the machine", b.Rule)
		}
	}
	for _, rule := range []string{"USB-01", "USB-02"} {
		if got := standing(d, rule); got != view.NotFor {
			t.Errorf("%s stands as %s", rule, got)
		}
	}
	all := stored(t, w.data, pc.state)
	if bytes.Contains(all, []byte("Secret Ledger")) || bytes.Contains(all, []byte(carParkStick)) {
		t.Error("what lies on the stick, or its serial number, was stored")
	}

	// An incident with a clock is offered, and accepting it is one step.
	s2Accept(t, w, dpo, school, stranger.Found[0].Offer, pc)
	same(w, "found media", func() view.FoundMedia { return ask[view.FoundMedia](w, "media.find", collectorapp.MediaArguments{}) })

	// Once the machine is in use again, what is in it counts and is listed, as in
	// any laptop.
	w.keeps(register.Change{What: register.Investigate, Tag: "HB-PC-001"}, "")
	w.untilPassing(time.Second, "the machine says that it knows", func() bool { return pc.shown().LastReport > d.LastReport })
	plug(strangeStick)
	if b := pc.shown().Breaches; !strings.Contains(breached(b), "USB-01") || !strings.Contains(breached(b), "EXE-03") {
		t.Errorf("in use again, its breaches are %s", breached(b))
	}
	if got := w.callerOf(c, "Gail Governor", access.Governor).ask(school+"/found-media", nil, nil); got != http.StatusForbidden {
		t.Errorf("a governor asks: %d", got)
	}
	w.verified()
}

// s2Unregistered checks what is said of a stick that the school did not register.
func s2Unregistered(t *testing.T, f view.FoundMedia) {
	t.Helper()
	if len(f.Found) != 1 {
		t.Fatalf("found %+v", f)
	}
	m := f.Found[0]
	if m.Match != view.Unregistered || m.On != "HB-PC-001" || m.Encryption != posture.Unencrypted || len(m.Seen) != 1 {
		t.Errorf("unregistered: %+v", m)
		return
	}
	if s := m.Seen[0]; s.AssetTag != "HB-LT-022" || s.Times != 3 || s.First.Before(inLondon(t, "2026-11-03 09:59")) || s.Last.Before(inLondon(t, "2026-11-05 09:59")) {
		t.Errorf("seen on HB-LT-022 three times: %+v", s)
	}
	if !strings.Contains(f.Advice, "Do not plug it in anywhere else") {
		t.Errorf("what to do: %s", f.Advice)
	}
}

// s2Accept takes the offer, and looks at what was opened by it.
func s2Accept(t *testing.T, w *world, dpo caller, school string, offer *view.IncidentOffer, pc *laptop) {
	t.Helper()
	if offer == nil {
		t.Fatal("no incident is offered")
	}
	for _, want := range []string{"incident open --kind found-stick", "--aware 2026-11-09T07:40:00Z", "--time-zone Europe/London", "--asset \"HB-PC-001\"", "--stick ", "HB-LT-022 3 times"} {
		if !strings.Contains(offer.Command, want) {
			t.Errorf("the command has no %q: %s", want, offer.Command)
		}
	}
	if _, open := anyIncident(w); open {
		t.Error("an incident is open that nobody opened")
	}
	var made api.RecordedIncident
	if got := dpo.ask(school+"/incidents", api.NewIncident{Change: offer.Change, Words: offer.Words}, &made); got != http.StatusCreated {
		t.Fatalf("the offer is taken: %d", got)
	}
	w.allShown()
	i, _ := anyIncident(w)
	if i.Kind != incident.FoundStick || i.Number != made.Number || !i.Aware[0].When.At.Equal(inLondon(t, "2026-11-09 07:40")) ||
		!i.Aware[0].TellBy.At.Equal(inLondon(t, "2026-11-12 07:40")) {
		t.Errorf("opened: %+v", i)
	}
	linked := map[incident.Thing]int{}
	machine := false
	for _, l := range i.Links {
		linked[l.What]++
		machine = machine || string(l.Device) == pc.device
	}
	if linked[incident.Stick] != 1 || linked[incident.Asset] != 1 || linked[incident.Device] != 2 || !machine {
		t.Errorf("linked: %+v", i.Links)
	}
	if !strings.Contains(i.Opened.Words, "seen on HB-LT-022 3 times") {
		t.Errorf("the words are %q", i.Opened.Words)
	}
}

// breached names the rules that are breached.
func breached(list []view.Breach) string {
	var rules []string
	for _, b := range list {
		rules = append(rules, b.Rule)
	}
	return strings.Join(rules, " ")
}

// anyIncident returns the only incident of the school, if there is one.
func anyIncident(w *world) (view.Incident, bool) {
	w.t.Helper()
	page := ask[view.IncidentPage](w, "incident.list", collectorapp.IncidentArguments{})
	if len(page.Incidents) == 0 {
		return view.Incident{}, false
	}
	return page.Incidents[0], true
}
