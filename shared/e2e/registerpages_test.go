package e2e

import (
	"bytes"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/register"
)

// sendFile posts a form with a file, and returns the page that answers.
func (p *pages) sendFile(path, name, content string) (status int, page string) {
	p.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", name)
	must(p.t, err)
	_, err = io.WriteString(part, content)
	must(p.t, err)
	must(p.t, w.Close())
	answer, err := p.http.Post(p.web+path, w.FormDataContentType(), &body)
	must(p.t, err)
	read, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	return answer.StatusCode, html.UnescapeString(string(read))
}

var trialOf = regexp.MustCompile(`name="trial" value="([^"]+)"`)

// TestTheRegisterIsKeptOnPages over TLS: a list is tried and imported, a device given
// out and handed back, and a leaver's checklist signed by two; the command line and
// the address for programs say the same, and so does a view that is made anew.
func TestTheRegisterIsKeptOnPages(t *testing.T) {
	set, roots := certified(t)
	w := newWorld(t)
	c := w.collectBy(w.clock, set)
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	technician, business := w.signInOver(c, roots, "Kit Moss", access.Technician), w.signInOver(c, roots, "Lee Dale", access.Business)
	school := "/schools/" + string(w.only())
	at := school + "/register"

	// A list is tried: what is wrong is said with its place, and nothing is recorded.
	status, page := technician.sendFile(at+"/import", "devices.csv", "tag,class,host\nHB-LT-014,XX,"+l.shown().Hostname+"\n")
	if status != http.StatusUnprocessableEntity || !strings.Contains(pageText(page), "2 class") {
		t.Fatalf("a bad list is answered with %d: %s", status, pageText(page))
	}
	list := "tag,what,class,group,host\nHB-LT-014,Classbook 14,SS,Year 4 trolley," + l.shown().Hostname + "\nHB-LT-015,Classbook 14,SS,Year 4 trolley,\n"
	status, page = technician.sendFile(at+"/import", "devices.csv", list)
	trial := trialOf.FindStringSubmatch(page)
	if status != http.StatusOK || trial == nil {
		t.Fatalf("a good list is answered with %d: %s", status, pageText(page))
	}
	if n := w.coverage().Registered; n != 0 {
		t.Fatalf("trying registered %d devices", n)
	}
	technician.post(at+"/import/record", url.Values{"trial": {trial[1]}}, at)
	if a := w.asset("HB-LT-014"); a.Device != l.shown().ID || a.Group != "Year 4 trolley" {
		t.Fatalf("imported: %+v", a)
	}

	// It is given out, shown on the laptop's page, and handed back.
	asset := at + "/assets/HB-LT-014"
	technician.post(asset+"/allocation", url.Values{"role": {"Year 4 class teacher"}, "person": {"A. Rowan"}}, asset)
	if h := w.asset("HB-LT-014").Held; h == nil || h.Role != "Year 4 class teacher" || h.Person != "A. Rowan" || h.By != "Kit Moss" {
		t.Fatalf("given out: %+v", h)
	}
	technician.shows(school+"/devices/"+string(l.shown().ID), "A. Rowan", "Hand it back")
	technician.shows(school+"/devices/sheet?group=year+4+trolley", "HB-LT-014", "Year 4 class teacher")
	if _, page := business.get(asset); !strings.Contains(page, "Year 4 class teacher") || strings.Contains(page, "Rowan") {
		t.Error("the business manager reads a name, or no role")
	}

	// They leave: the steps are recorded by one, and two sign.
	technician.post(asset+"/leaving", url.Values{"leaving-day": {time.Now().AddDate(0, 0, -1).Format(time.DateOnly)}}, asset)
	technician.post(asset+"/hand-back", nil, asset)
	technician.post(asset+"/checklist/data-moved", nil, asset)
	technician.post(asset+"/checklist/wiped", url.Values{"method-wiped": {"reset, keys destroyed"}}, asset)
	technician.post(asset+"/checklist/accounts-removed", nil, asset)
	technician.post(asset+"/signature", nil, asset)
	business.post(asset+"/signature", nil, asset)
	if a := w.asset("HB-LT-014"); a.Held != nil || !a.Leaver.Closed() || a.Leaver.Signed[0].By != "Kit Moss" || a.Leaver.Signed[1].By != "Lee Dale" {
		t.Errorf("closed: %+v %+v", a.Held, a.Leaver)
	}
	if answer, err := business.http.PostForm(business.web+asset+"/allocation", url.Values{"role": {"x"}}); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("the business manager gives out a device: %v, %v", answer, err)
	} else {
		must(t, answer.Body.Close())
	}

	// Columns and views stay with the account.
	devices := school + "/devices"
	technician.post(devices+"/columns", url.Values{"columns": {"agent"}}, devices)
	technician.post(devices+"/views", url.Values{"query": {"heard=silent"}, "name": {"Where are they?"}}, devices)
	technician.shows(devices, "Where are they?", `<th role="columnheader" scope="col">Agent</th>`)

	same(w, "the register", func() []any { return []any{w.asset("HB-LT-014"), w.asset("HB-LT-015")} })
}

// TestAListIsImportedByAProgram: tried first, and then recorded under the account
// whose key it has; names of people are for those who may read them.
func TestAListIsImportedByAProgram(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	technician, manager := w.callerOf(c, "Kit Moss", access.Technician), w.callerOf(c, "Sky Fell", access.NetworkManager)
	at := technician.school()
	var answer api.Imported
	list := api.NewImport{Source: "tag,what\nHB-LT-014,Classbook 14\n", DryRun: true}
	if got := technician.ask(at+"/register-imports", list, &answer); got != http.StatusCreated || answer.Recorded || len(answer.New) != 1 {
		t.Fatalf("tried: %d %+v", got, answer)
	}
	if n := w.coverage().Registered; n != 0 {
		t.Fatalf("trying registered %d devices", n)
	}
	list.DryRun = false
	if got := manager.ask(at+"/register-imports", list, new(any)); got != http.StatusForbidden {
		t.Errorf("the manager of the trust imports: %d", got)
	}
	if got := technician.ask(at+"/register-imports", list, &answer); got != http.StatusCreated || !answer.Recorded || answer.Entry == 0 {
		t.Fatalf("imported: %d %+v", got, answer)
	}
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Head", Named: true}}, "A. Rowan")
	for p, want := range map[caller]string{technician: "A. Rowan", manager: ""} {
		page := struct {
			Assets []struct{ Held register.Held }
		}{}
		if got := p.ask(at+"/register", nil, &page); got != http.StatusOK || len(page.Assets) != 1 || page.Assets[0].Held.Person != want {
			t.Errorf("%d: %+v, want the name %q", got, page, want)
		}
		one := struct{ Held register.Held }{}
		if got := p.ask(at+"/register/HB-LT-014", nil, &one); got != http.StatusOK || one.Held.Person != want || one.Held.Role != "Head" {
			t.Errorf("%d: %+v, want the name %q", got, one, want)
		}
	}
}
