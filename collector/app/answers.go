package app

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What the operations of the command line take and answer. The answers are
// the JSON documents of the commands: fields are added, never changed.

// InitArguments makes a school.
type InitArguments struct {
	School string `json:"school"` // its name
}

// InitAnswer is a school that was made.
type InitAnswer struct {
	School posture.SchoolID `json:"school"`
	Name   string           `json:"name"`
	Key    string           `json:"key"` // with which a stranger checks what the school signs
	// Serving says that a collector runs on the folder. It serves the school
	// from now on.
	Serving bool `json:"serving"`
}

// DiffArguments ask what changes from one policy to another.
type DiffArguments struct {
	School string `json:"school"`
	From   uint64 `json:"from"` // number; 0: the one in force
	To     uint64 `json:"to"`   // number, if there is no Source
	File   string `json:"file"`
	Source []byte `json:"source,omitempty"` // of a policy that is not published
}

// DiffAnswer is what changes.
type DiffAnswer struct {
	School  posture.SchoolID  `json:"school"`
	From    uint64            `json:"from"` // 0: the baseline
	To      uint64            `json:"to"`
	File    string            `json:"file,omitempty"` // instead of To
	Changes []rulebook.Change `json:"changes"`
}

// DecideArguments decide about the breaches of a rule on a device that stand.
type DecideArguments struct {
	School  string        `json:"school"`
	Kind    decision.Kind `json:"kind"`   // decision.Acknowledge or decision.Resolve
	Device  string        `json:"device"` // identifier or host name
	Rule    string        `json:"rule"`
	Subject string        `json:"subject"` // key of the only subject that is meant; "" for every one
	Reason  string        `json:"reason"`
}

// DecideAnswer is what was decided.
type DecideAnswer struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname"`
	Rule     string           `json:"rule"`
	Breaches []DecidedBreach  `json:"breaches"`
}

// DecidedBreach is one breach about which something was decided.
type DecidedBreach struct {
	Subject posture.Subject `json:"subject"`
	Entry   uint64          `json:"entry"` // of the ledger
}

// EvidenceArguments ask for evidence about one device at one moment.
type EvidenceArguments struct {
	School string    `json:"school"`
	Device string    `json:"device"`         // identifier or host name
	At     time.Time `json:"at"`             // zero: now
	Aware  time.Time `json:"aware,omitzero"` // when the school became aware of the loss; zero: that does not matter
	Zone   string    `json:"zone,omitempty"` // in which whoever asks reads times
}

// EvidenceAnswer is a sealed bundle, as evidence.Verify takes it.
type EvidenceAnswer struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname"`
	Bundle   []byte           `json:"bundle"`
}

// KeyArguments make a key for programs, or name one.
type KeyArguments struct {
	ID      string        `json:"id"` // of the key to take back
	Account string        `json:"account"`
	Label   string        `json:"label"`
	Role    string        `json:"role"`    // "": all that the account is
	Schools []string      `json:"schools"` // names or identifiers; none: all of the account's
	Lasts   time.Duration `json:"lasts"`
}

// KeyAnswer is a key for programs. Its text is shown once and not kept.
type KeyAnswer struct {
	ID      string         `json:"id"`
	Key     string         `json:"key,omitempty"`
	Account string         `json:"account,omitempty"`
	Label   string         `json:"label,omitempty"`
	Grants  []access.Grant `json:"grants,omitempty"`
	Made    time.Time      `json:"made,omitzero"`
	Ends    time.Time      `json:"ends,omitzero"`
}

// TokenArguments makes an enrolment token.
type TokenArguments struct {
	School    string            `json:"school"` // its name or identifier; may be empty if there is one only
	Uses      int               `json:"uses"`
	Lifetime  time.Duration     `json:"lifetime"`
	Ownership posture.Ownership `json:"ownership"`
	Addresses []string          `json:"addresses"` // where laptops reach the collector; none: where it last served
	// PersonalUse says that the laptops are their users' own too.
	PersonalUse bool     `json:"personalUse,omitempty"`
	Groups      []string `json:"groups,omitempty"` // in which the laptops are from the first
	// Way is how it admits; "" is at once.
	Way admission.Way `json:"way,omitempty"`
}

// TokenAnswer is a token. Its text is shown once and not kept.
type TokenAnswer struct {
	Token     string            `json:"token"`
	ID        string            `json:"id"`
	Uses      int               `json:"uses"`
	Ends      time.Time         `json:"ends"`
	Ownership posture.Ownership `json:"ownership"`
}

// AccountArguments makes an account, or gives one a new password.
type AccountArguments struct {
	Name    string   `json:"name"`
	Role    string   `json:"role"`
	Schools []string `json:"schools"` // names or identifiers; none: all
}

// AccountAnswer is an account. Its password is shown once and not kept.
type AccountAnswer struct {
	Name     string             `json:"name"`
	Role     string             `json:"role"`
	Schools  []posture.SchoolID `json:"schools,omitempty"`
	Password string             `json:"password,omitempty"`
}

// PolicyArguments names a policy.
type PolicyArguments struct {
	School string `json:"school"`
	Number uint64 `json:"number"` // 0: the one in force
}

// PublishArguments publishes a policy.
type PublishArguments struct {
	School     string `json:"school"`
	File       string `json:"file"` // its name, for errors
	Source     []byte `json:"source"`
	Draft      string `json:"draft,omitempty"`      // name of a draft, instead of Source
	ApprovedOn string `json:"approvedOn,omitempty"` // the day on which the school agreed to it
	ReviewBy   string `json:"reviewBy,omitempty"`   // the day by which it is to be looked at again
	Reason     string `json:"reason,omitempty"`
}

// PublishAnswer is a policy that was published.
type PublishAnswer struct {
	School posture.SchoolID `json:"school"`
	Number uint64           `json:"number"`
	Name   string           `json:"name"`
	Rules  int              `json:"rules"`
	Entry  ledger.Index     `json:"entry"`

	Looser  []string `json:"looser"`  // rules that ask less than before
	Unclear []string `json:"unclear"` // rules of which that cannot be told from the texts

	Drafter    string `json:"drafter,omitempty"`
	Approver   string `json:"approver,omitempty"` // the second person, if there was one
	ApprovedOn string `json:"approvedOn,omitempty"`
	ReviewBy   string `json:"reviewBy,omitempty"`
}

// ListArguments asks for devices or breaches.
type ListArguments struct {
	School string `json:"school"`
	Search string `json:"search,omitempty"`
	Device string `json:"device,omitempty"` // identifier or host name
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// AssessAnswer is a device that was asked to assess itself.
type AssessAnswer struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname"`
}

// LedgerArguments asks about a ledger.
type LedgerArguments struct {
	School string       `json:"school"`
	From   ledger.Index `json:"from"`
	Count  int          `json:"count"`
	// Against are checkpoints that were given away, to verify against.
	Against []GivenCheckpoint `json:"against,omitempty"`
}

// GivenCheckpoint is a checkpoint that somebody kept.
type GivenCheckpoint struct {
	Name string `json:"name"` // for people, such as the file's
	Note []byte `json:"note"`
}

// LedgerReport is the outcome of verifying a ledger.
type LedgerReport struct {
	School     posture.SchoolID `json:"school"`
	Good       bool             `json:"good"`
	Entries    uint64           `json:"entries"`
	Statements uint64           `json:"statements"` // whose signatures were checked against the enrolled keys
	Bodies     uint64           `json:"bodies"`     // whose hashes were checked
	Forgotten  uint64           `json:"forgotten"`  // bodies that were purged; their hashes stay
	Gaps       uint64           `json:"gaps"`       // reports that are missing from the devices' chains
	Root       proof.Digest     `json:"root"`
	Checkpoint string           `json:"checkpoint,omitempty"` // signed by the school's key
	Trouble    string           `json:"trouble,omitempty"`    // the first thing that is wrong, with its place
	Agrees     int              `json:"agrees,omitempty"`     // checkpoints of those given that the ledger begins with
}

// EntryView is one entry of a ledger.
type EntryView struct {
	Index      ledger.Index     `json:"index"`
	Kind       string           `json:"kind"`
	School     posture.SchoolID `json:"school"`
	Subject    string           `json:"subject,omitempty"`
	Sequence   uint64           `json:"sequence"`
	ReceivedAt time.Time        `json:"receivedAt"`
	Intake     string           `json:"intake,omitempty"`
	Leaf       proof.Digest     `json:"leaf"`
	Signed     bool             `json:"signed"`
	Sections   []SectionView    `json:"sections"`
}

// SectionView is one section of an entry.
type SectionView struct {
	Name   string       `json:"name"`
	Class  string       `json:"class"`
	Digest proof.Digest `json:"digest"`
	ReadAt time.Time    `json:"readAt,omitzero"`
	Bytes  int          `json:"bytes"`
	Gone   bool         `json:"forgotten,omitempty"`
}

// RebuildAnswer is the outcome of rebuilding the view.
type RebuildAnswer struct {
	Schools int    `json:"schools"`
	Entries uint64 `json:"entries"`
}
