package web

import (
	"context"
	"net/http"
	"strings"
	"time"

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
	viewing.Asset: "asset", viewing.Medium: "medium", viewing.Person: "person",
}

// undeclared lists the routes at a school that do not say whose record they show, and
// those that name a thing that is somebody's and say that they show nobody's.
func undeclared(all []route) (list []string) {
	for _, r := range all {
		names := false
		for _, name := range namedIn {
			names = names || strings.Contains(r.pattern, "{"+name+"}")
		}
		if r.need == atSchool && !r.shows.Known() && (r.shows != viewing.Nobody || names) {
			list = append(list, r.pattern)
		}
	}
	return list
}

// serveSeen serves a page of a school, and has it recorded who looks before
// anything of it leaves. What is not shown, because it does not exist or leads
// elsewhere, was not looked at.
func (s *site) serveSeen(route route, w http.ResponseWriter, r *http.Request, v visit) error {
	v.look = &viewing.Look{By: v.account.Name, Way: viewing.Page, What: route.shows, Name: r.PathValue(namedIn[route.shows])}
	g := &gate{ResponseWriter: w, open: func() error {
		if v.look.What == viewing.Nobody {
			return nil
		}
		return s.Looks.Look(r.Context(), v.school.ID, *v.look)
	}}
	err := route.serve(s, g, r, v)
	if g.refused != nil {
		for _, name := range []string{"Content-Disposition", "Content-Length", "Content-Type"} {
			w.Header().Del(name) // of what is not sent
		}
		return g.refused
	}
	return err
}

// gate lets nothing of an answer through before open says that it may pass.
type gate struct {
	http.ResponseWriter
	open    func() error
	asked   bool
	refused error
}

// WriteHeader implements http.ResponseWriter. Whoever is sent elsewhere is shown
// nothing.
func (g *gate) WriteHeader(status int) {
	if status >= 300 && status < 400 {
		g.asked = true
	}
	if g.passes() {
		g.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (g *gate) Write(b []byte) (int, error) {
	if !g.passes() {
		return 0, g.refused
	}
	return g.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (g *gate) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func (g *gate) passes() bool {
	if !g.asked {
		g.asked, g.refused = true, g.open()
	}
	return g.refused == nil
}
