package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// RetentionArguments ask how long things are kept, change it, or have forgotten
// what need not be kept any longer.
type RetentionArguments struct {
	School string            `json:"school"`
	Times  map[string]string `json:"times,omitempty"` // of a change: such as "media": "60 days"
	Reason string            `json:"reason,omitempty"`
	On     time.Time         `json:"on,omitzero"` // of a preview: the moment; zero: now
}

// RetentionAnswer is how long things are kept.
type RetentionAnswer = api.Retention

// PurgesAnswer is what was forgotten, or would be.
type PurgesAnswer = api.Purges

// Retention implements api.Retainer.
func (c *collector) Retention(ctx context.Context, id posture.SchoolID) (api.Retention, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Retention{}, err
	}
	times, said, err := s.keeping(ctx)
	if err != nil {
		return api.Retention{}, err
	}
	answer := api.Retention{School: s.ID, Items: []api.Kept{}, Purges: []api.Purge{}}
	for _, t := range retention.Terms() {
		k := api.Kept{
			Item: string(t.Item), What: t.What, From: t.From, Time: times[t.Item].String(),
			Usual: t.Usual.String(), Least: t.Least.String(), Most: t.Most.String(),
		}
		if chosen, ok := said[t.Item]; ok {
			if k.Chosen, err = s.chose(ctx, chosen); err != nil {
				return api.Retention{}, err
			}
		}
		answer.Items = append(answer.Items, k)
	}
	for _, f := range s.roster.Forgotten() {
		answer.Purges = append(answer.Purges, api.Purge{
			At: f.At, Item: f.Item, Class: f.Class, Month: f.Month, Forgotten: f.Count, Events: f.Events, By: f.By, Reason: f.Reason,
		})
	}
	answer.Purges = answer.Purges[max(0, len(answer.Purges)-mostPurges):]
	return answer, nil
}

// keeping reads how long a school keeps what, and where it said so: from the entries
// that the roster has noted, and not from the whole record.
func (s *school) keeping(ctx context.Context) (retention.Times, map[retention.Item]retention.Chosen, error) {
	if err := s.roster.CatchUp(ctx); err != nil {
		return nil, nil, err
	}
	return retention.ReadChoice(ctx, s.ledger, s.roster.Retained())
}

// mostPurges is how many of the last purges are listed.
const mostPurges = 100

// chose says who said how long something is kept, as far as that is recorded
// still.
func (s *school) chose(ctx context.Context, chosen retention.Chosen) (*api.Chosen, error) {
	out := &api.Chosen{At: chosen.At, Entry: uint64(chosen.Entry)}
	r, err := s.ledger.Read(ctx, chosen.Entry)
	if err != nil {
		return nil, err
	}
	n := slices.IndexFunc(r.Envelope.Sections, func(ref proof.SectionRef) bool { return ref.Name == decision.Section })
	if n < 0 {
		return out, nil
	}
	body, err := s.ledger.Body(ctx, chosen.Entry, n)
	if errors.Is(err, ledger.ErrForgotten) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := decision.Decode(body)
	out.By, out.Reason = d.By, d.Reason
	return out, err
}

// SetRetention implements api.Retainer.
func (c *collector) SetRetention(ctx context.Context, id posture.SchoolID, d decision.Decision, times map[string]string) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	asked, err := readTimes(times)
	if err != nil {
		return 0, err
	}
	kept, chosen, err := s.keeping(ctx)
	if err != nil {
		return 0, err
	}
	same := true
	for i, span := range asked { // saying for the first time that the usual is right is saying something
		_, said := chosen[i]
		same = same && said && kept[i] == span
	}
	if same {
		return 0, &decision.RefusedError{Why: "this is how long they are kept already"}
	}
	body, err := retention.Encode(asked)
	if err != nil {
		return 0, err
	}
	return s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.RetentionSections(d, body, salts)
	})
}

// readTimes reads times as people write them. What is wrong is a
// *decision.RefusedError with all of it.
func readTimes(written map[string]string) (retention.Times, error) {
	times := retention.Times{}
	var wrong []error
	for item, text := range written {
		span, err := retention.ParseSpan(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%.40s: %w", item, err))
			continue
		}
		times[retention.Item(item)] = span
	}
	if len(times) > 0 || len(wrong) == 0 {
		wrong = append(wrong, times.Check())
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, &decision.RefusedError{Why: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return times, nil
}

func (c *collector) showRetention(ctx context.Context, a RetentionArguments) (RetentionAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return RetentionAnswer{}, err
	}
	return c.Retention(ctx, s.ID)
}

// setRetention changes how long things are kept as the operator.
func (c *collector) setRetention(ctx context.Context, a RetentionArguments) (api.Recorded, error) {
	s, err := c.school(a.School)
	if err != nil {
		return api.Recorded{}, err
	}
	d := decision.Decision{Kind: decision.Retention, By: operator(), At: c.clock.Now(), Reason: strings.TrimSpace(a.Reason)}
	if err := d.CheckNew(); err != nil {
		return api.Recorded{}, err
	}
	entry, err := c.SetRetention(ctx, s.ID, d, a.Times)
	return api.Recorded{Entry: entry}, err
}

// PreviewRetention implements api.Retainer.
func (c *collector) PreviewRetention(ctx context.Context, id posture.SchoolID, on time.Time) (api.Purges, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Purges{}, err
	}
	if on.IsZero() {
		on = c.clock.Now()
	}
	return c.retain(ctx, s, on, nil, true)
}

func (c *collector) previewRetention(ctx context.Context, a RetentionArguments) (PurgesAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PurgesAnswer{}, err
	}
	return c.PreviewRetention(ctx, s.ID, a.On)
}

// runRetention forgets at once what the nightly round would.
func (c *collector) runRetention(ctx context.Context, a RetentionArguments) (PurgesAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PurgesAnswer{}, err
	}
	answer, err := c.retain(ctx, s, c.clock.Now(), nil, false)
	if err != nil || len(answer.Purges) == 0 {
		return answer, err
	}
	return answer, c.forgotten(ctx, s)
}

// retain forgets what need not be kept any longer at a moment, or counts it. What
// was forgotten before an error stays so, and is not asked for again. seen, if it
// is not nil, remembers where there was nothing to forget.
func (c *collector) retain(ctx context.Context, s *school, now time.Time, seen map[place]string, dry bool) (api.Purges, error) {
	answer := api.Purges{School: s.ID, At: now, DryRun: dry, Purges: []api.Purge{}}
	survey, err := retention.Read(ctx, s.ledger)
	if err != nil {
		return answer, err
	}
	steps, err := survey.Steps(ctx, s.ledger, s.roster, now)
	if err != nil {
		return answer, err
	}
	if !dry { // what most must not see is in no preview
		sealed, err := c.sealedSteps(ctx, s, survey, now)
		if err != nil {
			return answer, err
		}
		steps = append(steps, sealed...)
	}
	for _, step := range steps {
		at := place{step.Item, step.Class, step.Month}
		if step.Mark != "" && seen[at] == step.Mark {
			continue
		}
		p, err := c.forgetStep(ctx, s, step, dry)
		if errors.Is(err, ledger.ErrNothingToForget) {
			if seen != nil {
				seen[at] = step.Mark
			}
			continue
		}
		if err != nil {
			return answer, err
		}
		answer.Purges = append(answer.Purges, p)
	}
	return answer, nil
}

// place is where something is forgotten.
type place struct {
	item  retention.Item
	class proof.Class
	month ledger.Month
}

// byItself is who forgets what need not be kept any longer, for the record.
const byItself = "the collector, by the school's times"

func (c *collector) forgetStep(ctx context.Context, s *school, step retention.Step, dry bool) (api.Purge, error) {
	keep, err := step.Keep(ctx)
	if err != nil {
		return api.Purge{}, err
	}
	p, err := c.purge(ctx, s, purging{
		class: step.Class, month: step.Month, keep: keep, item: step.Item, by: byItself, reason: step.Reason(), dry: dry,
	})
	return api.Purge{
		At: c.clock.Now(), Item: string(step.Item), Class: p.Class, Month: p.Month, Forgotten: p.Forgotten, Kept: p.Kept,
		Events: p.Events, By: p.By, Reason: p.Reason,
	}, err
}

// purging is what is to be forgotten of a class and month, by whom and why.
type purging struct {
	class  proof.Class
	month  ledger.Month
	keep   func(ledger.Stored) bool
	item   retention.Item // the time of which is over; "" if somebody asked
	by     string
	reason string
	dry    bool
	quiet  func(ledger.Stored) bool // what is kept and counted nowhere
}

// purge forgets, or counts. It counts first: where there is nothing to forget
// nothing is written.
func (c *collector) purge(ctx context.Context, s *school, p purging) (roster.Purge, error) {
	return c.sparing(ctx, s, p, func(p purging) (roster.Purge, error) { return c.purgeNow(ctx, s, p) })
}

func (c *collector) purgeNow(ctx context.Context, s *school, p purging) (roster.Purge, error) {
	made := roster.Purge{Item: string(p.item), By: p.by, Reason: p.reason}
	var err error
	if made.Purge, made.Events, err = countMonth(ctx, s.ledger, p); err != nil || p.dry {
		return made, err
	}
	days, err := c.daysToKeep(ctx, s)
	if err != nil {
		return made, err
	}
	maker := roster.Maker{School: s.ID, Intake: intakeName}
	_, err = s.ledger.Forget(ctx, p.class, p.month, p.keep, func(counted ledger.Purge) (ledger.Entry, error) {
		counted.Kept, counted.KeptBytes = made.Kept, made.KeptBytes // without what is kept quietly
		made.Purge = counted
		section, err := roster.Section(roster.SectionPurge, proof.Kept, made)
		if err != nil {
			return ledger.Entry{}, err
		}
		return maker.Entry(proof.KindPurge, "", c.clock.Now(), append([]proof.Section{section}, days...)...), nil
	})
	return made, err
}

// countMonth counts what forgetting a month would do, and how many media came in
// what it would forget.
func countMonth(ctx context.Context, l *ledger.Ledger, p purging) (counted ledger.Purge, events uint64, err error) {
	counted = ledger.Purge{Class: p.class.String(), Month: p.month.String()}
	for stored, err := range l.Bodies(ctx, p.class, p.month) {
		if err != nil {
			return counted, events, err
		}
		if p.keep(stored) {
			if p.quiet(stored) {
				continue
			}
			counted.Kept++
			counted.KeptBytes += uint64(len(stored.Section.Body))
			continue
		}
		counted.Forgotten++
		counted.ForgottenBytes += uint64(len(stored.Section.Body))
		events += retention.MediaCame(stored)
	}
	if counted.Forgotten == 0 {
		return counted, events, ledger.ErrNothingToForget
	}
	return counted, events, nil
}

// forgotten has the roster know what was forgotten, and the view hold nothing of
// it.
func (c *collector) forgotten(ctx context.Context, s *school) error {
	if err := s.roster.CatchUp(ctx); err != nil {
		return err
	}
	if !c.running { // the view holds what is now forgotten until it is made again
		return s.projection.CatchUp(ctx)
	}
	return nil
}

// lookEvery is how often it is looked whether it is time to forget.
const lookEvery = 10 * time.Minute

// round is the hour of the night, by the collector's zone, from which on it is
// forgotten what need not be kept any longer: making the view again then
// disturbs nobody.
const round = 3

// retainDaily forgets, in every school, what need not be kept any longer: a
// little after the start and then once a night, until ctx ends.
func (c *collector) retainDaily(ctx context.Context, zone *time.Location) error {
	due := map[posture.SchoolID]time.Time{}
	seen := map[posture.SchoolID]map[place]string{}
	for {
		pause, stop := c.clock.After(lookEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-pause:
		}
		for _, r := range c.all() {
			s := r.working()
			now := c.clock.Now()
			if s == nil || now.Before(due[r.id]) {
				continue
			}
			if seen[r.id] == nil {
				seen[r.id] = map[place]string{}
			}
			answer, err := c.retain(ctx, s, now, seen[r.id], false)
			if len(answer.Purges) > 0 {
				c.log.Info("what need not be kept any longer was forgotten", "school", r.id, "purges", len(answer.Purges))
			}
			if err != nil && ctx.Err() == nil {
				c.log.Error("what need not be kept any longer was not all forgotten; trying again", "school", r.id, "reason", err)
				continue
			}
			due[r.id] = nextRound(now, zone)
		}
	}
}

// nextRound returns the first hour of a round after a moment.
func nextRound(now time.Time, zone *time.Location) time.Time {
	local := now.In(zone)
	next := time.Date(local.Year(), local.Month(), local.Day(), round, 0, 0, 0, zone)
	if !next.After(now) {
		next = time.Date(local.Year(), local.Month(), local.Day()+1, round, 0, 0, 0, zone)
	}
	return next
}
