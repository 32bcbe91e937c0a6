package view

import (
	"cmp"
	"context"
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
	return tx.putJSON(assetKey(tx.school, a.Tag), a)
}

// Registered is an asset of the school's register, with what is known of the
// device that it is.
type Registered struct {
	register.Asset
	Hostname    string           `json:"hostname,omitempty"`
	Platform    posture.Platform `json:"platform,omitempty"`
	LastContact time.Time        `json:"lastContact"` // zero if it is no enrolled device
	Cover       Cover            `json:"cover"`
	Overdue     bool             `json:"overdue,omitempty"` // its loan is over and it was not handed back
	Out         bool             `json:"out,omitempty"`     // it is retired
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

// ListLasts is for how long a list of devices that no agent covers counts.
const ListLasts = 30 * 24 * time.Hour

// AssetQuery asks for a page of a school's register, by tag. Empty fields
// select all.
type AssetQuery struct {
	Search  string // part of a tag, what it is, a group, a role or a host name, in any case
	Cover   Cover
	Overdue bool   // only loans that are over
	After   string // Next of the page before; "" for the first
	Limit   int    // 0 for 50; at most 500
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
	return page, err
}

func (q AssetQuery) selects(a Registered) bool {
	if q.Cover != "" && a.Cover != q.Cover || q.Overdue && !a.Overdue {
		return false
	}
	if q.Search == "" {
		return true
	}
	words := []string{a.Tag, a.What, a.Group, a.Hostname}
	if a.Held != nil {
		words = append(words, a.Held.Role, a.Held.Person)
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
	row, known, err := r.row(a.Device)
	if err != nil {
		return out, err
	}
	if known {
		out.Hostname, out.Platform, out.LastContact = row.Hostname, row.Platform, row.LastContact
	}
	switch {
	case out.Out:
		out.Cover = OutOfUse
	case known && row.RevokedAt.IsZero() && row.Vector.silent(&r.policy, r.nowMs):
		out.Cover = SilentAgent
	case known && row.RevokedAt.IsZero():
		out.Cover = ByAgent
	case a.Managed != "" && !r.now.After(a.AsOf.Add(ListLasts)):
		out.Cover = ByImport
	case a.Managed != "":
		out.Cover = StaleImport
	default:
		out.Cover = NeverEnrolled
	}
	return out, nil
}

// Coverage compares a school's register with the devices that are enrolled.
func (q *Queries) Coverage(ctx context.Context, school posture.SchoolID, now time.Time) (Coverage, error) {
	c := Coverage{School: school, At: now, Platforms: []PlatformCount{}, Gaps: []CoverGap{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		counts, platforms := map[Cover]int{}, map[posture.Platform]int{}
		tied, err := r.coverAssets(&c, counts, platforms)
		if err != nil {
			return err
		}
		if err := r.coverDevices(&c, counts, tied); err != nil {
			return err
		}
		for _, cover := range []Cover{ByAgent, SilentAgent, ByImport, StaleImport, NeverEnrolled, NotRegistered} {
			c.Counts = append(c.Counts, CoverCount{cover, counts[cover]})
		}
		for platform, n := range platforms {
			c.Platforms = append(c.Platforms, PlatformCount{platform, n})
		}
		slices.SortFunc(c.Platforms, func(a, b PlatformCount) int { return cmp.Compare(a.Platform, b.Platform) })
		return nil
	})
	return c, err
}

func (r *reader) coverAssets(c *Coverage, counts map[Cover]int, platforms map[posture.Platform]int) (tied map[posture.DeviceID]bool, err error) {
	tied = map[posture.DeviceID]bool{}
	err = r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
		one, err := r.registered(a)
		if err != nil {
			return false, err
		}
		if a.Device != "" {
			tied[a.Device] = true
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
			gap.Since = one.AsOf
		}
		c.gap(gap)
		return true, nil
	})
	return tied, err
}

func (c *Coverage) gap(g CoverGap) {
	if len(c.Gaps) < mostGaps {
		c.Gaps = append(c.Gaps, g)
	}
}

func (r *reader) coverDevices(c *Coverage, counts map[Cover]int, tied map[posture.DeviceID]bool) error {
	return r.each(key(r.school.ID, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var row DeviceRow
		if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
			return false, fmt.Errorf("read device %q: %w", k, err)
		}
		if !row.RevokedAt.IsZero() {
			return true, nil
		}
		c.Enrolled++
		if !tied[row.ID] {
			counts[NotRegistered]++
			c.gap(CoverGap{Cover: NotRegistered, Device: row.ID, Hostname: row.Hostname, Since: row.LastContact})
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
