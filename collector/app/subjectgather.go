package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// sources reads what a sheet about a person is gathered from.
func (c *collector) sources(ctx context.Context, s *school, by, request string, people, accounts []string) (out subject.Sources, err error) {
	now := c.clock.Now()
	out = subject.Sources{
		School: s.ID, Name: s.Name, Request: request, At: now, By: by, People: people, Accounts: accounts,
		Ties: map[string][]subject.Tie{}, Owned: map[posture.DeviceID][]subject.Owned{}, Told: map[posture.DeviceID][]subject.Report{}, Titles: map[string]string{},
	}
	zone, err := c.zoneOf(ctx, s.ID)
	if err != nil {
		return out, err
	}
	out.Zone = zone.String()
	for _, a := range c.access.Accounts() {
		for _, g := range a.Grants {
			if slices.Contains(accounts, a.Name) && (g.School == s.ID || g.School == access.EverySchool) {
				out.Roles = append(out.Roles, string(g.Role))
			}
		}
	}
	for _, read := range []func(context.Context, *school, *subject.Sources) error{c.holdings, c.devicesOf, c.permitted, c.recorded, c.disputed, c.reports, c.looked} {
		if err := read(ctx, s, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// holdings reads who had what, which devices that was, and who acknowledged the
// rules of use.
func (c *collector) holdings(ctx context.Context, s *school, out *subject.Sources) error {
	assets, _, err := c.view.Queries().Holdings(ctx, s.ID, out.At)
	if err != nil {
		return err
	}
	survey, err := retention.Read(ctx, s.ledger)
	if err != nil {
		return err
	}
	for key, a := range assets {
		out.Assets = append(out.Assets, a)
		for _, t := range survey.Ties(a.Tag) {
			out.Ties[key] = append(out.Ties[key], subject.Tie(t))
			if err := c.owned(ctx, s, t.Device, out); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(out.Assets, func(a, b register.Asset) int { return slices.Compare([]byte(a.Tag), []byte(b.Tag)) })
	if out.Uses, err = c.usesOf(ctx, s.ID); err != nil {
		return err
	}
	overview, err := c.view.Queries().Overview(ctx, s.ID, out.At)
	for _, r := range overview.Rules {
		out.Titles[r.Rule] = r.Title
	}
	return err
}

// owned reads of which class a device was when. Of one that is not enrolled any
// more nothing is known, and so nothing is anybody's alone.
func (c *collector) owned(ctx context.Context, s *school, id posture.DeviceID, out *subject.Sources) error {
	if _, known := out.Owned[id]; known {
		return nil
	}
	out.Owned[id] = nil
	d, ok := s.roster.Device(id)
	if !ok {
		return nil
	}
	enrolled, err := s.roster.Enrolment(ctx, d)
	if err != nil {
		return err
	}
	out.Owned[id] = []subject.Owned{{From: d.EnrolledAt, Class: enrolled.Ownership}}
	told, err := c.view.Queries().Assignments(ctx, s.ID, id, out.At)
	if errors.Is(err, view.ErrNotFound) {
		return nil
	}
	for _, a := range slices.Backward(told) {
		out.Owned[id] = append(out.Owned[id], subject.Owned{From: a.At, Class: a.Ownership})
	}
	return err
}

func (c *collector) usesOf(ctx context.Context, id posture.SchoolID) (list []register.Use, err error) {
	for after := ""; ; {
		page, err := c.view.Queries().Uses(ctx, id, after, 500, c.clock.Now())
		if err != nil {
			return nil, err
		}
		list = append(list, page.Uses...)
		if after = page.Next; after == "" {
			return list, nil
		}
	}
}

// devicesOf reads what the devices that were the person's alone said, and which
// policy breaches they had.
func (c *collector) devicesOf(ctx context.Context, s *school, out *subject.Sources) error {
	lost, err := c.view.Queries().Quarantines(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, w := range out.Windows() {
		if _, done := out.Told[w.Device]; done {
			continue
		}
		if out.Told[w.Device], err = s.told(ctx, w.Device, lost[w.Device]); err != nil {
			return err
		}
		list, err := c.breachesOf(ctx, s.ID, w.Device, "", breach.Statuses()...)
		if err != nil {
			return err
		}
		for _, b := range list {
			out.Broken = append(out.Broken, subject.Broken{
				Device: b.Device, Rule: b.Rule, Subject: b.Subject.Label, Message: b.Message, From: b.FirstFailed, Last: b.LastFailed, To: b.ResolvedAt,
			})
		}
	}
	return nil
}

// mostTold bounds the reports of one device that are read.
const mostTold = 50_000

// told reads every report of a device, the oldest first. What came while it was
// lost is of whoever had it then.
func (s *school) told(ctx context.Context, id posture.DeviceID, lost []view.QuarantineSpan) (list []subject.Report, err error) {
	d, ok := s.roster.Device(id)
	if !ok || d.Last == 0 {
		return nil, nil
	}
	var entries []ledger.Record
	for i, more := d.Entry, true; more; {
		r, err := s.ledger.Read(ctx, i)
		if err != nil {
			return nil, err
		}
		if entries = append(entries, r); len(entries) > mostTold {
			return nil, fmt.Errorf("laptop %s made more than %d reports", id, mostTold)
		}
		if i, more, err = s.ledger.Before(i); err != nil {
			return nil, err
		}
	}
	slices.Reverse(entries)
	carried := map[uint64]subject.Report{} // by sequence: what was found as that report carried it
	for _, r := range entries {
		statement, err := proof.DecodeReportStatement(r.Envelope.Statement)
		if err != nil {
			return nil, fmt.Errorf("read the report of entry %d: %w", r.Index, err)
		}
		own, err := s.said(ctx, r)
		if err != nil {
			return nil, err
		}
		carried[statement.Sequence] = own
		own.Made, own.Received = moment(statement.MadeAt), moment(r.Envelope.ReceivedAt)
		n := slices.IndexFunc(statement.Sections, func(ref proof.SectionRef) bool { return ref.Name == wire.Findings })
		if n >= 0 {
			first := carried[statement.Sections[n].Carried]
			own.Findings, own.Forgotten = first.Findings, first.Forgotten
		}
		apart := slices.ContainsFunc(lost, func(q view.QuarantineSpan) bool {
			return uint64(r.Index) >= q.From && (q.To == 0 || uint64(r.Index) < q.To)
		})
		if !apart {
			list = append(list, own)
		}
	}
	return list, nil
}

// said reads what a report itself carries of findings and of media.
func (s *school) said(ctx context.Context, r ledger.Record) (out subject.Report, err error) {
	for n, ref := range r.Envelope.Sections {
		if ref.Name != wire.Findings && ref.Name != wire.MediaEvents {
			continue
		}
		data, err := s.ledger.Body(ctx, r.Index, n)
		if errors.Is(err, ledger.ErrForgotten) {
			out.Forgotten = out.Forgotten || ref.Name == wire.Findings
			continue
		}
		if err != nil {
			return out, err
		}
		var facts posture.Facts
		if err := wire.DecodeSection(ref.Name, data, time.Time{}, &facts, &out.Findings); err != nil {
			out.Forgotten = true // it is not known what it says
			continue
		}
		out.Media = append(out.Media, facts.MediaEvents.Items...)
	}
	return out, nil
}

func moment(ms uint64) time.Time { return time.UnixMilli(int64(min(ms, 253402300799000))).UTC() }

// permitted reads the school's exemptions.
func (c *collector) permitted(ctx context.Context, s *school, out *subject.Sources) error {
	for q := (view.ExemptionQuery{Limit: 500}); ; {
		page, err := c.view.Queries().Exemptions(ctx, s.ID, q, out.At)
		if err != nil {
			return err
		}
		for _, e := range page.Exemptions {
			p := subject.Permission{
				ID: e.ID, Rule: e.Scope.Rule, State: string(e.State), Device: e.Scope.Device, AskedBy: e.Asked.By, Reason: e.Asked.Reason,
				Asked: e.Asked.At, From: e.Approved.At, End: e.Permission().Ends(), Answered: e.Approved.By,
			}
			if e.Refused.Done() {
				p.Answered = e.Refused.By
			}
			out.Exemptions = append(out.Exemptions, p)
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// recorded reads the school's incidents. Restricted ones are not among them.
func (c *collector) recorded(ctx context.Context, s *school, out *subject.Sources) error {
	for q := (view.IncidentQuery{Limit: 500}); ; {
		page, err := c.view.Queries().Incidents(ctx, s.ID, q, out.At)
		if err != nil {
			return err
		}
		for _, i := range page.Incidents {
			out.Incidents = append(out.Incidents, i.Incident)
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// disputed reads what somebody said is recorded wrongly.
func (c *collector) disputed(ctx context.Context, s *school, out *subject.Sources) error {
	return c.eachDispute(ctx, s.ID, func(d view.Dispute) {
		one := subject.Disputed{
			ID: d.ID, About: d.About.Words(), Rule: d.Rule, Device: d.Device, Tag: d.Asset, By: d.By, For: d.For, Words: d.Words, Said: d.Raised, Due: d.Due, Fact: d.Fact,
		}
		if !d.Open() {
			one.Outcome, one.Answer, one.Answered, one.AnsweredBy = d.Outcome.Words(), d.Answered.Reason, d.Answered.At, d.Answered.By
		}
		out.Disputed = append(out.Disputed, one)
	})
}

func (c *collector) eachDispute(ctx context.Context, id posture.SchoolID, take func(view.Dispute)) error {
	for q := (view.DisputeQuery{Limit: 500}); ; {
		page, err := c.view.Queries().Disputes(ctx, id, q, c.clock.Now())
		if err != nil {
			return err
		}
		for _, d := range page.Disputes {
			take(d)
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// reports reads what was reported on the page for reports.
func (c *collector) reports(ctx context.Context, s *school, out *subject.Sources) error {
	for q := (view.ConcernQuery{Limit: 500}); ; {
		page, err := c.view.Queries().Concerns(ctx, s.ID, q, out.At)
		if err != nil {
			return err
		}
		for _, r := range page.Concerns {
			one := subject.Raised{
				Reference: r.ID, Kind: string(r.Kind), Thing: r.Thing, From: r.From, By: r.By, Words: r.Words, At: r.Raised, Incident: r.Incident, Forgotten: r.Forgotten,
				State: "nobody has looked at it yet",
			}
			if r.Thing != "" {
				if d, err := c.device(ctx, ListArguments{School: string(s.ID), Device: r.Thing}); err == nil { // else it names none, or several
					one.Device = d.ID
				}
			}
			switch {
			case r.Case != "":
				one.State = "incident " + r.Incident + " was opened"
			case !r.Waiting():
				one.State = "set aside"
			}
			out.Raised = append(out.Raised, one)
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// mostSeen bounds the looks that are read of a laptop, and those of an account
// that are counted.
const mostSeen = 20_000

// looked reads who looked at the laptops while they were the person's, and counts
// what the person looked at themselves.
func (c *collector) looked(ctx context.Context, s *school, out *subject.Sources) error {
	for _, w := range out.Windows() {
		err := c.eachLook(ctx, s.ID, view.LookQuery{Device: w.Device, From: w.From, To: w.To}, func(l view.Looked) {
			out.Looks = append(out.Looks, subject.Seen{At: l.At, By: l.By, Way: string(l.Way), What: string(l.What), Device: w.Device})
		})
		if err != nil {
			return err
		}
	}
	for _, name := range out.Accounts {
		if err := c.eachLook(ctx, s.ID, view.LookQuery{By: name}, func(view.Looked) { out.Looked++ }); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) eachLook(ctx context.Context, id posture.SchoolID, q view.LookQuery, take func(view.Looked)) error {
	for n := 0; n < mostSeen; {
		q.Limit = 500
		page, err := c.view.Queries().Looks(ctx, id, q, c.clock.Now())
		if err != nil {
			return err
		}
		for _, l := range page.Looks {
			take(l)
		}
		n += len(page.Looks)
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
	return nil
}
