package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Recorder answers for a school's record as a whole, and reaches its devices.
type Recorder interface {
	// SchoolOn gathers where a school stood at a moment, and seals it. Its error
	// is ErrNotYet for a moment that has not come.
	SchoolOn(ctx context.Context, school posture.SchoolID, q PositionQuestion) (SchoolEvidence, error)
	// SignCheckpoint signs what the record holds now.
	SignCheckpoint(ctx context.Context, school posture.SchoolID) (Checkpoint, error)
	// RecordStatus says how the record stands.
	RecordStatus(ctx context.Context, school posture.SchoolID) (RecordStatus, error)
	// Assess asks a device to assess itself now. Its error is ErrAway if it cannot
	// be reached at this moment.
	Assess(ctx context.Context, school posture.SchoolID, device posture.DeviceID, by string) error
	// Notices says how people are told of a school.
	Notices(school posture.SchoolID) Notices
}

// ErrAway says that a device is not connected to the collector.
var ErrAway = errors.New("the device is not connected")

// PositionQuestion is what is asked, and by whom.
type PositionQuestion struct {
	At   time.Time
	Zone *time.Location
	By   string
}

// SchoolEvidence is where a school stood at a moment: for people, and sealed for
// strangers.
type SchoolEvidence struct {
	School   posture.SchoolID `json:"school"`
	Name     string           `json:"name"`
	At       time.Time        `json:"at"`
	MadeAt   time.Time        `json:"madeAt"`
	MadeBy   string           `json:"madeBy"`
	Page     string           `json:"page"`     // all of it, to be read and printed
	Sealed   []byte           `json:"sealed"`   // the file that strangers verify
	FileName string           `json:"fileName"` // a name for that file
}

// Checkpoint is a signed checkpoint of a school's record.
type Checkpoint struct {
	School     posture.SchoolID `json:"school"`
	Checkpoint string           `json:"checkpoint"` // a signed note; keep it elsewhere
}

// RecordStatus is how a school's record stands.
type RecordStatus struct {
	School    posture.SchoolID `json:"school"`
	Name      string           `json:"name"`
	Well      bool             `json:"well"`      // all is recorded, and nothing is known to be damaged
	Recording bool             `json:"recording"` // what devices report is being recorded
	Entries   uint64           `json:"entries"`   // of the record; 0 if it is not open
	Shown     uint64           `json:"shown"`     // of these, in what this API answers from
	Behind    time.Time        `json:"behind,omitzero"`
	Since     time.Time        `json:"since,omitzero"` // when the trouble began, if that is known
	Trouble   []string         `json:"trouble,omitempty"`
	Damage    string           `json:"damage,omitempty"`   // what cannot be read, and where
	Policy    string           `json:"policy,omitempty"`   // what should be done about the policy, in a sentence
	Calendar  string           `json:"calendar,omitempty"` // the same of the term calendar
	Covered   string           `json:"covered,omitempty"`  // what answers for its devices, in a sentence
	ClockBack time.Time        `json:"clockBack,omitzero"` // the record has an entry of then, and the clock says it is earlier
}

// Asked is a device that was asked to assess itself. What it finds is a report
// as every other.
type Asked struct {
	Device posture.DeviceID `json:"device"`
	At     time.Time        `json:"at"`
}

// Notices is how people are told of a school, and what they were told lately.
type Notices struct {
	Trouble string       `json:"trouble,omitempty"` // why nothing is told
	Ways    []NoticeWay  `json:"ways"`
	Log     []NoticeSent `json:"log"` // by the school's own ways, newest first
}

// NoticeWay is a way for notices, without what is secret.
type NoticeWay struct {
	ID           string      `json:"id"`
	Kind         string      `json:"kind"`
	Role         access.Role `json:"role"`  // chooses what is told
	To           string      `json:"to"`    // as it may be shown
	Every        bool        `json:"every"` // it is told of every school
	Delivered    int         `json:"delivered"`
	LastDelivery time.Time   `json:"lastDelivery,omitzero"`
	Attempts     int         `json:"attempts,omitempty"` // that failed, of the notice on its way
	Failing      time.Time   `json:"failing,omitzero"`   // since when
	Next         time.Time   `json:"next,omitzero"`      // when it is tried again
	Why          string      `json:"why,omitempty"`
}

// NoticeSent is a notice that was delivered, or given up.
type NoticeSent struct {
	ID        string    `json:"id"`
	Way       string    `json:"way"`
	Made      time.Time `json:"made"`
	Subject   string    `json:"subject"`
	Delivered time.Time `json:"delivered,omitzero"` // zero: it was given up
	GivenUp   time.Time `json:"givenUp,omitzero"`
	Attempts  int       `json:"attempts"` // that failed
	Why       string    `json:"why,omitempty"`
}

func recordRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/record", right: access.ReadDevices, shows: viewing.Nobody,
			words: "How the school's record stands: whether it is recorded, shown, and whole as far as is known.",
			gives: RecordStatus{}, serve: (*door).recordStatus,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/checkpoint", right: access.ReadEvidence, shows: viewing.Nobody,
			words: "A signed checkpoint of the record, to be kept elsewhere: whoever has it can prove later that nothing before it was rewritten.",
			gives: Checkpoint{}, serve: (*door).checkpoint,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/evidence", right: access.ReadEvidence, shows: viewing.Position,
			words: "Where the school stood at a moment, sealed: coverage against its register, each rule, exemptions, the policy, and what cannot be evidenced.",
			gives: SchoolEvidence{}, serve: (*door).schoolEvidence,
			params: []param{
				{name: "at", words: "the moment, as RFC 3339 has it; now if not given"},
				{name: "zone", words: "zone in which times are written, such as Europe/London, which it is if not given"},
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/notices", right: access.ReadNotices, shows: viewing.Nobody,
			words: "How people are told of the school's breaches, whether that works, and what was told lately.",
			gives: Notices{}, serve: (*door).notices,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/devices/{device}/assessment", right: access.DecideBreaches, shows: viewing.Nobody,
			words: "Asks a device that is connected to assess itself now.", plain: true, takes: struct{}{}, gives: Asked{}, serve: (*door).assess,
		},
	}
}

func (d *door) recordStatus(r *http.Request, v visit) (any, error) {
	return d.Recorder.RecordStatus(r.Context(), v.school.ID)
}

func (d *door) checkpoint(r *http.Request, v visit) (any, error) {
	return d.Recorder.SignCheckpoint(r.Context(), v.school.ID)
}

func (d *door) notices(_ *http.Request, v visit) (any, error) {
	return d.Recorder.Notices(v.school.ID), nil
}

func (d *door) schoolEvidence(r *http.Request, v visit) (any, error) {
	q := PositionQuestion{By: v.account.Name}
	var err error
	if q.At, err = v.params.moment("at"); err != nil {
		return nil, err
	}
	if q.At.IsZero() {
		q.At = v.now
	}
	if q.Zone, err = v.params.zone(); err != nil {
		return nil, err
	}
	answer, err := d.Recorder.SchoolOn(r.Context(), v.school.ID, q)
	if errors.Is(err, ErrNotYet) {
		return nil, bad("at: %s", ErrNotYet.Error())
	}
	return answer, err
}

func (d *door) assess(r *http.Request, v visit) (any, error) {
	if err := readBody(r, &struct{}{}); err != nil {
		return nil, err
	}
	id := posture.DeviceID(r.PathValue("device"))
	if _, err := d.Queries.Device(r.Context(), v.school.ID, id, v.now); err != nil {
		return nil, err
	}
	err := d.Recorder.Assess(r.Context(), v.school.ID, id, v.account.Name)
	if errors.Is(err, ErrAway) {
		return nil, &problem{Status: http.StatusConflict, Detail: "the device is not connected now; it assesses itself when it is next started, and every few hours"}
	}
	return Asked{Device: id, At: v.now}, err
}
