package e2e

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// says has a new machine with a serial number ask to be admitted. It returns the
// device that it is, or the code by which it waits.
func (w *world) says(name, serial, token string) (l *laptop, code string) {
	w.t.Helper()
	l = w.newMachine(name, "windows-laptop")
	l.numbered("6fa3d5b1-7c58-4c7a-8a55-3f0e2b19c7d4", serial)
	who, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{
		State: l.state, Token: token, Later: true, About: &agentapp.Config{State: l.state, Replay: l.machine, Log: logTo(w.t, "asking agent")},
	}, w.clock)
	if waits, ok := errors.AsType[*enroll.WaitingError](err); ok {
		if strings.Contains(waits.Reason, "HB-LT") {
			w.t.Errorf("the laptop is told what the register has: %s", waits.Reason)
		}
		return l, waits.Code
	}
	must(w.t, err)
	l.device = string(who.Device)
	return l, ""
}

// TestTheAssetListAdmitsLaptops: with a token from a roll-out profile what is in the
// register joins and is its asset; what is not, what the register admitted before,
// and what has no number waits, and the page says why. That nobody has looked at a
// laptop shows until somebody has.
func TestTheAssetListAdmitsLaptops(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	bulk := tokenFor(c.agents)
	bulk.Uses, bulk.Way = 30, admission.ByRegister
	made := ask[collectorapp.TokenAnswer](w, "token.create", bulk)
	w.allShown()
	w.imports("tag,what,serial\nHB-LT-014,Classbook 14,pf2x 9q7r\nHB-LT-015,Classbook 14,PF3ABCD1\n", time.Time{})
	first, code := w.says("first", "PF2X9Q7R", made.Token)
	if code != "" || first.device == "" {
		t.Fatalf("it waits by the code %s", code)
	}
	_, copied := w.says("copied", "PF2X9Q7R", made.Token)
	_, stranger := w.says("stranger", "PF9ZZZZ9", made.Token)
	_, filler := w.says("filler", "Default string", made.Token)
	why := map[string]string{}
	for _, p := range ask[collectorapp.PendingList](w, "enrolment.list", collectorapp.ListArguments{}).Pending {
		why[p.Code] = p.Why
	}
	if len(why) != 3 || why[copied] != "the register's HB-LT-014 has enrolled already" || why[stranger] != "its serial number is not in the register" || why[filler] != "it says no serial number" {
		t.Errorf("they wait because %v", why)
	}
	p := w.signIn(c, "technician")
	school := "/schools/" + string(w.only())
	p.shows(school+"/enrolments/waiting", "HB-LT-014 has enrolled already", "with=serial")
	p.shows(school+"/register?with=serial", "HB-LT-014", "Admitted by its serial number alone")
	p.shows(school+"/register/assets/HB-LT-014", "pf2x 9q7r", "nobody has looked at it since")

	w.allShown()
	one := ask[view.Registered](w, "register.show", collectorapp.AssetArguments{Tag: "HB-LT-014"})
	if string(one.Device) != first.device || one.BySerial.IsZero() || one.Serial != "pf2x 9q7r" {
		t.Fatalf("the asset is %+v", one)
	}
	first.run()
	w.untilPassing(10*time.Second, "it has reported", func() bool { return first.status().Acknowledged >= 1 })
	until(t, "it shows as its asset", func() bool { return first.shown().AssetTag == "HB-LT-014" })

	// Somebody looked at it.
	p.post(school+"/register/assets/HB-LT-014/tie", url.Values{"tie": {"HB-LT-014"}}, school+"/register/assets/HB-LT-014")
	if page := ask[view.AssetPage](w, "register.list", collectorapp.AssetArguments{BySerial: true}); len(page.Assets) != 0 {
		t.Errorf("not looked at: %+v", page.Assets)
	}
	// By programs the same: the token, and who waits.
	caller := w.callerOf(c, "Morgan Ellis", access.Technician)
	var token api.MadeToken
	if status := caller.ask(school+"/tokens", api.NewToken{Uses: 2, Days: 1, Way: admission.ByRegister, Addresses: []string{c.agents}}, &token); status != http.StatusCreated {
		t.Fatalf("by API: %d", status)
	}
	if _, code := w.says("second", "pf3abcd1", token.Token); code != "" {
		t.Errorf("HB-LT-015 waits by the code %s", code)
	}
	refusedWith(t, w.do("register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.TieBySerial, Tag: "HB-LT-015"}, Device: ""}, new(any)), "identifier")
	refusedWith(t, w.do("token.create", collectorapp.TokenArguments{Uses: 1, Lifetime: time.Hour, Addresses: []string{c.agents}, Way: "by-chance"}, new(any)), "register")

	// And no second asset has the number.
	refusedWith(t, w.do("register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag,serial\nHB-LT-016,PF3ABCD1\n")}, new(any)), "HB-LT-015 has the serial number")
}
