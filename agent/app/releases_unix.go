//go:build unix

package app

import (
	"github.com/caretaker-school/caretaker/agent/update"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// Launch becomes the newer version that came as a release, if there is one: then it
// does not return.
func Launch(c Config, clk clock.Clock) {
	update.Where(c.State).Launch(c.Installed, clk.Now(), c.Log)
}
