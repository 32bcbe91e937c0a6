package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Trusts hold the policies of schools to the baseline of their trust. What cannot
// be decided as things stand is a *decision.RefusedError; a text that is no
// policy, an *UnsoundError.
type Trusts interface {
	// Held says where a school stands against the baseline of its trust.
	Held(ctx context.Context, school posture.SchoolID) (Held, error)
	// Trusting lists the schools that belong to a trust.
	Trusting(ctx context.Context, trust string) ([]posture.SchoolID, error)
	// DraftBaseline proposes a text as a trust's baseline, for somebody who may do
	// that at some schools. It is refused if there are others of the trust.
	DraftBaseline(ctx context.Context, trust string, b NewBaseline, by string, at []posture.SchoolID) (BaselineAnswer, error)
	// PublishBaseline puts a text in force as a trust's baseline, likewise.
	PublishBaseline(ctx context.Context, trust string, b NewBaseline, by string, at []posture.SchoolID) (BaselineAnswer, error)
	// DecideTrust records that a school joins or leaves a trust, or that something
	// may not ask less any more.
	DecideTrust(ctx context.Context, school posture.SchoolID, d decision.Decision) (Held, error)
	// AllowLooser records that a school's policy may ask less in some things.
	AllowLooser(ctx context.Context, school posture.SchoolID, a NewAllowance, by string) (Held, error)
}

// Held is where a school stands against the baseline of its trust.
type Held struct {
	School   posture.SchoolID     `json:"school"`
	Name     string               `json:"name"`
	Trust    string               `json:"trust,omitempty"` // none, if empty
	JoinedAt time.Time            `json:"joinedAt,omitzero"`
	JoinedBy string               `json:"joinedBy,omitempty"`
	Left     string               `json:"left,omitempty"` // the trust that it left last
	LeftAt   time.Time            `json:"leftAt,omitzero"`
	LeftBy   string               `json:"leftBy,omitempty"`
	Baseline *decision.Baseline   `json:"baseline,omitempty"` // in force
	Policy   uint64               `json:"policy"`             // number of the school's policy in force; 0: the shipped one
	Follows  bool                 `json:"follows,omitempty"`  // that policy is the baseline itself
	Since    time.Time            `json:"looserSince,omitzero"`
	Looser   []Looser             `json:"looser"`            // in what the policy asks less, allowed or not
	Unknown  string               `json:"unknown,omitempty"` // why that cannot be said
	Allowed  []decision.Allowance `json:"allowed,omitempty"` // everything that was ever allowed, while it has been in the trust
	Source   string               `json:"source,omitempty"`  // the baseline's text, where one school is asked for
}

// Looser is one thing in which a school's policy asks less than the baseline.
type Looser struct {
	Item      string              `json:"item"` // a rule, or a parameter as param.name
	Field     string              `json:"field,omitempty"`
	Direction string              `json:"direction"` // looser, or unclear if it cannot be told from the texts
	Words     string              `json:"words"`
	Line      int                 `json:"line,omitempty"`         // of the school's policy
	Baseline  int                 `json:"baselineLine,omitempty"` // line of the baseline
	Since     time.Time           `json:"since"`                  // since when it asks less and was not allowed to; or asks less, while it is allowed
	By        string              `json:"by,omitempty"`           // who published the policy by which it came to ask less
	Policy    uint64              `json:"policy,omitempty"`       // number of that policy
	Raised    uint64              `json:"raised,omitempty"`       // or the baseline that asks more than one before
	Allowed   *decision.Allowance `json:"allowed,omitempty"`      // by which it may, now
}

// Trusted is where schools stand.
type Trusted struct {
	Schools []Held `json:"schools"`
}

// NewBaseline is a text as what no school of a trust may ask less than.
type NewBaseline struct {
	Source string `json:"source"`
	Follow bool   `json:"follow,omitempty"` // schools that have published no policy of their own get it as theirs
	Reason string `json:"reason"`
}

// BaselineAnswer is what became of a baseline at each school of a trust.
type BaselineAnswer struct {
	Trust   string           `json:"trust"`
	Number  uint64           `json:"number,omitempty"` // of a baseline that was put in force
	Schools []BaselineRecord `json:"schools"`
}

// BaselineRecord is what became of a baseline at one school.
type BaselineRecord struct {
	School posture.SchoolID `json:"school"`
	Name   string           `json:"name"`
	Entry  uint64           `json:"entry,omitempty"`  // of the school's ledger
	Policy uint64           `json:"policy,omitempty"` // number of the school's policy that it became, where the school follows it
	Looser int              `json:"looser,omitempty"` // in how many things the school's policy asks less
	Failed string           `json:"failed,omitempty"` // why it was not recorded there: publish it again
}

// NewMembership says that a school joins or leaves a trust.
type NewMembership struct {
	Trust  string `json:"trust"`
	Leave  bool   `json:"leave,omitempty"`
	Reason string `json:"reason"`
}

// NewAllowance allows that a school's policy asks less in some things.
type NewAllowance struct {
	Draft  string    `json:"draft,omitempty"` // as a draft has them; without one, as the policy in force does
	Items  []string  `json:"items"`           // rules, and parameters as param.name
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// EndedAllowance takes back that something may ask less.
type EndedAllowance struct {
	Item   string `json:"item"`
	Reason string `json:"reason"`
}

func trustRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/trusts",
			words: "Where the schools that the key reaches stand against the baselines of their trusts: who loosened what, and since when.",
			gives: Trusted{}, serve: (*door).trusts,
			params: []param{{name: "trust", words: "only schools of this trust"}},
		},
		{
			method: http.MethodPost, path: "/trusts/{trust}/drafts",
			words: "Proposes a text as a trust's baseline, for another account to publish.", takes: NewBaseline{}, gives: BaselineAnswer{}, serve: (*door).draftBaseline,
		},
		{
			method: http.MethodPost, path: "/trusts/{trust}/baseline",
			words: "Puts a text in force as a trust's baseline. It changes no school's policy but of those that follow it.",
			takes: NewBaseline{}, gives: BaselineAnswer{}, serve: (*door).publishBaseline,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/baseline", right: access.ReadDevices, shows: viewing.Nobody,
			words: "The baseline of a school's trust with its text, and in what the school's policy asks less.", gives: Held{}, serve: (*door).held,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/baseline/membership", right: access.KeepBaseline,
			words: "Says that a school joins a trust, or leaves it.", takes: NewMembership{}, gives: Held{}, serve: (*door).membership,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/baseline/allowances", right: access.KeepBaseline,
			words: "Allows that a school's policy asks less in some things, as they stand, for a time.", takes: NewAllowance{}, gives: Held{}, serve: (*door).allowLooser,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/baseline/allowances/end", right: access.KeepBaseline,
			words: "Takes back that something may ask less.", takes: EndedAllowance{}, gives: Held{}, serve: (*door).endLooser,
		},
	}
}

func (d *door) trusts(r *http.Request, v visit) (any, error) {
	schools, err := d.Queries.Schools(r.Context())
	if err != nil {
		return nil, err
	}
	out := Trusted{Schools: []Held{}}
	for _, s := range schools {
		if !v.account.May(s.ID, access.ReadDevices) {
			continue
		}
		held, err := d.Trusts.Held(r.Context(), s.ID)
		if err != nil {
			return nil, err
		}
		if trust := v.params.first("trust"); trust != "" && !strings.EqualFold(held.Trust, trust) {
			continue
		}
		held.Source = ""
		out.Schools = append(out.Schools, held)
	}
	return out, nil
}

// trusted lets an account decide about a trust: it takes the right at every school
// of it. Who has it at none is told what those are told who ask for a trust that
// there is not.
func (d *door) trusted(r *http.Request, v visit, trust string) ([]posture.SchoolID, error) {
	schools, err := d.Trusts.Trusting(r.Context(), trust)
	if err != nil {
		return nil, err
	}
	may := func(s posture.SchoolID) bool { return v.account.May(s, access.KeepBaseline) }
	switch {
	case !slices.ContainsFunc(schools, may):
		return nil, errNothing
	case slices.ContainsFunc(schools, func(s posture.SchoolID) bool { return !may(s) }):
		return nil, &problem{Status: http.StatusForbidden, Detail: "this key may not " + string(access.KeepBaseline) + " at every school of the trust"}
	}
	return schools, nil
}

func (d *door) draftBaseline(r *http.Request, v visit) (any, error) {
	return d.aboutBaseline(r, v, d.Trusts.DraftBaseline)
}

func (d *door) publishBaseline(r *http.Request, v visit) (any, error) {
	return d.aboutBaseline(r, v, d.Trusts.PublishBaseline)
}

func (d *door) aboutBaseline(r *http.Request, v visit, do func(context.Context, string, NewBaseline, string, []posture.SchoolID) (BaselineAnswer, error)) (any, error) {
	n, err := taken[NewBaseline](r)
	if err != nil {
		return nil, err
	}
	trust := r.PathValue("trust")
	schools, err := d.trusted(r, v, trust)
	if err != nil {
		return nil, err
	}
	return settled(do(r.Context(), trust, n, v.account.Name, schools))
}

func (d *door) held(r *http.Request, v visit) (any, error) {
	return d.Trusts.Held(r.Context(), v.school.ID)
}

func (d *door) membership(r *http.Request, v visit) (any, error) {
	n, err := taken[NewMembership](r)
	if err != nil {
		return nil, err
	}
	kind := decision.JoinTrust
	if n.Leave {
		kind = decision.LeaveTrust
	} else if err := d.joinable(r, v, n.Trust); err != nil {
		return nil, err
	}
	return settled(d.Trusts.DecideTrust(r.Context(), v.school.ID, decision.Decision{
		Kind: kind, By: v.account.Name, At: v.now, Reason: n.Reason, Trust: &decision.Trust{Name: n.Trust},
	}))
}

// joinable refuses that a school joins a trust at another school of which the
// account has no say: nothing could be decided for the whole of it any more.
func (d *door) joinable(r *http.Request, v visit, trust string) error {
	schools, err := d.Trusts.Trusting(r.Context(), trust)
	if err != nil || len(schools) == 0 {
		return err
	}
	if slices.ContainsFunc(schools, func(s posture.SchoolID) bool { return !v.account.May(s, access.KeepBaseline) }) {
		return &problem{Status: http.StatusForbidden, Detail: "this key may not " + string(access.KeepBaseline) + " at every school of that trust"}
	}
	return nil
}

func (d *door) allowLooser(r *http.Request, v visit) (any, error) {
	n, err := taken[NewAllowance](r)
	if err != nil {
		return nil, err
	}
	return settled(d.Trusts.AllowLooser(r.Context(), v.school.ID, n, v.account.Name))
}

func (d *door) endLooser(r *http.Request, v visit) (any, error) {
	n, err := taken[EndedAllowance](r)
	if err != nil {
		return nil, err
	}
	held, err := d.Trusts.Held(r.Context(), v.school.ID)
	if err != nil {
		return nil, err
	}
	return settled(d.Trusts.DecideTrust(r.Context(), v.school.ID, decision.Decision{
		Kind: decision.EndLooser, By: v.account.Name, At: v.now, Reason: n.Reason, Trust: &decision.Trust{Name: held.Trust, Item: n.Item},
	}))
}
