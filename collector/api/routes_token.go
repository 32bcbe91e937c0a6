package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TokenKeeper makes the tokens with which laptops enrol, and takes them back.
type TokenKeeper interface {
	Tokens(ctx context.Context, school posture.SchoolID) ([]admission.Token, error)
	// MakeToken records a token and returns it with its secret, this once.
	MakeToken(ctx context.Context, school posture.SchoolID, by string, n NewToken) (MadeToken, error)
	// EndToken has a token admit nothing any more.
	EndToken(ctx context.Context, school posture.SchoolID, d decision.Decision, token string) (entry uint64, err error)
}

// Tokens are the tokens of a school.
type Tokens struct {
	Tokens []admission.Token `json:"tokens"`
}

// NewToken is a token as a caller asks for it. What is left out is as the
// command line has it.
type NewToken struct {
	Uses        int               `json:"uses"`            // laptops that it admits
	Days        int               `json:"days"`            // for how long
	Class       posture.Ownership `json:"class,omitempty"` // of the laptops
	PersonalUse bool              `json:"personalUse,omitempty"`
	Groups      []string          `json:"groups,omitempty"`    // in which they are from the first
	Way         admission.Way     `json:"way,omitempty"`       // how it admits: at-once, approval, or register
	Addresses   []string          `json:"addresses,omitempty"` // where they reach the collector, as host:port
}

// MadeToken is a token that was made. Its text is told this once.
type MadeToken struct {
	Token string    `json:"token"`
	ID    string    `json:"id"`
	Ends  time.Time `json:"ends"`
}

// TokenEnd is why a token is taken back.
type TokenEnd struct {
	Reason string `json:"reason"`
}

func tokenRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/tokens", right: access.AdmitDevices, shows: viewing.Nobody,
			words: "The tokens with which laptops enrol, and how they stand. Their secrets are not kept.", gives: Tokens{}, serve: (*door).tokens,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/tokens", right: access.AdmitDevices,
			words: "Makes a token with which laptops enrol. It is told this once.", takes: NewToken{}, gives: MadeToken{}, serve: (*door).makeToken,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/tokens/{token}/end", right: access.AdmitDevices,
			words: "Takes a token back: it admits nothing from then on. Laptops that it admitted stay.", takes: TokenEnd{}, gives: Recorded{}, serve: (*door).endToken,
		},
	}
}

func (d *door) tokens(r *http.Request, v visit) (any, error) {
	list, err := d.Tokens.Tokens(r.Context(), v.school.ID)
	return Tokens{Tokens: list}, err
}

func (d *door) makeToken(r *http.Request, v visit) (any, error) {
	var asked NewToken
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made, err := d.Tokens.MakeToken(r.Context(), v.school.ID, v.account.Name, asked)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, bad("%s", refused.Error())
	}
	return made, err
}

func (d *door) endToken(r *http.Request, v visit) (any, error) {
	var asked TokenEnd
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Tokens.EndToken(r.Context(), v.school.ID, made, r.PathValue("token"))
	return admitted(entry, err)
}
