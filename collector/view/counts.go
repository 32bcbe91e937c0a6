package view

import (
	"encoding/json"
	"slices"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// counts are a school's running totals. Breaches are counted as they stand at
// the time to which the turns were counted; devices by rule as they stand while
// nothing goes stale. Queries correct both for the time of asking.
type counts struct {
	Devices  int                             `json:"devices"`
	Breaches [breachStatuses][severities]int `json:"breaches"`
	Rules    []ruleCount                     `json:"rules"` // by slot
}

const (
	breachStatuses = int(breach.Resolved) + 1
	severities     = int(posture.Critical) + 1
)

// ruleCount counts devices: met, not met, not proven, exempt, not applicable.
type ruleCount [5]int

func place(s Standing) int {
	switch s {
	case Met:
		return 0
	case NotMet:
		return 1
	case NotProven:
		return 2
	case Exempt:
		return 3
	}
	return 4
}

func (c *ruleCount) move(from, to Standing, n int) {
	c[place(from)] -= n
	c[place(to)] += n
}

// vector adds a device's settled standings, or takes them away with -1.
func (c *counts) vector(v Vector, by int) {
	for _, s := range v.Rules {
		for int(s.Slot) >= len(c.Rules) {
			c.Rules = append(c.Rules, ruleCount{})
		}
		c.Rules[s.Slot][place(s.settled())] += by
	}
}

func (c *counts) breach(status breach.Status, severity posture.Severity, by int) {
	if int(status) < breachStatuses && int(severity) < severities {
		c.Breaches[status][severity] += by
	}
}

// turn is a change of a breach by the passing of time alone.
type turn [4]byte // status and severity before, status and severity after

func (c *counts) turn(t turn) {
	c.breach(breach.Status(t[0]), posture.Severity(t[1]), -1)
	c.breach(breach.Status(t[2]), posture.Severity(t[3]), 1)
}

func decodeCounts(data []byte) (counts, error) {
	var c counts
	err := json.Unmarshal(data, &c)
	return c, err
}

// clone returns a copy that may be changed.
func (c counts) clone() counts {
	c.Rules = slices.Clone(c.Rules)
	return c
}
