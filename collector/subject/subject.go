// Package subject answers a person who asks what a school keeps about them: it
// follows a request from the day on which it came to the day on which it was
// answered, and gathers what the record says of that person into one sheet.
//
// It gathers only what is that person's: of a laptop no more than while they had
// it, of one that several people share nothing that it found, and of other people
// no name. It never says whether something is withheld that nobody may know of.
package subject

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What is the sort of a change of a request.
type What string

// The sorts of changes.
const (
	Receive    What = "receive"    // somebody asked, in whatever words, spoken or written
	AskProof   What = "ask-proof"  // they were asked who they are: the month waits for the answer
	Identified What = "identified" // it is known who they are
	Extend     What = "extend"     // it takes longer, and they were told why
	Export     What = "export"     // what is kept was gathered
	Answered   What = "answered"   // they have it
	Refused    What = "refused"    // they will not have it, and were told why
	Withdrawn  What = "withdrawn"  // they do not want it any more
)

// Whats lists the sorts that a person records; an export is made.
func Whats() []What {
	return []What{Receive, AskProof, Identified, Extend, Answered, Refused, Withdrawn}
}

// How is the way in which a request came.
type How string

// The ways. None of them is less of a request than another.
const (
	Spoken  How = "spoken"
	Letter  How = "letter"
	Mail    How = "mail"
	Another How = "other" // by somebody who speaks for them, for one
)

// Hows lists the ways.
func Hows() []How { return []How{Spoken, Letter, Mail, Another} }

// Change is what somebody records of a request.
type Change struct {
	ID   string `json:"id"`
	What What   `json:"what"`
	On   string `json:"on,omitempty"`   // the day on which it was so, at the school: 2026-11-02
	Zone string `json:"zone,omitempty"` // of a request that is received: where that day is

	Name string `json:"name,omitempty"` // of a request that is received: who asked
	How  How    `json:"how,omitempty"`

	Months int `json:"months,omitempty"` // of an extension: how many more, in all 1 or 2

	// Of an export: under which names the register and the accounts have the
	// person, and what was gathered.
	People   []string `json:"people,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Digest   string   `json:"digest,omitempty"` // SHA-256 of the file
	Lines    int      `json:"lines,omitempty"`  // how many things it lists
}

// Bounds of a change.
const (
	mostName  = 200
	mostNames = 50
	mostZone  = 64
)

var (
	idForm     = regexp.MustCompile(`^sr-[a-z0-9]{1,20}$`)
	zoneForm   = regexp.MustCompile(`^[A-Za-z0-9/_+-]{1,64}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check reports what is wrong with a change.
func (c Change) Check() error {
	switch {
	case !idForm.MatchString(c.ID):
		return errors.New("a change of a request names it")
	case c.What == Export:
		return c.checkExport()
	case !slices.Contains(Whats(), c.What):
		return fmt.Errorf("%.40q is nothing that is recorded of a request", string(c.What))
	case c.Digest != "" || len(c.People) > 0 || len(c.Accounts) > 0 || c.Lines != 0:
		return errors.New("only an export says what was gathered")
	case (c.Months != 0) != (c.What == Extend) || c.Months < 0 || c.Months > 2:
		return errors.New("an extension is for one or two months more")
	}
	if _, err := day(c.On); err != nil {
		return err
	}
	if c.What != Receive {
		if c.Name != "" || c.How != "" || c.Zone != "" {
			return errors.New("who asked, and how, is said when a request is received")
		}
		return nil
	}
	if err := checkName(c.Name); err != nil {
		return fmt.Errorf("who asked: %w", err)
	}
	if !slices.Contains(Hows(), c.How) {
		return fmt.Errorf("%.40q is no way to ask", string(c.How))
	}
	if !zoneForm.MatchString(c.Zone) {
		return fmt.Errorf("%.80q is no zone: zones are like Europe/London", c.Zone)
	}
	return nil
}

func (c Change) checkExport() error {
	switch {
	case c.On != "" || c.Zone != "" || c.Name != "" || c.How != "" || c.Months != 0:
		return errors.New("an export says what was gathered, and nothing else")
	case !digestForm.MatchString(c.Digest) || c.Lines < 0:
		return errors.New("an export names its file by the file's SHA-256")
	case len(c.People)+len(c.Accounts) == 0 || len(c.People)+len(c.Accounts) > mostNames:
		return fmt.Errorf("an export is of somebody who goes by 1 to %d names", mostNames)
	}
	for _, name := range slices.Concat(c.People, c.Accounts) {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}

func checkName(s string) error {
	switch {
	case s == "" || strings.TrimSpace(s) != s:
		return errors.New("a name is missing, or has spaces around it")
	case !utf8.ValidString(s) || utf8.RuneCountInString(s) > mostName:
		return fmt.Errorf("a name has at most %d characters", mostName)
	case strings.ContainsFunc(s, hidden):
		return errors.New("a name holds a character that cannot be seen")
	}
	return nil
}

func hidden(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }

// day reads a day of this century or the next.
func day(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 2000 || t.Year() > 2199 {
		return t, fmt.Errorf("%.40q is no day: write it as 2026-11-02", s)
	}
	return t, nil
}
