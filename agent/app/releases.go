package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/agent/update"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/release"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// EndsForAnother reports whether Run has ended so that another version starts in
// its place: nothing has failed.
func EndsForAnother(err error) bool {
	return errors.Is(err, update.ErrPlaced) || errors.Is(err, update.ErrBack)
}

// This returns this program as releases know it.
func This() update.Installed {
	return update.Installed{Version: release.Version(), System: release.System(), Root: release.Root()}
}

// Stay runs what is to run: an agent in this process, or the newer version that
// came as a release, whose program placed runs to its end. If that ends for another,
// placed says so with AnotherStarts.
func Stay(ctx context.Context, c Config, clk clock.Clock, placed func(ctx context.Context, path string) error) error {
	return update.Stayer{
		Folder: update.Where(c.State), Installed: c.Installed, Clock: clk, Log: c.Log, Placed: placed,
		Here: func(ctx context.Context) error { return Run(ctx, c, clk) },
	}.Run(ctx)
}

// AnotherStarts is how a program that ran in this one's place says that it has ended
// so that another version starts.
func AnotherStarts() error { return update.ErrPlaced }

// ForgetReleases removes the programs that came as releases.
func ForgetReleases(state string) error { return update.Where(state).Forget() }

// ended notes that this version lasted, if it ends because it was told to.
func ended(ctx context.Context, c Config) {
	if ctx.Err() == nil {
		return
	}
	if err := update.Where(c.State).Lasts(c.Installed.Version); err != nil {
		c.Log.Warn("that this version has lasted is not remembered", "reason", err)
	}
}

// version is what the agent says that it is.
func (s *service) version() string { return cmp.Or(s.installed.Version, release.Version()) }

// followReleases takes what is offered, and sees this version through its trial if
// it is on one.
func (s *service) followReleases(ctx context.Context, g *errgroup.Group, c Config) {
	folder := update.Where(c.State)
	g.Go(func() error {
		return update.Watch(ctx, folder, s.version(), s.inbox.reported, s.clock, s.log)
	})
	g.Go(func() error {
		return update.Run(ctx, update.Config{
			Folder: folder, Installed: s.installed, Source: releases{s.uplink}, Offered: s.inbox.offered, Clock: s.clock, Now: s.latest, Log: s.log,
			Tell: func(trouble string) { s.inbox.report(func(r *running) { r.Update = trouble }) },
		})
	})
}

// latest is the time by which the publisher's word expires: the laptop's own, or
// what the collector last told if that is later, so that a clock that stands in
// the past revives nothing.
func (s *service) latest() time.Time {
	now := wall(s.clock)
	if t := s.device.Trusted.Now(); t.After(now) {
		return t
	}
	return now
}

// sayReleases adds to a hello whether this program takes releases, and what became
// of the last.
func (s *service) sayReleases(h *uplink.Hello) {
	if s.installed.Able() == "" {
		h.System = s.installed.System
	}
	s.inbox.mu.Lock()
	h.Why = s.inbox.run.Update
	s.inbox.mu.Unlock()
	if failed := update.Where(s.state.dir).LastFailed(); failed != nil {
		h.Untaken, h.Why = failed.Version, failed.Reason
	}
}

// releases is the collector as the source of releases.
type releases struct{ *uplink.Uplink }

// Part implements update.Source.
func (r releases) Part(ctx context.Context, version, system string, offset uint64) ([]byte, error) {
	data, err := r.Uplink.Part(ctx, version, system, offset)
	if errors.Is(err, uplink.ErrBusy) {
		return nil, update.ErrBusy
	}
	return data, err
}

// sayVersion says which version runs, if it is another, and why none follows.
func (s *Status) sayVersion(r running) {
	s.Update = wire.Visible(r.Update, 500)
	if r.Version != "" && r.Version != s.Version {
		s.Runs = wire.Visible(r.Version, 40)
	}
}
