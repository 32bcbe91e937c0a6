package web

import (
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// verdict is what a page says first about a device: whether it was encrypted
// when it last said so. It never says "is".
type verdict struct {
	Words    string  // such as "Encrypted when it last reported"
	Detail   string  // what it rests on, or what is missing
	At       *moment // when the device read it
	Standing standingWords
}

// encryptionVerdict judges nothing that a rule judges: it puts into one
// sentence what the volumes say, and leaves every doubt in it.
func encryptionVerdict(volumes posture.Answer[posture.Volume], c clockwork) verdict {
	v := verdictOf(volumes)
	v.At = c.moment(volumes.ReadAt)
	if v.At == nil && v.Standing.Class == "met" {
		return notProven("it is not known when the disks were looked at")
	}
	return v
}

// today takes back the look of Met where what was once so proves nothing now:
// the device has been silent for too long, or a rule about its system disk is
// not met or not proven. The words, which speak of then, stay.
func (v verdict) today(silent bool, onDisk []findingRow) verdict {
	if v.Standing.Class != "met" {
		return v
	}
	for _, f := range onDisk {
		switch f.Words.Class {
		case "not-met":
			v.Standing = f.Words
			return v
		case "not-proven":
			v.Standing = f.Words
		}
	}
	if silent {
		v.Standing = newStanding(view.NotProven)
		v.Detail += " It has been silent for longer than the policy allows, so this proves nothing about today."
	}
	return v
}

func verdictOf(volumes posture.Answer[posture.Volume]) verdict {
	if volumes.Absent != posture.None {
		return notProven(why(volumes.Absent))
	}
	var system, others []posture.Volume
	for _, v := range volumes.Items {
		switch v.Role {
		case posture.SystemVolume:
			system = append(system, v)
		case posture.BootVolume:
			// Unencrypted by design; it holds nothing of anybody's.
		default:
			others = append(others, v)
		}
	}
	if len(system) == 0 {
		return notProven("no system disk was found among the volumes")
	}
	worst := met("Encrypted when it last reported", "")
	for _, v := range system {
		worst = worse(worst, systemVerdict(v))
	}
	if worst.Standing.Class != "met" {
		return worst
	}
	return worse(withOthers(worst, others), withGaps(volumes))
}

// systemVerdict says how a system disk stands.
func systemVerdict(v posture.Volume) verdict {
	if !v.Encryption.Known() {
		return notProven("the encryption of the system disk is not known: " + why(v.Encryption.Absent))
	}
	switch v.Encryption.Value {
	case posture.Encrypted:
		return protectionVerdict(v)
	case posture.Unencrypted:
		return notMet("Not encrypted when it last reported", "Its system disk was not encrypted.")
	case posture.Encrypting:
		return notMet("Not fully encrypted when it last reported", "The encryption of its system disk had begun and was not finished.")
	case posture.Decrypting:
		return notMet("Not fully encrypted when it last reported", "The encryption of its system disk was being taken off.")
	case posture.Partial:
		return notMet("Not fully encrypted when it last reported", "Only a part of its system disk was encrypted.")
	}
	return notProven("the encryption of the system disk is in a state that is not known here")
}

func protectionVerdict(v posture.Volume) verdict {
	how := ""
	if v.Method.Known() && v.Method.Value != "" {
		how = " with " + v.Method.Value
	}
	if !v.Protection.Known() {
		return notProven("its system disk was encrypted" + how + ", but whether the key was protected is not known: " + why(v.Protection.Absent))
	}
	switch v.Protection.Value {
	case posture.ProtectionOn, posture.ProtectionLocked:
		return met("Encrypted when it last reported", "Its system disk was fully encrypted"+how+" and its key was protected.")
	case posture.ProtectionSuspended:
		return notMet("Encrypted but not protected when it last reported", "Protection was suspended: the key lay in the clear until it was resumed.")
	case posture.ProtectionClearKey, posture.ProtectionOff:
		return notMet("Encrypted but not protected when it last reported", "The key was guarded by nothing, so that anybody could open the disk.")
	}
	return notProven("whether the key of its system disk was protected is not known")
}

// withOthers adds what the volumes beside the system's say.
func withOthers(v verdict, others []posture.Volume) verdict {
	open, unknown := 0, 0
	for _, o := range others {
		switch {
		case !o.Encryption.Known():
			unknown++
		case o.Encryption.Value != posture.Encrypted:
			open++
		}
	}
	switch {
	case open > 0:
		return notMet("Only its system disk was encrypted when it last reported",
			sentence(of(open, len(others), "other volume")+" "+wasWere(open)+" not fully encrypted"))
	case unknown > 0:
		v = notProven("its system disk was encrypted, but of " + of(unknown, len(others), "other volume") + " it is not known")
	}
	return v
}

// withGaps says what a list of volumes that is not whole leaves open.
func withGaps(volumes posture.Answer[posture.Volume]) verdict {
	if volumes.Complete() {
		return met("", "")
	}
	return notProven("its system disk was encrypted, but not every volume could be read: " + why(volumes.Gaps[0].Absent))
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func met(words, detail string) verdict {
	return verdict{Words: words, Detail: detail, Standing: newStanding(view.Met)}
}

func notMet(words, detail string) verdict {
	return verdict{Words: words, Detail: detail, Standing: newStanding(view.NotMet)}
}

func notProven(detail string) verdict {
	return verdict{Words: "Not proven whether it was encrypted when it last reported", Detail: sentence(detail), Standing: newStanding(view.NotProven)}
}

// worse returns the verdict that flatters less; of equals, the one with more
// to say.
func worse(a, b verdict) verdict {
	rank := map[string]int{"met": 0, "not-proven": 1, "not-met": 2}
	x, y := rank[a.Standing.Class], rank[b.Standing.Class]
	if y > x || (y == x && a.Detail == "") {
		return b
	}
	return a
}
