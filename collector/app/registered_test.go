package app

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
)

// TestWhoApprovesTies: that a laptop is an asset is the decision of who approved it,
// made when they did, and says why.
func TestWhoApprovesTies(t *testing.T) {
	approved := decision.Decision{Kind: decision.Admission, By: "Morgan Ellis", At: time.Date(2026, time.November, 20, 10, 0, 0, 0, time.UTC), Reason: "on the trolley"}
	sections, err := tiedBy(approved)("HB-LT-014", "d-1")
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, s := range sections {
		if s.Name != decision.Section {
			continue
		}
		said++
		d, err := decision.Decode(s.Body)
		if err != nil || d.Kind != decision.Register || d.By != approved.By || !d.At.Equal(approved.At) || d.Reason != "approved while it waited, and the register has its serial number" {
			t.Errorf("it says %+v, %v", d, err)
		}
	}
	if said != 1 {
		t.Errorf("%d of %d sections say who decided", said, len(sections))
	}
}
