package app

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Previews that pages asked for are made one after the other, beside the pages:
// one of many laptops and days takes longer than anybody waits for a page.
const (
	mostTrials  = 6         // kept at once, of all schools together: what one found can be large
	trialWaits  = 2         // that wait while one is made
	trialsForgo = time.Hour // after which what one found is forgotten: laptops have reported since
)

// trials are the previews that pages asked for.
type trials struct {
	asked chan string // names of those that wait

	mu   sync.Mutex // guards all below
	kept []*trial   // in the order in which they were asked for
}

// trial is one of them.
type trial struct {
	web.PolicyTrial
	id     string
	school posture.SchoolID
	given  bool               // given up before it was begun
	stop   context.CancelFunc // gives it up while it is made; nil before and after
}

func newTrials() *trials { return &trials{asked: make(chan string, trialWaits)} }

// find returns a preview of a school. The caller holds mu.
func (t *trials) find(school posture.SchoolID, id string) *trial {
	for _, one := range t.kept {
		if one.id == id && one.school == school {
			return one
		}
	}
	return nil
}

// forgo forgets what is old, and the oldest if there are too many. The caller holds
// mu.
func (t *trials) forgo(now time.Time) {
	t.kept = slices.DeleteFunc(t.kept, func(one *trial) bool { return one.Ended && now.Sub(one.Begun) >= trialsForgo })
	for len(t.kept) > mostTrials {
		old := slices.IndexFunc(t.kept, func(one *trial) bool { return one.Ended })
		if old < 0 {
			return
		}
		t.kept = slices.Delete(t.kept, old, old+1)
	}
}

// Try implements web.PolicyDesk.
func (d policyDesk) Try(ctx context.Context, id posture.SchoolID, what web.PolicyTrial) (string, error) {
	s, err := d.school(string(id))
	if err != nil {
		return "", err
	}
	// What cannot be judged by at all is said at once.
	if _, err := d.drafted(ctx, s, previewOf(what)); err != nil {
		return "", unsoundPage(err, what.Source)
	}
	t := d.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	what.Begun, what.Done, what.Total, what.Ended, what.Failed, what.Found = d.clock.Now(), 0, 0, false, "", nil
	one := &trial{PolicyTrial: what, id: rand.Text(), school: id}
	select {
	case t.asked <- one.id:
	default:
		return "", errPreviewing
	}
	t.kept = append(t.kept, one)
	t.forgo(what.Begun)
	return one.id, nil
}

func previewOf(what web.PolicyTrial) PreviewArguments {
	return PreviewArguments{File: "policy", Source: what.Source, Draft: what.Draft, Number: what.Number, Days: what.Days}
}

// Trial implements web.PolicyDesk.
func (d policyDesk) Trial(school posture.SchoolID, id string) (web.PolicyTrial, error) {
	t := d.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgo(d.clock.Now())
	one := t.find(school, id)
	if one == nil {
		return web.PolicyTrial{}, view.ErrNotFound
	}
	out := one.PolicyTrial
	if one.stop != nil {
		far := d.previews.progress(id)
		out.Done, out.Total = far.Done, far.Total
	}
	return out, nil
}

// StopTrial implements web.PolicyDesk.
func (d policyDesk) StopTrial(school posture.SchoolID, id string) {
	t := d.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	switch one := t.find(school, id); {
	case one == nil || one.Ended:
	case one.stop != nil:
		one.stop()
	default:
		one.given, one.Ended, one.Failed = true, true, "it was given up"
	}
}

// makeTrials makes the previews that pages ask for until ctx ends.
func (c *collector) makeTrials(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-c.trials.asked:
			c.makeTrial(ctx, id)
		}
	}
}

func (c *collector) makeTrial(ctx context.Context, id string) {
	t := c.trials
	t.mu.Lock()
	at := slices.IndexFunc(t.kept, func(one *trial) bool { return one.id == id && !one.given })
	if at < 0 {
		t.mu.Unlock()
		return
	}
	one := t.kept[at]
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	one.stop = stop
	what := previewOf(one.PolicyTrial)
	t.mu.Unlock()

	what.ID = id
	found, err := c.tried(ctx, one.school, what)

	t.mu.Lock()
	defer t.mu.Unlock()
	one.stop, one.Ended = nil, true
	switch {
	case err == nil:
		one.Found = &found
	case ctx.Err() != nil:
		one.Failed = "it was given up"
	default:
		one.Failed = c.failedTrial(one.school, err)
	}
}

// tried makes a preview, once nobody else makes one.
func (c *collector) tried(ctx context.Context, id posture.SchoolID, what PreviewArguments) (view.Preview, error) {
	for {
		s, err := c.school(string(id))
		if err != nil {
			return view.Preview{}, err
		}
		found, err := c.preview(ctx, s, what)
		if !errors.Is(err, errPreviewing) {
			return found, err
		}
		again, cancel := c.clock.After(pollEvery)
		select {
		case <-again:
		case <-ctx.Done():
		}
		cancel()
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
	}
}

// failedTrial says on a page why a preview could not be made.
func (c *collector) failedTrial(school posture.SchoolID, err error) string {
	if _, refused := errors.AsType[*decision.RefusedError](err); refused || errors.Is(err, projection.ErrMoved) {
		return err.Error()
	}
	c.log.Error("a preview that a page asked for was not made", "school", school, "error", err)
	return "it could not be made: what happened is in the collector's log"
}
