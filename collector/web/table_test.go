package web

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/view"
)

// TestDevicesAsATable: it holds what the list's filter selects, all of it, and
// nothing in it is run by a spreadsheet.
func TestDevicesAsATable(t *testing.T) {
	s := newSchool(t)
	s.change(func(devices []view.DeviceDetail) {
		devices[0].AssetTag, devices[0].Hostname = "=HYPERLINK(\"http://x\")", "@SUM(A1)\u202e\t"
		devices[1].AssetTag = "-1+1,\"two\"\nlines"
	})
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	rows := func(query string) [][]string {
		t.Helper()
		r := c.get("/schools/hollybank/devices.csv" + query)
		body, marked := strings.CutPrefix(r.Body.String(), "\ufeff")
		if r.Code != http.StatusOK || !marked || r.Header().Get("Content-Disposition") != "attachment; filename=devices-hollybank-2026-10-23.csv" {
			t.Fatalf("%s: %d, %q", query, r.Code, r.Header())
		}
		list, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	all := rows("")
	if len(all) != 1+63 {
		t.Errorf("got %d rows, want a heading and 63 devices", len(all))
	}
	for _, row := range all {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") || strings.ContainsAny(cell, "\u202e\t\n") {
				t.Errorf("a cell holds %q", cell)
			}
		}
	}
	if all[1][0] != "'=HYPERLINK(\"http://x\")" {
		t.Errorf("the tag became %q", all[1][0])
	}
	some := rows("?rule=EXE-03&standing=not-met")
	if len(some) < 2 || len(some) >= len(all) || some[1][11] == "" {
		t.Errorf("the filter gave %d rows, the first %q", len(some), some[min(1, len(some)-1)])
	}
}
