package system

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWindowsAnswersRows asks each question that needs no process of its own:
// the answer has only names that are promised, or the failure a code.
func TestWindowsAnswersRows(t *testing.T) {
	r := New("/")
	for _, spec := range Rowsets() {
		if spec.On != posture.Windows || spec.Apart {
			continue
		}
		rows, err := r.Rows(t.Context(), spec.Name)
		if err != nil {
			t.Logf("%s: %v", spec.Name, err)
			if CodeOf(err) == 0 && !errors.Is(err, errNone) || rows != nil {
				t.Errorf("%s: got %v and %v, want a code and nothing", spec.Name, rows, err)
			}
			continue
		}
		t.Logf("%s: %d rows", spec.Name, len(rows))
		for i, row := range rows {
			if i < 4 {
				text, err := json.Marshal(row)
				t.Logf("  %s %v", text, err)
			}
			for name, value := range row {
				if !slices.Contains(spec.Values, name) {
					t.Errorf("%s: %q is not promised", spec.Name, name)
				}
				if value.Absent == posture.None {
					t.Errorf("%s: %q failed for no reason", spec.Name, name)
				}
			}
		}
	}
}

func TestWindowsTellsOfTheMachine(t *testing.T) {
	rows, err := New("/").Rows(t.Context(), MachineRow)
	if err != nil || len(rows) != 1 {
		t.Fatalf("the machine: got %v, %v", rows, err)
	}
	row := rows[0]
	for _, name := range []string{"Major", "Build", "ProductType", "NativeMachine"} {
		if n := row.Number(name); n.Absent != posture.None || n.Value <= 0 {
			t.Errorf("%s: got %+v", name, n)
		}
	}
	if host := row.Text("Hostname"); host.Absent != posture.None || host.Value == "" {
		t.Errorf("the host's name: got %+v", host)
	}
}

func TestWindowsListsServices(t *testing.T) {
	rows, err := New("/").Rows(t.Context(), Services)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Text("Name").Value == "" || row.Number("State").Value < 1 || row.Number("State").Value > 7 {
			t.Errorf("a service: got %v", row)
		}
		if start := row.Number("Start"); start.Absent != posture.None || start.Value > 4 {
			t.Errorf("service %v starts: got %+v", row.Text("Name").Value, start)
		}
	}
	if len(rows) < 3 {
		t.Errorf("got %d services", len(rows))
	}
}

func TestCoded(t *testing.T) {
	_, err := procedure("kernel32.dll", "CaretakerNoSuchFunction")
	if !errors.Is(err, errors.ErrUnsupported) || CodeOf(err) != 127 {
		t.Errorf("a function that is not there: got %v", err)
	}
	_, err = procedure("caretakernosuch.dll", "X")
	if !errors.Is(err, errors.ErrUnsupported) || CodeOf(err) != 126 {
		t.Errorf("a library that is not there: got %v", err)
	}
	if err := coded(fs.ErrInvalid); !errors.Is(err, fs.ErrInvalid) || CodeOf(err) != 0 {
		t.Errorf("an error of ours: got %v", err)
	}
}
