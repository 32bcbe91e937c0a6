package view

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What answers for a school's devices is counted as it changes: assets, and the
// devices that are none, by all on which it depends but for silence. Which of the
// agents are silent the cohorts know. Nothing of the size of the register is read
// to tell it.

// What a count of the register is of.
const (
	byAgent = "agent" // assets that are enrolled devices
	byList  = "list"  // assets that something else manages
	byNone  = "none"  // other assets
	noAsset = "loose" // enrolled devices that are no asset
)

// answers reports whether an agent can be heard from at all.
func (d *DeviceRow) answers() bool { return d.ID != "" && d.RevokedAt.IsZero() && d.ReplacedBy == "" }

// coverKey is the key under which an asset is counted, d being the device that it
// is.
func coverKey(school posture.SchoolID, a register.Asset, d *DeviceRow) []byte {
	k := key(school, famCover)
	listed, seen := uint64(0), ""
	switch {
	case d.answers():
		k = text(text(k, byAgent), string(d.Platform))
	case a.Managed != "":
		at, _ := a.ListedOn(0)
		listed, seen = ms(at), string(a.Seen)
		k = text(text(k, byList), "")
	default:
		k = text(text(k, byNone), "")
	}
	return text(number(text(k, string(a.Retired)), listed), seen)
}

// looseKey is the key under which devices are counted that are no asset.
func looseKey(school posture.SchoolID) []byte {
	return text(number(text(text(text(key(school, famCover), noAsset), ""), ""), 0), "")
}

// cover notes that there are more, or less, of what is counted under a key.
func (tx *Tx) cover(k []byte, by int) {
	if _, known := tx.covers[string(k)]; !known {
		tx.bytes += len(k) + rowOverhead
	}
	tx.covers[string(k)] += by
}

// coverDevice counts a device as it is instead of as it was.
func (tx *Tx) coverDevice(old, row *DeviceRow) error {
	if loose := func(d *DeviceRow) bool { return d.answers() && d.AssetTag == "" }; loose(old) != loose(row) {
		by := 1
		if loose(old) {
			by = -1
		}
		tx.cover(looseKey(tx.school), by)
	}
	if old.answers() == row.answers() && old.Platform == row.Platform {
		return nil
	}
	tags := []string{old.AssetTag}
	if row.AssetTag != old.AssetTag {
		tags = append(tags, row.AssetTag)
	}
	for _, tag := range tags {
		if tag == "" {
			continue
		}
		a, err := tx.Asset(tag)
		if err != nil {
			return err
		}
		if a.Device == row.ID {
			tx.cover(coverKey(tx.school, a, old), -1)
			tx.cover(coverKey(tx.school, a, row), 1)
		}
	}
	return nil
}

// coverAsset counts an asset as it is instead of as it was.
func (tx *Tx) coverAsset(was, is register.Asset) error {
	for by, a := range map[int]register.Asset{-1: was, 1: is} {
		if a.Tag == "" {
			continue
		}
		d := DeviceRow{}
		if a.Device != "" {
			h, err := tx.device(a.Device)
			if err != nil {
				return err
			}
			d = h.row
		}
		tx.cover(coverKey(tx.school, a, &d), by)
	}
	return nil
}

// What a vector says of the register: nothing, that the device is an asset, or
// that and the day from which the asset is out of use.
const (
	notRegistered = 0
	registeredNow = 1
)

// retiredOn is what a vector says of an asset's device.
func retiredOn(a register.Asset) uint64 {
	if day, err := time.Parse(time.DateOnly, string(a.Retired)); err == nil && day.Unix() > 0 {
		return registeredNow + uint64(day.Unix()/(24*60*60))
	}
	return registeredNow
}

// registered notes in a device's vector whether it is an asset, and keeps what is
// known of the day from which that is out of use.
func (h *heldDevice) registered(row *DeviceRow) {
	switch {
	case !row.answers() || row.AssetTag == "":
		row.Vector.Asset = notRegistered
	case h.row.AssetTag == row.AssetTag && h.row.Vector.Asset != notRegistered:
		row.Vector.Asset = h.row.Vector.Asset
	default:
		row.Vector.Asset = registeredNow
	}
}

// retire notes in the vector of an asset's device when the asset is out of use.
func (tx *Tx) retire(a register.Asset) error {
	if a.Device == "" {
		return nil
	}
	h, err := tx.device(a.Device)
	if err != nil {
		return err
	}
	if !h.row.answers() || register.Key(h.row.AssetTag) != register.Key(a.Tag) || h.row.Vector.Asset == retiredOn(a) {
		return nil
	}
	row := h.row
	row.Vector.Asset = retiredOn(a)
	return tx.putDevice(h, h.row, row)
}

// CoverageCounts is Coverage without its list of gaps: it is counted, and read in
// no time.
func (q *Queries) CoverageCounts(ctx context.Context, school posture.SchoolID, now time.Time) (Coverage, error) {
	c := Coverage{School: school, At: now, Platforms: []PlatformCount{}, Gaps: []CoverGap{}}
	err := q.read(ctx, school, now, func(r *reader) error { return r.coverage(&c) })
	return c, err
}

var errCover = errors.New("a count of the register has no such key")

func (r *reader) coverage(c *Coverage) error {
	lasts, err := r.listsLast()
	if err != nil {
		return err
	}
	counts, platforms := map[Cover]int{}, map[posture.Platform]int{}
	today := r.now.Format(time.DateOnly)
	err = r.each(key(r.school.ID, famCover), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		count, err := parseCover(k)
		if err != nil {
			return false, err
		}
		err = item.Value(func(data []byte) error {
			n, _ := binary.Uvarint(data)
			c.add(count, int(n), counts, platforms, r.now, today, lasts)
			return nil
		})
		return true, err
	})
	if err != nil {
		return err
	}
	silent, err := r.silentAssets(today)
	if err != nil {
		return err
	}
	counts[ByAgent] -= silent
	counts[SilentAgent] += silent
	c.sum(counts, platforms)
	return nil
}

// covered is what the key of a count says.
type covered struct {
	what     string
	platform posture.Platform
	retired  string
	asset    register.Asset // what a list says of it
}

func parseCover(k []byte) (c covered, err error) {
	var parts [3]string
	for i := range parts {
		var ok bool
		if parts[i], k, ok = part(k); !ok {
			return c, errCover
		}
	}
	if len(k) < 8 {
		return c, errCover
	}
	listed := at(binary.BigEndian.Uint64(k))
	seen, _, ok := part(k[8:])
	if !ok {
		return c, errCover
	}
	c = covered{what: parts[0], platform: posture.Platform(parts[1]), retired: parts[2]}
	c.asset.ListedAt, c.asset.Seen = listed, register.Date(seen)
	return c, nil
}

// add takes a count in. Of silence it knows nothing.
func (c *Coverage) add(k covered, n int, counts map[Cover]int, platforms map[posture.Platform]int, now time.Time, today string, lasts time.Duration) {
	if k.what == byAgent || k.what == noAsset {
		c.Enrolled += n
	}
	switch {
	case k.what == noAsset:
		counts[NotRegistered] += n
		return
	case k.retired != "" && k.retired <= today:
		c.Retired += n
		return
	}
	c.Registered += n
	switch k.what {
	case byAgent:
		counts[ByAgent] += n
		platforms[k.platform] += n
	case byList:
		if _, until := k.asset.ListedOn(lasts); now.Before(until) {
			counts[ByImport] += n
		} else {
			counts[StaleImport] += n
		}
	default:
		counts[NeverEnrolled] += n
	}
}

// sum writes down what was counted, in an order that does not vary.
func (c *Coverage) sum(counts map[Cover]int, platforms map[posture.Platform]int) {
	for _, cover := range []Cover{ByAgent, SilentAgent, ByImport, StaleImport, NeverEnrolled, NotRegistered} {
		c.Counts = append(c.Counts, CoverCount{cover, counts[cover]})
	}
	for platform, n := range platforms {
		if n > 0 {
			c.Platforms = append(c.Platforms, PlatformCount{platform, n})
		}
	}
	slices.SortFunc(c.Platforms, func(a, b PlatformCount) int { return cmp.Compare(a.Platform, b.Platform) })
}

// silentAssets counts the devices that are assets in use and have not been heard
// from for longer than the policy allows.
func (r *reader) silentAssets(today string) (n int, err error) {
	counted := func(v *Vector) bool {
		if v.Asset == notRegistered {
			return false
		}
		out := v.Asset > registeredNow && time.Unix(int64(v.Asset-registeredNow)*24*60*60, 0).UTC().Format(time.DateOnly) <= today
		return !out
	}
	err = r.eachCohort(func(early *Vector, devices int) bool {
		if !counted(early) {
			return true
		}
		late := early.latest()
		silent := early.silent(&r.policy, r.nowMs)
		if silent && late.silent(&r.policy, r.nowMs) {
			n += devices
			return true
		}
		return !silent
	}, func(_ posture.DeviceID, v *Vector) error {
		if counted(v) && v.silent(&r.policy, r.nowMs) {
			n++
		}
		return nil
	})
	return n, err
}
