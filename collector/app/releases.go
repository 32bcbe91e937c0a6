package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
	built "github.com/caretaker-school/caretaker/shared/release"
)

// releasesFolder holds the agent's releases, as the publisher signed them.
const releasesFolder = "releases"

// UpdateArguments ask about releases of the agent, take one in, or offer one.
type UpdateArguments struct {
	School string        `json:"school,omitempty"`
	Folder string        `json:"folder,omitempty"` // of a release that is taken in
	Offer  release.Offer `json:"offer,omitzero"`   // version "": the stop
	Reason string        `json:"reason,omitempty"`
	Key    string        `json:"key,omitempty"` // access key of the account that offers; "": the operator
}

// Updates says how the collector hands releases on.
type Updates struct {
	Root   []byte        // the publisher's; nil: that with which this program was built
	Rate   int           // bytes a second to all laptops together; 0: release.UsualRate
	Within time.Duration // in which laptops that are offered a release come for it; 0: usualWithin
}

// usualWithin is in how long laptops come that are offered a release at once.
const usualWithin = 10 * time.Minute

// openReleases opens the releases in the data folder. What cannot be handed on any
// more keeps nothing else from its work.
func (c *collector) openReleases(u Updates) error {
	root := u.Root
	if root == nil {
		root = built.Root()
	}
	c.updates = u
	c.updates.Within = cmp.Or(u.Within, usualWithin)
	store, bad, err := release.Open(release.Options{Folder: filepath.Join(c.data, releasesFolder), Root: root, Rate: u.Rate, Clock: c.clock})
	if err != nil {
		return err
	}
	if bad != nil {
		c.log.Error("a release of the agent is not handed on", "reason", bad)
	}
	c.releases = store
	return nil
}

// handsOn is the collector as intake hands releases on.
type handsOn struct{ *collector }

// Heard implements intake.Releases.
func (h handsOn) Heard(school posture.SchoolID, device posture.DeviceID, r intake.Runs) {
	h.census.Heard(school, device, release.Runs(r))
}

// Offered implements intake.Releases.
func (h handsOn) Offered(ctx context.Context, id posture.SchoolID, device posture.DeviceID) (string, time.Duration, error) {
	now := h.clock.Now()
	row, err := h.view.Queries().Release(ctx, id, now)
	if err != nil || row.Offer.Version == "" {
		return "", 0, err
	}
	if _, ok := h.releases.Get(row.Offer.Version); !ok {
		return "", 0, nil
	}
	var groups []string
	if row.Offer.Group != "" {
		if groups, err = h.groupsOf(ctx, id, device); err != nil {
			return "", 0, err
		}
	}
	if !row.Offer.Includes(device, groups, row.At, now) {
		return "", 0, nil
	}
	return row.Offer.Version, h.updates.Within, nil
}

// groupsOf returns the groups in which a device is by its assignment.
func (c *collector) groupsOf(ctx context.Context, id posture.SchoolID, device posture.DeviceID) ([]string, error) {
	s, err := c.school(string(id))
	if err != nil {
		return nil, err
	}
	if d, ok := s.roster.Device(device); !ok || d.Assignment == 0 {
		return nil, nil
	}
	document, err := s.roster.AssignmentDocument(ctx, device)
	if err != nil {
		return nil, err
	}
	a, err := roster.OpenAssignment(s.verifier, document)
	return a.Groups, err
}

// Metadata implements intake.Releases.
func (h handsOn) Metadata(version string, root uint64) (publisher.Metadata, error) {
	return h.releases.Metadata(version, root)
}

// Part implements intake.Releases.
func (h handsOn) Part(ctx context.Context, version, system string, offset uint64) ([]byte, error) {
	data, err := h.releases.Part(ctx, version, system, offset)
	switch {
	case errors.Is(err, release.ErrBusy):
		err = intake.ErrNotNow
	case errors.Is(err, release.ErrUnknown):
		err = intake.ErrNoPart
	}
	return data, err
}

// doUpdate carries out what is about releases of the agent.
func (c *collector) doUpdate(ctx context.Context, operation string, a UpdateArguments) (any, error) {
	if operation == "update.add" {
		return c.addRelease(a.Folder)
	}
	r, err := c.record(a.School)
	if err != nil {
		return nil, err
	}
	if operation == "update.show" {
		return c.Updates(ctx, r.id)
	}
	if operation == "update.stop" {
		a.Offer = release.Offer{}
	}
	by, err := c.decider(a.Key, r.id, access.OfferReleases)
	if err != nil {
		return nil, err
	}
	d := decision.Decision{Kind: decision.OfferRelease, By: by, At: c.clock.Now(), Reason: cmp.Or(a.Reason, release.UsualReason(a.Offer)), Release: &a.Offer}
	if err := d.CheckNew(); err != nil {
		return nil, err
	}
	if _, err := c.OfferRelease(ctx, r.id, d); err != nil {
		return nil, err
	}
	return c.Updates(ctx, r.id)
}

// addRelease takes in a release.
func (c *collector) addRelease(folder string) (release.Kept, error) {
	h, err := c.releases.Add(folder)
	if err != nil {
		return release.Kept{}, err
	}
	c.log.Info("a release of the agent is taken in", "version", h.Version)
	for _, r := range c.all() {
		if c.door != nil {
			c.door.Tell(r.id)
		}
	}
	return h.Kept(c.clock.Now()), nil
}

// OfferRelease implements api.Updater and web.Updater: a release is offered from
// now on, or none any more.
func (c *collector) OfferRelease(ctx context.Context, id posture.SchoolID, d decision.Decision) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	last, err := c.view.Queries().Release(ctx, id, c.clock.Now())
	if err != nil {
		return 0, err
	}
	refused := func(format string, args ...any) error {
		return &decision.RefusedError{Why: fmt.Sprintf(format, args...)}
	}
	held, there := c.releases.Get(d.Release.Version)
	switch {
	case *d.Release == last.Offer && d.Release.Version == "":
		return 0, refused("nothing is offered")
	case *d.Release == last.Offer:
		return 0, refused("this is what is offered already")
	case d.Release.Version != "" && !there:
		return 0, refused("this collector has no release %s: take it in first with update add", d.Release.Version)
	case d.Release.Version != "" && !c.clock.Now().Before(held.Expires):
		return 0, refused("no laptop takes %s any more, since %s: take in the publisher's newer word with update add", d.Release.Version, held.Expires.Format("2 January 2006"))
	}
	at, err := s.decide(ctx, d, c.clock.Now())
	if err != nil {
		return 0, err
	}
	c.show(ctx, s)
	if c.door != nil {
		c.door.Tell(id)
	}
	return at + 1, nil
}

// AgentOn implements web.Updater.
func (c *collector) AgentOn(school posture.SchoolID, device posture.DeviceID) release.Runs {
	return c.census.Of(school, device)
}

// Updates implements api.Updater and web.Updater: it says how far an update has
// come.
func (c *collector) Updates(ctx context.Context, id posture.SchoolID) (release.Standing, error) {
	now := c.clock.Now()
	row, err := c.view.Queries().Release(ctx, id, now)
	if err != nil {
		return release.Standing{}, err
	}
	st := release.Standing{
		School: id, Trusted: c.releases.Trusted(), Releases: []release.Kept{}, Offer: row.Offer, By: row.By, At: row.At, Reason: row.Reason,
		Entry: row.Entry, Share: row.Offer.ShareAt(row.At, now),
	}
	for _, h := range c.releases.List() {
		st.Releases = append(st.Releases, h.Kept(now))
	}
	r, err := c.record(string(id))
	if err != nil {
		return release.Standing{}, err
	}
	c.census.Count(id, func(yield func(posture.DeviceID) bool) {
		s := r.working()
		if s == nil {
			return
		}
		for d := range s.roster.Devices() {
			if !d.Revoked && !yield(d.ID) {
				return
			}
		}
	}, &st)
	return st, nil
}
