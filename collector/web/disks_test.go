package web

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestTrendsCountWhatPagesSay: what a school's days count of disks is what the
// page of each device says of them.
func TestTrendsCountWhatPagesSay(t *testing.T) {
	reading := func(rt *rapid.T, name string, values ...string) (string, posture.Absence) {
		return rapid.SampledFrom(values).Draw(rt, name), rapid.SampledFrom([]posture.Absence{posture.None, posture.None, posture.None, posture.Denied}).Draw(rt, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		answer := posture.Answer[posture.Volume]{ReadAt: time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)}
		answer.Absent = rapid.SampledFrom([]posture.Absence{posture.None, posture.None, posture.None, posture.TimedOut}).Draw(rt, "absent")
		for range rapid.IntRange(0, 4).Draw(rt, "volumes") {
			v := posture.Volume{Role: rapid.SampledFrom([]posture.VolumeRole{posture.SystemVolume, posture.SystemVolume, posture.DataVolume, posture.SwapVolume, posture.BootVolume}).Draw(rt, "role")}
			state, absent := reading(rt, "encryption", "full", "full", "full", "none", "partial", "encrypting", "decrypting", "odd")
			v.Encryption = posture.Reading[posture.EncryptionState]{Value: posture.EncryptionState(state), Absent: absent}
			guard, absent := reading(rt, "protection", "on", "on", "locked", "suspended", "clear-key", "off", "odd")
			v.Protection = posture.Reading[posture.ProtectionState]{Value: posture.ProtectionState(guard), Absent: absent}
			answer.Items = append(answer.Items, v)
		}
		if rapid.IntRange(0, 4).Draw(rt, "gap") == 0 {
			answer.Gaps = []posture.Gap{{Absent: posture.Denied}}
		}
		want := map[string]view.Disks{"met": view.DisksEncrypted, "not-met": view.DisksOpen, "not-proven": view.DisksUnproven}[encryptionVerdict(answer, clockwork{time.UTC, time.Time{}}).Standing.Class]
		if got := view.DisksOf(answer); got != want {
			rt.Fatalf("counted as %d, shown as %+v", got, encryptionVerdict(answer, clockwork{time.UTC, time.Time{}}))
		}
	})
}
