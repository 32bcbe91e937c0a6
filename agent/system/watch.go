//go:build windows || darwin

package system

import (
	"os"
	"time"
)

// look is what a file looked like, to tell whether a change to its folder was
// one to it.
type look struct {
	there    bool
	size     int64
	modified time.Time
}

func lookAt(name string) look {
	info, err := os.Lstat(name)
	if err != nil {
		return look{}
	}
	return look{true, info.Size(), info.ModTime()}
}

// lookAgain looks at files again and reports whether any looks different.
func lookAgain(looks map[string]look) bool {
	changed := false
	for name, before := range looks {
		if now := lookAt(name); now != before {
			looks[name], changed = now, true
		}
	}
	return changed
}
