package probe

import (
	"context"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// defenderStatus is what Microsoft Defender says of itself, or why it does not.
type defenderStatus struct {
	values system.Values
	err    error
}

func readDefender(ctx context.Context, sys system.Reader) defenderStatus {
	values, err := onlyRow(ctx, sys, system.DefenderStatus)
	return defenderStatus{values, err}
}

// defenderStopped is the code with which Defender's provider says that its
// service does not run, as it does not where another product protects.
const defenderStopped = 0x800106ba

// defenderItem describes Microsoft Defender: by its own status, else by what
// Security Center says of it (nil if nothing), else by its service. The gap, if
// any, says why it is not known whether it is there.
func defenderItem(status defenderStatus, center *posture.Antivirus, running serviceList) (*posture.Antivirus, *posture.Gap) {
	if status.err == nil {
		return status.own(center), nil
	}
	gap := rowsetGap(system.DefenderStatus, status.err)
	stopped := system.CodeOf(status.err) == defenderStopped
	installed := stopped || center != nil || len(running.matching([]string{"WinDefend"})) > 0
	switch {
	case !installed && running.err != nil:
		return nil, &gap
	case !installed:
		return nil, nil // its service would be there
	}
	why := posture.Unread[bool](gap.Absent)
	item := &posture.Antivirus{
		Product: defenderProduct, Name: "Microsoft Defender",
		Version: posture.Unread[string](gap.Absent), On: running.running("WinDefend"), RealTime: why, Expired: why,
		Updating: unsupported[bool](), Definitions: posture.Unread[string](gap.Absent),
		DefinitionsAt: posture.Unread[time.Time](gap.Absent), Current: why, Passive: why,
	}
	if stopped {
		// What rests has no definitions that anybody relies on.
		item.Version, item.Definitions, item.DefinitionsAt = unsupported[string](), unsupported[string](), unsupportedTime
		item.On = both(item.On, posture.Read(false))
		if runs := running.running("WinDefend"); runs.Known() && runs.Value {
			item.On = posture.Unread[bool](posture.Unreadable) // they contradict one another
		}
	}
	off := item.On.Known() && !item.On.Value
	if off {
		item.RealTime, item.Passive = posture.Read(false), posture.Read(false)
	}
	if center == nil || !center.On.Known() {
		return item, nil
	}
	item.Current, item.Expired = center.Current, center.Expired
	switch {
	case center.On.Value && off: // they contradict one another
		item.On, item.RealTime = posture.Unread[bool](posture.Unreadable), posture.Unread[bool](posture.Unreadable)
	case center.On.Value:
		item.On, item.RealTime = center.On, center.RealTime
	default:
		item.RealTime = posture.Read(false)
	}
	return item, nil
}

// own describes Defender by its status. In passive mode, and where it only
// blocks what another product let through, it looks on: its switch for
// real-time protection then says nothing about protection.
func (d defenderStatus) own(center *posture.Antivirus) *posture.Antivirus {
	v := d.values
	item := &posture.Antivirus{
		Product: defenderProduct, Name: "Microsoft Defender",
		Version: defenderVersion(v.Text("AMProductVersion")), On: v.Flag("AMServiceEnabled"), Updating: unsupported[bool](),
		Definitions: defenderVersion(v.Text("AntivirusSignatureVersion")), DefinitionsAt: defenderMade(v),
		Current: not(v.Flag("DefenderSignaturesOutOfDate")), Expired: defenderExpired(v.Number("ProductStatus")),
	}
	var active posture.Reading[bool]
	active, item.Passive = defenderMode(v.Text("AMRunningMode"))
	if center != nil {
		// What this version of Defender does not tell.
		active = orElse(active, center.On)
		item.Current, item.Expired = orElse(item.Current, center.Current), orElse(item.Expired, center.Expired)
	}
	item.RealTime = both(both(v.Flag("RealTimeProtectionEnabled"), v.Flag("AntivirusEnabled")), both(active, item.On))
	if onAccess := v.Flag("OnAccessProtectionEnabled"); onAccess.Absent != posture.Unsupported {
		item.RealTime = both(item.RealTime, onAccess)
	}
	return item
}

// orElse returns what the first source says, or the second where the first has
// no way to tell. A first that failed is not replaced.
func orElse(a, b posture.Reading[bool]) posture.Reading[bool] {
	if a.Absent == posture.Unsupported && b.Known() {
		return b
	}
	return a
}

func not(r posture.Reading[bool]) posture.Reading[bool] {
	if r.Known() {
		r.Value = !r.Value
	}
	return r
}

// defenderMode reports whether Defender is the one that protects, and whether
// it only looks on. Its words are the same in every language; they are matched
// loosely because versions write them differently.
func defenderMode(mode posture.Reading[string]) (active, passive posture.Reading[bool]) {
	if !mode.Known() {
		return posture.Unread[bool](mode.Absent), posture.Unread[bool](mode.Absent)
	}
	switch said := strings.ToLower(mode.Value); {
	case strings.Contains(said, "passive"), strings.Contains(said, "edr"):
		return posture.Read(false), posture.Read(true)
	case strings.Contains(said, "not running"):
		return posture.Read(false), posture.Read(false)
	case strings.Contains(said, "normal"), strings.Contains(said, "active"):
		return posture.Read(true), posture.Read(false)
	}
	return posture.Unread[bool](posture.Unreadable), posture.Unread[bool](posture.Unreadable)
}

// defenderExpired reads the bit that says that this version of the product has
// run out.
func defenderExpired(status posture.Reading[int64]) posture.Reading[bool] {
	const expired = 0x4000
	if !status.Known() {
		return posture.Unread[bool](status.Absent)
	}
	return posture.Read(status.Value&expired != 0)
}

// defenderVersion is a version that Defender has; "0.0.0.0" is none.
func defenderVersion(v posture.Reading[string]) posture.Reading[string] {
	switch {
	case !v.Known():
		return v
	case v.Value == "0.0.0.0":
		return unsupported[string]()
	case versionPattern.FindString(v.Value) != v.Value:
		return posture.Unread[string](posture.Unreadable)
	}
	return v
}

// defenderMade returns when the definitions were made. A machine that never had
// any says so by an age of all ones, or by a moment before any other.
func defenderMade(v system.Values) posture.Reading[time.Time] {
	const never = 0xffffffff
	if age := v.Number("AntivirusSignatureAge"); age.Known() && age.Value == never {
		return unsupportedTime
	}
	text := v.Text("AntivirusSignatureLastUpdated")
	if !text.Known() {
		return posture.Unread[time.Time](text.Absent)
	}
	at, ok := parseCIMTime(text.Value)
	switch {
	case ok && at.Year() < neverSince:
		return unsupportedTime
	case !ok, !plausible(at):
		return posture.Unread[time.Time](posture.Unreadable)
	}
	return posture.Read(at.UTC())
}

// openDetections counts the threats that Defender has found and not dealt with,
// if it is Defender that protects: of what it left to another product it knows
// nothing. How many the others have, they do not tell.
func openDetections(ctx context.Context, sys system.Reader) (posture.Reading[int64], *posture.Gap) {
	status := readDefender(ctx, sys)
	switch code := system.CodeOf(status.err); {
	case code == defenderStopped, missing(status.err):
		return unsupported[int64](), nil
	case status.err != nil:
		gap := rowsetGap(system.DefenderStatus, status.err)
		return posture.Unread[int64](gap.Absent), &gap
	}
	switch protects := status.own(nil).RealTime; {
	case !protects.Known():
		return posture.Unread[int64](protects.Absent), nil
	case !protects.Value:
		return unsupported[int64](), nil
	}
	rows, err := sys.Rows(ctx, system.DefenderThreats)
	if err != nil {
		gap := rowsetGap(system.DefenderThreats, err)
		return posture.Unread[int64](gap.Absent), &gap
	}
	var open int64
	for _, row := range rows {
		active := row.Flag("IsActive")
		if !active.Known() {
			return posture.Unread[int64](active.Absent), nil
		}
		if active.Value {
			open++
		}
	}
	return posture.Read(open), nil
}
