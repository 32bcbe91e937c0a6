package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macParts are recorded parts of Macs that make a whole one.
var macParts = []string{
	"system/macos-15-macbook-air", "volumes/macos-26-silicon-filevault-on", "security/macos-15-kept-well",
	"antivirus/macos-15-xprotect-alone", "media/macos-nothing", "programs/macos-15-applications",
}

// aMac puts a whole Mac of recorded parts into a folder. Of a question that two
// parts answer, the first answer counts.
func aMac(t *testing.T, dir, hostname string) {
	t.Helper()
	asked := map[string]bool{}
	var reads bytes.Buffer
	for _, part := range macParts {
		data, err := os.ReadFile(filepath.Join("../../agent/probe/testdata", part, "reads.jsonl"))
		must(t, err)
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			var q struct {
				File, Dir, Link, Stat, Run, Ask, Under, Part string
				Offset, Length                               int64
				Processes, Walk                              *json.RawMessage
			}
			must(t, json.Unmarshal(lines.Bytes(), &q))
			key := fmt.Sprint(q.File, "|", q.Dir, "|", q.Link, "|", q.Stat, "|", q.Run, "|", q.Ask, "|", q.Under, "|", q.Part, q.Offset, q.Length, q.Processes != nil, q.Walk != nil)
			if asked[key] {
				continue
			}
			asked[key] = true
			reads.WriteString(strings.ReplaceAll(lines.Text(), "hb-lt-031", hostname) + "\n")
		}
		must(t, lines.Err())
	}
	head, err := os.ReadFile(filepath.Join("../../agent/probe/testdata", macParts[0], "machine.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "machine.json"), head, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "reads.jsonl"), reads.Bytes(), 0o644))
}

// enrolledOnce enrols a laptop like a machine in a folder, has it report once, and
// switches it off.
func (w *world) enrolledOnce(name, machine, address string) *laptop {
	w.t.Helper()
	l := &laptop{w: w, state: filepath.Join(w.dir, name), machine: machine}
	token := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(address))
	id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token.Token}, w.clock)
	must(w.t, err)
	l.device = string(id.Device)
	l.run()
	until(w.t, name+" has reported", func() bool { return l.status().Acknowledged > 0 })
	must(w.t, l.stop())
	return l
}

// mixedFleet is 31 laptops with Windows and 6 Macs that report, all of which are
// registered by their host names.
func mixedFleet(t *testing.T, w *world, c *collector) {
	t.Helper()
	list := "tag,what,host\n"
	for n := 1; n <= 37; n++ {
		name := fmt.Sprintf("hb-lt-%03d", n)
		machine := filepath.Join(w.dir, name+"-machine")
		must(t, os.Mkdir(machine, 0o755))
		what := "laptop"
		if n <= 31 {
			l := &laptop{w: w, machine: machine}
			l.becomesLike("windows-laptop", "hb-lt-014", name)
		} else {
			aMac(t, machine, name)
			what = "MacBook Air"
		}
		w.enrolledOnce(name, machine, c.agents)
		list += fmt.Sprintf("%s,%s,%s\n", strings.ToUpper(name), what, name)
	}
	until(t, "all have said their names", func() bool {
		return ask[view.DevicePage](w, "device.list", collectorapp.ListArguments{Search: "hb-lt-0", Limit: 100}).Total == 37
	})
	w.imports(list, time.Time{})
}

// chromebooks is a list of forty, as the school's console has them.
func chromebooks(seen string) string {
	list := "tag,what,managed,encrypted,enrolled,seen\n"
	for n := 1; n <= 40; n++ {
		list += fmt.Sprintf("HB-CB-%03d,Chromebook,Google Admin,by default,yes,%s\n", n, seen)
	}
	return list
}

// TestS15 is "Mixed fleet": 31 Windows, 6 Macs, 40 Chromebooks.
func TestS15(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-02 09:00"))
	c := w.collect()
	mixedFleet(t, w, c)
	w.imports(chromebooks("2026-11-01"), inLondon(t, "2026-11-02 08:00"))
	head := w.callerOf(c, "Ada Park", access.Head)
	school := head.school()

	// It says "37 by agent, 40 by dated import or not covered", wherever it is asked.
	const want = "77 registered: 37 by agent, 40 by dated import or not covered"
	var o api.Overview
	if got := head.ask(school+"/overview", nil, &o); got != http.StatusOK || o.Covered != want || o.Devices != 37 {
		t.Errorf("the overview: %d %q, %d devices", got, o.Covered, o.Devices)
	}
	if s := w.status(w.only()); s.Covered != want || s.Coverage.Of(view.ByImport) != 40 {
		t.Errorf("the status: %q %+v", s.Covered, s.Coverage)
	}
	platforms := map[posture.Platform]int{}
	for _, p := range w.coverage().Platforms {
		platforms[p.Platform] = p.Count
	}
	if platforms[posture.Windows] != 31 || platforms[posture.MacOS] != 6 {
		t.Errorf("by agent: %v", platforms)
	}

	// What the list says is Google Admin's word, never an agent's.
	chromebook := func() view.Registered { t.Helper(); return w.asset("HB-CB-007") }
	says := func(want view.Standing) {
		t.Helper()
		l := chromebook().Listed
		if l == nil || l.Source != "Google Admin" || len(l.Says) != 2 {
			t.Fatalf("listed: %+v", l)
		}
		for _, s := range l.Says {
			if s.Standing != want || !strings.Contains(s.Words, "Google Admin") || !strings.Contains(s.Words, "not by an agent") {
				t.Errorf("%s stands as %s, want %s: %s", s.What, s.Standing, want, s.Words)
			}
		}
	}
	says(view.Met)
	if chromebook().Device != "" || !chromebook().LastContact.IsZero() {
		t.Errorf("a Chromebook looks like a device with an agent: %+v", chromebook())
	}

	// A stale import turns not proven: at its age to the second, and not before.
	// Unless the school says otherwise that is 30 days after the list.
	stale := inLondon(t, "2026-12-02 00:00") // 30 days after the day on which Google Admin last heard of them
	w.clock.Advance(stale.Add(-time.Second).Sub(w.clock.Now()))
	says(view.Met)
	w.clock.Advance(time.Second)
	says(view.NotProven)
	if n := w.coverage().Of(view.StaleImport); n != 40 {
		t.Errorf("%d are stale", n)
	}
	if s := w.status(w.only()); !strings.Contains(s.Covered, "40 by a list that is too old: not proven") {
		t.Errorf("the status: %q", s.Covered)
	}
	w.clock.Advance(300 * 24 * time.Hour)
	says(view.NotProven) // and never again of itself

	// A newer list renews it, and an older one is refused.
	now := w.clock.Now()
	w.imports(chromebooks(now.Format(time.DateOnly)), now)
	says(view.Met)
	err := w.do("register.import", collectorapp.ImportArguments{File: "old.csv", Source: []byte(chromebooks("2026-11-01")), AsOf: inLondon(t, "2026-11-03 09:00")}, new(any))
	if err == nil || !strings.Contains(err.Error(), "an older list says nothing new") {
		t.Errorf("an older list: %v", err)
	}
	says(view.Met)

	// The school says for how long lists count.
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.ListsLast, Days: 7}})
	w.clock.Advance(6 * 24 * time.Hour)
	says(view.Met)
	w.clock.Advance(2 * 24 * time.Hour)
	says(view.NotProven)
	same(w, "coverage", w.coverage)
	w.verified()
}
