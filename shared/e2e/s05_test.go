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
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// reported enrols a laptop of a host name, lets it report once, and switches it
// off.
func (w *world) reported(host, token string) posture.DeviceID {
	w.t.Helper()
	l := &laptop{w: w, state: filepath.Join(w.dir, host), machine: filepath.Join(w.dir, host+"-machine")}
	must(w.t, os.Mkdir(l.machine, 0o755))
	l.becomes("plain-laptop")
	file := filepath.Join(l.machine, "reads.jsonl")
	reads, err := os.ReadFile(file)
	must(w.t, err)
	must(w.t, os.WriteFile(file, bytes.ReplaceAll(reads, []byte("hb-lt-014"), []byte(host)), 0o644))
	id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token}, w.clock)
	must(w.t, err)
	l.device = string(id.Device)
	l.run()
	until(w.t, host+" has reported", func() bool { d := l.shown(); return d.LastReport == 1 && d.Hostname == host })
	must(w.t, l.stop())
	return id.Device
}

// TestS5 counts licences: sixty were bought, and of sixty-three laptops with the
// product one is retired and one is the same laptop before it was installed
// again.
func TestS5(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	arguments := tokenFor(c.agents)
	arguments.Uses = 63
	token := ask[collectorapp.TokenAnswer](w, "token.create", arguments).Token
	list := "tag,class,host\n"
	var first posture.DeviceID
	for i := range 62 {
		host := fmt.Sprintf("hb-lt-%03d", 100+i)
		id := w.reported(host, token)
		if i == 0 {
			first = id
		}
		list += strings.ToUpper(host) + ",SS," + host + "\n"
	}
	w.imports(list, time.Time{})
	until(t, "the register shows", func() bool { return w.coverage().Of(view.NotRegistered) == 0 && w.coverage().Registered == 62 })
	// One is installed again, under a new name, and one is retired.
	again := w.reported("hb-lt-100b", token)
	w.keeps(register.Change{What: register.Untie, Tag: "HB-LT-100"}, "")
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{
		Change: register.Change{What: register.Tie, Tag: "HB-LT-100"}, Device: string(again),
	})
	until(t, "it is tied", func() bool { return w.asset("HB-LT-100").Device == again })
	w.keeps(register.Change{What: register.Retire, Tag: "HB-LT-161", Date: "2027-01-08"}, "")
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-101", Allocation: &register.Allocation{Role: "Year 4 class teacher"}}, "A. Rowan")

	detail := ask[view.DeviceDetail](w, "device.show", collectorapp.ListArguments{Device: string(again)})
	if len(detail.Facts.Programs.Items) == 0 {
		t.Fatalf("no programs: %+v", detail.Facts.Programs)
	}
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{
		What: register.SetLicence, Tag: "Office", Purchase: &register.Purchase{Programs: []string{detail.Facts.Programs.Items[0].Name}, Bought: 60},
	}})
	business, dpo := w.callerOf(c, "Lee Birch", access.Business), w.callerOf(c, "Priya Anand", access.DPO)
	at := business.school() + "/licences"
	var asked view.LicenceList
	until(t, "the licence shows", func() bool { return business.ask(at, nil, &asked) == http.StatusOK && len(asked.Licences) == 1 })
	l := asked.Licences[0]
	if l.Installed != 61 || l.Bought != 60 || !l.Over || len(l.Now.Devices) != 63 || l.Now.Unread != 0 {
		t.Errorf("%d of %d, over %t, of %d records and %d unread; want 61 of 60 of 63", l.Installed, l.Bought, l.Over, len(l.Now.Devices), l.Now.Unread)
	}
	excluded := map[string]string{}
	for _, d := range l.Now.Devices {
		if d.Tag == "" || strings.Contains(fmt.Sprint(d), "Rowan") || strings.Contains(fmt.Sprint(d), "teacher") {
			t.Errorf("not listed by asset: %+v", d)
		}
		if d.Excluded != "" {
			excluded[d.Tag+" "+string(d.Device)] = d.Excluded
		}
	}
	retired := w.asset("HB-LT-161").Device
	if len(excluded) != 2 || excluded["HB-LT-161 "+string(retired)] != "retired on 2027-01-08" ||
		!strings.HasPrefix(excluded["HB-LT-100 "+string(first)], "installed again: HB-LT-100 is the device "+string(again)) {
		t.Errorf("excluded: %v", excluded)
	}

	signature := api.NewLicenceSignature{Term: "spring 2027", Reason: "one more is ordered"}
	if got := dpo.ask(at+"/Office/signatures", signature, nil); got != http.StatusForbidden {
		t.Errorf("a data-protection officer signs for licences: %d", got)
	}
	if got := business.ask(at+"/Office/signatures", signature, nil); got != http.StatusCreated {
		t.Fatalf("the business manager signs: %d", got)
	}
	signed := func() *register.Reconciled {
		return ask[view.LicenceList](w, "licence.list", collectorapp.LicenceArguments{Product: "office"}).Licences[0].Signed
	}
	until(t, "it shows as signed", func() bool { return signed() != nil })
	if s := signed(); s.By != "Lee Birch" || s.Term != "spring 2027" || s.Installed() != 61 || s.Bought != 60 {
		t.Errorf("signed: %s for %s, %d of %d", s.By, s.Term, s.Installed(), s.Bought)
	}
	if got := standing(ask[view.DeviceDetail](w, "device.show", collectorapp.ListArguments{Device: string(again)}), "EXE-04"); got != view.NotMet {
		t.Errorf("EXE-04 is %s", got)
	}
	same(w, "the licences", func() view.LicenceList {
		return ask[view.LicenceList](w, "licence.list", collectorapp.LicenceArguments{})
	})
	w.verified()
}
