package projection

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// saysNoEvents reports whether the report of an entry says that no media came
// and went: it has no section of them.
func saysNoEvents(ctx context.Context, source Source, entry uint64) (bool, error) {
	r, err := source.Read(ctx, ledger.Index(entry))
	if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, err := proof.DecodeReportStatement(r.Envelope.Statement)
	if err != nil {
		return false, nil //nolint:nilerr // what is not understood says nothing
	}
	return !slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents }), nil
}

const (
	// mostPast is how many reports a preview judges again at most.
	mostPast = 50_000
	// pastMemory is what is kept of devices between their reports, in bytes.
	pastMemory = 64 << 20
	// MostDays is how far back a preview looks at most.
	MostDays = 400
)

// past judges the reports of the last days by the drafted policy, in the order of
// the ledger, each with what the device had said by then.
type past struct {
	*trial
	memories *memories
	devices  map[posture.DeviceID]*pastDevice
	found    view.PreviewHistory
	lost     map[posture.DeviceID][]view.QuarantineSpan // when devices were marked lost
}

// apart reports whether an entry came from a device while it was marked lost.
func (p *past) apart(r ledger.Record) bool {
	return slices.ContainsFunc(p.lost[posture.DeviceID(r.Envelope.Subject)], func(s view.QuarantineSpan) bool { return s.Holds(uint64(r.Index)) })
}

// pastDevice is a device as its reports are gone through.
type pastDevice struct {
	places     []view.Place
	assignment policy.Assignment
	assigned   uint64
	failed     map[string]bool // by rule: in some report; in the last one too, if true
}

// history looks at the reports of the last days.
func (t *trial) history(ctx context.Context) (*view.PreviewHistory, error) {
	p := &past{trial: t, memories: newMemories(pastMemory), devices: map[posture.DeviceID]*pastDevice{}}
	days := min(t.Days, MostDays)
	p.found = view.PreviewHistory{Asked: days, From: t.Now.AddDate(0, 0, -days)}
	first, err := p.begin(ctx)
	if err == nil {
		p.lost, err = t.view.Queries().Quarantines(ctx, t.school.ID)
	}
	if err != nil {
		return nil, err
	}
	err = p.entries(ctx, 0, ledger.Index(t.folded), func(r ledger.Record) error {
		if r.Envelope.Kind != proof.KindReport || p.apart(r) {
			return nil // what a lost laptop said shows nowhere
		}
		return p.report(ctx, r, r.Index >= first)
	})
	if err != nil {
		return nil, err
	}
	p.sum()
	return &p.found, nil
}

// entries calls f with some entries in order. One that is damaged is passed over:
// what it brought is then not known of the reports that carry it.
func (p *past) entries(ctx context.Context, first, end ledger.Index, f func(ledger.Record) error) error {
	for next := first; next < end; {
		for r, err := range p.school.Ledger.Entries(ctx, next, end) {
			if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
				break
			}
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
			next = r.Index + 1
		}
		if next < end {
			next++
		}
	}
	return nil
}

// begin finds the first entry that is looked at: of those since the day that was
// asked for the newest, as many as a preview judges.
func (p *past) begin(ctx context.Context) (first ledger.Index, err error) {
	const block = 1024
	reports, oldest := 0, p.Now
	first = ledger.Index(p.folded)
	for end := first; end > 0; {
		from := end - min(end, block)
		var records []ledger.Record
		err := p.entries(ctx, from, end, func(r ledger.Record) error {
			records = append(records, r)
			return nil
		})
		if err != nil {
			return 0, err
		}
		for _, r := range slices.Backward(records) {
			at := moment(r.Envelope.ReceivedAt)
			if at.Before(p.found.From) {
				return first, nil
			}
			if r.Envelope.Kind == proof.KindReport {
				if reports++; reports > mostPast {
					p.found.Cut = "a preview judges no more than the last 50,000 reports"
					p.found.From = oldest
					return first, nil
				}
				oldest = at
			}
			first = r.Index
		}
		end = from
	}
	p.found.Cut = "the record is no older"
	p.found.From = oldest
	return first, nil
}

// report follows where a device's state lies, and judges a report that is looked at.
func (p *past) report(ctx context.Context, r ledger.Record, judged bool) error {
	st, err := proof.DecodeReportStatement(r.Envelope.Statement)
	if err != nil {
		return nil //nolint:nilerr // what is not understood was not shown either
	}
	id := posture.DeviceID(st.Device)
	d := p.devices[id]
	if d == nil {
		d = &pastDevice{failed: map[string]bool{}}
		p.devices[id] = d
	}
	q := question{madeAt: moment(st.MadeAt), named: p.drafted}
	q.places, q.lost = places(d.places, st, r)
	d.places = q.places
	if !judged {
		return nil
	}
	q.noEvents = !slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents })
	if d.assigned != st.Assignment || d.assigned == 0 {
		err := p.view.Try(p.school.ID, func(tx *view.Tx) (err error) {
			d.assignment, _, err = tx.Assignment(id, st.Assignment)
			return err
		})
		if err != nil {
			return err
		}
		d.assigned = st.Assignment
	}
	q.assignment = d.assignment
	x, err := examine(ctx, p.school.Ledger, &r, q, p.memories.of[id])
	if err != nil {
		return err
	}
	p.memories.put(id, x.memory)
	p.found.Reports++
	if len(x.memory.found) == 0 {
		p.found.Partly++
		return nil
	}
	for i, rule := range p.drafted.device {
		fails := failsIn(x.memory.found[i].outcome.Value())
		if _, ever := d.failed[rule.ID]; ever || fails {
			d.failed[rule.ID] = fails
		}
	}
	return nil
}

// failsIn reports whether an outcome holds a failure.
func failsIn(outcome string) bool {
	b := []byte(outcome)
	for len(b) > 0 {
		for range 2 { // the kind and the key of the subject
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return false
			}
			b = b[n+int(size):]
		}
		if len(b) < 2 {
			return false
		}
		if posture.Result(b[0]) == posture.Fail {
			return true
		}
		_, n := binary.Varint(b[2:])
		if n <= 0 {
			return false
		}
		b = b[2+n:]
	}
	return false
}

// sum counts the devices that failed each rule.
func (p *past) sum() {
	p.found.Days = int((p.Now.Sub(p.found.From) + 24*time.Hour - 1) / (24 * time.Hour))
	p.found.Rules = []view.HistoryRule{}
	for _, r := range p.drafted.device {
		h := view.HistoryRule{Rule: r.ID}
		for _, d := range p.devices {
			if last, ever := d.failed[r.ID]; ever {
				h.Devices++
				if last {
					h.Now++
				}
			}
		}
		if h.Devices > 0 {
			p.found.Rules = append(p.found.Rules, h)
		}
	}
}
