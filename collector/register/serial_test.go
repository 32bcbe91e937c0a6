package register

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestASerialNumberTellsOneDevice: not one that makers leave in all of them, that a
// spreadsheet rounded, or that another asset has, however it is spelt.
func TestASerialNumberTellsOneDevice(t *testing.T) {
	assets := map[string]Asset{
		"hb-1": {Tag: "HB-1", Description: Description{Serial: "PF2X9Q7R"}, Entry: 1},
		"hb-2": {Tag: "HB-2", Description: Description{Serial: "5CD1234XYZ"}, Entry: 1},
		"hb-3": {Tag: "HB-3", Description: Description{Serial: "C02XK1ABJG5H", Retired: "2026-07-31"}, Entry: 1},
	}
	for list, wrong := range map[string]string{
		"tag,serial\nHB-9,PF3ABCD1\n":                             "",
		"tag,serial\nHB-9,\n":                                     "",
		"tag,serial\nHB-1,pf2x 9q7r\n":                            "", // its own
		"tag,serial\nHB-1,5CD1234XYZ\nHB-2,PF2X9Q7R\n":            "", // they were mixed up
		"tag,serial\nHB-9,To be filled by O.E.M.\n":               `line 2, column "serial": "To be filled by O.E.M." is what makers leave`,
		"tag,serial\nHB-9,Default string\n":                       "is what makers leave",
		"tag,serial\nHB-9,000000000\n":                            "is what makers leave",
		"tag,serial\nHB-9,System Serial Number\n":                 "is what makers leave",
		"tag,serial\nHB-9,X1\n":                                   "too short",
		"tag,serial\nHB-9,3.51235E+11\n":                          "a spreadsheet has rounded",
		"tag,serial\nHB-9,\"3,5E+11\"\n":                          "a spreadsheet has rounded",
		"tag,serial\nHB-9,PF2X9\u200bQ7R\n":                       "cannot be seen",
		"tag,serial\nHB-9," + strings.Repeat("A1", 33) + "\n":     "more than 64",
		"tag,serial\nHB-9, pf2x9q7r\n":                            `line 2, column "serial": HB-1 has the serial number pf2x9q7r already`,
		"tag,serial\nHB-9,C02XK1ABJG5H\n":                         "retired from 2026-07-31",
		"tag,serial\nHB-8,PF3ABCD1\nHB-9,pf3 abcd1\n":             `line 3, column "serial": the serial number pf3 abcd1 is on line 2 already`,
		"tag,serial\nHB-1,5CD1234XYZ\n":                           "HB-2 has the serial number",
		"tag,serial\nHB-9,=PF2X9Q7R\n":                            "looks like a formula",
		"tag,what\nHB-1,a laptop\n":                               "", // no such column: it keeps its own
		"tag,serial\nHB-8,\"=\"\"PF3ABCD1\"\"\"\nHB-9,PF3ABCD2\n": "",
	} {
		lines, err := ParseCSV([]byte(list))
		var p Plan
		if err == nil {
			p, err = Prepare(lines, assets, nil, september)
		}
		if err == nil && len(p.Change.Items) > 0 {
			err = p.Change.Check()
		}
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%q: got %v, want %q", list, err, wrong)
		}
	}
	twice := Change{What: Import, AsOf: september, Items: []Item{
		{Tag: "HB-8", Description: Description{Serial: "PF3ABCD1"}}, {Tag: "HB-9", Description: Description{Serial: "pf3abcd1"}},
	}}
	if err := twice.Check(); err == nil || !strings.Contains(err.Error(), "one serial number") {
		t.Errorf("got %v", err)
	}
}

// TestAnAssetAdmitsOnce: by its serial number it is one device, until a person says
// that it is none.
func TestAnAssetAdmitsOnce(t *testing.T) {
	a := Asset{Tag: "HB-1", Description: Description{Serial: "PF2X9Q7R", Class: posture.SchoolSingleUser}, Entry: 1}
	if why := a.WhyWaits(september); why != "" {
		t.Fatal(why)
	}
	entry := uint64(1)
	take := func(c Change) error {
		t.Helper()
		c.Tag, entry = "HB-1", entry+1
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		next, err := a.Take(c, Made{At: september, Entry: entry})
		a = next
		return err
	}
	if err := take(Change{What: TieBySerial, Device: "d-1"}); err != nil || a.Device != "d-1" || !a.BySerial.Equal(september) {
		t.Fatalf("got %+v, %v", a, err)
	}
	if why := a.WhyWaits(september); why != "the register's HB-1 has enrolled already" {
		t.Errorf("got %q", why)
	}
	if err := take(Change{What: TieBySerial, Device: "d-2"}); err == nil || a.Device != "d-1" {
		t.Errorf("it is %s, %v", a.Device, err)
	}
	if err := take(Change{What: Tie, Device: "d-1"}); err != nil || !a.BySerial.IsZero() {
		t.Errorf("a person has said so: %+v, %v", a, err)
	}
	if err := take(Change{What: Untie}); err != nil || a.WhyWaits(september) != "" {
		t.Errorf("untied it admits again: %v, %v", err, a.WhyWaits(september))
	}
	for words, changed := range map[string]Asset{
		"was retired from 2026-09-07 on": {Tag: "HB-1", Description: Description{Retired: "2026-09-07"}},
		"gets no agent":                  {Tag: "HB-1", Description: Description{Class: posture.StaffOwned}},
	} {
		if why := changed.WhyWaits(september); !strings.Contains(why, words) {
			t.Errorf("got %q, want %s", why, words)
		}
	}
	later := Asset{Tag: "HB-1", Description: Description{Retired: "2026-09-08"}}
	if why := later.WhyWaits(september); why != "" {
		t.Error(why)
	}
	for _, c := range []Change{{What: TieBySerial, Tag: "HB-1"}, {What: TieBySerial, Tag: "HB-1", Device: "d-1", When: september.Add(-time.Hour)}} {
		if c.Check() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
