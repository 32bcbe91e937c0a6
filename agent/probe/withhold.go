package probe

import (
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Withheld says of which executables the names that are embedded in them are
// kept back, because they may tell of their user's health, faith or politics.
// Nil withholds none.
type Withheld func(sha256 posture.Reading[string]) bool

// Withhold returns what a device keeps back: nothing unless it is its user's own
// too, and then every name but those of the executables that are to be revealed.
func Withhold(personalUse bool, reveal []string) Withheld {
	if !personalUse {
		return nil
	}
	return func(sum posture.Reading[string]) bool { return !sum.Known() || !slices.Contains(reveal, sum.Value) }
}

// from returns an executable without what is kept back of it.
func (w Withheld) from(e posture.Executable) posture.Executable {
	if w != nil && w(e.SHA256) {
		kept := posture.Unread[string](posture.NotVisible)
		e.Product, e.Version, e.Signer = kept, kept, kept
	}
	return e
}

// From takes out of a list of executables what is kept back.
func (w Withheld) From(list []posture.Executable) []posture.Executable {
	out := slices.Clone(list)
	for i := range out {
		out[i] = w.from(out[i])
	}
	return out
}
