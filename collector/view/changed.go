package view

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ChangeKind is a sort of change at a school.
type ChangeKind string

// The sorts of change.
const (
	Opened   ChangeKind = "opened"   // something does not meet a rule, or was heard of only now
	Closed   ChangeKind = "closed"   // it does again, or is gone
	Silenced ChangeKind = "silent"   // a device was not heard from for longer than the policy allows
	Exempted ChangeKind = "exempted" // an exemption was approved
	Enrolled ChangeKind = "enrolled" // a device is new
)

// ChangeKinds lists the sorts, in the order in which they need somebody.
func ChangeKinds() []ChangeKind { return []ChangeKind{Opened, Silenced, Closed, Exempted, Enrolled} }

// Change is one thing that changed.
type Change struct {
	At       time.Time         `json:"at"`
	What     ChangeKind        `json:"what"`
	Device   posture.DeviceID  `json:"device,omitempty"` // none of an exemption for a group, or for all
	Hostname string            `json:"hostname,omitempty"`
	AssetTag string            `json:"assetTag,omitempty"`
	Rule     string            `json:"rule,omitempty"`
	Title    string            `json:"title,omitempty"` // of the rule
	Label    string            `json:"label,omitempty"` // of the subject
	Severity posture.Severity  `json:"severity"`
	Closed   breach.Resolution `json:"resolution,omitempty"` // with Closed: what did
	Late     bool              `json:"late,omitempty"`       // with Opened: it began before the time that is asked about
	Number   int               `json:"number,omitempty"`     // of the breach
	subject  breach.Key
}

// Cause counts what changed about one rule.
type Cause struct {
	Rule     string           `json:"rule"`
	Title    string           `json:"title"`
	Severity posture.Severity `json:"severity"` // the gravest of what opened
	Opened   int              `json:"opened"`
	Closed   int              `json:"closed"`
	Last     time.Time        `json:"last"` // the newest change
}

// ChangedQuery asks what changed at a school. Empty fields select all.
type ChangedQuery struct {
	Since time.Time
	What  ChangeKind
	Rule  string
	From  int // of the list: how many changes to pass over
	Limit int // 0 for 50; at most 500
}

// Changed is what changed at a school since a moment.
type Changed struct {
	School  posture.SchoolID   `json:"school"`
	Since   time.Time          `json:"since"`
	At      time.Time          `json:"at"`
	Counts  map[ChangeKind]int `json:"counts"`
	Causes  []Cause            `json:"causes"`  // those about which something changed last come first
	Changes []Change           `json:"changes"` // the newest first; a page of what was asked for
	Found   int                `json:"found"`   // how many there are of what was asked for
	// Cut says that there was more of a sort than is counted.
	Cut bool `json:"cut,omitempty"`
}

// mostChanges bounds how many changes of one sort are looked at.
const mostChanges = 2000

func openedKey(school posture.SchoolID, b breach.Breach) []byte {
	return number(breachParts(number(key(school, famOpened), ^ms(b.ReceivedAt)), b.Key), uint64(b.Number))
}

func closedKey(school posture.SchoolID, b breach.Breach) []byte {
	return number(breachParts(number(key(school, famClosed), ^ms(b.ResolvedAt)), b.Key), uint64(b.Number))
}

func enrolledKey(school posture.SchoolID, d *DeviceRow) []byte {
	return text(number(key(school, famEnrolled), ^ms(d.EnrolledAt)), string(d.ID))
}

// Changed returns what changed at a school since a moment: what is known of it by
// now.
func (q *Queries) Changed(ctx context.Context, school posture.SchoolID, query ChangedQuery, now time.Time) (Changed, error) {
	out := Changed{School: school, Since: query.Since, At: now, Counts: map[ChangeKind]int{}, Causes: []Cause{}, Changes: []Change{}}
	var all []Change
	lapses, err := q.Breaches(ctx, school, BreachQuery{Limit: 500, Statuses: breach.Statuses()}, now)
	if err != nil {
		return out, err
	}
	err = q.read(ctx, school, now, func(r *reader) error {
		c := changes{reader: r, since: query.Since, rows: map[posture.DeviceID]DeviceRow{}}
		for _, look := range []func() error{c.opened, c.closed, c.silent, c.enrolled, c.exempted} {
			if err := look(); err != nil {
				return err
			}
		}
		c.lapsed(lapses)
		all, out.Cut = c.list, c.cut
		return nil
	})
	if err != nil {
		return out, err
	}
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.What, b.What), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Label, b.Label))
	})
	out.count(all)
	all = slices.DeleteFunc(all, func(c Change) bool {
		return query.What != "" && c.What != query.What || query.Rule != "" && c.Rule != query.Rule
	})
	out.Found = len(all)
	from := min(max(0, query.From), len(all))
	out.Changes = append(out.Changes, all[from:min(from+pageSize(query.Limit), len(all))]...)
	return out, nil
}

// count counts changes by sort and by rule.
func (out *Changed) count(all []Change) {
	for _, k := range ChangeKinds() {
		out.Counts[k] = 0
	}
	for _, c := range all {
		out.Counts[c.What]++
		if c.What != Opened && c.What != Closed {
			continue
		}
		i := slices.IndexFunc(out.Causes, func(k Cause) bool { return k.Rule == c.Rule })
		if i < 0 {
			i = len(out.Causes)
			out.Causes = append(out.Causes, Cause{Rule: c.Rule, Title: c.Title, Last: c.At})
		}
		if c.What == Closed {
			out.Causes[i].Closed++
			continue
		}
		out.Causes[i].Opened++
		out.Causes[i].Severity = max(out.Causes[i].Severity, c.Severity)
	}
}

// changes gathers what changed.
type changes struct {
	*reader
	since time.Time
	rows  map[posture.DeviceID]DeviceRow
	list  []Change
	cut   bool
}

// after calls f with what follows the moment in each key of a family that begins
// with the complement of one, from now back to since.
func (c *changes) after(family string, upTo, since uint64, f func(at uint64, k []byte) error) error {
	prefix := key(c.school.ID, family)
	n := 0
	return c.eachFrom(prefix, number(bytes.Clone(prefix), ^upTo), false, func(k []byte, _ *badger.Item) (bool, error) {
		if len(k) < 8 || ^binary.BigEndian.Uint64(k) < since {
			return false, nil
		}
		if n++; n > mostChanges {
			c.cut = true
			return false, nil
		}
		return true, f(^binary.BigEndian.Uint64(k), k[8:])
	})
}

func (c *changes) device(id posture.DeviceID) (DeviceRow, error) {
	row, ok := c.rows[id]
	if !ok {
		var err error
		if row, _, err = c.row(id); err != nil {
			return row, err
		}
		c.rows[id] = row
	}
	return row, nil
}

// breachAt reads the breach that a key names: its parts and its number.
func (c *changes) breachAt(k []byte) (Breach, error) {
	var b breach.Breach
	rest, ok := parseBreach(k, &b.Key)
	if !ok || len(rest) != 8 {
		return Breach{}, errRow
	}
	wanted := int(binary.BigEndian.Uint64(rest))
	found, err := c.getRow(caseKey(c.school.ID, b.Key), breachRow{Breach: &b})
	if err == nil && (!found || b.Number != wanted) {
		b = breach.Breach{Key: b.Key, Number: wanted}
		found, err = c.getRow(pastKey(c.school.ID, b), breachRow{Breach: &b})
	}
	if err == nil && !found {
		err = fmt.Errorf("a list of changes names %v, which has no row", b.Key)
	}
	if err != nil {
		return Breach{}, err
	}
	row, err := c.device(b.Device)
	return c.words(b, row), err
}

func (c *changes) add(what ChangeKind, at time.Time, b Breach) {
	c.list = append(c.list, Change{
		At: at, What: what, Device: b.Device, Hostname: b.Hostname, AssetTag: b.AssetTag, Rule: b.Rule, Title: b.Title,
		Label: b.Subject.Label, Severity: b.Severity, Number: b.Number,
		subject: breach.Key{Device: b.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key},
	})
}

func (c *changes) opened() error {
	return c.after(famOpened, c.nowMs, ms(c.since), func(at uint64, k []byte) error {
		b, err := c.breachAt(k)
		if err != nil || b.Status == breach.NotYet {
			return err
		}
		c.add(Opened, b.ReceivedAt, b)
		c.list[len(c.list)-1].Late = b.FirstFailed.Before(c.since)
		return nil
	})
}

func (c *changes) closed() error {
	return c.after(famClosed, c.nowMs, ms(c.since), func(at uint64, k []byte) error {
		b, err := c.breachAt(k)
		if err != nil {
			return err
		}
		if again, err := c.lapsedAgain(b); err != nil || again {
			return err
		}
		c.add(Closed, b.ResolvedAt, b)
		c.list[len(c.list)-1].Closed = b.Resolution
		return nil
	})
}

// lapsedAgain reports whether a breach that was resolved goes on, because nothing
// was heard of its device since: then lists have it as one that is open.
func (c *changes) lapsedAgain(b Breach) (bool, error) {
	if b.Subject.Kind != "device" {
		return false, nil
	}
	row, err := c.device(b.Device)
	if err != nil {
		return false, err
	}
	lapses, err := c.lapses(b.Device, &row.Vector, false)
	return slices.ContainsFunc(lapses, func(l lapse) bool {
		return l.reopens() && l.breach.Rule == b.Rule && l.breach.Number == b.Number
	}), err
}

// lapsed adds what fails by the passing of time alone, of which there is no row:
// lists of breaches have it.
func (c *changes) lapsed(page BreachPage) {
	for _, b := range page.Breaches {
		if b.FirstFailed.Before(c.since) {
			return
		}
		k := breach.Key{Device: b.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key}
		known := slices.ContainsFunc(c.list, func(o Change) bool { return o.subject == k && o.Number == b.Number })
		if !known && b.ResolvedAt.IsZero() && b.Silent {
			c.add(Opened, b.FirstFailed, b)
		}
	}
	c.cut = c.cut || page.Next != ""
}

// silent adds the devices for which the time ran out in which they were to be
// heard from.
func (c *changes) silent() error {
	allowed := millis(c.policy.Silence)
	if c.nowMs < allowed {
		return nil
	}
	from := uint64(1)
	if s := ms(c.since); s > allowed {
		from = s - allowed
	}
	return c.after(famHeard, c.nowMs-allowed-1, from, func(heard uint64, k []byte) error {
		id, _, ok := part(k)
		if !ok {
			return errRow
		}
		row, err := c.device(posture.DeviceID(id))
		if err == nil && row.RevokedAt.IsZero() {
			c.list = append(c.list, Change{At: at(heard + allowed), What: Silenced, Device: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag})
		}
		return err
	})
}

func (c *changes) enrolled() error {
	return c.after(famEnrolled, c.nowMs, ms(c.since), func(enrolled uint64, k []byte) error {
		id, _, ok := part(k)
		if !ok {
			return errRow
		}
		row, err := c.device(posture.DeviceID(id))
		if err == nil {
			c.list = append(c.list, Change{At: at(enrolled), What: Enrolled, Device: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag})
		}
		return err
	})
}

// exempted adds the exemptions that were approved: of those that were asked for
// lately, for one that waits for long ends before anybody approves it.
func (c *changes) exempted() error {
	n := 0
	return c.each(key(c.school.ID, famAsked), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		if n++; n > mostChanges {
			c.cut = true
			return false, nil
		}
		e, err := c.asked(k)
		if err != nil || !e.Approved.Done() || e.Approved.At.Before(c.since) || e.Approved.At.After(c.now) {
			return true, err
		}
		shown, err := c.exemption(e)
		if err != nil {
			return false, err
		}
		row, err := c.device(e.Scope.Device)
		c.list = append(c.list, Change{
			At: e.Approved.At, What: Exempted, Device: e.Scope.Device, Hostname: shown.Hostname, AssetTag: row.AssetTag, Rule: e.Scope.Rule, Title: shown.Title,
		})
		return true, err
	})
}
