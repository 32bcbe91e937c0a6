package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// report takes in a device's report.
func (f *folder) report(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	st, err := proof.DecodeReportStatement(r.Envelope.Statement)
	if err != nil {
		return &notUnderstoodError{err}
	}
	was, _, err := tx.Device(posture.DeviceID(st.Device))
	if err != nil || (was.ID != "" && st.Sequence <= was.LastReport) {
		return err // a repeat is no news
	}
	row := was
	row.ID = posture.DeviceID(st.Device)
	received, madeAt := moment(r.Envelope.ReceivedAt), moment(st.MadeAt)
	j, err := f.judge(ctx, tx, row, received, order(r.Index, 0))
	if err != nil {
		return err
	}
	if err := j.heard(); err != nil {
		return err
	}
	j.row.Clock = hear(row.Clock, st.Boot, st.Uptime, madeAt, received)
	if err := j.number(st, received); err != nil {
		return err
	}
	j.row.ReportedAt, j.row.ObservedAt = madeAt, observed(j.row.Clock, madeAt, received)
	j.row.HeldAt, j.row.Policy, j.row.Assignment, j.row.Entry = time.Time{}, st.Policy, st.Assignment, uint64(r.Index)
	j.row.Places = places(row.Places, st, r)
	read, err := read(ctx, f.school.Ledger, j.row.Places)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents }) {
		// The section is left out of a report if nothing came or went.
		read.facts.MediaEvents = posture.Answer[posture.MediumEvent]{Absent: posture.None, ReadAt: madeAt}
	}
	j.describe(read.facts, received)
	return f.judgeReport(ctx, j, was, st, read, madeAt, r)
}

// judgeReport judges what a report says, and writes it all.
func (f *folder) judgeReport(ctx context.Context, j *judgement, was view.DeviceRow, st proof.ReportStatement, read reading, madeAt time.Time, r ledger.Record) error {
	named, known, err := f.policy(ctx, j.tx, st.Policy)
	if err != nil {
		return err
	}
	assignment, _, err := j.tx.Assignment(j.row.ID, st.Assignment)
	if err != nil {
		return err
	}
	j.row.Ownership = cmp.Or(assignment.Ownership, j.row.Ownership)
	j.row.Disagreements = nil
	if known && read.whole {
		j.row.Disagreements = disagreements(read.findings, named.loaded.Evaluate(assignment, read.facts, madeAt))
	}
	if err := j.events(st, read.facts, r); err != nil {
		return err
	}
	if err := j.device(read, named, known); err != nil {
		return err
	}
	if err := j.school(assignment); err != nil {
		return err
	}
	j.row.Recheck = false
	return j.save(was)
}

// heard takes in that the device was heard from: what had lapsed by then did.
func (j *judgement) heard() error {
	for _, id := range j.tx.Rules(j.row.Vector) {
		if err := j.lapse(id); err != nil {
			return err
		}
	}
	j.row.LastContact = j.received
	j.row.SetTimes(j.row.EncryptionAt())
	return nil
}

// number follows the sequence of reports: what is missing is a gap.
func (j *judgement) number(st proof.ReportStatement, received time.Time) error {
	full := true
	for _, s := range st.Sections {
		full = full && s.Carried == st.Sequence
	}
	if missing := st.Sequence - j.row.LastReport - 1; missing > 0 {
		j.row.Dropped += int(min(missing, 1<<31))
		g := view.Gap{From: j.row.LastReport + 1, To: st.Sequence - 1, Reason: roster.GapUnknown, At: received}
		if err := j.tx.PutGap(j.row.ID, g); err != nil {
			return err
		}
	} else if full {
		j.row.Dropped = 0
	}
	j.row.LastReport = st.Sequence
	return nil
}

// places finds where the ledger keeps each section that a statement names.
func places(before []view.Place, st proof.ReportStatement, r ledger.Record) []view.Place {
	var list []view.Place
	for _, ref := range st.Sections {
		p := view.Place{Name: ref.Name, Digest: ref.Digest.String(), ReadAt: moment(ref.ReadAt)}
		i := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == ref.Name && s.Digest == ref.Digest })
		if i >= 0 {
			p.Entry, p.Section = uint64(r.Index), i
			list = append(list, p)
			continue
		}
		for _, b := range before {
			if b.Name == p.Name && b.Digest == p.Digest {
				p.Entry, p.Section = b.Entry, b.Section
				list = append(list, p)
			}
		}
	}
	return list
}

// reading is what the ledger holds of a device's state.
type reading struct {
	facts    posture.Facts
	findings []posture.Finding
	judged   bool // the findings could be read
	whole    bool // and so could everything else
}

// read reads sections back. What was forgotten is not asked, and what cannot be
// decoded is unreadable: neither is ever a fact.
func read(ctx context.Context, source Source, places []view.Place) (reading, error) {
	r := reading{whole: true}
	for _, p := range places {
		data, err := source.Body(ctx, ledger.Index(p.Entry), p.Section)
		if errors.Is(err, ledger.ErrForgotten) {
			r.whole = false
			continue
		}
		if err != nil {
			return r, fmt.Errorf("read section %s of entry %d: %w", p.Name, p.Entry, err)
		}
		err = wire.DecodeSection(p.Name, data, p.ReadAt, &r.facts, &r.findings)
		switch {
		case errors.Is(err, wire.ErrUnknownSection):
		case err != nil:
			r.whole = false
		case p.Name == wire.Findings:
			r.judged = true
		}
	}
	if !r.judged {
		r.findings, r.whole = nil, false
	}
	return r, nil
}

// describe takes what the row says about the device from its facts.
func (j *judgement) describe(facts posture.Facts, received time.Time) {
	if len(facts.System.Items) == 1 {
		s := facts.System.Items[0]
		j.row.Hostname, j.row.Platform = cmp.Or(s.Hostname, j.row.Hostname), cmp.Or(s.Platform, j.row.Platform)
		j.row.OSName, j.row.Chassis = s.OSName.Value, string(s.Chassis.Value)
	}
	encryptionAt := j.row.EncryptionAt()
	j.row.Proven = slices.ContainsFunc(facts.Volumes.Items, func(v posture.Volume) bool {
		return v.Role == posture.SystemVolume && v.Encryption.Known()
	})
	j.row.Vector = view.Vector{Rules: j.row.Vector.Rules}
	for _, p := range j.row.Places {
		at := observed(j.row.Clock, p.ReadAt, received)
		j.row.Vector.SetRead(p.Name, at)
		if p.Name == wire.Encryption && j.row.Proven && at.After(encryptionAt) {
			encryptionAt = at
		}
	}
	j.row.SetTimes(encryptionAt)
	j.row.ProbeErrors = 0
	for _, absent := range []posture.Absence{
		facts.System.Absent, facts.Volumes.Absent, facts.Antivirus.Absent, facts.Media.Absent,
		facts.Programs.Absent, facts.Executables.Absent, facts.Security.Absent,
	} {
		if absent == posture.TimedOut || absent == posture.Unreadable {
			j.row.ProbeErrors++
		}
	}
}

// events records the media that came and went since the report before.
func (j *judgement) events(st proof.ReportStatement, facts posture.Facts, r ledger.Record) error {
	for _, s := range st.Sections {
		if s.Name != wire.MediaEvents || s.Carried != st.Sequence {
			continue
		}
		for _, e := range facts.MediaEvents.Items {
			j.row.Events++
			if err := j.tx.PutEvent(j.row.ID, j.row.Events, view.MediumEvent{MediumEvent: e, Entry: uint64(r.Index)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// device takes in what the device found.
func (j *judgement) device(read reading, named *prepared, known bool) error {
	own := func(id string) bool {
		rule, ok := j.policy.words.Rule(id)
		return ok && rule.Side == policy.AtSchool
	}
	found := map[string]bool{}
	for _, group := range byRule(read.findings) {
		id := group[0].Rule
		if own(id) {
			continue // a device does not judge the school's rules
		}
		found[id] = true
		if err := j.apply(id, group, whole(read.facts, group[0].Subject.Kind), j.row.ObservedAt, 1); err != nil {
			return err
		}
	}
	for _, id := range j.tx.Rules(j.row.Vector) {
		if found[id] || own(id) {
			continue
		}
		still := true
		if known {
			_, still = named.words.Rule(id)
		}
		var err error
		if still {
			// The device says nothing about a rule that it was to judge.
			err = j.apply(id, nil, false, j.row.ObservedAt, 1)
			t := j.tallies[id]
			if err == nil {
				t.Add(posture.Unknown, time.Time{})
			}
		} else {
			err = j.withdraw(id, j.row.ObservedAt)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole reports whether the facts tell of every subject of a kind.
func whole(f posture.Facts, kind string) bool {
	switch kind {
	case "volume":
		return f.Volumes.Complete()
	case "antivirus":
		return f.Antivirus.Complete()
	case "medium":
		return f.Media.Complete()
	case "program":
		return f.Programs.Complete()
	case "executable":
		return f.Executables.Complete()
	}
	return true
}

// byRule groups findings by rule, in the order of rules.
func byRule(findings []posture.Finding) [][]posture.Finding {
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b posture.Finding) int { return strings.Compare(a.Rule, b.Rule) })
	var groups [][]posture.Finding
	for i, f := range sorted {
		if i == 0 || sorted[i-1].Rule != f.Rule {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], f)
	}
	return groups
}

// disagreements lists the rules on which two judgements of the same facts
// differ in result, severity or grace for any subject.
func disagreements(theirs, ours []posture.Finding) []string {
	type verdict struct{ rule, kind, key string }
	type outcome struct {
		result   posture.Result
		severity posture.Severity
		grace    time.Duration
	}
	index := func(findings []posture.Finding) map[verdict]outcome {
		m := make(map[verdict]outcome, len(findings))
		for _, f := range findings {
			m[verdict{f.Rule, f.Subject.Kind, f.Subject.Key}] = outcome{f.Result, f.Severity, f.Grace.Truncate(time.Second)}
		}
		return m
	}
	a, b := index(theirs), index(ours)
	var rules []string
	compare := func(x, y map[verdict]outcome) {
		for k, o := range x {
			if other, ok := y[k]; (!ok || other != o) && !slices.Contains(rules, k.rule) {
				rules = append(rules, k.rule)
			}
		}
	}
	compare(a, b)
	compare(b, a)
	slices.Sort(rules)
	return rules
}
