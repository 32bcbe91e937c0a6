package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// route is one address: what it takes, what it answers, and who may have it.
type route struct {
	method string
	path   string // below Prefix
	right  access.Right
	shows  viewing.What // whose record it shows; what only makes something need not say
	words  string       // one sentence for the description
	params []param
	plain  bool // it takes a body and makes nothing
	takes  any  // a zero value of the body; nil if it takes none
	gives  any  // a zero value of the answer
	serve  func(*door, *http.Request, visit) (any, error)
}

func (r route) status() int {
	if r.takes != nil && !r.plain {
		return http.StatusCreated
	}
	return http.StatusOK
}

var (
	afterParam = param{name: "after", words: "`next` of the page before"}
	limitParam = param{name: "limit", words: "how many at most, up to 500; 50 if not given", whole: true}
)

func statusWords() (words []string) {
	for _, s := range breach.Statuses() {
		words = append(words, s.String())
	}
	return words
}

func severityWords() (words []string) {
	for s := posture.Info; s <= posture.Critical; s++ {
		words = append(words, s.String())
	}
	return words
}

func routes() []route {
	list := []route{
		{
			method: http.MethodGet, path: "/schools",
			words: "The schools that the key reaches.", gives: Schools{}, serve: (*door).schools,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/overview", right: access.ReadDevices, shows: viewing.Nobody,
			words: "Where a school stands: devices by rule and standing, and breaches by status and severity.",
			gives: Overview{}, serve: (*door).overview,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/devices", right: access.ReadDevices, shows: viewing.Devices,
			words: "A page of a school's devices, by host name.", gives: view.DevicePage{}, serve: (*door).devices,
			params: []param{
				{name: "search", words: "part of a host name or asset tag"},
				{name: "standing", words: "how the device stands, on `rule` or on any", one: []string{
					string(view.Met), string(view.NotMet), string(view.NotProven), string(view.Exempt), string(view.NotFor),
				}},
				{name: "rule", words: "identifier of the rule that `standing` is about"},
				{name: "silent", words: "only devices not heard from for longer than the policy allows", one: []string{"true"}},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/devices/{device}", right: access.ReadDevices, shows: viewing.Device,
			words: "Everything known about one device.", gives: view.DeviceDetail{}, serve: (*door).device,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/breaches", right: access.ReadDevices, shows: viewing.Breaches,
			words: "A page of a school's policy breaches, the newest first; without `status` all that are not resolved.",
			gives: view.BreachPage{}, serve: (*door).breaches,
			params: []param{
				{name: "status", words: "only breaches of these statuses", one: statusWords(), many: true},
				{name: "severity", words: "only breaches of these severities", one: severityWords(), many: true},
				{name: "rule", words: "only breaches of this rule"},
				{name: "device", words: "only breaches of this device"},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodPost, path: "/schools/{school}/decisions", right: access.DecideBreaches,
			words: "Records what a person decided about a breach: that they are on it, or that it is settled, and why.",
			takes: NewDecision{}, gives: Recorded{}, serve: (*door).decide,
		},
	}
	list = append(list, lookRoutes()...)
	list = append(list, retentionRoutes()...)
	list = append(list, tokenRoutes()...)
	list = append(list, enrolmentRoutes()...)
	list = append(list, healthRoutes()...)
	list = append(list, guestNoticeRoutes()...)
	list = append(list, exemptionRoutes()...)
	list = append(list, evidenceRoutes()...)
	list = append(list, recordRoutes()...)
	list = append(list, calendarRoutes()...)
	list = append(list, policyRoutes()...)
	list = append(list, trustRoutes()...)
	list = append(list, groupRoutes()...)
	list = append(list, termRoutes()...)
	list = append(list, trendRoutes()...)
	list = append(list, particularsRoutes()...)
	list = append(list, updateRoutes()...)
	list = append(list, subjectRoutes()...)
	list = append(list, incidentRoutes()...)
	list = append(list, concernRoutes()...)
	list = append(list, admissionRoutes()...)
	list = append(list, disputeRoutes()...)
	list = append(list, restrictedRoutes()...)
	list = append(list, assignmentRoutes()...)
	return append(list, registerRoutes()...)
}

// Schools is a list of schools.
type Schools struct {
	Schools []view.School `json:"schools"`
}

// NewDecision is a decision as a caller gives it. Who decided is whose key it
// is, and when is when it is recorded.
type NewDecision struct {
	Kind   decision.Kind `json:"kind"` // "acknowledge" or "resolve"
	Breach breach.Key    `json:"breach"`
	Reason string        `json:"reason"`
}

// Recorded is where a decision was recorded.
type Recorded struct {
	Entry uint64 `json:"entry"` // of the school's ledger
}

func (d *door) schools(r *http.Request, v visit) (any, error) {
	all, err := d.Queries.Schools(r.Context())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s view.School) bool { return !v.account.Belongs(s.ID) })
	return Schools{Schools: append([]view.School{}, all...)}, nil
}

// Overview is where a school stands, with what answers for its devices.
type Overview struct {
	view.Overview
	Covered  string            `json:"covered"`  // what answers for the devices of its register, in a sentence
	Coverage []view.CoverCount `json:"coverage"` // the same in numbers
}

func (d *door) overview(r *http.Request, v visit) (any, error) {
	o, err := d.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return nil, err
	}
	c, err := d.Queries.CoverageCounts(r.Context(), v.school.ID, v.now)
	return Overview{Overview: o, Covered: c.Words(), Coverage: c.Counts}, err
}

func (d *door) devices(r *http.Request, v visit) (any, error) {
	if v.params.first("rule") != "" && v.params.first("standing") == "" {
		return nil, bad("rule says what standing is about: give standing too")
	}
	return d.Queries.Devices(r.Context(), v.school.ID, view.DeviceQuery{
		Search: v.params.first("search"), Rule: v.params.first("rule"), Standing: view.Standing(v.params.first("standing")),
		Silent: v.params.first("silent") != "", After: v.params.first("after"), Limit: v.params.limit(),
	}, v.now)
}

func (d *door) device(r *http.Request, v visit) (any, error) {
	return d.Queries.Device(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
}

func (d *door) breaches(r *http.Request, v visit) (any, error) {
	query := view.BreachQuery{
		Rule: v.params.first("rule"), Device: posture.DeviceID(v.params.first("device")),
		After: v.params.first("after"), Limit: v.params.limit(),
	}
	for _, s := range breach.Statuses() {
		if slices.Contains(v.params["status"], s.String()) {
			query.Statuses = append(query.Statuses, s)
		}
	}
	for s := posture.Info; s <= posture.Critical; s++ {
		if slices.Contains(v.params["severity"], s.String()) {
			query.Severities = append(query.Severities, s)
		}
	}
	return d.Queries.Breaches(r.Context(), v.school.ID, query, v.now)
}

// maxDecision is more than any decision has, in bytes.
const maxDecision = 64 << 10

func (d *door) decide(r *http.Request, v visit) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxDecision))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &problem{Status: http.StatusRequestEntityTooLarge, Detail: "a decision has at most 64 KiB"}
	}
	if err != nil {
		return nil, bad("the decision did not arrive whole")
	}
	asked, err := parseDecision(body)
	if err != nil {
		return nil, bad("%s", err.Error())
	}
	if asked.Kind != decision.Acknowledge && asked.Kind != decision.Resolve {
		return nil, bad("kind is acknowledge or resolve, not %.40q", string(asked.Kind))
	}
	made := decision.Decision{Kind: asked.Kind, By: v.account.Name, At: v.now, Reason: asked.Reason, Breach: asked.Breach}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Decider.Decide(r.Context(), v.school.ID, made)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}

func parseDecision(body []byte) (NewDecision, error) {
	var n NewDecision
	err := strictly(body, &n)
	return n, err
}

// strictly decodes one JSON document without anything that v does not have.
func strictly(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end of the document")
	}
	return nil
}
