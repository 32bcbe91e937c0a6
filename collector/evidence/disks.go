package evidence

import (
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// disks returns what a report says of all the disks.
func (o *opened) disks(r signedReport) (State, string) {
	f, why := o.facts(r, wire.Encryption)
	if why != "" {
		return NotProven, why
	}
	return judge(f.Volumes)
}

// judge returns the worst that is proven of any volume. What is missing from
// the answer is never good.
func judge(a posture.Answer[posture.Volume]) (State, string) {
	if a.Absent != posture.None {
		return NotProven, a.Absent.String()
	}
	worst, why, system := Encrypted, "", false
	for _, v := range a.Items {
		if v.Role == posture.BootVolume {
			continue // unencrypted by design
		}
		system = system || v.Role == posture.SystemVolume
		state, because := volumeState(v)
		if rank(state) > rank(worst) {
			worst, why = state, because
		}
	}
	switch {
	case worst == NotEncrypted:
		return worst, ""
	case !system:
		return NotProven, "the volume that holds the system was not seen"
	case len(a.Gaps) > 0:
		return NotProven, "a part of the answer is missing: " + a.Gaps[0].Source + ", " + a.Gaps[0].Absent.String()
	}
	return worst, why
}

func rank(s State) int {
	return slices.Index([]State{Encrypted, Unprotected, NotProven, NotEncrypted}, s)
}

func volumeState(v posture.Volume) (State, string) {
	switch {
	case !v.Encryption.Known():
		return NotProven, v.Encryption.Absent.String()
	case v.Encryption.Value != posture.Encrypted:
		return NotEncrypted, ""
	case !v.Protection.Known():
		return NotProven, "whether its key is guarded: " + v.Protection.Absent.String()
	case v.Protection.Value == posture.ProtectionOn, v.Protection.Value == posture.ProtectionLocked:
		return Encrypted, ""
	}
	return Unprotected, ""
}
