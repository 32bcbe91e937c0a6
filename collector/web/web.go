// Package web serves the pages: what the view knows, in plain words, to people
// who have signed in and may see it.
//
// It never decides where a device stands, never changes what it shows, and
// never sends anything that a browser would run or fetch from elsewhere.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
	_ "time/tzdata" // pages name their zone on machines that know none

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Zone is where schools are unless the configuration says otherwise.
const Zone = "Europe/London"

// Queries is what the pages ask of the view. Every question names its school.
type Queries interface {
	Schools(ctx context.Context) ([]view.School, error)
	Overview(ctx context.Context, school posture.SchoolID, now time.Time) (view.Overview, error)
	Devices(ctx context.Context, school posture.SchoolID, query view.DeviceQuery, now time.Time) (view.DevicePage, error)
	Device(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) (view.DeviceDetail, error)
	BreachGroups(ctx context.Context, school posture.SchoolID, query view.BreachQuery, now time.Time) (view.GroupPage, error)
}

// Config is what the pages need. All but Location and Version must be set.
type Config struct {
	Queries Queries
	Records Records
	Access  *access.Access
	Clock   clock.Clock
	Logger  *slog.Logger
	// TLS says that the pages are served over TLS.
	TLS bool
	// Location is the zone that times are shown in; nil for Zone.
	Location *time.Location
	// Version is the collector's own, shown at the foot of each page.
	Version string
}

// site is all that handlers share. Nothing in it changes.
type site struct {
	Config
	templates *templates
	assets    *assets
	routes    []route
	fields    []collectedSection // all that a laptop can tell
}

// New returns the handler of every page.
func New(c Config) (http.Handler, error) {
	if c.Location == nil {
		zone, err := time.LoadLocation(Zone)
		if err != nil {
			return nil, fmt.Errorf("load the zone of the pages: %w", err)
		}
		c.Location = zone
	}
	s := &site{Config: c}
	var err error
	if s.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if s.templates, err = parseTemplates(s.assets); err != nil {
		return nil, err
	}
	if s.fields, err = loadCollected(); err != nil {
		return nil, err
	}
	s.routes = routes()
	return s.handler(), nil
}
