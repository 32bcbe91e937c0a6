package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/tools/bigschool"
)

// pagesOf is the site of a collector on the record of a large school, as the
// collector itself puts it together, and somebody who has signed in to it.
type pagesOf struct {
	tb      testing.TB
	devices int
	school  posture.SchoolID
	small   posture.SchoolID
	site    http.Handler
	cookie  *http.Cookie
}

// madeFile says what a folder holds, so that it need not be made again.
const madeFile = "made.json"

// made is what madeFile holds.
type made struct {
	School  posture.SchoolID `json:"school"`
	Small   posture.SchoolID `json:"small"` // one with a tenth of the devices, beside it
	Devices int              `json:"devices"`
	Now     time.Time        `json:"now"`
	Done    bool             `json:"done"` // what people do is recorded too
}

const personsPassword = "walnut harbour lantern"

// openPages opens the site of a school of so many devices, whose record is made
// in the folder unless it is there already.
func openPages(tb testing.TB, data string, devices int, said func(string)) *pagesOf {
	tb.Helper()
	m, err := readMade(data)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && m.Devices != devices:
		m = makeSchool(tb, data, devices, said)
		writeMade(tb, data, m)
	case err != nil:
		tb.Fatal(err)
	}
	clk := clocktest.NewDriven(m.Now)
	c, err := open(tb.Context(), data, false, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	said("folding")
	c.catchUp(tb.Context())
	if !m.Done {
		happen(tb, c, m)
		m.Done = true
		writeMade(tb, data, m)
	}
	site, err := c.pages(Config{Log: slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}, false)
	if err != nil {
		tb.Fatal(err)
	}
	p := &pagesOf{tb: tb, devices: m.Devices, school: m.School, small: m.Small, site: site}
	w := p.ask(http.MethodPost, "/sign-in", url.Values{"name": {"Priya Anand"}, "password": {personsPassword}})
	for _, k := range w.Result().Cookies() {
		p.cookie = k
	}
	if w.Code != http.StatusSeeOther || p.cookie == nil {
		tb.Fatalf("sign in: %d\n%s", w.Code, w.Body)
	}
	said("ready")
	return p
}

func readMade(data string) (m made, err error) {
	text, err := os.ReadFile(filepath.Join(data, madeFile))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

func writeMade(tb testing.TB, data string, m made) {
	tb.Helper()
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(data, madeFile), text, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// makeSchool writes the record of the large school, and of a smaller one beside it.
func makeSchool(tb testing.TB, data string, devices int, said func(string)) made {
	tb.Helper()
	if err := errors.Join(os.RemoveAll(data), os.MkdirAll(data, 0o700)); err != nil {
		tb.Fatal(err)
	}
	m := made{Devices: devices, Now: time.Date(2026, time.November, 20, 10, 0, 0, 0, time.UTC)}
	for _, s := range []struct {
		name    string
		devices int
		school  *posture.SchoolID
	}{{"Hollybank Primary School", devices, &m.School}, {"Oakfield Infant School", devices / 10, &m.Small}} {
		id, err := bigschool.Write(tb.Context(), bigschool.Options{
			Data: data, Name: s.name, Devices: s.devices, Now: m.Now,
			Said: func(done, of int) { said(fmt.Sprintf("%s: %d of %d steps written", s.name, done, of)) },
		})
		if err != nil {
			tb.Fatal(err)
		}
		*s.school = id
	}
	return m
}

// happen has people do what is shown in lists of its own.
func happen(tb testing.TB, c *collector, m made) {
	tb.Helper()
	ask := func(operation string, arguments any) (answer any) {
		tb.Helper()
		body, err := json.Marshal(arguments)
		if err == nil {
			answer, err = c.do(tb.Context(), operation, body)
		}
		if err != nil {
			tb.Fatalf("%s: %v", operation, err)
		}
		return answer
	}
	_, _, err := c.access.CreateAccount(tb.Context(), access.NewAccount{
		Name: "Priya Anand", Password: personsPassword, Grants: grantsOfAll(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	key := ask("key.create", KeyArguments{Account: "Priya Anand", Label: "approves", Lasts: 24 * time.Hour}).(KeyAnswer)
	for n := range min(200, m.Devices/10) {
		asked := ask("exemption.ask", AskExemptionArguments{
			School: string(m.School), Rule: "ENC-01", Device: bigschool.Hostname(10*n + 3), Until: m.Now.Add(30 * 24 * time.Hour),
			Reason: fmt.Sprintf("A new disk is ordered for laptop %d.", n),
		}).(ExemptionAnswer)
		if n%2 == 0 {
			ask("exemption.decide", ExemptionArguments{School: string(m.School), Kind: decision.Exempt, ID: asked.ID, Reason: "Until it is here.", Key: key.Key})
		}
	}
	for n := range min(100, m.Devices/10) {
		at := incident.NewMoment(m.Now.Add(-2*time.Hour), "Europe/London")
		ask("incident.change", IncidentChange{
			School: string(m.School), Change: incident.Change{What: incident.Open, Kind: incident.LostDevice, Happened: &at, Aware: &at},
			Words: "Left on a train.", Devices: []string{bigschool.Hostname(7*n + 1)},
		})
	}
}

// grantsOfAll are the rights of everybody, at every school.
func grantsOfAll() (all []access.Grant) {
	for _, role := range access.Roles() {
		all = append(all, access.Grant{School: access.EverySchool, Role: role})
	}
	return all
}

// ask asks the site for a page.
func (p *pagesOf) ask(method, path string, form url.Values) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.site.ServeHTTP(w, p.request(method, path, form))
	return w
}

func (p *pagesOf) request(method, path string, form url.Values) *http.Request {
	ctx, cancel := context.WithCancel(p.tb.Context())
	p.tb.Cleanup(cancel)
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(form.Encode()))
	r.RemoteAddr = "192.0.2.1:4321"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if p.cookie != nil {
		r.AddCookie(p.cookie)
	}
	return r
}

// at returns an address of the large school.
func (p *pagesOf) at(path string) string { return "/schools/" + string(p.school) + path }
