package register

import (
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWhatSomebodyOwnsIsNoEnrolledDevice: what a list says of a laptop with an
// agent cannot be that it is somebody's own, and neither can what it is tied to.
func TestWhatSomebodyOwnsIsNoEnrolledDevice(t *testing.T) {
	enrolled := []Enrolled{{ID: "d-1", Host: "hb-lt-001"}, {ID: "d-2", Host: "hb-lt-002", Tag: "HB-2"}}
	assets := map[string]Asset{"hb-2": {Tag: "HB-2", Device: "d-2", Entry: 1}, "hb-3": {Tag: "HB-3", Entry: 2}}
	for list, wrong := range map[string]bool{
		"tag,class,host\nHB-1,VI,hb-lt-001\n": true,
		"tag,class\nHB-2,SF\n":                true,
		"tag,class\nHB-2,SM\n":                false,
		"tag,class\nHB-3,ST\n":                false,
		"tag,class,host\nHB-1,AU,hb-lt-001\n": false,
	} {
		lines, err := ParseCSV([]byte(list))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Prepare(lines, assets, enrolled, september)
		if wrong && (err == nil || !strings.Contains(err.Error(), `line 2, column "class": `) || !strings.Contains(err.Error(), "gets no agent")) || !wrong && err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
	for _, class := range []posture.Ownership{posture.StudentOwned, posture.StaffOwned, posture.VisitorOwned} {
		if CheckTie("HB-1", class) == nil {
			t.Errorf("%s is tied to a device", class)
		}
	}
	if err := CheckTie("HB-1", posture.SchoolMultiUser); err != nil {
		t.Error(err)
	}
}
