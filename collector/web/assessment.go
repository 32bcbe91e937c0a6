package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Assessor asks devices to assess themselves.
type Assessor interface {
	// AssessNow asks a device to assess itself now, for somebody. Its error is
	// ErrAway if it cannot be reached at this moment.
	AssessNow(ctx context.Context, school posture.SchoolID, device posture.DeviceID, by string) error
}

// ErrAway says that a device is not connected to the collector.
var ErrAway = errors.New("the device is not connected")

// unsure is by how much the time at which a device read something, by its own
// clock, may be off where the collector does not know better.
const unsure = time.Minute

// progress is how far a device is that was asked to assess itself.
type progress struct {
	Words string
	Done  bool
}

// assess asks a device to assess itself, and leads back to its page, which says
// how far it is.
func (s *site) assess(w http.ResponseWriter, r *http.Request, v visit) error {
	id := posture.DeviceID(r.PathValue("device"))
	d, err := s.Queries.Device(r.Context(), v.school.ID, id, v.now)
	if err != nil {
		return err
	}
	query := url.Values{
		"asked": {v.now.UTC().Format(time.RFC3339)}, "report": {strconv.FormatUint(d.LastReport, 10)}, "held": {strconv.FormatInt(d.HeldAt.UnixMilli(), 10)},
	}
	switch err := s.Assessor.AssessNow(r.Context(), v.school.ID, id, v.account.Name); {
	case errors.Is(err, ErrAway):
		query = url.Values{"away": {"1"}}
	case err != nil:
		return err
	}
	http.Redirect(w, r, deviceAddress(v.school.ID, id)+"?"+query.Encode(), http.StatusSeeOther)
	return nil
}

// newProgress says how far a device is with what it was asked for; nil if it was
// asked for nothing.
func newProgress(q url.Values, d view.DeviceDetail, c clockwork) *progress {
	if q.Get("away") != "" {
		return &progress{Words: "It is not connected now, so it could not be asked. It assesses itself when it is next started, and every few hours."}
	}
	asked, err := time.Parse(time.RFC3339, q.Get("asked"))
	report, wrong := strconv.ParseUint(q.Get("report"), 10, 64)
	held, bad := strconv.ParseInt(q.Get("held"), 10, 64)
	if err != nil || wrong != nil || bad != nil || asked.After(c.now) {
		return nil
	}
	switch {
	case d.LastReport > report:
		return &progress{"It has assessed itself since you asked, and reported: " + c.moment(d.ReportedAt).Text + ".", true}
	case !d.LastContact.Before(asked) && d.HeldAt.After(time.UnixMilli(held)) && d.HeldAt.After(asked.Add(-unsure)):
		return &progress{"It has assessed itself since you asked, and found nothing changed.", true}
	}
	return &progress{Words: "It was asked " + c.moment(asked).Ago + " to assess itself. That takes up to a minute or two, or ten minutes if it was asked several times; this page shows it when it has answered."}
}
