package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// TestNobodyLooksUnseenOnAFullDisk: whether the laptop on the train was encrypted
// is shown although the record takes nothing in, and who looked waits where room
// was kept for it; where even that is not to be had it is shown to nobody, on a
// page, to a program or at the console. Once there is room who looked stands in
// the record, and everything is shown again.
func TestNobodyLooksUnseenOnAFullDisk(t *testing.T) {
	w := emptyWorld(t)
	smallDisk(t, w.data, "256m")
	must(t, w.do("init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer)))
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	shown := l.shown()
	must(t, l.stop())
	technician, office := w.signIn(c, "technician"), w.signIn(c, "dpo")
	program := w.callerOf(c, "Morgan Ellis", access.Technician)
	school := "/schools/" + string(shown.School)
	page, list := school+"/devices/"+l.device, school+"/devices.csv"
	waiting := func() int {
		n := 0
		for _, words := range w.status(shown.School).Trouble {
			_, _ = fmt.Sscanf(words, "%d looks at devices wait", &n)
		}
		return n
	}

	var keys []string
	for range 60 {
		keys = append(keys, ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: "Morgan Ellis", Label: "story", Lasts: 24 * time.Hour}).Key)
	}
	looked := w.clock.Now()
	free := fill(t, w.data)
	for n := 0; n < len(keys) && waiting() == 0; n++ { // the last page of each file may have room for a few
		if code := (caller{w, c, keys[n]}).ask(page, nil, new(view.DeviceDetail)); code != http.StatusOK {
			t.Fatalf("a program on a full disk: %d", code)
		}
	}
	before := waiting()
	office.shows(page, shown.Hostname)
	office.shows(page+"/rules/ENC-01", shown.Hostname)
	if got := waiting(); before == 0 || got != before+1 {
		t.Errorf("%d looks wait, want one more than the %d programs'", got, before)
	}
	office.shows(school+"/privacy/views", "wait and are listed here once")

	reserve := filepath.Join(w.data, "schools", string(shown.School), "looks-waiting")
	must(t, os.Rename(reserve, reserve+".away"))
	for _, path := range []string{page, list, page + "/rules/ENC-01"} {
		code, body := technician.get(path)
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "is recorded before it is shown") || strings.Contains(body, shown.Hostname) {
			t.Errorf("%s with no room for who looks: %d %.300s", path, code, body)
		}
	}
	technician.shows(school, schoolName)
	if got := program.ask(page, nil, new(view.DeviceDetail)); got != http.StatusServiceUnavailable {
		t.Errorf("a program with no room for who looks: %d", got)
	}
	if got := program.ask(school+"/overview", nil, new(view.Overview)); got != http.StatusOK {
		t.Errorf("what is nobody's record: %d", got)
	}
	err := w.do("breach.list", collectorapp.ListArguments{Limit: 10}, new(view.BreachPage))
	if err == nil || !strings.Contains(err.Error(), viewing.ErrUnrecorded.Error()) {
		t.Errorf("at the console: %v", err)
	}

	must(t, os.Rename(reserve+".away", reserve))
	free()
	w.clock.Advance(time.Minute)
	technician.shows(page, shown.Hostname)
	if got := program.ask(page, nil, new(view.DeviceDetail)); got != http.StatusOK {
		t.Errorf("a program, once there is room: %d", got)
	}
	until(t, "no look waits", func() bool { return waiting() == 0 })
	must(t, c.stop())
	for by, at := range map[string]time.Time{"the-technician": looked.Add(time.Minute), "the-dpo": looked} {
		looks := ask[view.LookPage](w, "views.list", collectorapp.ViewsArguments{By: by, What: viewing.Device}).Looks
		if len(looks) != 1 || looks[0].Name != l.device || looks[0].At.Before(at) || looks[0].At.After(at.Add(time.Minute-1)) {
			t.Errorf("what is recorded of %s: %+v, want one at %s", by, looks, at)
		}
	}
	w.verified()
}
