package subject

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Format is the version of a sheet's file.
const Format = 1

// Sheet is what a school's record says of one person. Text that people wrote is
// marked: whoever gives the sheet out first looks in it for other people.
type Sheet struct {
	Format   int              `json:"format"`
	School   posture.SchoolID `json:"school"`
	Name     string           `json:"name"` // of the school
	Request  string           `json:"request"`
	Made     time.Time        `json:"made"`
	By       string           `json:"by"`
	Zone     string           `json:"zone"`
	People   []string         `json:"people"`   // names under which the register has them
	Accounts []string         `json:"accounts"` // names of their accounts

	Roles      []string    `json:"roles"` // that their accounts have at the school
	Had        []Had       `json:"had"`
	Uses       []Use       `json:"uses"`
	Findings   []Finding   `json:"findings"`
	Breaches   []Breach    `json:"breaches"`
	Media      []Medium    `json:"media"`
	Exemptions []Exemption `json:"exemptions"`
	Incidents  []Incident  `json:"incidents"`
	Looks      []Look      `json:"looks"`
	Looked     int         `json:"looked"` // how often they looked at something themselves
	Shared     []Shared    `json:"shared"`
	Disputes   []Dispute   `json:"disputes,omitempty"`
	Reports    []Reported  `json:"reports,omitempty"`
	LeftOut    int         `json:"leftOut"`   // reports that were made or came at a time when it was not theirs alone
	Forgotten  int         `json:"forgotten"` // reports of which what was found is forgotten
	// Of what was reported without signing in: of how much nobody can tell whose it
	// is, and of how much what was told is forgotten.
	Untied           int `json:"untied,omitempty"`
	ReportsForgotten int `json:"reportsForgotten,omitempty"`
}

// Text is what somebody wrote in their own words.
type Text struct {
	Words string `json:"words"`
	// Check says: look for other people before giving this out.
	Check bool `json:"check"`
}

// Had is one time that they had a device.
type Had struct {
	Tag       string    `json:"tag"`
	What      string    `json:"what,omitempty"`
	Role      string    `json:"role"`
	From      time.Time `json:"from"`
	Ends      time.Time `json:"ends,omitzero"` // of a loan with an end
	Back      time.Time `json:"back,omitzero"` // zero: they have it
	Guest     bool      `json:"guest,omitempty"`
	Notice    string    `json:"notice,omitempty"` // which notice they were given as a guest
	Left      time.Time `json:"left,omitzero"`    // when they leave or left, by the leaver's checklist
	Condition *Text     `json:"condition,omitempty"`
}

// Use is that they acknowledged the rules of use.
type Use struct {
	Role    string    `json:"role"`
	At      time.Time `json:"at"`
	Version string    `json:"version,omitempty"`
}

// Finding is what a rule found on a device while it was theirs.
type Finding struct {
	Tag     string         `json:"tag"`
	Rule    string         `json:"rule"`
	Title   string         `json:"title,omitempty"`
	Subject string         `json:"subject,omitempty"`
	Result  posture.Result `json:"result"`
	Message string         `json:"message,omitempty"`
	From    time.Time      `json:"from"` // of the first report that said so
	To      time.Time      `json:"to"`   // of the last
}

// Breach is a policy breach that stood on a device while it was theirs.
type Breach struct {
	Tag     string    `json:"tag"`
	Rule    string    `json:"rule"`
	Title   string    `json:"title,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Message string    `json:"message,omitempty"`
	From    time.Time `json:"from"` // within the time that it was theirs
	To      time.Time `json:"to"`
	Stood   bool      `json:"stood,omitempty"` // it stood already when it became theirs
	Stands  bool      `json:"stands,omitempty"`
}

// Medium is a stick or disk that came or went while a device was theirs.
type Medium struct {
	Tag     string               `json:"tag"`
	At      time.Time            `json:"at"`
	Action  posture.MediumAction `json:"action"`
	Kind    posture.MediumKind   `json:"kind"`
	Product string               `json:"product,omitempty"`
	Serial  string               `json:"serial,omitempty"` // keyed hash
}

// Exemption is one that they asked for or answered, or that was for a device while
// it was theirs.
type Exemption struct {
	ID     string    `json:"id"`
	Rule   string    `json:"rule"`
	Title  string    `json:"title,omitempty"`
	Tag    string    `json:"tag,omitempty"` // "": it is for a group or the school
	State  string    `json:"state"`
	Asked  time.Time `json:"asked"`
	Until  time.Time `json:"until"`
	Why    []string  `json:"why"` // why it is here: "you asked for it"
	Reason *Text     `json:"reason,omitempty"`
}

// Incident is one that is linked to a device that they had then, or of which they
// recorded something.
type Incident struct {
	Number string    `json:"number"`
	Kind   string    `json:"kind"`
	At     time.Time `json:"at"` // when it happened, or was recorded
	Closed bool      `json:"closed"`
	Why    []string  `json:"why"`
	Texts  []Text    `json:"texts"`
}

// Look is that somebody looked at something about a device while it was theirs.
// Who that was is a name of somebody else.
type Look struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Way  string    `json:"way"`
	What string    `json:"what"`
	Tag  string    `json:"tag"`
}

// Shared is a time in which they had a device that was not theirs alone. What it
// said then is left out.
type Shared struct {
	Tag  string    `json:"tag"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Lines counts what the sheet lists.
func (s Sheet) Lines() int {
	return len(s.Had) + len(s.Uses) + len(s.Findings) + len(s.Breaches) + len(s.Media) + len(s.Exemptions) + len(s.Incidents) + len(s.Looks) +
		len(s.Disputes) + len(s.Reports)
}

// mostSheet bounds a sheet's file, in bytes.
const mostSheet = 6 << 20

// ErrTooLarge says that more is known of a person than one file holds.
var ErrTooLarge = errors.New("more is kept about this person than one export holds")

// Encode writes a sheet's file: the same bytes for the same sheet.
func Encode(s Sheet) ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write what is kept about a person: %w", err)
	}
	if len(data) > mostSheet {
		return nil, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, len(data), mostSheet)
	}
	return append(data, '\n'), nil
}

// Decode reads a sheet's file.
func Decode(data []byte) (Sheet, error) {
	s, err := body.Decode[Sheet](data, mostSheet+1)
	if err == nil && s.Format != Format {
		err = fmt.Errorf("it is of format %d, and this version reads %d", s.Format, Format)
	}
	if err != nil {
		return Sheet{}, fmt.Errorf("read what is kept about a person: %w", err)
	}
	return s, nil
}

// Digest is the SHA-256 of a file.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func order(ways ...int) int { return cmp.Or(ways...) }

func compare(a, b string) int { return cmp.Compare(a, b) }
