package web

import (
	"context"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// admitter keeps what is decided about enrolments, and who waits for that.
type admitter struct {
	*school
	admitted []admission.Change
	revoked  []posture.DeviceID
}

// admissionsOf is who decides about enrolments, of what answers the pages'
// questions.
func admissionsOf(q Queries) *admitter {
	s, ok := q.(*school)
	if !ok {
		return &admitter{school: &school{}}
	}
	if s.admissions == nil {
		s.admissions = &admitter{school: s}
	}
	return s.admissions
}

func (a *admitter) Admit(_ context.Context, _ posture.SchoolID, d decision.Decision, c admission.Change) (uint64, error) {
	if d.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "the earlier one is lost: record first that it was found"}
	}
	a.decided, a.admitted = append(a.decided, d), append(a.admitted, c)
	return 1, nil
}

func (a *admitter) Revoke(_ context.Context, _ posture.SchoolID, d decision.Decision, device posture.DeviceID) (uint64, error) {
	if d.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "this device was revoked already"}
	}
	a.decided, a.revoked = append(a.decided, d), append(a.revoked, device)
	return 1, nil
}

func (a *admitter) WaitingRenewals(_ context.Context, id posture.SchoolID) ([]WaitingRenewal, int, error) {
	if id != hollybank {
		return nil, 180, nil
	}
	return []WaitingRenewal{
		{Device: "d-022", Hostname: "hb-lt-022", AssetTag: "HB-LT-022", Ended: now.Add(-200 * 24 * time.Hour), Last: now.Add(-40 * time.Minute), LastContact: now.Add(-290 * 24 * time.Hour)},
	}, 180, nil
}

func (s *school) Same(_ context.Context, id posture.SchoolID, _ posture.DeviceID, all bool, _ time.Time) (view.SameList, error) {
	if id != hollybank {
		return view.SameList{}, s.fail
	}
	same := []string{"system-uuid", "system-serial"}
	list := view.SameList{Same: []view.Same{
		{Device: "d-014", Hostname: "hb-lt-014", EnrolledAt: now.Add(-2 * time.Hour), Earlier: "d-015", EarlierHostname: "hb-lt-015", AssetTag: "HB-LT-015", LastContact: now.Add(-50 * time.Hour), Agree: same},
		{Device: "d-016", Hostname: "hb-lt-016", EnrolledAt: now.Add(-20 * time.Hour), Earlier: "d-017", EarlierHostname: "hb-lt-017", LastContact: now.Add(-time.Hour), Agree: same, Differ: []string{"chassis-serial"}, Both: true},
		{Device: "d-018", Hostname: "hb-lt-018", EnrolledAt: now.Add(-20 * time.Hour), Earlier: "d-010", AssetTag: "HB-LT-010", LastContact: now.Add(-30 * time.Hour), Agree: same, Lost: true},
	}}
	if all {
		list.Same = append(list.Same, view.Same{
			Device: "d-020", Hostname: "hb-lt-020", EnrolledAt: now.Add(-90 * time.Hour), Earlier: "d-021", AssetTag: "HB-LT-021", LastContact: now.Add(-95 * time.Hour), Agree: same[:1],
			Refused: &view.SameRow{Refused: true, By: "technician", At: now.Add(-80 * time.Hour)},
		})
	}
	return list, s.fail
}

func (a *admitter) TwoMachines(_ context.Context, id posture.SchoolID) (view.TwoMachines, error) {
	if id != hollybank {
		return view.TwoMachines{}, nil
	}
	key := strings.Repeat("5a", 32)
	return view.TwoMachines{Devices: []view.TwoOfOne{
		{
			Device: "d-030", Hostname: "hb-lt-030", LastContact: now.Add(-2 * time.Hour), Twice: &view.Twice{Since: now.Add(-time.Hour), Why: "fork", Entry: 41},
			Claimants: []admission.Claimant{
				{Device: "d-030", Key: key, Code: "KF7Q-M2XP", Hostname: "hb-lt-030", Platform: posture.Windows, Since: now.Add(-50 * time.Minute), Last: now.Add(-2 * time.Minute)},
				{Device: "d-030", Key: strings.Repeat("6b", 32), Code: "A2B3-C4D5", Hostname: "hb-lt-030<b>", Platform: posture.Windows, Agree: []string{"chassis-serial"}, Differ: []string{"system-uuid", "system-serial"}, Moved: true, Since: now.Add(-40 * time.Minute), Last: now.Add(-time.Minute)},
			},
		},
		{Device: "d-031", Hostname: "hb-lt-031", LastContact: now.Add(-time.Hour), Claimants: []admission.Claimant{}},
	}}, nil
}
