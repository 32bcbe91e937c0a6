package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// assetRoom is more than the row of an asset takes.
const assetRoom = 128 << 10

func assetKey(school posture.SchoolID, tag string) []byte {
	return text(key(school, famAsset), register.Key(tag))
}

// Asset returns the asset of a tag; without one it has no tag.
func (tx *Tx) Asset(tag string) (a register.Asset, err error) {
	_, err = tx.getJSON(assetKey(tx.school, tag), &a)
	return a, err
}

// PutAsset records an asset.
func (tx *Tx) PutAsset(a register.Asset) error {
	if err := tx.room(assetRoom); err != nil {
		return err
	}
	if err := tx.manage(a); err != nil {
		return err
	}
	was, err := tx.Asset(a.Tag)
	if err != nil {
		return err
	}
	if err := tx.coverAsset(was, a); err != nil {
		return err
	}
	if err := tx.putJSON(assetKey(tx.school, a.Tag), a); err != nil {
		return err
	}
	for _, id := range a.Before {
		if !slices.Contains(was.Before, id) {
			if err := tx.putBefore(id, a.Tag); err != nil {
				return err
			}
		}
	}
	return tx.retire(a)
}

// putBefore notes that a device was an asset before that was installed again. It
// can have been more than one.
func (tx *Tx) putBefore(id posture.DeviceID, tag string) error {
	var tags []string
	if _, err := tx.getJSON(wasKey(tx.school, id), &tags); err != nil {
		return err
	}
	byKey := func(a, b string) int { return strings.Compare(register.Key(a), register.Key(b)) }
	n, there := slices.BinarySearchFunc(tags, tag, byKey)
	if there {
		return nil
	}
	return tx.putJSON(wasKey(tx.school, id), slices.Insert(tags, n, tag))
}

func wasKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famWas), string(id))
}

// manage notes whether a list of what manages an asset tells of it.
func (tx *Tx) manage(a register.Asset) error {
	k := managedKey(tx.school, a.Tag)
	_, err := tx.txn.Get(k)
	switch there := err == nil; {
	case err != nil && !errors.Is(err, badger.ErrKeyNotFound):
		return fmt.Errorf("read row %q: %w", k, err)
	case there == (a.Managed != ""):
		return nil
	case there:
		return tx.remove(k)
	}
	return tx.put(k, nil)
}

// Registered is an asset of the school's register, with what is known of the
// device that it is.
type Registered struct {
	register.Asset
	Hostname    string           `json:"hostname,omitempty"`
	Platform    posture.Platform `json:"platform,omitempty"`
	LastContact time.Time        `json:"lastContact"` // zero if it is no enrolled device
	Cover       Cover            `json:"cover"`
	Rights      *Rights          `json:"rights,omitempty"`  // whether whoever has it can administer it; of one asset alone, while somebody has it
	Overdue     bool             `json:"overdue,omitempty"` // its loan is over and it was not handed back
	Leaves      bool             `json:"leaves,omitempty"`  // whoever has it leaves on a day to come
	Out         bool             `json:"out,omitempty"`     // it is retired
	Listed      *Listed          `json:"listed,omitempty"`  // what is known of it by lists, if something manages it
}

// Cover says what answers for an asset or a device at the time of asking.
type Cover string

// What can answer for a device.
const (
	ByAgent       Cover = "agent"          // an agent, which was heard from lately
	SilentAgent   Cover = "silent"         // an agent that was not heard from for longer than the policy allows: not proven
	ByImport      Cover = "import"         // what manages it, by a list that is not too old
	StaleImport   Cover = "stale-import"   // the same, by a list that is: not proven
	NeverEnrolled Cover = "never-enrolled" // nothing: no agent was ever enrolled
	NotRegistered Cover = "not-registered" // an agent, and the register does not have it
	OutOfUse      Cover = "retired"        // nothing needs to
)

// AssetQuery asks for a page of a school's register, by tag. Empty fields
// select all.
type AssetQuery struct {
	Search   string // part of a tag, what it is, a group, a role, a host name or a serial number, in any case
	Cover    Cover
	Overdue  bool   // only loans that are over
	Leavers  bool   // only checklists of people who leave, or left, that are not closed
	BySerial bool   // only what is an enrolled device by its serial number alone
	Names    bool   // the names of people are shown and searched: whoever asks may see them
	After    string // Next of the page before; "" for the first
	Limit    int    // 0 for 50; at most 500
}

// AssetPage is a page of the register.
type AssetPage struct {
	Assets []Registered `json:"assets"`
	Next   string       `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// Coverage compares the register with the devices that are enrolled.
type Coverage struct {
	School     posture.SchoolID `json:"school"`
	At         time.Time        `json:"at"`
	Registered int              `json:"registered"` // in use
	Retired    int              `json:"retired"`
	Enrolled   int              `json:"enrolled"` // whose certificates are not revoked
	Counts     []CoverCount     `json:"counts"`
	Platforms  []PlatformCount  `json:"platforms"` // of what is registered and has an agent
	Gaps       []CoverGap       `json:"gaps"`      // all but what an agent or a fresh list covers; bounded
}

// Of returns how many there are of a sort.
func (c Coverage) Of(cover Cover) int {
	for _, n := range c.Counts {
		if n.Cover == cover {
			return n.Count
		}
	}
	return 0
}

// Words says in a sentence what answers for the school's devices.
func (c Coverage) Words() string {
	if c.Registered == 0 {
		return "no device is registered, so that nobody can say how many are covered"
	}
	agents, stale := c.Of(ByAgent)+c.Of(SilentAgent), ""
	for _, one := range []struct {
		n     int
		words string
	}{
		{c.Of(SilentAgent), "not heard from lately"},
		{c.Of(StaleImport), "by a list that is too old"},
	} {
		if one.n > 0 {
			stale += fmt.Sprintf("; %d %s: not proven", one.n, one.words)
		}
	}
	return fmt.Sprintf("%d registered: %d by agent, %d by dated import or not covered%s", c.Registered, agents, c.Registered-agents, stale)
}

// CoverCount counts assets, or devices, by what answers for them.
type CoverCount struct {
	Cover Cover `json:"cover"`
	Count int   `json:"count"`
}

// PlatformCount counts devices of a platform.
type PlatformCount struct {
	Platform posture.Platform `json:"platform"`
	Count    int              `json:"count"`
}

// CoverGap is an asset or a device for which nothing answers, or nothing that
// proves anything.
type CoverGap struct {
	Cover    Cover            `json:"cover"`
	Tag      string           `json:"tag,omitempty"`
	What     string           `json:"what,omitempty"`
	Device   posture.DeviceID `json:"device,omitempty"`
	Hostname string           `json:"hostname,omitempty"`
	Since    time.Time        `json:"since,omitzero"` // when it was last heard from, or when the list was true
}

// mostGaps bounds what is listed of a coverage; the counts are of all.
const mostGaps = 2000

// Assets returns a page of a school's register.
func (q *Queries) Assets(ctx context.Context, school posture.SchoolID, query AssetQuery, now time.Time) (AssetPage, error) {
	page := AssetPage{Assets: []Registered{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	query.Search = strings.ToLower(strings.TrimSpace(query.Search))
	var last string
	err = q.read(ctx, school, now, func(r *reader) error {
		examined := 0
		return r.eachAsset(after, func(k []byte, a register.Asset) (bool, error) {
			one, err := r.registered(a)
			if err != nil {
				return false, err
			}
			fits := query.selects(one)
			if examined++; examined > mostExamined || fits && len(page.Assets) == pageSize(query.Limit) {
				page.Next = last
				return false, nil
			}
			if fits {
				page.Assets = append(page.Assets, one)
			}
			last = cursor(k)
			return true, nil
		})
	})
	if !query.Names {
		for i, a := range page.Assets {
			page.Assets[i] = a.Nameless()
		}
	}
	return page, err
}

// Bounds of AssetGroups: how many assets are looked at, and how many groups named.
const (
	mostGroupedAssets = 20_000
	mostAssetGroups   = 500
)

// AssetGroups returns the groups that a school's register names for what is in use,
// by name, and whether these are all. One that is spelt in several ways is named as
// the asset with the first tag has it.
func (q *Queries) AssetGroups(ctx context.Context, school posture.SchoolID, now time.Time) (groups []string, whole bool, err error) {
	whole = true
	seen := map[string]bool{}
	err = q.read(ctx, school, now, func(r *reader) error {
		examined := 0
		return r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
			if examined++; examined > mostGroupedAssets || len(groups) == mostAssetGroups {
				whole = false
				return false, nil
			}
			if k := register.Key(a.Group); k != "" && !seen[k] && !a.Out(now) {
				seen[k] = true
				groups = append(groups, a.Group)
			}
			return true, nil
		})
	})
	slices.SortFunc(groups, func(a, b string) int { return strings.Compare(register.Key(a), register.Key(b)) })
	return groups, whole, err
}

// Nameless returns the asset without the names of those who have it or had it: for
// whoever may know their roles alone.
func (a Registered) Nameless() Registered {
	if a.Held != nil {
		held := *a.Held
		held.Person = ""
		a.Held = &held
	}
	a.Past = slices.Clone(a.Past)
	for i := range a.Past {
		a.Past[i].Person = ""
	}
	return a
}

func (q AssetQuery) selects(a Registered) bool {
	if q.Cover != "" && a.Cover != q.Cover || q.Overdue && !a.Overdue || q.Leavers && (a.Leaver == nil || a.Leaver.Closed()) || q.BySerial && a.BySerial.IsZero() {
		return false
	}
	if q.Search == "" {
		return true
	}
	words := []string{a.Tag, a.What, a.Group, a.Hostname, a.Serial}
	if a.Held != nil {
		words = append(words, a.Held.Role)
		if q.Names {
			words = append(words, a.Held.Person)
		}
	}
	return slices.ContainsFunc(words, func(s string) bool { return strings.Contains(strings.ToLower(s), q.Search) })
}

// Asset returns one asset of a school's register.
func (q *Queries) Asset(ctx context.Context, school posture.SchoolID, tag string, now time.Time) (Registered, error) {
	var one Registered
	err := q.read(ctx, school, now, func(r *reader) error {
		var a register.Asset
		ok, err := r.getJSON(assetKey(school, tag), &a)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("asset %.40s of school %s: %w", tag, school, ErrNotFound)
		}
		one, err = r.registered(a)
		return err
	})
	return one, err
}

func (r *reader) eachAsset(after []byte, f func(k []byte, a register.Asset) (bool, error)) error {
	return r.each(key(r.school.ID, famAsset), after, true, func(k []byte, item *badger.Item) (bool, error) {
		var a register.Asset
		if err := item.Value(func(data []byte) error { return unmarshal(data, &a) }); err != nil {
			return false, fmt.Errorf("read asset %q: %w", k, err)
		}
		return f(k, a)
	})
}

// registered joins an asset with the device that it is.
func (r *reader) registered(a register.Asset) (Registered, error) {
	out := Registered{Asset: a, Overdue: a.Held.Overdue(r.now), Out: a.Out(r.now)}
	if leaves, ok := a.Leaves(); ok {
		out.Leaves = r.now.Before(leaves)
	}
	row, known, err := r.row(a.Device)
	if err != nil {
		return out, err
	}
	if known {
		out.Hostname, out.Platform, out.LastContact = row.Hostname, row.Platform, row.LastContact
	}
	if out.Listed, err = r.byList(a); err != nil {
		return out, err
	}
	switch {
	case out.Out:
		out.Cover = OutOfUse
	case row.answers() && row.Vector.silent(&r.policy, r.nowMs):
		out.Cover = SilentAgent
	case row.answers():
		out.Cover = ByAgent
	case out.Listed == nil:
		out.Cover = NeverEnrolled
	case out.Listed.Stale:
		out.Cover = StaleImport
	default:
		out.Cover = ByImport
	}
	return out, nil
}

// Coverage compares a school's register with the devices that are enrolled.
func (q *Queries) Coverage(ctx context.Context, school posture.SchoolID, now time.Time) (Coverage, error) {
	c := Coverage{School: school, At: now, Platforms: []PlatformCount{}, Gaps: []CoverGap{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		counts, platforms := map[Cover]int{}, map[posture.Platform]int{}
		if err := r.coverAssets(&c, counts, platforms); err != nil {
			return err
		}
		if err := r.coverDevices(&c, counts); err != nil {
			return err
		}
		c.sum(counts, platforms)
		return nil
	})
	return c, err
}

func (r *reader) coverAssets(c *Coverage, counts map[Cover]int, platforms map[posture.Platform]int) error {
	return r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
		one, err := r.registered(a)
		if err != nil {
			return false, err
		}
		if one.Out {
			c.Retired++
			return true, nil
		}
		c.Registered++
		counts[one.Cover]++
		switch one.Cover {
		case ByAgent:
			platforms[one.Platform]++
			return true, nil
		case ByImport:
			return true, nil
		case SilentAgent:
			platforms[one.Platform]++
		}
		gap := CoverGap{Cover: one.Cover, Tag: one.Tag, What: one.What, Device: one.Device, Hostname: one.Hostname, Since: one.LastContact}
		if one.Cover == StaleImport {
			gap.Since = one.Listed.At
		}
		c.gap(gap)
		return true, nil
	})
}

func (c *Coverage) gap(g CoverGap) {
	if len(c.Gaps) < mostGaps {
		c.Gaps = append(c.Gaps, g)
	}
}

func (r *reader) coverDevices(c *Coverage, counts map[Cover]int) error {
	return r.eachEnrolled(func(row *DeviceRow) {
		c.Enrolled++
		if row.AssetTag == "" {
			counts[NotRegistered]++
			c.gap(unregistered(row))
		}
	})
}

// Unregistered lists the first enrolled devices, by identifier, that the register
// does not have, and counts all of them.
func (q *Queries) Unregistered(ctx context.Context, school posture.SchoolID, most int, now time.Time) (list []CoverGap, all int, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		return r.eachEnrolled(func(row *DeviceRow) {
			if row.AssetTag != "" {
				return
			}
			if all++; len(list) < most {
				list = append(list, unregistered(row))
			}
		})
	})
	return list, all, err
}

func unregistered(row *DeviceRow) CoverGap {
	return CoverGap{Cover: NotRegistered, Device: row.ID, Hostname: row.Hostname, Since: row.LastContact}
}

// eachEnrolled calls f with each device of which an agent can be heard.
func (r *reader) eachEnrolled(f func(*DeviceRow)) error {
	return r.each(key(r.school.ID, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var row DeviceRow
		if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
			return false, fmt.Errorf("read device %q: %w", k, err)
		}
		if row.answers() {
			f(&row)
		}
		return true, nil
	})
}

// Holdings are what importing a list is compared with: every asset of a
// school, by the key of its tag, and every device that is enrolled.
func (q *Queries) Holdings(ctx context.Context, school posture.SchoolID, now time.Time) (assets map[string]register.Asset, enrolled []register.Enrolled, err error) {
	assets = map[string]register.Asset{}
	err = q.read(ctx, school, now, func(r *reader) error {
		err := r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
			assets[register.Key(a.Tag)] = a
			return true, nil
		})
		if err != nil {
			return err
		}
		return r.each(key(school, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var row DeviceRow
			if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
				return false, fmt.Errorf("read device %q: %w", k, err)
			}
			if row.RevokedAt.IsZero() {
				enrolled = append(enrolled, register.Enrolled{ID: row.ID, Host: row.Hostname, Tag: row.AssetTag})
			}
			return true, nil
		})
	})
	return assets, enrolled, err
}
