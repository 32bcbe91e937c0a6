package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Looks has it recorded who looks at what, and tells it to those whose duty it is
// to know.
type Looks interface {
	// Look returns once it is on disk that somebody looks at something of a school.
	// If it is not, its error is viewing.ErrUnrecorded, and nothing may be shown.
	Look(ctx context.Context, school posture.SchoolID, l viewing.Look) error
	// Looks lists who looked at what, the newest first.
	Looks(ctx context.Context, school posture.SchoolID, query view.LookQuery, now time.Time) (view.LookPage, error)
}

// namedIn is the part of an address that names the one thing that is looked at.
var namedIn = map[viewing.What]string{
	viewing.Device: "device", viewing.Evidence: "device", viewing.Incident: "incident",
	viewing.Asset: "tag", viewing.Medium: "medium", viewing.Person: "person",
}

// undeclared lists the addresses of a school that show something and do not say whose
// record that is, and those that name a thing that is somebody's and say that they
// show nobody's.
func undeclared(all []route) (list []string) {
	for _, r := range all {
		names := false
		for _, name := range namedIn {
			names = names || r.method == http.MethodGet && strings.Contains(r.path, "{"+name+"}")
		}
		shows := r.method == http.MethodGet || r.plain
		if strings.Contains(r.path, "{school}") && shows && !r.shows.Known() && (r.shows != viewing.Nobody || names) {
			list = append(list, r.method+" "+r.path)
		}
	}
	return list
}

// seen answers, and has it recorded who looks before anybody has the answer.
func (d *door) seen(route route, r *http.Request, v visit) (any, error) {
	if v.school.ID == "" || route.shows == "" {
		return route.serve(d, r, v)
	}
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	v.look = &viewing.Look{
		By: v.account.Name, Key: access.KeyID(strings.TrimSpace(key)), Way: viewing.Program, What: route.shows, Name: r.PathValue(namedIn[route.shows]),
	}
	answer, err := route.serve(d, r, v)
	if err != nil || v.look.What == viewing.Nobody {
		return answer, err
	}
	if err := d.Looks.Look(r.Context(), v.school.ID, *v.look); err != nil {
		return nil, err
	}
	return answer, nil
}
