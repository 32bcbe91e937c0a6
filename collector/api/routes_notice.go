package api

import (
	"context"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// GuestNoticeQueries are the questions about what guests are told.
type GuestNoticeQueries interface {
	GuestNotices(ctx context.Context, school posture.SchoolID, now time.Time) (view.GuestNotices, error)
}

func guestNoticeRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/schools/{school}/guest-notices", right: access.ReadDevices, shows: viewing.Nobody,
		words: "What guests are told when they are given a device, newest first; the first is in use. A new version is a change of the register.",
		gives: view.GuestNotices{}, serve: (*door).guestNotices,
	}}
}

func (d *door) guestNotices(r *http.Request, v visit) (any, error) {
	return d.Queries.GuestNotices(r.Context(), v.school.ID, v.now)
}
