// Package api is the collector's door for other programs: what the view knows
// as JSON, and what people decide, each under a key that an account gave away.
// openapi.json describes it, and is made from the same table of routes.
//
// It never lets a key reach further than its account, and never reads the
// ledger: what it answers is what pages show. A decision made here is an entry
// of the ledger under the account's name, as one made on a page would be.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Prefix is where the addresses of this version begin.
const Prefix = "/api/v1"

// Queries are the questions that the view answers.
type Queries interface {
	Schools(ctx context.Context) ([]view.School, error)
	Overview(ctx context.Context, school posture.SchoolID, now time.Time) (view.Overview, error)
	Devices(ctx context.Context, school posture.SchoolID, query view.DeviceQuery, now time.Time) (view.DevicePage, error)
	Device(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) (view.DeviceDetail, error)
	Breaches(ctx context.Context, school posture.SchoolID, query view.BreachQuery, now time.Time) (view.BreachPage, error)
	ExemptionQueries
	RegisterQueries
	GuestNoticeQueries
	CalendarQueries
	GroupQueries
	IncidentQueries
	ConcernQueries
	DisputeQueries
	SameQueries
	AssignmentQueries
	TermQueries
	TrendQueries
	ParticularsQueries
	SubjectQueries
}

// Decider records decisions.
type Decider interface {
	// Decide records a decision in a school's ledger and returns the entry that
	// holds it. It is on disk then; what is shown follows within moments.
	Decide(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

// Config is what the door needs. All but Logger must be set.
type Config struct {
	Queries Queries
	Decider Decider
	Terms   CalendarSetter
	Keeper  Keeper
	// Importer imports lists of devices.
	Importer Importer
	// Tokens keeps the tokens with which laptops enrol, and Waiting which of them
	// wait to be admitted.
	Tokens  TokenKeeper
	Waiting PendingKeeper
	// Physician says how well the collector is.
	Physician Physician
	// Retainer says how long what is kept.
	Retainer Retainer
	Prover   Prover
	// Recorder answers for a school's record as a whole.
	Recorder Recorder
	// Admissions records what was decided about enrolments.
	Admissions Admitter
	// Incidents records what happened to devices, media and data.
	Incidents IncidentRecorder
	// Concerns is what people reported without signing in.
	Concerns ConcernKeeper
	// Restricted is what is done about incidents that most must not see.
	Restricted Restricted
	// Disputes records which facts are disputed, and what is answered.
	Disputes Disputes
	// Assigner changes what devices are told about their use.
	Assigner Assigner
	// Looks has it recorded who looks at what.
	Looks Looks
	Keys  interface {
		OpenKey(text string) (access.Account, error)
	}
	Clock  clock.Clock
	Logger *slog.Logger

	Policies Policies // the life of the school's policy
	Trusts   Trusts   // and what it is held to
	Grouper  Grouper
	// Months sums up months.
	Months Summarizer
	// Reports makes and signs the reports of terms.
	Reports TermReporter
	// Subjects follows requests of people who ask what is kept about them.
	Subjects Subjects
	// Particulars records who a school is for data protection.
	Particulars ParticularsSetter
	// Updates offers releases of the agent.
	Updates Updater
}

// door is all that handlers share. Nothing in it changes.
type door struct {
	Config
	document []byte // openapi.json
}

// New returns the handler of everything below Prefix.
func New(c Config) (http.Handler, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Looks == nil {
		return nil, errors.New("open the door for programs: nothing records who looks at what")
	}
	if list := undeclared(routes()); len(list) > 0 {
		return nil, fmt.Errorf("open the door for programs: these addresses do not say whose record they show: %s", strings.Join(list, ", "))
	}
	document, err := describe()
	if err != nil {
		return nil, err
	}
	d := &door{Config: c, document: document}
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.Handle(r.method+" "+Prefix+r.path, d.guarded(r))
	}
	mux.HandleFunc("GET "+Prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(d.document) // who asked has gone if this fails
	})
	return d.framed(mux), nil
}

// framed gives every answer the headers that keep it out of caches and
// browsers' pages, and answers what no route takes.
func (d *door) framed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if _, pattern := mux.Handler(r); pattern == "" {
			allowed, err := d.unrouted(r)
			if len(allowed) > 0 {
				w.Header().Set("Allow", strings.Join(allowed, ", "))
			}
			d.fail(w, r, err)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// unrouted says what is wrong with a request for which there is no route, and
// which methods its address takes.
func (d *door) unrouted(r *http.Request) (allowed []string, err error) {
	for _, route := range append(routes(), route{method: http.MethodGet, path: "/openapi.json"}) {
		probe := http.NewServeMux()
		probe.Handle(Prefix+route.path, http.NotFoundHandler())
		if _, pattern := probe.Handler(r); pattern != "" {
			allowed = append(allowed, route.method)
		}
	}
	if len(allowed) == 0 {
		return nil, errNothing
	}
	return allowed, &problem{Status: http.StatusMethodNotAllowed, Detail: "this address does not take " + strconv.QuoteToASCII(r.Method)}
}

// visit is one request: who asks, of which school, when.
type visit struct {
	account access.Account
	school  view.School // of a route that is at a school
	now     time.Time
	params  params
	look    *viewing.Look // what the answer shows, of a route at a school
}

// guarded serves a route to keys that may have it.
func (d *door) guarded(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visit{now: d.Clock.Now()}
		answer, err := func() (any, error) {
			var err error
			if v.account, err = d.open(r); err != nil {
				return nil, err
			}
			if strings.Contains(route.path, "{school}") {
				if v.school, err = d.enter(r.Context(), v.account, posture.SchoolID(r.PathValue("school")), route.right); err != nil {
					return nil, err
				}
			}
			if v.params, err = readParams(r, route.params); err != nil {
				return nil, err
			}
			return d.seen(route, r, v)
		}()
		if err != nil {
			d.fail(w, r, err)
			return
		}
		d.answer(w, r, route.status(), answer)
	})
}

// open returns the account of the request's key.
func (d *door) open(r *http.Request) (access.Account, error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return access.Account{}, errNoKey
	}
	account, err := d.Keys.OpenKey(strings.TrimSpace(key))
	if errors.Is(err, access.ErrKey) {
		return access.Account{}, errBadKey
	}
	if _, unreadable := errors.AsType[*access.UnreadableError](err); unreadable {
		return access.Account{}, errNoKeys
	}
	return account, err
}

// enter lets an account into a school. A school that the key does not reach
// looks like one that does not exist.
func (d *door) enter(ctx context.Context, account access.Account, id posture.SchoolID, right access.Right) (view.School, error) {
	if !account.Belongs(id) {
		return view.School{}, errNothing
	}
	schools, err := d.Queries.Schools(ctx)
	if err != nil {
		return view.School{}, err
	}
	i := slices.IndexFunc(schools, func(s view.School) bool { return s.ID == id })
	if i < 0 {
		return view.School{}, errNothing
	}
	if !account.May(id, right) {
		return view.School{}, &problem{Status: http.StatusForbidden, Detail: "this key may not " + string(right) + " at this school"}
	}
	return schools[i], nil
}

func (d *door) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who asked has gone if this fails
}
