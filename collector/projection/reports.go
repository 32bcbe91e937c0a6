package projection

import (
	"cmp"
	"context"
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
	if err != nil {
		return err
	}
	if was.Apart == view.IsApart {
		return f.reportApart(ctx, tx, was, st, r)
	}
	if was.ReplacedBy != "" || doubted(was) {
		return nil // it came in between, and is of a computer that is another device now, or of two
	}
	row, err := back(tx, was)
	if err != nil || (was.ID != "" && st.Sequence <= row.LastReport) {
		return err // a repeat is no news
	}
	row.ID, row.Twice = posture.DeviceID(st.Device), view.Twice{}
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
	q, err := f.question(ctx, tx, row.ID, row.Places, st, r)
	if err != nil {
		return err
	}
	x, err := f.examine(ctx, q, row.ID, r)
	if err != nil {
		return err
	}
	j.row.Places = q.places
	j.describe(x.facts, received)
	if err := j.identify(st, x.facts); err != nil {
		return err
	}
	return f.judgeReport(j, was, st, x, r)
}

// question returns what is to be known about a report, given where the ledger
// keeps the device's state before it.
func (f *folder) question(ctx context.Context, tx *view.Tx, id posture.DeviceID, before []view.Place, st proof.ReportStatement, r ledger.Record) (q question, err error) {
	q.madeAt = moment(st.MadeAt)
	q.places, q.lost = places(before, st, r)
	q.noEvents = !slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents })
	if q.named, _, err = f.policy(ctx, tx, st.Policy); err != nil {
		return q, err
	}
	q.assignment, _, err = tx.Assignment(id, st.Assignment)
	return q, err
}

// examine examines a report, unless that was done ahead.
func (f *folder) examine(ctx context.Context, q question, id posture.DeviceID, r ledger.Record) (x *examined, err error) {
	if x = f.ahead[r.Index]; x == nil || !x.same(q) {
		if x, err = examine(ctx, f.school.Ledger, &r, q, f.memories.of[id]); err != nil {
			return nil, err
		}
	}
	f.memories.put(id, x.memory)
	return x, nil
}

// judgeReport judges what a report says, and writes it all.
func (f *folder) judgeReport(j *judgement, was view.DeviceRow, st proof.ReportStatement, x *examined, r ledger.Record) error {
	for _, d := range x.damage {
		if err := f.note(j.tx, d); err != nil {
			return err
		}
	}
	j.row.Ownership = cmp.Or(x.assignment.Ownership, j.row.Ownership)
	j.row.Disagreements, j.row.Unproven = x.disagreements, x.unproven
	if err := j.events(st, x.facts, r); err != nil {
		return err
	}
	if err := j.media(was, x.facts, st, r); err != nil {
		return err
	}
	if err := j.device(x); err != nil {
		return err
	}
	if err := j.school(x.assignment); err != nil {
		return err
	}
	j.row.Recheck = false
	return j.save(was)
}

// heard takes in that the device was heard from: what had lapsed by then did,
// and of the time since it was last heard from some counts as online.
func (j *judgement) heard() error {
	if err := j.lapseAll(); err != nil {
		return err
	}
	last := j.row.LastContact
	j.row.Online += j.tx.Credit(last, j.received)
	j.row.LastContact = j.received
	j.row.SetTimes(j.row.EncryptionAt())
	if j.row.GraceDue > 0 && j.row.Online >= j.row.GraceDue || j.received.Before(last) {
		return j.tx.Graces(&j.row)
	}
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

// places finds where the ledger keeps each section that a statement names. lost
// are those of which that is not known: the entry that brought them is damaged.
func places(before []view.Place, st proof.ReportStatement, r ledger.Record) (list []view.Place, lost []string) {
	list = make([]view.Place, 0, len(st.Sections))
	for _, ref := range st.Sections {
		p := view.Place{Name: ref.Name, Digest: ref.Digest, ReadAt: moment(ref.ReadAt)}
		i := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == ref.Name && s.Digest == ref.Digest })
		if i >= 0 {
			p.Entry, p.Section = uint64(r.Index), i
			list = append(list, p)
			continue
		}
		i = slices.IndexFunc(before, func(b view.Place) bool { return b.Name == p.Name && b.Digest == p.Digest })
		if i < 0 {
			lost = append(lost, p.Name)
			continue
		}
		p.Entry, p.Section = before[i].Entry, before[i].Section
		list = append(list, p)
	}
	return list, lost
}

// describe takes what the row says about the device from its facts.
func (j *judgement) describe(facts posture.Facts, received time.Time) {
	if len(facts.System.Items) == 1 {
		s := facts.System.Items[0]
		j.row.Hostname, j.row.Platform = cmp.Or(s.Hostname, j.row.Hostname), cmp.Or(s.Platform, j.row.Platform)
		j.row.OSName, j.row.Chassis = s.OSName.Value, string(s.Chassis.Value)
	}
	j.row.Administrators = administrators(facts.Security)
	j.row.SaysOfItself(facts)
	encryptionAt := j.row.EncryptionAt()
	j.row.Proven = slices.ContainsFunc(facts.Volumes.Items, func(v posture.Volume) bool {
		return v.Role == posture.SystemVolume && v.Encryption.Known()
	})
	j.row.Vector = view.Vector{Rules: j.row.Vector.Rules, LoanEnds: j.row.Vector.LoanEnds, Leaves: j.row.Vector.Leaves}
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

// administrators returns how many accounts of people can administer the device:
// what was not read is not none.
func administrators(s posture.Answer[posture.Security]) posture.Reading[int64] {
	switch {
	case s.Absent != posture.None:
		return posture.Unread[int64](s.Absent)
	case len(s.Items) != 1:
		return posture.Unread[int64](posture.Unreadable)
	}
	return s.Items[0].Administrators
}

// identify notes by what the computer is known again, if the report says so
// anew.
func (j *judgement) identify(st proof.ReportStatement, facts posture.Facts) error {
	anew := slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.System && s.Carried == st.Sequence })
	if !anew || len(facts.System.Items) != 1 {
		return nil
	}
	return j.tx.PutHardware(j.row.ID, view.HardwareOf(facts.System.Items[0]))
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
func (j *judgement) device(x *examined) error {
	own := func(id string) bool {
		rule, ok := j.policy.rules[id]
		return ok && rule.Side == policy.AtSchool
	}
	j.named = x.named
	defer func() { j.named = nil }()
	found := map[string]bool{}
	for _, group := range byRule(x.findings) {
		id := group[0].Rule
		if own(id) {
			continue // a device does not judge the school's rules
		}
		found[id] = true
		if err := j.apply(id, group, whole(x.facts, group[0].Subject.Kind), j.row.ObservedAt, 1); err != nil {
			return err
		}
	}
	for _, id := range j.tx.Rules(j.row.Vector) {
		if found[id] || own(id) {
			continue
		}
		still := true
		if x.named != nil {
			_, still = x.named.rules[id]
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
