package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Prover makes evidence.
type Prover interface {
	// Prove gathers what is proven of a device at a moment, and seals it. Its
	// error is view.ErrNotFound for a device that the school does not have, and
	// ErrNotYet for a moment that has not come.
	Prove(ctx context.Context, school posture.SchoolID, q EvidenceQuestion) (Evidence, error)
}

// ErrNotYet says that nothing is proven of what is to come.
var ErrNotYet = errors.New("the moment that is asked about has not come yet")

// EvidenceQuestion is what is asked, and by whom.
type EvidenceQuestion struct {
	Device posture.DeviceID
	At     time.Time // zero: now
	Aware  time.Time // zero: there is no deadline
	Zone   *time.Location
	By     string
}

// Evidence is what is proven of a device at a moment: for people, for programs
// that only want to know how it ended, and sealed for strangers.
type Evidence struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname"`
	At       time.Time        `json:"at"`
	MadeAt   time.Time        `json:"madeAt"`
	MadeBy   string           `json:"madeBy"`
	State    string           `json:"state"`    // "encrypted", "not protected", "not encrypted" or "not proven", when it was last heard from
	Since    time.Time        `json:"since"`    // since when every report said so
	HeardAt  time.Time        `json:"heardAt"`  // when the last word of it before the moment was made
	Receipt  uint64           `json:"receipt"`  // the ledger's entry of its last report; 0: there is none
	TellBy   time.Time        `json:"tellBy"`   // until when the regulator must be told, if it was asked for
	Page     string           `json:"page"`     // all of it, to be read and printed
	Sealed   []byte           `json:"sealed"`   // the file that strangers verify
	FileName string           `json:"fileName"` // a name for that file
}

func evidenceRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/schools/{school}/devices/{device}/evidence", right: access.ReadEvidence, shows: viewing.Evidence,
		words: "What is proven of a device at a moment, sealed: encrypted or not, since when, every gap, and what nobody can know.",
		gives: Evidence{}, serve: (*door).evidence,
		params: []param{
			{name: "at", words: "the moment, such as when it was lost, as RFC 3339 has it; now if not given"},
			{name: "aware", words: "when the school became aware of the loss, as RFC 3339 has it: says until when the regulator must be told"},
			{name: "zone", words: "zone in which times are written, such as Europe/London, which it is if not given"},
		},
	}}
}

func (d *door) evidence(r *http.Request, v visit) (any, error) {
	q := EvidenceQuestion{Device: posture.DeviceID(r.PathValue("device")), By: v.account.Name}
	var err error
	if q.At, err = v.params.moment("at"); err != nil {
		return nil, err
	}
	if q.Aware, err = v.params.moment("aware"); err != nil {
		return nil, err
	}
	if q.Zone, err = v.params.zone(); err != nil {
		return nil, err
	}
	answer, err := d.Prover.Prove(r.Context(), v.school.ID, q)
	if errors.Is(err, ErrNotYet) {
		return nil, bad("at: %s", ErrNotYet.Error())
	}
	return answer, err
}

// zone is the zone in which times are written.
func (p params) zone() (*time.Location, error) {
	name := cmp.Or(p.first("zone"), "Europe/London")
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, bad("zone is one such as Europe/London, not %.64q", name)
	}
	return zone, nil
}

// moment reads a parameter that is a time with its offset; zero if it was not
// given.
func (p params) moment(name string) (time.Time, error) {
	text := p.first(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, bad("%s is a time like 2026-10-23T16:20:00+01:00, not %.64q", name, text)
	}
	return t, nil
}
