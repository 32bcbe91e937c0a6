package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ErrPassphrase says that a passphrase is not that of a senior who may ask, and
// not why.
var ErrPassphrase = errors.New("this is not the passphrase of a senior of this school")

// Unlock is who asks about restricted incidents: an account, and the passphrase
// of its key.
type Unlock struct {
	Account    access.Account
	Passphrase string
}

// Restricted is what is done and asked about restricted incidents. To whoever is
// not named for one it does not exist.
type Restricted interface {
	// MakeSeniorKey makes a key for an account, at the request of by.
	MakeSeniorKey(ctx context.Context, school posture.SchoolID, account access.Account, by string) (NewSeniorKey, error)
	SeniorKeys(ctx context.Context, school posture.SchoolID) (SeniorKeys, error)
	// RestrictedList and RestrictedShow record that somebody looked.
	RestrictedList(ctx context.Context, school posture.SchoolID, who Unlock) (RestrictedList, error)
	RestrictedShow(ctx context.Context, school posture.SchoolID, who Unlock, name string) (restricted.Told, error)
	RestrictedAct(ctx context.Context, school posture.SchoolID, who Unlock, a RestrictedAct) (RestrictedMade, error)
	RestrictedHeld(ctx context.Context, school posture.SchoolID, who Unlock, q RestrictedQuestion) (HeldPage, error)
}

// SeniorKey is a key with which a senior reads and signs restricted incidents.
type SeniorKey struct {
	Name string    `json:"name"` // of the account
	Code string    `json:"code"` // names the key: a senior tells it to those who name them
	Made time.Time `json:"made"`
	By   string    `json:"by"` // who had it made
}

// SeniorKeys is a list of seniors' keys. The newest of an account is the one
// that it is named with.
type SeniorKeys struct {
	Keys []SeniorKey `json:"keys"`
}

// NewSeniorKey is a key that was made, and its passphrase, which is told this
// once and kept nowhere.
type NewSeniorKey struct {
	SeniorKey
	Passphrase string `json:"passphrase"`
}

// RestrictedQuestion asks about restricted incidents.
type RestrictedQuestion struct {
	Passphrase string `json:"passphrase"`
	Incident   string `json:"incident,omitempty"`
	After      int    `json:"after,omitempty"` // of what is held: how many were given before
	Limit      int    `json:"limit,omitempty"` // of what is held: 0 for 50; at most 500
}

// RestrictedList is the restricted incidents for which somebody is named.
type RestrictedList struct {
	Incidents []restricted.Told `json:"incidents"`
}

// Do is what a senior does about a restricted incident.
type Do string

// What a senior does. To open, close, open again, lift and remove takes two: it
// is asked, and another agrees.
const (
	DoOpen    Do = "open"
	DoAgree   Do = "agree"
	DoDecline Do = "decline"
	DoRecord  Do = "record"
	DoClose   Do = "close"
	DoReopen  Do = "reopen"
	DoHold    Do = "hold"
	DoLift    Do = "lift"
	DoName    Do = "name"
	DoRemove  Do = "remove"
)

// RestrictedAct is what a senior does about a restricted incident, as a caller
// gives it.
type RestrictedAct struct {
	Passphrase string           `json:"passphrase"`
	Do         Do               `json:"do"`
	Incident   string           `json:"incident,omitempty"` // none for one that is opened
	Words      string           `json:"words,omitempty"`
	Change     *incident.Change `json:"change,omitempty"`   // of opening, recording and closing
	Seniors    []string         `json:"seniors,omitempty"`  // codes of the keys of those who are named or removed
	Concerns   []string         `json:"concerns,omitempty"` // of opening: the names of those whom it is about
	Device     posture.DeviceID `json:"device,omitempty"`   // of a hold
	Medium     string           `json:"medium,omitempty"`   // of a hold: the number of a medium of the register
}

// RestrictedMade is what was recorded about a restricted incident.
type RestrictedMade struct {
	ID     string           `json:"id"`
	Entry  uint64           `json:"entry"` // of the school's ledger
	State  restricted.State `json:"state"`
	Asked  restricted.Asked `json:"asked,omitempty"`  // what another named senior has not agreed to yet
	TellBy *incident.Moment `json:"tellBy,omitempty"` // of one that was opened, or of which that was corrected
	Due    string           `json:"due,omitempty"`    // the same in words
}

// HeldPage is what was kept aside of what is or was held for an incident: what
// the school's record has forgotten meanwhile.
type HeldPage struct {
	Bodies []HeldBody `json:"bodies"`
	Next   int        `json:"next,omitempty"` // After for the next page; 0 if this is the last
}

// HeldBody is a body that the record has forgotten. With its salt it is proven by
// the entry that the record has still.
type HeldBody struct {
	Entry    uint64    `json:"entry"` // of the ledger
	Received time.Time `json:"received"`
	Subject  string    `json:"subject,omitempty"`
	Number   int       `json:"number"` // of the section in its entry
	Section  string    `json:"section"`
	Class    string    `json:"class"`
	Digest   string    `json:"digest"` // as the entry has it
	Salt     []byte    `json:"salt"`
	Body     []byte    `json:"body"`
	Proven   bool      `json:"proven"` // the record's entry has this digest, and the body has it too
}

func restrictedRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/seniors", right: access.BeSenior, shows: viewing.Nobody,
			words: "The keys of those who may be named for restricted incidents.", gives: SeniorKeys{}, serve: (*door).seniors,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/seniors", right: access.BeSenior,
			words: "Makes a key for whoever asks. Its passphrase is told this once; without it nobody, the collector included, reads what is sealed to it.",
			takes: struct{}{}, gives: NewSeniorKey{}, serve: (*door).makeSenior,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/restricted/list", right: access.BeSenior, shows: viewing.Nobody, plain: true,
			words: "The restricted incidents for which whoever asks is named. That they looked is recorded.",
			takes: RestrictedQuestion{}, gives: RestrictedList{}, serve: (*door).restrictedList,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/restricted/show", right: access.BeSenior, shows: viewing.Nobody, plain: true,
			words: "Everything that was recorded about a restricted incident, and who looked at it. That they looked is recorded.",
			takes: RestrictedQuestion{}, gives: restricted.Told{}, serve: (*door).restrictedShow,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/restricted/acts", right: access.BeSenior,
			words: "Does something about a restricted incident, or asks for what takes two named seniors: `do` is open, agree, decline, record, close, reopen, hold, lift, name or remove.",
			takes: RestrictedAct{}, gives: RestrictedMade{}, serve: (*door).restrictedAct,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/restricted/held", right: access.BeSenior, shows: viewing.Nobody, plain: true,
			words: "What was kept aside of what is held for an incident, before the record forgot it. That they looked is recorded.",
			takes: RestrictedQuestion{}, gives: HeldPage{}, serve: (*door).restrictedHeld,
		},
	}
}

func (d *door) seniors(r *http.Request, v visit) (any, error) {
	return d.Restricted.SeniorKeys(r.Context(), v.school.ID)
}

func (d *door) makeSenior(r *http.Request, v visit) (any, error) {
	if err := readBody(r, &struct{}{}); err != nil {
		return nil, err
	}
	return d.Restricted.MakeSeniorKey(r.Context(), v.school.ID, v.account, v.account.Name)
}

func (d *door) restrictedList(r *http.Request, v visit) (any, error) {
	return asked(r, v, func(q RestrictedQuestion, who Unlock) (any, error) {
		return d.Restricted.RestrictedList(r.Context(), v.school.ID, who)
	})
}

func (d *door) restrictedShow(r *http.Request, v visit) (any, error) {
	return asked(r, v, func(q RestrictedQuestion, who Unlock) (any, error) {
		return d.Restricted.RestrictedShow(r.Context(), v.school.ID, who, q.Incident)
	})
}

func (d *door) restrictedHeld(r *http.Request, v visit) (any, error) {
	return asked(r, v, func(q RestrictedQuestion, who Unlock) (any, error) {
		return d.Restricted.RestrictedHeld(r.Context(), v.school.ID, who, q)
	})
}

// asked reads a question about restricted incidents and has it answered.
func asked(r *http.Request, v visit, answer func(RestrictedQuestion, Unlock) (any, error)) (any, error) {
	var q RestrictedQuestion
	if err := readBody(r, &q); err != nil {
		return nil, err
	}
	a, err := answer(q, Unlock{v.account, q.Passphrase})
	return a, unsaid(err)
}

func (d *door) restrictedAct(r *http.Request, v visit) (any, error) {
	var a RestrictedAct
	if err := readBody(r, &a); err != nil {
		return nil, err
	}
	if a.Change != nil && (a.Change.ID != "" || a.Change.Number != "") {
		return nil, bad("which incident it is stands in incident, and its identifier is given")
	}
	made, err := d.Restricted.RestrictedAct(r.Context(), v.school.ID, Unlock{v.account, a.Passphrase}, a)
	return made, unsaid(err)
}

// unsaid is why something was not done, as a caller may know it. What could not be
// done for want of a file is told to the senior who asks, and not to the log,
// which is read by those for whom there is no such incident.
func unsaid(err error) error {
	if err == nil || errors.Is(err, view.ErrNotFound) {
		return err
	}
	if errors.Is(err, ErrPassphrase) {
		return &problem{Status: http.StatusForbidden, Detail: err.Error()}
	}
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return &problem{Status: http.StatusInternalServerError, Detail: "this could not be done: " + err.Error()}
}
