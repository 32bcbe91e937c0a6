package incident

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/register"
)

// Section is the name of the section that carries a change. It is kept as long
// as the ledger and names nobody; who recorded the change and what they wrote
// are in the decision beside it, which can be forgotten.
const Section = "incident"

// What is the sort of a change.
type What string

// The sorts of changes. What was written in the decision beside it is…
const (
	Open    What = "open"    // …what happened
	Note    What = "note"    // …the note
	Lesson  What = "lesson"  // …what was learnt
	Spoke   What = "contact" // …what came of it
	Tell    What = "tell"    // …why an audience is told, or not
	Add     What = "link"    // …why it belongs to the incident
	Found   What = "found"   // …where and how what was lost was found
	Correct What = "correct" // …why what was said before is not right
	Close   What = "close"   // …what it came to
	Reopen  What = "reopen"  // …why
)

// Change is one change of an incident. It holds no name of a person.
type Change struct {
	What     What     `json:"what"`
	ID       string   `json:"id"`                 // of the incident, made when it is opened
	Number   string   `json:"number,omitempty"`   // of opening: the number that was free
	Kind     Kind     `json:"kind,omitempty"`     // of opening, or what it is rather
	Happened *Moment  `json:"happened,omitempty"` // of opening, or when it happened rather; nil: not known
	Aware    *Moment  `json:"aware,omitempty"`    // of opening, or when the school became aware rather
	When     *Moment  `json:"when,omitempty"`     // of a contact or a decision, or since when something is lost or found; nil: when it was recorded
	Links    []Link   `json:"links,omitempty"`    // of opening, of a link, and what was found
	Whom     string   `json:"whom,omitempty"`     // of a contact: a role or an organisation
	Audience Audience `json:"audience,omitempty"` // of telling
	Answer   Answer   `json:"answer,omitempty"`   // of telling
	Told     *Moment  `json:"told,omitempty"`     // of telling: when they were told
	Outcome  Outcome  `json:"outcome,omitempty"`  // of closing
	Concern  string   `json:"concern,omitempty"`  // of opening: the reference of what somebody reported, if it is because of that
}

// Bounds of one change.
const (
	mostLinks  = 20
	mostBody   = 64 << 10
	mostID     = 40
	mostRule   = 40
	mostDigits = 9
)

// allowed are the fields that a sort of change may have, beside its incident.
var allowed = map[What]string{
	Open: "number kind happened aware links concern", Note: "", Lesson: "", Spoke: "when whom", Tell: "when audience answer told",
	Add: "when links", Found: "when links", Correct: "kind happened aware", Close: "outcome", Reopen: "",
}

// fields lists the fields that are set.
func (c Change) fields() []string {
	var list []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"number", c.Number != ""},
		{"kind", c.Kind != ""},
		{"happened", c.Happened != nil},
		{"aware", c.Aware != nil},
		{"when", c.When != nil},
		{"links", len(c.Links) > 0},
		{"whom", c.Whom != ""},
		{"audience", c.Audience != ""},
		{"answer", c.Answer != ""},
		{"told", c.Told != nil},
		{"outcome", c.Outcome != ""},
		{"concern", c.Concern != ""},
	} {
		if f.set {
			list = append(list, f.name)
		}
	}
	return list
}

// Check reports what a change lacks, or has too much.
func (c Change) Check() error {
	may, ok := allowed[c.What]
	if !ok {
		return fmt.Errorf("%.40q is no change of an incident that this version knows", string(c.What))
	}
	if c.ID == "" || len(c.ID) > mostID || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%.80q is no identifier of an incident", c.ID)
	}
	for _, f := range c.fields() {
		if !strings.Contains(" "+may+" ", " "+f+" ") {
			return fmt.Errorf("%s has no %s", c.What, f)
		}
	}
	if err := c.checkMoments(); err != nil {
		return err
	}
	if err := c.checkLinks(); err != nil {
		return err
	}
	return c.checkOwn()
}

// checkOwn checks what a sort of change must have.
func (c Change) checkOwn() error {
	switch c.What {
	case Open:
		return c.checkOpen()
	case Spoke:
		return register.CheckRole(c.Whom)
	case Tell:
		err := errors.Join(one("audience", c.Audience, Audiences()), one("answer", c.Answer, Answers()))
		if err == nil && c.Told != nil && c.Answer != Yes {
			err = errors.New("who was told was to be told: the answer is yes")
		}
		return err
	case Add, Found:
		if len(c.Links) == 0 {
			return errors.New("what it is linked to is missing")
		}
	case Correct:
		switch {
		case c.Kind == "" && c.Happened == nil && c.Aware == nil:
			return errors.New("a correction says what is right: the kind, when it happened or when the school became aware")
		case c.Kind != "":
			return one("kind of incident", c.Kind, Kinds())
		}
	case Close:
		return one("outcome", c.Outcome, Outcomes())
	}
	return nil
}

func (c Change) checkOpen() error {
	if c.Aware == nil {
		return errors.New("when the school became aware is missing: the deadline is counted from then")
	}
	if c.Number != "" {
		if _, _, err := ParseNumber(c.Number); err != nil {
			return err
		}
	}
	if len(c.Concern) > mostID || strings.Trim(c.Concern, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return fmt.Errorf("%.80q is no reference of a report", c.Concern)
	}
	return one("kind of incident", c.Kind, Kinds())
}

func (c Change) checkMoments() error {
	for _, m := range []struct {
		what   string
		moment *Moment
	}{
		{"when it happened", c.Happened}, {"when the school became aware", c.Aware}, {"when it was", c.When}, {"when they were told", c.Told},
	} {
		if m.moment == nil {
			continue
		}
		if err := m.moment.check(m.what); err != nil {
			return err
		}
	}
	if c.Happened != nil && c.Aware != nil && c.Aware.At.Before(c.Happened.At) {
		return errors.New("the school cannot have become aware of it before it happened")
	}
	return nil
}

func (c Change) checkLinks() error {
	if len(c.Links) > mostLinks {
		return fmt.Errorf("%d links are more than the %d that one change has", len(c.Links), mostLinks)
	}
	for _, l := range c.Links {
		if err := l.check(); err != nil {
			return err
		}
		if c.What == Found && (!l.losable() || l.Lost) {
			return errors.New("what is found is a device, an asset or a medium that was lost")
		}
	}
	return nil
}

// losable reports whether a thing can be lost.
func (l Link) losable() bool { return l.What == Device || l.What == Asset || l.What == Medium }

func (l Link) check() error {
	want := Link{What: l.What, Lost: l.Lost && l.losable()}
	var err error
	switch l.What {
	case Device:
		want.Device = l.Device
		err = register.CheckDevice(l.Device)
	case Asset, Medium:
		want.Name = l.Name
		err = register.CheckTag(l.Name)
	case Breach:
		want.Device, want.Rule, want.Subject = l.Device, l.Rule, l.Subject
		err = register.CheckDevice(l.Device)
		if err == nil && (l.Rule == "" || len(l.Rule) > mostRule || len(l.Subject) > 4*mostZone) {
			err = errors.New("a breach is named by its device and its rule")
		}
	case Evidence:
		want.Digest = l.Digest
		if len(l.Digest) != 64 || strings.Trim(l.Digest, "0123456789abcdef") != "" {
			err = fmt.Errorf("%.80q is not the SHA-256 of a file: 64 hexadecimal digits", l.Digest)
		}
	case Stick:
		want.Digest = l.Digest
		err = register.CheckSerial(l.Digest)
	default:
		err = fmt.Errorf("%.40q is nothing that an incident is linked to", string(l.What))
	}
	if err == nil && want != l {
		err = fmt.Errorf("a link to %s says too much", l.What)
	}
	return err
}

// FormatNumber writes the number of an incident.
func FormatNumber(year, n int) string { return fmt.Sprintf("%04d-%02d", year, n) }

// ParseNumber reads the number of an incident.
func ParseNumber(s string) (year, n int, err error) {
	first, second, ok := strings.Cut(s, "-")
	if ok && len(second) <= mostDigits && strings.Trim(first+second, "0123456789") == "" {
		if _, err := fmt.Sscanf(s, "%d-%d", &year, &n); err == nil && n > 0 && FormatNumber(year, n) == s {
			return year, n, nil
		}
	}
	return 0, 0, fmt.Errorf("%.40q is no number of an incident: they are like 2026-03", s)
}

// bodies are the sections of changes.
var bodies = body.Of[Change]{What: "a change of an incident", Most: mostBody}

// Encode returns the body of the section of a change.
func Encode(c Change) ([]byte, error) { return bodies.Encode(c) }

// Decode reads what Encode wrote. Fields that this version does not know are
// passed over; a sort of change that it does not know is an error.
func Decode(data []byte) (Change, error) { return bodies.Decode(data) }
