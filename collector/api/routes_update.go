package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Updater offers releases of the agent, and says how far they have come.
type Updater interface {
	// Updates says which releases there are, what is offered and what runs.
	Updates(ctx context.Context, school posture.SchoolID) (release.Standing, error)
	// OfferRelease records that a release is offered, or none any more. What cannot
	// be offered as things stand is a decision.RefusedError.
	OfferRelease(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

func updateRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/update", right: access.ReadSettings,
			words: "Which releases of the agent there are, which is offered to how many laptops, which versions run, and why some do not take it.",
			gives: release.Standing{}, serve: (*door).updates, shows: viewing.Nobody,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/update", right: access.OfferReleases,
			words: "Offers a release of the agent to a share of the laptops, or, without a version, offers none any more. Laptops take only what the publisher signed.",
			takes: NewOffer{}, gives: Recorded{}, serve: (*door).offerRelease,
		},
	}
}

// NewOffer is what is offered from now on, in place of what was.
type NewOffer struct {
	Offer  release.Offer `json:"offer"` // without a version: nothing, the stop
	Reason string        `json:"reason"`
}

func (d *door) updates(r *http.Request, v visit) (any, error) {
	return d.Updates.Updates(r.Context(), v.school.ID)
}

func (d *door) offerRelease(r *http.Request, v visit) (any, error) {
	var asked NewOffer
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.OfferRelease, By: v.account.Name, At: v.now, Reason: asked.Reason, Release: &asked.Offer}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Updates.OfferRelease(r.Context(), v.school.ID, made)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
