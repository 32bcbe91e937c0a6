package release

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Runs is what a device last said of the agent on it.
type Runs struct {
	Version string
	System  string // for which it takes releases; "" if it takes none
	Untaken string // the version that it tried last and that does not run
	Why     string // why none is taken; "" if nothing is amiss
}

// Census knows what devices run, as far as they have said since the collector was
// started: each says it whenever it connects. It is safe for concurrent use.
type Census struct {
	mu   sync.Mutex // guards said
	said map[posture.SchoolID]map[posture.DeviceID]Runs
}

// Heard takes in what a device says.
func (c *Census) Heard(school posture.SchoolID, device posture.DeviceID, r Runs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == nil {
		c.said = map[posture.SchoolID]map[posture.DeviceID]Runs{}
	}
	if c.said[school] == nil {
		c.said[school] = map[posture.DeviceID]Runs{}
	}
	c.said[school][device] = r
}

// Of returns what a device last said; the zero value if it has not since the
// collector was started.
func (c *Census) Of(school posture.SchoolID, device posture.DeviceID) Runs {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said[school][device]
}

// Standing is how far an update has come at a school.
type Standing struct {
	School   posture.SchoolID `json:"school"`
	Trusted  bool             `json:"trusted"`  // this collector was built with its publisher's keys
	Releases []Kept           `json:"releases"` // that can be offered, the newest first
	Offer    Offer            `json:"offer"`    // version "" if none is offered
	By       string           `json:"by,omitempty"`
	At       time.Time        `json:"at,omitzero"`
	Reason   string           `json:"reason,omitempty"`
	Entry    uint64           `json:"entry"`            // of the ledger that says so, counted from 1; 0 if nothing ever was
	Share    int              `json:"share"`            // to how many of a hundred it is offered now
	Runs     []Count          `json:"runs"`             // by version, as laptops said since the collector was started
	Silent   int              `json:"silent"`           // laptops that have not connected since
	Fixed    int              `json:"fixed"`            // of those that have, how many take no releases by themselves
	Failed   []Failure        `json:"failed,omitempty"` // why a version was not taken
}

// Kept is a release that can be offered.
type Kept struct {
	Version string    `json:"version"`
	Systems []string  `json:"systems"`
	Until   time.Time `json:"until"` // laptops take it until then
	Over    bool      `json:"over"`  // that has passed: a newer word of the publisher's is needed
}

// Count is how many laptops run a version.
type Count struct {
	Version string `json:"version"`
	Devices int    `json:"devices"`
}

// Failure is why laptops did not take a version, or went back.
type Failure struct {
	Version string `json:"version,omitempty"`
	Why     string `json:"why"`
	Devices int    `json:"devices"`
}

// mostFailures bounds how many reasons are listed.
const mostFailures = 20

// Count adds to a standing what devices of a school said.
func (c *Census) Count(school posture.SchoolID, devices func(yield func(posture.DeviceID) bool), s *Standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	runs, failed := map[string]int{}, map[Failure]int{}
	for id := range devices {
		r, ok := c.said[school][id]
		if !ok {
			s.Silent++
			continue
		}
		runs[r.Version]++
		if r.System == "" {
			s.Fixed++
		}
		if r.Why != "" {
			failed[Failure{Version: r.Untaken, Why: r.Why}]++
		}
	}
	s.Runs = []Count{}
	for v, n := range runs {
		s.Runs = append(s.Runs, Count{v, n})
	}
	slices.SortFunc(s.Runs, func(a, b Count) int {
		switch {
		case publisher.Newer(a.Version, b.Version):
			return -1
		case publisher.Newer(b.Version, a.Version):
			return 1
		}
		return strings.Compare(a.Version, b.Version)
	})
	for f, n := range failed {
		f.Devices = n
		s.Failed = append(s.Failed, f)
	}
	slices.SortFunc(s.Failed, func(a, b Failure) int {
		if a.Devices != b.Devices {
			return b.Devices - a.Devices
		}
		return strings.Compare(a.Version+a.Why, b.Version+b.Why)
	})
	s.Failed = s.Failed[:min(len(s.Failed), mostFailures)]
}

// Kept describes a release at a moment.
func (h Held) Kept(now time.Time) Kept {
	k := Kept{Version: h.Version, Until: h.Expires, Over: !now.Before(h.Expires)}
	for _, p := range h.Programs {
		k.Systems = append(k.Systems, p.Platform)
	}
	return k
}
