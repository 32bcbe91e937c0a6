package api

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SchoolOn implements Recorder: it answers with what it was asked.
func (d *decided) SchoolOn(_ context.Context, school posture.SchoolID, q PositionQuestion) (SchoolEvidence, error) {
	if q.At.After(start) {
		return SchoolEvidence{}, ErrNotYet
	}
	return SchoolEvidence{School: school, At: q.At, MadeBy: q.By, Page: "in " + q.Zone.String()}, nil
}

// SignCheckpoint implements Recorder.
func (d *decided) SignCheckpoint(_ context.Context, school posture.SchoolID) (Checkpoint, error) {
	return Checkpoint{School: school, Checkpoint: "caretaker.school/" + string(school)}, nil
}

// RecordStatus implements Recorder.
func (d *decided) RecordStatus(_ context.Context, school posture.SchoolID) (RecordStatus, error) {
	return RecordStatus{School: school}, nil
}

// Assess implements Recorder.
func (d *decided) Assess(_ context.Context, _ posture.SchoolID, device posture.DeviceID, by string) error {
	if device != "here" {
		return ErrAway
	}
	d.assessed = append(d.assessed, by)
	return nil
}

// Notices implements Recorder.
func (d *decided) Notices(posture.SchoolID) Notices {
	return Notices{Ways: []NoticeWay{{ID: "a", Role: access.DPO}}, Log: []NoticeSent{}}
}

// TestTheRecordIsAskedByRole: who may have which of what is told of a school's
// record as a whole, at their own school alone.
func TestTheRecordIsAskedByRole(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank"
	for _, c := range []struct {
		path string
		may  map[string]int // 403 if not named
	}{
		{at + "/record", map[string]int{"Morgan Ellis": 200, "Priya Anand": 200}},
		{at + "/checkpoint", map[string]int{"Morgan Ellis": 200, "Priya Anand": 200}},
		{at + "/evidence", map[string]int{"Morgan Ellis": 200, "Priya Anand": 200}},
		{at + "/evidence?at=2026-10-24T10:00:00Z", map[string]int{"Morgan Ellis": 400, "Priya Anand": 400}},
		{at + "/evidence?zone=Local", map[string]int{"Morgan Ellis": 400, "Priya Anand": 400}},
		{at + "/notices", map[string]int{"Morgan Ellis": 200, "Priya Anand": 200}},
		{at + "/record?all=true", map[string]int{"Morgan Ellis": 400, "Priya Anand": 400}},
	} {
		for who, want := range map[string]int{"Morgan Ellis": 403, "Priya Anand": 403, "Sam Okafor": 403, "Elsewhere": 404, "": 401} {
			if n, ok := c.may[who]; ok {
				want = n
			}
			if got, answer := w.ask(t, who, http.MethodGet, c.path, ""); got != want {
				t.Errorf("%q, %s: %d, want %d: %s", who, c.path, got, want, answer)
			}
		}
	}
	_, answer := w.ask(t, "Priya Anand", http.MethodGet, at+"/evidence?at=2026-10-23T10:00:00Z&zone=Europe/Paris", "")
	var got SchoolEvidence
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	if got.School != "hollybank" || got.MadeBy != "Priya Anand" || got.Page != "in Europe/Paris" || got.At.Hour() != 10 {
		t.Errorf("asked %+v", got)
	}
}

// TestADeviceIsAskedToAssessItselfByRole, under the account's name.
func TestADeviceIsAskedToAssessItselfByRole(t *testing.T) {
	w := newWorld(t)
	w.devices = map[posture.DeviceID]view.DeviceDetail{"here": {}, "away": {}}
	for _, c := range []struct {
		who, device string
		want        int
	}{
		{"Morgan Ellis", "here", 200},
		{"Morgan Ellis", "away", 409},
		{"Morgan Ellis", "nowhere", 404},
		{"Priya Anand", "here", 403},
		{"Sam Okafor", "here", 403},
		{"Elsewhere", "here", 404},
		{"", "here", 401},
	} {
		if got, answer := w.ask(t, c.who, http.MethodPost, "/api/v1/schools/hollybank/devices/"+c.device+"/assessment", "{}"); got != c.want {
			t.Errorf("%q, %s: %d, want %d: %s", c.who, c.device, got, c.want, answer)
		}
	}
	if got, _ := w.ask(t, "Morgan Ellis", http.MethodPost, "/api/v1/schools/hollybank/devices/here/assessment", `{"by":"x"}`); got != 400 {
		t.Errorf("with something that it does not take: %d", got)
	}
	if len(w.assessed) != 1 || w.assessed[0] != "Morgan Ellis" {
		t.Errorf("asked by %q", w.assessed)
	}
}
