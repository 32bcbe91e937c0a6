package posture

import "time"

// Report is one device's facts and findings, numbered by the device.
type Report struct {
	Sequence uint64    `json:"sequence"` // from 1, without gaps, for the life of an enrolment
	MadeAt   time.Time `json:"madeAt"`   // by the device's clock
	Policy   uint64    `json:"policy"`   // number of the policy that judged it; 0 is the baseline built into the agent
	Facts    Facts     `json:"facts"`
	Findings []Finding `json:"findings"`
}
