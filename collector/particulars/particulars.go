// Package particulars says who a school is for data protection: who answers for
// it, whom to tell of a loss, by what right it keeps what it keeps, and who else
// handles it.
//
// It says nothing that the school has not said. What is empty is not known, and
// is shown as that: no name, no law and no address is made up here.
package particulars

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Particulars is what a school says of itself.
type Particulars struct {
	Controller   string      `json:"controller,omitempty"` // who is responsible, with an address
	Officer      Officer     `json:"officer,omitzero"`
	Loss         Loss        `json:"loss,omitzero"`
	Registration string      `json:"registration,omitempty"` // number with the regulator
	Regulator    string      `json:"regulator,omitempty"`    // to whom people can complain
	Basis        string      `json:"basis,omitempty"`        // the lawful basis, in words
	Processors   []Processor `json:"processors,omitempty"`
	Policies     []Link      `json:"policies,omitempty"` // the school's own
}

// Officer is the data-protection officer: a person or a firm.
type Officer struct {
	Name  string `json:"name,omitempty"`
	Mail  string `json:"mail,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// Loss is whom to tell when a laptop or a stick is lost.
type Loss struct {
	Who   string `json:"who,omitempty"` // a name or a role
	Phone string `json:"phone,omitempty"`
	After string `json:"after,omitempty"` // a phone number out of hours
}

// Processor is somebody else who handles what the school keeps.
type Processor struct {
	Name  string `json:"name"`
	For   string `json:"for"`   // what they do with it
	Where string `json:"where"` // where they keep it
}

// Link is a page of the school's own.
type Link struct {
	Words   string `json:"words"`
	Address string `json:"address"`
}

// Bounds of what a school may say. All texts together have mostBytes at most, so
// that they fit into one decision however they are written there.
const (
	mostLine    = 200
	mostBasis   = 1000
	mostAddress = 500
	mostList    = 20
	mostBytes   = 6000
)

// A Problem is what is wrong with one thing that a school says. Field is its
// name in the JSON document, such as "officer.mail" or "policies.2".
type Problem struct {
	Field string
	Words string
}

// Empty reports whether nothing was said.
func (p Particulars) Empty() bool { return p.Equal(Particulars{}) }

// Equal reports whether two say the same.
func (p Particulars) Equal(o Particulars) bool {
	return p.Controller == o.Controller && p.Officer == o.Officer && p.Loss == o.Loss && p.Registration == o.Registration &&
		p.Regulator == o.Regulator && p.Basis == o.Basis && slices.Equal(p.Processors, o.Processors) && slices.Equal(p.Policies, o.Policies)
}

// Check reports everything that is wrong.
func (p Particulars) Check() error {
	var all []error
	for _, wrong := range p.Problems() {
		all = append(all, fmt.Errorf("%s %s", wrong.Field, wrong.Words))
	}
	return errors.Join(all...)
}

// Problems lists everything that is wrong, in the order of the document.
func (p Particulars) Problems() []Problem {
	c := &checker{}
	c.text("controller", p.Controller, mostLine)
	c.text("officer.name", p.Officer.Name, mostLine)
	c.mail("officer.mail", p.Officer.Mail)
	c.phone("officer.phone", p.Officer.Phone)
	c.text("loss.who", p.Loss.Who, mostLine)
	c.phone("loss.phone", p.Loss.Phone)
	c.phone("loss.after", p.Loss.After)
	c.text("registration", p.Registration, mostLine)
	c.text("regulator", p.Regulator, mostLine)
	c.text("basis", p.Basis, mostBasis)
	c.many("processors", len(p.Processors))
	for i, one := range p.Processors {
		field := fmt.Sprintf("processors.%d", i+1)
		if one.Name == "" || one.For == "" || one.Where == "" {
			c.wrong(field, "says who it is, what for, and where")
		}
		c.text(field, one.Name, mostLine)
		c.text(field, one.For, mostLine)
		c.text(field, one.Where, mostLine)
	}
	c.many("policies", len(p.Policies))
	for i, one := range p.Policies {
		c.link(fmt.Sprintf("policies.%d", i+1), one)
	}
	if c.bytes > mostBytes {
		c.wrong("processors", fmt.Sprintf("and all else together are %d bytes, and at most %d are kept", c.bytes, mostBytes))
	}
	return c.problems
}

// checker gathers what is wrong.
type checker struct {
	problems []Problem
	bytes    int
}

func (c *checker) wrong(field, words string) {
	c.problems = append(c.problems, Problem{field, words})
}

// text checks one line of text; ok is false if it is wrong or empty.
func (c *checker) text(field, s string, most int) (ok bool) {
	c.bytes += len(s)
	switch {
	case s == "":
		return false
	case !utf8.ValidString(s):
		c.wrong(field, "is not text")
	case utf8.RuneCountInString(s) > most:
		c.wrong(field, fmt.Sprintf("has more than %d characters", most))
	case strings.TrimSpace(s) != s:
		c.wrong(field, "begins or ends with a space")
	case strings.ContainsFunc(s, hidden):
		c.wrong(field, "holds a character that cannot be seen")
	default:
		return true
	}
	return false
}

func hidden(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }

// mail checks an address for mail as people write one: nothing is sent to it
// from here.
func (c *checker) mail(field, s string) {
	if !c.text(field, s, mostLine) {
		return
	}
	name, host, _ := strings.Cut(s, "@")
	if name == "" || !strings.Contains(strings.Trim(host, "."), ".") || strings.ContainsAny(s, " \"'<>(),;:\\") || strings.Contains(host, "@") {
		c.wrong(field, "is no address for mail, such as dpo@hollybank.example")
	}
}

// leastDigits is fewer than any telephone number has that people ring, short
// extensions included.
const leastDigits = 3

func (c *checker) phone(field, s string) {
	if !c.text(field, s, 60) {
		return
	}
	digits := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	if digits < leastDigits {
		c.wrong(field, "is no phone number, such as 01632 960123")
	}
}

func (c *checker) many(field string, n int) {
	if n > mostList {
		c.wrong(field, fmt.Sprintf("are %d, and at most %d are kept", n, mostList))
	}
}

// link checks a link: http or https, with a host, and nothing that signs in.
func (c *checker) link(field string, l Link) {
	if l.Words == "" || l.Address == "" {
		c.wrong(field, "says what it is and its address")
	}
	c.text(field, l.Words, mostLine)
	if !c.text(field, l.Address, mostAddress) {
		return
	}
	u, err := url.Parse(l.Address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Contains(l.Address, " ") {
		c.wrong(field, "is no address of a page: it begins with https:// or http://")
	}
}

// OfficerLine names the data-protection officer in one line; "" if nobody said
// who that is.
func (p Particulars) OfficerLine() string {
	return joined(p.Officer.Name, p.Officer.Mail, p.Officer.Phone)
}

// LossLine says in one line whom to tell of a loss; "" if nobody said.
func (p Particulars) LossLine() string {
	after := p.Loss.After
	if after != "" {
		after = "out of hours " + after
	}
	return joined(p.Loss.Who, p.Loss.Phone, after)
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}
