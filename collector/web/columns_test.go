package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const atDevices = "/schools/hollybank/devices"

// TestColumnsAreChosenAndKept: in the address for once, and for an account until it
// chooses others; nobody else's list changes.
func TestColumnsAreChosenAndKept(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c, other := newClient(t, h, "technician"), newClient(t, h, "dpo")
	heads := func(c *client, path string) string {
		t.Helper()
		r := c.get(path)
		_, rest, _ := strings.Cut(r.Body.String(), "<thead")
		head, _, _ := strings.Cut(rest, "</thead>")
		return strings.Join(strings.Fields(tags.ReplaceAllString("<"+head, " ")), " ")
	}
	const usual = "Device Rules Breaches to act on Last heard from"
	if got := heads(c, atDevices); got != usual {
		t.Errorf("usually the columns are %q", got)
	}
	if got := heads(c, atDevices+"?columns=agent&columns=heard&columns=zzz"); got != "Device Last heard from Agent" {
		t.Errorf("the address asks for two, and has %q", got)
	}
	if page := c.get(atDevices + "?columns=agent&columns=heard").Body.String(); !strings.Contains(page, "columns=heard%2Cagent") {
		t.Error("the next page would have other columns")
	}
	c.send(atDevices+"/columns", url.Values{"columns": {"whose", "heard"}, "q": {"hb-lt-01"}}, http.StatusSeeOther, "Kept", "hb-lt-01")
	if got := heads(c, atDevices); got != "Device Last heard from Whose" {
		t.Errorf("the columns that were kept are %q", got)
	}
	if got := heads(other, atDevices); got != usual {
		t.Errorf("another account has %q", got)
	}
	c.send(atDevices+"/columns", nil, http.StatusSeeOther)
	if got := heads(c, atDevices); got != usual {
		t.Errorf("with none chosen the columns are %q", got)
	}
	for _, column := range deviceColumns {
		c.want(atDevices+"?columns="+column.Key, http.StatusOK, column.Words)
	}
}

// TestViewsAreSaved: what the list is asked for, under a name that is text, for the
// account that saved it.
func TestViewsAreSaved(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c, other := newClient(t, h, "technician"), newClient(t, h, "head")
	const nasty = `<b>"Disks"</b>`
	c.send(atDevices+"/views", url.Values{"query": {"rule=ENC-01&standing=not-met&after=zzz&evil=1"}, "name": {nasty}}, http.StatusSeeOther, "Saved.", nasty)
	page := c.get(atDevices).Body.String()
	if !strings.Contains(page, `href="/schools/hollybank/devices?rule=ENC-01&amp;standing=not-met"`) || strings.Contains(page, nasty) || strings.Contains(page, "evil") {
		t.Errorf("the saved view is not on the page as it should be")
	}
	if strings.Contains(other.get(atDevices).Body.String(), "Disks") {
		t.Error("another account sees it")
	}
	c.send(atDevices+"/views", url.Values{"query": {"q=hb-lt-014"}, "name": {" "}}, http.StatusUnprocessableEntity, "A saved view has a name", "Tag or name holds “ hb-lt-014 ”")
	c.send(atDevices+"/views/remove", url.Values{"name": {nasty}}, http.StatusSeeOther, "Removed.")
	if strings.Contains(c.get(atDevices).Body.String(), "Disks") {
		t.Error("it is still there")
	}
	if r := newClient(t, h, "business-manager").post(atDevices+"/views", url.Values{"name": {"x"}}); r.Code != http.StatusForbidden {
		t.Errorf("somebody who may not read devices saves a view of them: %d", r.Code)
	}
}

// TestTheSheetSaysWhatToDo: by tag, in groups, in words, and with no name of anybody.
func TestTheSheetSaysWhatToDo(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	text := c.want(atDevices+"/sheet?q=hb-lt-0", http.StatusOK, "Office", "Year 4 trolley", "No group recorded", "To put it right", "Last heard from", "Year 4 class teacher", "There are more on the next one")
	if office, none := strings.Index(text, "Office"), strings.Index(text, "No group recorded"); office > none {
		t.Error("those without a group come first")
	}
	if strings.Contains(text, "Rowan") {
		t.Error("a name is on paper")
	}
	text = c.want(atDevices+"/sheet?group=year+4+TROLLEY", http.StatusOK, "2 laptops on this sheet", "HB-LT-022", "Supply teacher")
	if strings.Contains(text, "HB-LT-014") {
		t.Error("a laptop of another group is on the sheet")
	}
	text = c.want(atDevices+"/sheet?q=hb-lt-009", http.StatusOK, "System disk encrypted")
	if strings.Contains(text, "Every rule that covers it is met") {
		t.Error("a disk that is not encrypted is met")
	}
	c.want(atDevices+"/sheet?q=hb-lt-062", http.StatusOK, "It has not reported yet, so nothing is known of it")
	c.want(atDevices+"/sheet?q=zzz", http.StatusOK, "No laptop fits")
	if size := c.get(atDevices + "/sheet").Body.Len(); size > 150<<10 {
		t.Errorf("a sheet has %d bytes", size)
	}
}
