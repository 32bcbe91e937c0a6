package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Updater offers releases of the agent, and says how far they have come.
type Updater interface {
	Updates(ctx context.Context, school posture.SchoolID) (release.Standing, error)
	// AgentOn returns what a laptop last said of the agent on it.
	AgentOn(school posture.SchoolID, device posture.DeviceID) release.Runs
	// OfferRelease records that a release is offered, or none any more. What cannot
	// be offered as things stand is a decision.RefusedError.
	OfferRelease(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

// updatesPage is how far an update of the agent has come.
type updatesPage struct {
	release.Standing
	Address, Up string
	Lead        string
	Since       *moment
	Kept        []keptRelease
	May         bool // offer, and stop
	// What was typed.
	Version, Ring, PerDay, Group, Words string
	Versions                            []choice
	Wrong                               []wrong
	Done                                string
}

type keptRelease struct {
	release.Kept
	Systems string
	Until   *moment
}

func updatesAddress(v visit) string { return settingsAddress(v, "/updates") }

func (s *site) updates(w http.ResponseWriter, r *http.Request, v visit) error {
	page := updatesPage{Ring: "10", PerDay: "0"}
	switch r.URL.Query().Get("done") {
	case "offered":
		page.Done = "Recorded. Laptops that are connected and in the ring are told now, the others when they connect."
	case "stopped":
		page.Done = "Recorded. No laptop is given anything more; those that have the new version keep it."
	}
	return s.showUpdates(w, r, v, http.StatusOK, page)
}

func (s *site) showUpdates(w http.ResponseWriter, r *http.Request, v visit, status int, page updatesPage) error {
	st, err := s.Updates.Updates(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Standing, page.Address, page.Up, page.Lead = st, updatesAddress(v), updatesAddress(v), updateWords(st)
	page.May = v.account.May(v.school.ID, access.OfferReleases)
	if st.Entry > 0 {
		page.Since = c.moment(st.At)
	}
	for _, k := range st.Releases {
		page.Kept = append(page.Kept, keptRelease{k, strings.Join(k.Systems, ", "), c.moment(k.Until)})
		page.Versions = append(page.Versions, choice{k.Version, k.Version, k.Version == page.Version})
	}
	return s.write(w, status, "updates", s.page(v, titleOf("New versions of the agent", page.Wrong), "settings"), page)
}

// updateWords says how an update stands, in a sentence or two.
func updateWords(st release.Standing) string {
	words := "Nothing is offered."
	if st.Offer.Version != "" {
		of := "the laptops"
		if st.Offer.Group != "" {
			of = "the group " + st.Offer.Group
		}
		words = st.Offer.Version + " is offered to " + strconv.Itoa(st.Share) + " in every hundred of " + of + "."
	}
	if n := len(st.Failed); n > 0 {
		words += " Some laptops do not take it."
	}
	return words
}

// offerRelease offers what the form says, or stops.
func (s *site) offerRelease(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	get := func(field string) string { return strings.TrimSpace(r.PostForm.Get(field)) }
	page := updatesPage{Version: get("version"), Ring: get("ring"), PerDay: get("per-day"), Group: get("group"), Words: reason}
	offer, done := release.Offer{}, "stopped"
	if get("deed") != "stop" {
		done = "offered"
		share, shareErr := strconv.Atoi(page.Ring)
		perDay, perDayErr := strconv.Atoi(page.PerDay)
		offer = release.Offer{Version: page.Version, Group: page.Group, Share: share, PerDay: perDay}
		if shareErr != nil || share < 1 || share > 100 {
			page.Wrong = append(page.Wrong, wrong{"ring", "Write a number from 1 to 100."})
		}
		if perDayErr != nil || perDay < 0 || perDay > 100 {
			page.Wrong = append(page.Wrong, wrong{"per-day", "Write a number from 0 to 100."})
		}
		if offer.Version == "" {
			page.Wrong = append(page.Wrong, wrong{"version", "Choose a version."})
		}
	}
	if reason == "" {
		reason = release.UsualReason(offer)
	}
	d := decision.Decision{Kind: decision.OfferRelease, By: v.account.Name, At: v.now, Reason: reason, Release: &offer}
	if len(page.Wrong) == 0 {
		if err := d.CheckNew(); err != nil {
			page.Wrong = append(page.Wrong, wrong{"version", sentence(err.Error())})
		}
	}
	if len(page.Wrong) == 0 {
		_, err := s.Updates.OfferRelease(r.Context(), v.school.ID, d)
		switch {
		case isRefusal(err):
			page.Wrong = append(page.Wrong, wrong{"version", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, updatesAddress(v)+"?done="+done, http.StatusSeeOther)
			return nil
		}
	}
	return s.showUpdates(w, r, v, http.StatusUnprocessableEntity, page)
}

// updatesState says for the list of settings how it stands.
func (s *site) updatesState(ctx context.Context, v visit) (string, bool, error) {
	st, err := s.Updates.Updates(ctx, v.school.ID)
	return updateWords(st), len(st.Failed) > 0, err
}

// untaken is why a laptop does not run a newer version of the agent, as a sentence;
// "" if nothing is amiss.
func untaken(r release.Runs) string {
	switch {
	case r.Why == "":
		return ""
	case r.Untaken == "":
		return "No newer version is taken: " + visible(r.Why) + "."
	}
	return "Version " + visible(r.Untaken) + " does not run here: " + visible(r.Why) + "."
}
