package view

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Disks is what a device last said of all its disks together.
type Disks uint8

// What disks can be. The zero value claims nothing.
const (
	DisksUnproven Disks = iota // something of them is not known
	DisksEncrypted
	DisksOpen // one of them is not fully encrypted, or its key is not guarded
)

// DisksOf sums up what a device says of its disks, as its page does: they are
// encrypted only if every one that matters is known to be, the key of the
// system's guarded, and none could be overlooked.
func DisksOf(volumes posture.Answer[posture.Volume]) Disks {
	if volumes.Absent != posture.None {
		return DisksUnproven
	}
	found, system, others := false, DisksEncrypted, DisksEncrypted
	for _, v := range volumes.Items {
		switch v.Role {
		case posture.SystemVolume:
			found, system = true, worse(system, systemDisk(v))
		case posture.BootVolume: // unencrypted by design; it holds nothing of anybody's
		default:
			others = worse(others, otherDisk(v))
		}
	}
	switch {
	case !found:
		return DisksUnproven
	case system != DisksEncrypted:
		return system
	case others != DisksOpen && !volumes.Complete():
		return DisksUnproven
	}
	return others
}

// worse returns what two disks are together.
func worse(a, b Disks) Disks {
	switch {
	case a == DisksOpen || b == DisksOpen:
		return DisksOpen
	case a == DisksUnproven || b == DisksUnproven:
		return DisksUnproven
	}
	return DisksEncrypted
}

func otherDisk(v posture.Volume) Disks {
	switch {
	case !v.Encryption.Known():
		return DisksUnproven
	case v.Encryption.Value == posture.Encrypted:
		return DisksEncrypted
	}
	return DisksOpen
}

func systemDisk(v posture.Volume) Disks {
	if !v.Encryption.Known() {
		return DisksUnproven
	}
	switch v.Encryption.Value {
	case posture.Encrypted:
	case posture.Unencrypted, posture.Partial, posture.Encrypting, posture.Decrypting:
		return DisksOpen
	default:
		return DisksUnproven
	}
	if !v.Protection.Known() {
		return DisksUnproven
	}
	switch v.Protection.Value {
	case posture.ProtectionOn, posture.ProtectionLocked:
		return DisksEncrypted
	case posture.ProtectionSuspended, posture.ProtectionClearKey, posture.ProtectionOff:
		return DisksOpen
	}
	return DisksUnproven
}

// Definitions is what a device last said of the definitions of the antivirus
// that protects it. The zero value claims nothing.
type Definitions struct {
	Word DefinitionsWord
	Made uint64 // with DefinitionsDated: the day since 1970 on which they were made
}

// DefinitionsWord is how a device can speak of definitions.
type DefinitionsWord uint8

// What can be said of definitions.
const (
	DefinitionsUnproven DefinitionsWord = iota // nothing
	DefinitionsDated                           // when they were made
	DefinitionsCurrent                         // that they are up to date: the product tells no more
	DefinitionsOutdated                        // that they are not
	DefinitionsNone                            // no antivirus protects it
)

// DefinitionsOf finds the newest definitions that protect a device: what a
// product keeps up to date that is passive or switched off helps nobody.
func DefinitionsOf(products posture.Answer[posture.Antivirus]) Definitions {
	best := Definitions{Word: DefinitionsNone}
	if !products.Complete() {
		best.Word = DefinitionsUnproven
	}
	for _, p := range products.Items {
		on, knows := protects(p)
		switch {
		case !knows && best.Word == DefinitionsNone:
			best.Word = DefinitionsUnproven
		case on:
			best = newer(best, definitionsOf(p))
		}
	}
	return best
}

// protects reports whether a product looks at files as they are opened, and
// whether that is known.
func protects(p posture.Antivirus) (on, known bool) {
	off := p.On.Known() && !p.On.Value || p.RealTime.Known() && !p.RealTime.Value || p.Expired.Known() && p.Expired.Value
	all := p.On.Known() && p.RealTime.Known() && p.Expired.Known()
	return all && !off, all || off
}

func definitionsOf(p posture.Antivirus) Definitions {
	switch {
	case p.Undated && p.Current.Known() && p.Current.Value:
		return Definitions{Word: DefinitionsCurrent}
	case p.Undated && p.Current.Known():
		return Definitions{Word: DefinitionsOutdated}
	case !p.Undated && p.DefinitionsAt.Known() && !p.DefinitionsAt.Value.IsZero():
		return Definitions{Word: DefinitionsDated, Made: dayOf(p.DefinitionsAt.Value)}
	}
	return Definitions{}
}

// newer returns the better of what two products say, or of what one says and
// what was known before.
func newer(a, b Definitions) Definitions {
	rank := func(d Definitions) uint64 {
		switch d.Word {
		case DefinitionsNone, DefinitionsUnproven:
		case DefinitionsOutdated:
			return 1
		case DefinitionsDated:
			return 2 + d.Made
		case DefinitionsCurrent:
			return ^uint64(0)
		}
		return 0
	}
	if rank(b) >= rank(a) {
		return b
	}
	return a
}

// A gauge is how many devices last said the same of their disks and definitions
// and were last heard from within the same ten minutes. It is what the counts of
// a day are made from without a look at each device.
type gauge struct {
	heard       uint64 // the beginning of the interval of the last contact
	disks       Disks
	definitions Definitions
}

func (tx *Tx) gaugeKey(d *DeviceRow) []byte {
	k := number(key(tx.school, famGauge), interval(d.Vector.LastContact))
	k = append(k, byte(d.Disks), byte(d.Definitions.Word))
	return number(k, d.Definitions.Made)
}

func parseGauge(k []byte) (g gauge, ok bool) {
	if len(k) != 18 {
		return g, false
	}
	g.heard = binary.BigEndian.Uint64(k)
	g.disks, g.definitions.Word = Disks(k[8]), DefinitionsWord(k[9])
	g.definitions.Made = binary.BigEndian.Uint64(k[10:])
	return g, true
}

// gauge notes that a gauge counts more devices, or less. As with cohorts, the
// rows are written once for a transaction.
func (tx *Tx) gauge(d *DeviceRow, by int) {
	k := string(tx.gaugeKey(d))
	if _, known := tx.gauges[k]; !known {
		tx.bytes += len(k) + rowOverhead
	}
	tx.gauges[k] += by
}

// countRows writes what has changed of rows that hold a number.
func (tx *Tx) countRows(changed map[string]int, what string) error {
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		if changed[k] == 0 {
			continue
		}
		data, err := tx.get([]byte(k))
		if err != nil {
			return err
		}
		had, _ := binary.Uvarint(data)
		if n := int(had) + changed[k]; n > 0 {
			err = tx.txn.Set([]byte(k), binary.AppendUvarint(nil, uint64(n)))
		} else {
			err = tx.txn.Delete([]byte(k))
		}
		if err != nil {
			return fmt.Errorf("count %s: %w", what, err)
		}
	}
	clear(changed)
	return nil
}

// Ages is how many devices had definitions of what age, by the day. What was
// said by a device that has been silent for too long since proves nothing.
type Ages struct {
	Day      int `json:"day"`      // made within a day
	Days     int `json:"days"`     // within three days
	Week     int `json:"week"`     // within seven
	Month    int `json:"month"`    // within thirty
	Older    int `json:"older"`    // before that
	Current  int `json:"current"`  // of a product that tells no date and says that they are up to date
	Outdated int `json:"outdated"` // of one that says that they are not
	None     int `json:"none"`     // no antivirus protects it
	Unproven int `json:"notProven"`
}

// Encryption is how many devices are proven to be encrypted, and how many are
// said to be by a list of what manages them, which proves nothing by itself.
type Encryption struct {
	Proven       int `json:"proven"`
	Open         int `json:"open"` // not encrypted, or not guarded
	Unproven     int `json:"notProven"`
	Listed       int `json:"listed"`       // encrypted by a list that is not too old
	ListedOpen   int `json:"listedOpen"`   // not, by one
	ListedUnsure int `json:"listedUnsure"` // by one that is too old or does not say
}

// gauges counts what devices say of disks and definitions at the reader's
// moment. Silence is reckoned from the beginning of the ten minutes in which a
// device was last heard from, so that nothing counts as proven for too long.
func (r *reader) gauges() (e Encryption, a Ages, err error) {
	today := uint64(max(0, r.terms.On(r.now).Date))
	err = r.each(key(r.school.ID, famGauge), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		g, ok := parseGauge(k)
		if !ok {
			return false, fmt.Errorf("read a gauge: %w", errRow)
		}
		n := 0
		if err := item.Value(func(data []byte) error { v, _ := binary.Uvarint(data); n = int(v); return nil }); err != nil {
			return false, fmt.Errorf("read a gauge: %w", err)
		}
		if silent := r.nowMs > g.heard+millis(r.policy.Silence); silent || g.heard == 0 {
			g.disks, g.definitions = g.disks.silent(), Definitions{}
		}
		e.add(g.disks, n)
		a.add(g.definitions, today, n)
		return true, nil
	})
	return e, a, err
}

// silent is what is left of what a device said of its disks: silence encrypts
// nothing, and proves nothing.
func (d Disks) silent() Disks {
	if d == DisksOpen {
		return DisksOpen
	}
	return DisksUnproven
}

func (e *Encryption) add(d Disks, n int) {
	switch d {
	case DisksEncrypted:
		e.Proven += n
	case DisksOpen:
		e.Open += n
	case DisksUnproven:
		e.Unproven += n
	}
}

func (a *Ages) add(d Definitions, today uint64, n int) {
	switch d.Word {
	case DefinitionsDated:
		a.dated(d.Made, today, n)
	case DefinitionsCurrent:
		a.Current += n
	case DefinitionsOutdated:
		a.Outdated += n
	case DefinitionsNone:
		a.None += n
	case DefinitionsUnproven:
		a.Unproven += n
	}
}

// dated counts definitions by their age. Days are those of two clocks and two
// zones, so that one day ahead is today; what is further ahead is no age.
func (a *Ages) dated(made, today uint64, n int) {
	switch age := int64(today) - int64(made); {
	case age < -1:
		a.Unproven += n
	case age <= 1:
		a.Day += n
	case age <= 3:
		a.Days += n
	case age <= 7:
		a.Week += n
	case age <= 30:
		a.Month += n
	default:
		a.Older += n
	}
}

// Total is how many devices are counted.
func (a Ages) Total() int {
	return a.Day + a.Days + a.Week + a.Month + a.Older + a.Current + a.Outdated + a.None + a.Unproven
}

// SaysOfItself notes what a device says of its disks and of its definitions.
func (d *DeviceRow) SaysOfItself(facts posture.Facts) {
	d.Disks, d.Definitions = DisksOf(facts.Volumes), DefinitionsOf(facts.Antivirus)
}
