package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// gathering takes entries out of the ledger.
type gathering struct {
	School
	q       Question
	size    uint64 // of the checkpoint's tree: nothing later is taken
	taken   map[ledger.Index]*Entry
	silence time.Duration
}

func (g *gathering) all(ctx context.Context, d roster.Device) error {
	enrolment, err := g.take(ctx, d.Enrolment)
	if err != nil {
		return err
	}
	if err := g.bodies(ctx, enrolment, roster.SectionEnrolment); err != nil {
		return err
	}
	if err := g.token(ctx, d, enrolment); err != nil {
		return err
	}
	if err := g.lately(ctx); err != nil {
		return err
	}
	if err := g.twices(ctx); err != nil {
		return err
	}
	if err := g.heard(ctx, enrolment); err != nil {
		return err
	}
	if err := g.recovery(ctx); err != nil {
		return err
	}
	if err := g.disputes(ctx); err != nil {
		return err
	}
	reports, err := g.reports(ctx, d, enrolment)
	if err != nil || len(reports) == 0 {
		return err
	}
	if err := g.state(ctx, reports); err != nil {
		return err
	}
	if err := g.policy(ctx, reports[len(reports)-1].statement.Policy); err != nil {
		return err
	}
	return g.gaps(ctx, enrolment, reports)
}

// token takes the token that admitted the device: it says who let it in.
func (g *gathering) token(ctx context.Context, d roster.Device, enrolment *Entry) error {
	e, err := g.Roster.Enrolment(ctx, d)
	if err != nil || e.Token == "" {
		return err
	}
	return g.backwards(ctx, 0, ledger.Index(enrolment.Index), func(r ledger.Record) (done bool, err error) {
		if r.Envelope.Kind != proof.KindToken || r.Envelope.Subject != "token:"+e.Token {
			return false, nil
		}
		taken, err := g.takeRecord(r)
		if err != nil {
			return false, err
		}
		return true, g.bodies(ctx, taken, roster.SectionToken)
	})
}

// reports takes every report that the device made up to the moment, oldest
// first.
func (g *gathering) reports(ctx context.Context, d roster.Device, enrolment *Entry) ([]signedReport, error) {
	if d.Last == 0 {
		return nil, nil
	}
	var list []signedReport
	records := map[uint64]ledger.Record{}
	for i, ok := d.Entry, true; ok; {
		if uint64(i) < g.size && !g.q.apart(i) {
			r, err := g.Ledger.Read(ctx, i)
			if err != nil {
				return nil, err
			}
			s, err := proof.DecodeReportStatement(r.Envelope.Statement)
			if err != nil {
				return nil, fmt.Errorf("read report in entry %d: %w", i, err)
			}
			list = append(list, signedReport{entry{uint64(i), r.Envelope}, s})
			records[uint64(i)] = r
		}
		if len(list) > mostReports {
			return nil, fmt.Errorf("it made more than %d reports", mostReports)
		}
		var err error
		if i, ok, err = g.Ledger.Before(i); err != nil {
			return nil, err
		}
	}
	slices.Reverse(list)
	admitted, err := proof.DecodeEnvelope(enrolment.Envelope)
	if err != nil {
		return nil, err
	}
	list = list[:upTo(entry{enrolment.Index, admitted}, list, g.q.At)]
	for _, r := range list {
		if _, err := g.takeRecord(records[r.index]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// state takes what the reports said of encryption, what the last of them said
// of everything else that matters, and the media of the last days.
func (g *gathering) state(ctx context.Context, reports []signedReport) error {
	last := reports[len(reports)-1]
	bySequence := map[uint64]signedReport{}
	for _, r := range reports {
		bySequence[r.statement.Sequence] = r
		names := []string{wire.Encryption}
		if r.mayTellOf(g.q.At.AddDate(0, 0, -mediaDays)) {
			names = append(names, wire.MediaEvents)
		}
		if err := g.bodies(ctx, g.taken[ledger.Index(r.index)], names...); err != nil {
			return err
		}
	}
	for _, ref := range last.statement.Sections {
		if !slices.Contains([]string{wire.System, wire.Antivirus, wire.Media, wire.Security}, ref.Name) {
			continue
		}
		if r, ok := bySequence[ref.Carried]; ok {
			if err := g.bodies(ctx, g.taken[ledger.Index(r.index)], ref.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// atOnce is how many entries are read at once, backwards.
const atOnce = 256

// backwards visits entries, the last first, until one is what was looked for.
func (g *gathering) backwards(ctx context.Context, first, end ledger.Index, visit func(ledger.Record) (done bool, err error)) error {
	for end > first {
		from := max(first, end-min(end, atOnce))
		records := make([]ledger.Record, 0, atOnce)
		for r, err := range g.Ledger.Entries(ctx, from, end) {
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		for _, r := range slices.Backward(records) {
			if done, err := visit(r); done || err != nil {
				return err
			}
		}
		end = from
	}
	return nil
}

// policy takes the policy that judged the last report: what it said can be read.
func (g *gathering) policy(ctx context.Context, number uint64) error {
	i := slices.IndexFunc(g.q.Policies, func(p Policy) bool { return p.Number == number })
	if i < 0 {
		return nil
	}
	p := g.q.Policies[i]
	if p.Silence > 0 {
		g.silence = p.Silence
	}
	if number == 0 || p.Entry >= g.size {
		return nil // it is built into the agent, or of later
	}
	e, err := g.take(ctx, ledger.Index(p.Entry))
	if err != nil {
		return err
	}
	return g.bodies(ctx, e, roster.SectionPolicy)
}

// gaps takes the collector's own word on reports that are missing. They stand
// beside the reports that showed it.
func (g *gathering) gaps(ctx context.Context, enrolment *Entry, reports []signedReport) error {
	before, next, hash := enrolment.Index, uint64(1), proof.Digest{}
	for _, r := range reports {
		if r.statement.Sequence != next || r.statement.Previous != hash {
			if err := g.gapsBetween(ctx, ledger.Index(before), ledger.Index(r.index)); err != nil {
				return err
			}
		}
		before, next, hash = r.index, r.statement.Sequence+1, proof.HashReport(r.envelope.Statement)
	}
	return nil
}

func (g *gathering) gapsBetween(ctx context.Context, after, until ledger.Index) error {
	for r, err := range g.Ledger.Entries(ctx, after+1, until) {
		if err != nil {
			return err
		}
		if r.Envelope.Kind != proof.KindGap || r.Envelope.Subject != string(g.q.Device) || !has(r.Envelope, roster.SectionGap) {
			continue
		}
		e, err := g.takeRecord(r)
		if err != nil {
			return err
		}
		if err := g.bodies(ctx, e, roster.SectionGap); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) take(ctx context.Context, i ledger.Index) (*Entry, error) {
	r, err := g.Ledger.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	return g.takeRecord(r)
}

func (g *gathering) takeRecord(r ledger.Record) (*Entry, error) {
	if e, ok := g.taken[r.Index]; ok {
		return e, nil
	}
	p, err := g.Ledger.ProveInclusion(r.Index, g.size)
	if err != nil {
		return nil, err
	}
	e := &Entry{Index: uint64(r.Index), Envelope: r.Encoded, Path: append([]proof.Digest{}, p.Path...), Sections: []Section{}}
	g.taken[r.Index] = e
	return e, nil
}

// bodies takes the sections of these names that came with an entry and were
// not forgotten.
func (g *gathering) bodies(ctx context.Context, e *Entry, names ...string) error {
	r, err := g.Ledger.Read(ctx, ledger.Index(e.Index))
	if err != nil {
		return err
	}
	for n, ref := range r.Envelope.Sections {
		if !slices.Contains(names, ref.Name) {
			continue
		}
		if err := g.body(ctx, e, r, n); err != nil {
			return err
		}
	}
	return nil
}

// decided returns what a decision says in a section; ok is false if the entry is
// none, has no such section, or it was forgotten.
func (g *gathering) decided(ctx context.Context, r ledger.Record, section string) (body []byte, ok bool, err error) {
	n := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == section })
	if r.Envelope.Kind != proof.KindDecision || n < 0 {
		return nil, false, nil
	}
	s, err := g.Ledger.Section(ctx, r, n)
	if errors.Is(err, ledger.ErrForgotten) {
		return nil, false, nil
	}
	return s.Body, err == nil, err
}

func (g *gathering) body(ctx context.Context, e *Entry, r ledger.Record, n int) error {
	if slices.ContainsFunc(e.Sections, func(s Section) bool { return s.Number == n }) {
		return nil
	}
	s, err := g.Ledger.Section(ctx, r, n)
	if errors.Is(err, ledger.ErrForgotten) {
		return nil
	}
	if err != nil {
		return err
	}
	e.Sections = append(e.Sections, Section{Number: n, Salt: s.Salt[:], Body: s.Body})
	return nil
}

func (g *gathering) entries() []Entry {
	list := make([]Entry, 0, len(g.taken))
	for _, e := range g.taken {
		slices.SortFunc(e.Sections, func(a, b Section) int { return a.Number - b.Number })
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return int(int64(a.Index) - int64(b.Index)) })
	return list
}
