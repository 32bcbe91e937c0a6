package probe

import (
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// guarded are the facts that macOS keeps from every program, root's too, until
// the Mac's owner gives it Full Disk Access, in words for people.
var guarded = []struct {
	what   string
	denied func(posture.Facts) bool
}{
	{"whether sticks and disks in another format than Apple's are encrypted", func(f posture.Facts) bool {
		return slices.ContainsFunc(f.Media.Items, func(m posture.Medium) bool {
			return slices.ContainsFunc(m.Partitions, func(p posture.Partition) bool { return p.Encryption.Absent == posture.Denied })
		})
	}},
	{"whether the files of another system on the built-in disk are encrypted", func(f posture.Facts) bool {
		return deniedIn(f.Volumes.Gaps, "unmounted partitions")
	}},
	{"programs on desktops, in documents and downloads, in temporary folders and on media", func(f posture.Facts) bool {
		return f.Executables.Absent == posture.Denied || slices.ContainsFunc(f.Executables.Gaps, isDenied)
	}},
	{"whether somebody has applications of their own", func(f posture.Facts) bool {
		return deniedIn(f.Programs.Gaps, "applications of people")
	}},
}

// WantsFullDiskAccess lists what a Mac withheld from the agent that Full Disk
// Access would let it read; nothing for another system.
func WantsFullDiskAccess(f posture.Facts) []string {
	if len(f.System.Items) != 1 || f.System.Items[0].Platform != posture.MacOS {
		return nil
	}
	var list []string
	for _, g := range guarded {
		if g.denied(f) {
			list = append(list, g.what)
		}
	}
	return list
}

func isDenied(g posture.Gap) bool { return g.Absent == posture.Denied }

func deniedIn(gaps []posture.Gap, source string) bool {
	return slices.ContainsFunc(gaps, func(g posture.Gap) bool { return g.Source == source && isDenied(g) })
}
