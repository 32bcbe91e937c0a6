package web

import (
	"context"
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const viewsPath = "/schools/hollybank/privacy/views"

// asking is a school that remembers what was asked of who looked.
type asking struct {
	*school
	asked []view.LookQuery
}

func (a *asking) Looks(ctx context.Context, id posture.SchoolID, q view.LookQuery, now time.Time) (view.LookPage, error) {
	a.asked = append(a.asked, q)
	return a.school.Looks(ctx, id, q, now)
}

// TestWhoLookedIsReadByThoseWhoseDutyItIs: not by those who look, whoever they are
// elsewhere.
func TestWhoLookedIsReadByThoseWhoseDutyItIs(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for _, role := range access.Roles() {
		want := http.StatusForbidden
		if role == access.DPO || role == access.Head {
			want = http.StatusOK
		}
		c := newClient(t, h, string(role))
		for _, path := range []string{viewsPath, viewsPath + ".csv"} {
			if got := c.get(path); got.Code != want || want == http.StatusForbidden && strings.Contains(got.Body.String(), "Priya Anand") {
				t.Errorf("%s as %s: got %d, want %d", path, role, got.Code, want)
			}
			if got := c.get(strings.Replace(path, "hollybank", "oakfield", 1)).Code; got != http.StatusNotFound {
				t.Errorf("%s of another school as %s: got %d", path, role, got)
			}
		}
	}
}

func TestWhoLookedSaysWhoAndAtWhat(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	page := plainText(newClient(t, h, "dpo").get(viewsPath).Body.String())
	for _, want := range []string{
		"Morgan Ellis On a page A laptop HB-014 hb-lt-014 Alex Fern, Year 4 class teacher",
		"An incident: 2026-03", "Priya Anand By a program, with the key abcd2345 The list of laptops",
		"console:caretaker By a command on the collector Entries of the record", "So are you, now.", "Next page",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "does not know") {
		t.Error("something that is looked at has no words")
	}
}

// TestWhoLookedIsAskedByAddress: the laptop by its tag or name, days in the school's
// zone, and what is left empty selects all.
func TestWhoLookedIsAskedByAddress(t *testing.T) {
	q := &asking{school: newSchool(t)}
	h, _ := newSite(t, q, false)
	c := newClient(t, h, "head")
	zone, err := time.LoadLocation(Zone)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]view.LookQuery{
		"":                                     {},
		"?by=&laptop=&person=&what=&from=&to=": {},
		"?by=Morgan+Ellis&person=Alex+Fern&what=device": {By: "Morgan Ellis", Person: "Alex Fern", What: viewing.Device},
		"?laptop=HB-LT-014&after=older":                 {Device: "d-014", After: "older"},
		"?laptop=d-014":                                 {Device: "d-014"},
		"?what=weather":                                 {},
		"?from=2026-10-24&to=2026-10-25":                {From: time.Date(2026, 10, 24, 0, 0, 0, 0, zone), To: time.Date(2026, 10, 26, 0, 0, 0, 0, zone)},
	} {
		q.asked = nil
		if got := c.get(viewsPath + address); got.Code != http.StatusOK || len(q.asked) != 1 {
			t.Errorf("%q: got %d, asked %d times", address, got.Code, len(q.asked))
			continue
		}
		if diff := cmp.Diff(want, q.asked[0]); diff != "" {
			t.Errorf("%q (-want +got):\n%s", address, diff)
		}
	}
	for address, want := range map[string]string{
		"?laptop=zzz": "No laptop of this school has that tag or name.", "?laptop=lt-01": "No laptop of this school has that tag or name.",
		"?from=soon": "Enter a day, such as 3 November 2026", "?to=32&laptop=zzz": "Enter a day, such as 3 November 2026",
	} {
		q.asked = nil
		got := c.get(viewsPath + address)
		if text := plainText(got.Body.String()); got.Code != http.StatusUnprocessableEntity || !strings.Contains(text, want) || len(q.asked) > 0 {
			t.Errorf("%q: got %d, asked %d times: %s", address, got.Code, len(q.asked), text)
		}
		if code := c.get(viewsPath + ".csv" + address).Code; code != http.StatusSeeOther {
			t.Errorf("the table of %q: got %d", address, code)
		}
	}
	if page := c.get(viewsPath + "?by=Morgan+Ellis&laptop=HB-LT-014").Body.String(); !strings.Contains(page, "laptop=HB-LT-014") || !strings.Contains(page, `value="Morgan Ellis"`) {
		t.Error("what was asked for is not in the links, or not in the form")
	}
}

// TestTheTableOfWhoLookedIsText: what a spreadsheet would run is text in it.
func TestTheTableOfWhoLookedIsText(t *testing.T) {
	s := newSchool(t)
	s.hostile = `=HYPERLINK("http://evil.example")`
	h, _ := newSite(t, s, false)
	got := newClient(t, h, "dpo").get(viewsPath + ".csv?by=Morgan+Ellis")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.Body.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) < len(viewing.All()) {
		t.Fatalf("%d rows, %v: %.300s", len(rows), err, got.Body)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	if want := []string{"'" + s.hostile, "On a page", "A laptop", "HB-014", "hb-lt-014", "Alex Fern, Year 4 class teacher", "400"}; cmp.Diff(want, rows[1][1:]) != "" {
		t.Errorf("got %q, want %q", rows[1][1:], want)
	}
	page := newClient(t, h, "head").get(viewsPath).Body.String()
	if !strings.Contains(plainText(page), "=HYPERLINK") {
		t.Error("the page does not show the name as it is")
	}
}

// TestALaptopLeadsToWhoLookedAtIt: those who may read it.
func TestALaptopLeadsToWhoLookedAtIt(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	link := viewsPath + "?laptop=d-014"
	if page := newClient(t, h, "dpo").get("/schools/hollybank/devices/d-014").Body.String(); !strings.Contains(page, link) {
		t.Error("the page of a laptop does not lead to who looked at it")
	}
	if page := newClient(t, h, "technician").get("/schools/hollybank/devices/d-014").Body.String(); strings.Contains(page, "privacy/views") {
		t.Error("a technician is led to what they may not read")
	}
}
