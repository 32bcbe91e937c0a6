// Package dispute is that somebody says of a recorded fact that it is wrong, and
// what the school answers: what may be recorded about that, and by when it is
// answered.
//
// It never changes the fact that is disputed, nor hides it: both stand beside one
// another.
package dispute

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// About is what of the record is said to be wrong.
type About string

// What of the record can be disputed: what a laptop says of itself, what a rule
// makes of that, and what the school recorded about who has what.
const (
	Encryption About = "encryption"
	Antivirus  About = "antivirus"
	Media      About = "media"
	Programs   About = "programs"
	Security   About = "security"
	System     About = "system"
	Rule       About = "rule"
	Holder     About = "holder" // who has a device, or had it, and when
	Uses       About = "uses"   // that somebody acknowledged the rules of use, or did not
	Other      About = "other"
)

// Abouts lists what can be disputed.
func Abouts() []About {
	return []About{Encryption, Antivirus, Media, Programs, Security, System, Rule, Holder, Uses, Other}
}

// OfLaptop reports whether it is what a laptop says of itself: then one is named.
func (a About) OfLaptop() bool {
	return slices.Contains([]About{Encryption, Antivirus, Media, Programs, Security, System, Rule}, a)
}

// Words says what it is.
func (a About) Words() string {
	switch a {
	case Encryption:
		return "Whether its disks are encrypted"
	case Antivirus:
		return "Its antivirus"
	case Media:
		return "Sticks and disks that were in it"
	case Programs:
		return "Its programs"
	case Security:
		return "Its settings, updates and accounts"
	case System:
		return "The computer itself: its name, its system"
	case Rule:
		return "What a rule found on it"
	case Holder:
		return "Who has it or had it, and when"
	case Uses:
		return "That the rules of use were acknowledged, or not"
	case Other:
	}
	return "Something else"
}

// Outcome is what the school answers.
type Outcome string

// The outcomes.
const (
	Upheld    Outcome = "upheld"     // the record was wrong: the words say what was done
	NotUpheld Outcome = "not-upheld" // it stands as it is: the words say why
)

// Outcomes lists them.
func Outcomes() []Outcome { return []Outcome{Upheld, NotUpheld} }

// Words says what it is.
func (o Outcome) Words() string {
	switch o {
	case Upheld:
		return "Upheld"
	case NotUpheld:
		return "Not upheld"
	}
	return "Not answered yet"
}

// What is the sort of a change.
type What string

// The sorts of changes.
const (
	Raise  What = "raise"
	Answer What = "answer"
)

// Section is the name of the section that carries a change. It is kept as long as
// the ledger and holds no name of a person and no words: these are in the others,
// which are forgotten when their time is over.
const Section = "dispute"

// SectionWords is the name of the section with what was written: apart from who
// wrote it, so that evidence shows the one without the other.
const SectionWords = "dispute-words"

// Change is one change of a dispute.
type Change struct {
	What What   `json:"what"`
	ID   string `json:"id"`

	// Of raising.
	About  About            `json:"about,omitempty"`
	Rule   string           `json:"rule,omitempty"`   // of what a rule found
	Device posture.DeviceID `json:"device,omitempty"` // whose facts they are
	Asset  string           `json:"asset,omitempty"`  // its tag, or that of what is no laptop
	Fact   uint64           `json:"fact,omitempty"`   // entry of the ledger that held the fact then, counted from 0 as evidence does; 0: none is known
	On     string           `json:"on,omitempty"`     // the day on which it was said, at the school
	Due    string           `json:"due,omitempty"`    // the last day on which it is answered

	// Of answering.
	Outcome Outcome `json:"outcome,omitempty"`
}

const (
	mostChange = 4 << 10
	mostTag    = 80
	// MostWords bounds what is written, in characters.
	MostWords = 1500
	mostName  = 200
)

var (
	idForm   = regexp.MustCompile(`^dp-[a-z0-9]{1,20}$`)
	ruleForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	document = body.Of[Change]{What: "a change of a dispute", Most: mostChange}
	texts    = body.Of[Text]{What: "the words of a dispute", Most: 16 << 10}
)

// NewID returns an identifier that no other dispute has.
func NewID() string { return "dp-" + strings.ToLower(rand.Text()[:8]) }

// Check reports what a change lacks, or has too much.
func (c Change) Check() error {
	if !idForm.MatchString(c.ID) {
		return errors.New("a change of a dispute names it")
	}
	switch c.What {
	case Raise:
		return c.checkRaise()
	case Answer:
		if !slices.Contains(Outcomes(), c.Outcome) {
			return fmt.Errorf("a dispute is upheld or not-upheld, not %.40q", string(c.Outcome))
		}
		if c != (Change{What: c.What, ID: c.ID, Outcome: c.Outcome}) {
			return errors.New("an answer says whether the dispute is upheld, and nothing else")
		}
		return nil
	}
	return fmt.Errorf("%.40q is no change of a dispute that this version knows", string(c.What))
}

func (c Change) checkRaise() error {
	switch {
	case c.Outcome != "":
		return errors.New("whoever disputes a fact does not answer it")
	case !slices.Contains(Abouts(), c.About):
		return fmt.Errorf("%.40q is nothing that is disputed", string(c.About))
	case c.About.OfLaptop() && c.Device == "":
		return errors.New("say which laptop it is about")
	case (c.Rule != "") != (c.About == Rule) || c.Rule != "" && !ruleForm.MatchString(c.Rule):
		return errors.New("what a rule found is disputed by naming the rule, and nothing else is")
	case len(c.Device) > 63:
		return errors.New("this is no identifier of a device")
	}
	if err := line("a tag", c.Asset, mostTag); err != nil {
		return err
	}
	on, err := time.Parse(time.DateOnly, c.On)
	if err != nil {
		return fmt.Errorf("%.40q is no day: write it as 2026-11-02", c.On)
	}
	due, err := time.Parse(time.DateOnly, c.Due)
	if err != nil || due.Before(on) || due.After(on.AddDate(0, 3, 0)) {
		return fmt.Errorf("%.40q is no day by which it is answered", c.Due)
	}
	return nil
}

// Encode returns the body of the section of a change.
func Encode(c Change) ([]byte, error) { return document.Encode(c) }

// Decode reads what Encode wrote.
func Decode(data []byte) (Change, error) { return document.Decode(data) }

// Text is what somebody wrote about a dispute.
type Text struct {
	Words string `json:"words"`
}

// Check reports what is wrong with it.
func (t Text) Check() error {
	if strings.TrimSpace(t.Words) == "" {
		return errors.New("say in words what is wrong, or what was done")
	}
	return line("what is written", t.Words, MostWords)
}

// EncodeWords returns the body of the section of what was written.
func EncodeWords(words string) ([]byte, error) { return texts.Encode(Text{words}) }

// DecodeWords reads what EncodeWords wrote.
func DecodeWords(data []byte) (string, error) {
	t, err := texts.Decode(data)
	return t.Words, err
}

// Told is who a dispute is of. It is kept with who recorded it, and forgotten with
// that.
type Told struct {
	// For is on whose behalf somebody disputes it, as the register or their account
	// has the name; "" if it is nobody's.
	For string `json:"for,omitempty"`
	// Own says that whoever disputes it does so about what is their own.
	Own bool `json:"own,omitempty"`
}

// Check reports what is wrong with it.
func (t Told) Check() error {
	if t.Own && t.For != "" {
		return errors.New("what is one's own is disputed on nobody else's behalf")
	}
	return line("the name of whom it is for", t.For, mostName)
}

// line checks a text of one line that people can see.
func line(what, s string, most int) error {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return fmt.Errorf("%s is text of at most %d characters", what, most)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("%s holds the character %U, which cannot be seen", what, r)
		}
	}
	return nil
}
