package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Keep implements Keeper.
func (d *decided) Keep(_ context.Context, _ posture.SchoolID, made decision.Decision, c register.Change) (uint64, error) {
	if d.refuse != nil {
		return 0, d.refuse
	}
	d.made, d.kept = append(d.made, made), append(d.kept, c)
	return 42, nil
}

// SignLicence implements Keeper.
func (d *decided) SignLicence(ctx context.Context, school posture.SchoolID, made decision.Decision, product, term string) (uint64, error) {
	return d.Keep(ctx, school, made, register.Change{What: register.SignLicence, Tag: product, Method: term})
}

// ImportRegister implements Importer with the parser and an empty register.
func (d *decided) ImportRegister(_ context.Context, _ posture.SchoolID, made decision.Decision, source []byte, asOf time.Time, dry bool) (register.Plan, uint64, error) {
	lines, err := register.ParseCSV(source)
	if err != nil {
		return register.Plan{}, 0, err
	}
	plan, err := register.Prepare(lines, nil, nil, asOf)
	if err != nil || dry {
		return plan, 0, err
	}
	d.made = append(d.made, made)
	return plan, 42, nil
}

// TestAListIsImportedByRole: first without recording anything, and with all that
// is wrong with it.
func TestAListIsImportedByRole(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank/register-imports"
	for _, c := range []struct {
		who, body string
		want      int
		says      string
	}{
		{"Morgan Ellis", `{"source":"tag,what\nHB-1,Classbook","dryRun":true}`, http.StatusCreated, `"recorded":false`},
		{"Morgan Ellis", `{"source":"tag,what\nHB-1,Classbook"}`, http.StatusCreated, `"new":["HB-1"]`},
		{"Morgan Ellis", `{"source":"tag,class\nHB-1,XX"}`, http.StatusUnprocessableEntity, `line 2, column \"class\"`},
		{"Morgan Ellis", `{"source":"tag\nHB-1","colour":"red"}`, http.StatusBadRequest, "colour"},
		{"Morgan Ellis", `{"source":"` + strings.Repeat("a", mostImport) + `"}`, http.StatusRequestEntityTooLarge, "4 MiB"},
		{"Priya Anand", `{"source":"tag\nHB-1"}`, http.StatusForbidden, ""},
		{"Elsewhere", `{"source":"tag\nHB-1"}`, http.StatusNotFound, ""},
	} {
		if got, answer := w.ask(t, c.who, http.MethodPost, at, c.body); got != c.want || !strings.Contains(answer, c.says) {
			t.Errorf("%s, %.60s: %d, want %d and %s: %.300s", c.who, c.body, got, c.want, c.says, answer)
		}
	}
	if len(w.made) != 1 || w.made[0].By != "Morgan Ellis" {
		t.Errorf("recorded %+v", w.made)
	}
}

// TestTheRegisterIsKeptByRole: what a key records is recorded under its
// account's name, and only a role that may, does.
func TestTheRegisterIsKeptByRole(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank/register"
	lent := `{"change":{"what":"allocate","tag":"HB-1","allocation":{"role":"Year 4"}},"person":"A. Rowan","reason":"the new year"}`
	for _, c := range []struct {
		who, path, body string
		want            int
	}{
		{"Morgan Ellis", at, lent, http.StatusCreated},
		{"Priya Anand", at, lent, http.StatusForbidden},
		{"Sam Okafor", at, lent, http.StatusForbidden},
		{"Elsewhere", at, lent, http.StatusNotFound},
		{"Morgan Ellis", at, `{"change":{"what":"sign","tag":"HB-1"},"reason":"x"}`, http.StatusBadRequest},
		{"Morgan Ellis", at, `{"change":{"what":"import","items":[{"tag":"HB-1"}],"asOf":"2026-09-07T08:00:00Z"},"reason":"x"}`, http.StatusBadRequest},
		{"Morgan Ellis", at, `{"change":{"what":"hand-back","tag":"HB-1"},"person":"A. Rowan","reason":"x"}`, http.StatusBadRequest},
		{"Morgan Ellis", at, `{"change":{"what":"hand-back","tag":"HB-1"}}`, http.StatusBadRequest},
		{"Morgan Ellis", at, `{"change":{"what":"hand-back","tag":"HB-1","colour":"red"},"reason":"x"}`, http.StatusBadRequest},
		{"Priya Anand", at + "/HB-1/signatures", `{"reason":"all done"}`, http.StatusCreated},
		{"Priya Anand", "/api/v1/schools/hollybank/licences/Sketch/signatures", `{"term":"autumn","reason":"x"}`, http.StatusForbidden},
		{"Sam Okafor", at + "/HB-1/signatures", `{"reason":"all done"}`, http.StatusForbidden},
	} {
		if got, answer := w.ask(t, c.who, http.MethodPost, c.path, c.body); got != c.want {
			t.Errorf("%s, %s: %d, want %d: %s", c.who, c.body, got, c.want, answer)
		}
	}
	if len(w.kept) != 2 || !w.kept[0].Allocation.Named || w.made[0].By != "Morgan Ellis" || w.made[0].Person != "A. Rowan" ||
		w.kept[1].What != register.Sign || w.kept[1].Tag != "HB-1" || w.made[1].By != "Priya Anand" {
		t.Errorf("recorded %+v %+v", w.made, w.kept)
	}
	w.refuse = &decision.RefusedError{Why: "nobody has it"}
	if got, _ := w.ask(t, "Morgan Ellis", http.MethodPost, at, lent); got != http.StatusConflict {
		t.Errorf("refused: %d", got)
	}
}
