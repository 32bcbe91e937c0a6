package view

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Preview is what a drafted policy would find, as if every device judged by it
// what the collector holds of it, at one moment. It is worked out when it is
// asked for and kept nowhere.
type Preview struct {
	School  posture.SchoolID `json:"school"`
	At      time.Time        `json:"at"`
	From    uint64           `json:"from"` // number of the policy in force, with which it is compared
	Name    string           `json:"name"` // of the drafted policy
	Title   string           `json:"title"`
	Entries uint64           `json:"entries"` // of the ledger that what it rests on was made of

	Devices  int `json:"devices"`           // that were judged
	Revoked  int `json:"revoked,omitempty"` // that are known no more, and were not
	Unheard  int `json:"unheard,omitempty"` // of those judged: that have not reported yet, of which only the school's own rules can be judged
	Silent   int `json:"silent,omitempty"`  // of those judged: not heard from for longer than the drafted policy allows
	Affected int `json:"affected"`          // of those judged: with a breach that opens or closes
	Opens    int `json:"opens"`             // breaches that would open: at once, or after their grace
	Pending  int `json:"pending,omitempty"` // of those: that have a grace first
	Closes   int `json:"closes"`            // breaches that would close

	// Below is in what the drafted policy asks less than the baseline of the school's
	// trust, without being allowed to: it could not be published.
	Below []string `json:"below,omitempty"`

	Rules   []PreviewRule   `json:"rules"` // of either policy: those of the drafted one in its order, then those that it does not have
	History *PreviewHistory `json:"history,omitempty"`
}

// PreviewRule is what a preview finds of one rule.
type PreviewRule struct {
	Rule     string           `json:"rule"`
	Title    string           `json:"title"`
	Severity posture.Severity `json:"severity"`
	New      bool             `json:"new,omitempty"`  // the policy in force does not have it
	Gone     bool             `json:"gone,omitempty"` // the drafted policy does not have it
	Before   StandingCount    `json:"before"`         // of a rule that is new, all zero
	After    StandingCount    `json:"after"`          // of a rule that is gone, all zero
	Opens    int              `json:"opens"`
	Pending  int              `json:"pending,omitempty"`
	Closes   int              `json:"closes"`
	Graver   int              `json:"graver,omitempty"` // breaches that stand and become graver
	Milder   int              `json:"milder,omitempty"` // breaches that stand and become milder
	// Listed are the devices on which a breach opens or closes: the first by
	// their identifiers. Touched is how many there are.
	Listed  []PreviewDevice `json:"listed,omitempty"`
	Touched int             `json:"touched"`
}

// StandingCount counts devices by where they stand on a rule.
type StandingCount struct {
	Met       int `json:"met"`
	NotMet    int `json:"notMet"`
	NotProven int `json:"notProven"`
	Exempt    int `json:"exempt"`
	NotFor    int `json:"notApplicable"`
}

// Add counts a device.
func (c *StandingCount) Add(s Standing) {
	switch s {
	case Met:
		c.Met++
	case NotMet:
		c.NotMet++
	case NotProven:
		c.NotProven++
	case Exempt:
		c.Exempt++
	case NotFor:
		c.NotFor++
	}
}

// PreviewDevice is a device on which breaches of a rule open or close.
type PreviewDevice struct {
	ID       posture.DeviceID `json:"id"`
	Hostname string           `json:"hostname"`
	Opens    int              `json:"opens,omitempty"`
	Closes   int              `json:"closes,omitempty"`
	Breaches []PreviewBreach  `json:"breaches"` // the first of them
}

// PreviewBreach is a breach that would open or close.
type PreviewBreach struct {
	Subject  posture.Subject  `json:"subject"`
	Closes   bool             `json:"closes,omitempty"` // otherwise it opens
	Status   breach.Status    `json:"status"`           // of one that opens: pending or open; of one that closes: what it was
	Severity posture.Severity `json:"severity"`
	Message  string           `json:"message,omitempty"`
}

// PreviewHistory is what a drafted policy would have found in the reports of the
// last days. It is about the rules that devices judge; what the school itself
// knows, and how it knew it then, is not gone through again.
type PreviewHistory struct {
	Asked   int           `json:"asked"`         // days
	From    time.Time     `json:"from"`          // reports received before this are not looked at
	Days    int           `json:"days"`          // that are covered
	Cut     string        `json:"cut,omitempty"` // why less is covered than was asked for
	Reports int           `json:"reports"`       // that were looked at
	Partly  int           `json:"partly"`        // of these: of which not all is held any more, and which are not judged
	Rules   []HistoryRule `json:"rules"`         // that a device would have failed, in the order of the policy
}

// HistoryRule is how many devices would have failed a rule.
type HistoryRule struct {
	Rule    string `json:"rule"`
	Devices int    `json:"devices"` // that failed it in at least one report
	Now     int    `json:"now"`     // of those: in their last report too
}
