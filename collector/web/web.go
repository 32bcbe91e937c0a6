// Package web serves the pages: what the view knows, in plain words, to people
// who have signed in and may see it.
//
// It never decides where a device stands, never changes what it shows, and
// never sends anything that a browser would run or fetch from elsewhere.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
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
	Exemptions(ctx context.Context, school posture.SchoolID, query view.ExemptionQuery, now time.Time) (view.ExemptionPage, error)
	Exemption(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Exemption, error)
	Incidents(ctx context.Context, school posture.SchoolID, query view.IncidentQuery, now time.Time) (view.IncidentPage, error)
	Incident(ctx context.Context, school posture.SchoolID, name string, now time.Time) (view.Incident, error)
	ConcernQueries
	DisputeQueries
	SameQueries
	Assets(ctx context.Context, school posture.SchoolID, query view.AssetQuery, now time.Time) (view.AssetPage, error)
	CoverageCounts(ctx context.Context, school posture.SchoolID, now time.Time) (view.Coverage, error)
	BreachGroups(ctx context.Context, school posture.SchoolID, query view.BreachQuery, now time.Time) (view.GroupPage, error)
	ParticularsQueries
	SubjectQueries
	PolicyQueries
}

// Config is what the pages need. All but Location and Version must be set.
type Config struct {
	Queries Queries
	Records Records
	// Looks has it recorded who looks at what.
	Looks   Looks
	Prover  Prover
	Decider Decider
	// Incidents records what becomes known of incidents.
	Incidents IncidentKeeper
	// Restricted is what is done about incidents that most must not see.
	Restricted Confidant
	// Admissions records what is decided about enrolments.
	Admissions Admitter
	// Waiting knows which laptops wait to be admitted.
	Waiting PendingKeeper
	// Concerns records what people report without signing in.
	Concerns ConcernKeeper
	// Disputes records which facts are disputed, and what is answered.
	Disputes Disputes
	// Trends tells how schools came to stand where they do.
	Trends Trender
	// Reports makes and signs the reports of terms.
	Reports TermReporter
	// Desk is what the pages of settings ask for and change.
	Desk SettingsDesk
	// Subjects follows requests of people who ask what is kept about them.
	Subjects Subjects
	// Kept tells how long a school keeps what.
	Kept KeptTimes
	// Particulars records who a school is for data protection.
	Particulars ParticularsSetter
	// Updates offers releases of the agent.
	Updates Updater
	// Policies is where a school's policy is read, drafted and put in force.
	Policies PolicyDesk
	// Trusts is where a trust's baseline is read, proposed and put in force.
	Trusts TrustDesk
	// Grouper says of which class and groups devices are.
	Grouper Grouper
	// Register is what the school keeps itself, and RegisterKeeper records it.
	Register       Register
	RegisterKeeper RegisterKeeper
	// Saver keeps what accounts save of the list of devices.
	Saver Saver
	// Assessor asks laptops to assess themselves.
	Assessor Assessor
	Access   *access.Access
	Clock    clock.Clock
	Logger   *slog.Logger
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
	compress  func(http.Handler) http.Handler
	fields    []collectedSection // all that a laptop can tell
	unlocks   *access.Turns      // passphrases of each account
	reports   turnstiles         // of what strangers report
	streams   chan struct{}      // holds one of each page that is kept up to date
	pending   pendings           // proposals that wait for somebody
	tried     trials             // lists that were tried, until they are imported
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
	if c.Looks == nil {
		return nil, errors.New("serve the pages: nothing records who looks at what")
	}
	if s.compress, err = newCompressor(); err != nil {
		return nil, err
	}
	if s.routes = routes(); len(undeclared(s.routes)) > 0 {
		return nil, fmt.Errorf("serve the pages: these do not say whose record they show: %s", strings.Join(undeclared(s.routes), ", "))
	}
	s.reports = newTurnstiles(c.Clock)
	s.unlocks = access.NewTurns(c.Clock, 20, 10*time.Second)
	s.streams = make(chan struct{}, mostOpen)
	return s.handler(), nil
}
