package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/shared/release"
)

// unnoticed is for how long the agent may not run although the machine is switched
// on, without a word: while it is updated, while the machine starts, while the
// system starts it again.
const unnoticed = 30 * time.Minute

// upkeep is what happened to the agent itself, kept from one start to the next. Who
// may stop the agent may alter this as well: it shows what was not hidden.
type upkeep struct {
	alive
	assess.Agent

	Version string `json:"version,omitempty"` // of the program
}

// alive is a moment at which the agent ran: in which boot of the machine, and how
// long after its begin, by a clock of the system's that nobody sets.
type alive struct {
	Boot   string        `json:"boot,omitempty"` // "" if it is not known
	Uptime time.Duration `json:"uptime,omitempty"`
	At     time.Time     `json:"at,omitzero"` // by the machine's clock
}

// begin notes that the agent was started, as a program of a version, and what it can
// tell of the time before.
func (u *upkeep) begin(now alive, version, program string) {
	from := now.At // since when it did not run
	switch {
	case u.At.IsZero() || u.Boot == "" || now.Boot == "": // nothing is known of before
	case u.Boot == now.Boot:
		from = now.At.Add(u.Uptime - now.Uptime)
	default:
		from = now.At.Add(-now.Uptime)
	}
	if now.At.Sub(from) > unnoticed {
		u.StoppedFrom, u.StoppedUntil = from, now.At
	}
	if u.Version == version && u.Program != "" && program != "" && u.Program != program {
		u.ChangedAt = now.At
	}
	u.Version, u.Program = version, program
	u.seen(now)
}

// seen notes that the agent runs.
func (u *upkeep) seen(now alive) { u.alive, u.Unbooted = now, now.Boot == "" }

// told is what reports say of it; nil if nobody kept count.
func (u *upkeep) told() *assess.Agent {
	if u.At.IsZero() {
		return nil
	}
	return &u.Agent
}

// alive says that the agent runs now.
func (s *service) alive() alive {
	boot, uptime, err := s.boot()
	if err != nil {
		boot, uptime = "", 0
	}
	return alive{Boot: boot, Uptime: uptime, At: wall(s.clock)}
}

// running is what runs now, since this start. Of a recorded machine nobody asks for
// the program: it is not the one of the machine.
func (s *service) running(c Config) (now alive, version, program string) {
	if c.Replay == "" {
		var err error
		if program, err = fingerprint(c.Program); err != nil {
			s.log.Warn("the agent's own program cannot be read", "reason", err)
		}
	}
	return s.alive(), release.Version(), program
}

// leave stores that the agent ran until now. If that cannot be stored, it ran until
// its last statement, as after a crash.
func (s *service) leave() {
	s.position.Upkeep.seen(s.alive())
	if err := s.state.save(chainFile, s.position); err != nil {
		s.log.Warn("until when the agent ran cannot be stored", "reason", err)
	}
}

// fingerprint returns the SHA-256 of the program at path; "" is this program.
func fingerprint(path string) (_ string, err error) {
	if path == "" {
		if path, err = os.Executable(); err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the program: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read the program: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
