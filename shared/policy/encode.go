package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bounds of a policy. The rulebook refuses what is beyond them by line, and
// Decode refuses it again.
const (
	MostBytes       = 1 << 20 // of an encoded policy
	MostRules       = 200
	MostParameters  = 64
	MostTexts       = 1_000 // in one parameter
	MostText        = 256   // bytes of a parameter's text, a name, a title
	MostProse       = 2_000 // bytes of remediation and messages
	MostCondition   = 32 << 10
	MostVariants    = 8
	MostClauses     = 32
	LongestDuration = 10 * 366 * 24 * time.Hour
)

// Encode writes a policy in its one encoding: the same policy always gives the
// same bytes.
func Encode(p *Policy) ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("encode a policy: %w", err)
	}
	return encode(p)
}

func encode(p *Policy) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("encode a policy: %w", err)
	}
	return b.Bytes(), nil
}

// Decode reads what Encode writes and nothing else: an unknown or repeated
// field, another spelling of the same policy, or anything beyond the bounds is
// an error.
func Decode(body []byte) (*Policy, error) {
	if len(body) > MostBytes {
		return nil, fmt.Errorf("decode a policy: %d bytes are more than %d", len(body), MostBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var p Policy
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("decode a policy: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode a policy: something follows it")
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("decode a policy: %w", err)
	}
	again, err := encode(&p)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, body) {
		return nil, errors.New("decode a policy: it is not in its one encoding")
	}
	return &p, nil
}

// validate refuses a policy that no rulebook makes.
func (p *Policy) validate() error {
	switch {
	case p.Format != Format:
		return fmt.Errorf("the policy has format %d, not %d", p.Format, Format)
	case !plain(p.Name, MostText) || p.Name == "":
		return errors.New("the policy has no proper name")
	case !plain(p.Title, MostText):
		return errors.New("the policy has no proper title")
	case len(p.Rules) == 0 || len(p.Rules) > MostRules:
		return fmt.Errorf("the policy has %d rules, not 1 to %d", len(p.Rules), MostRules)
	case len(p.Parameters) > MostParameters:
		return fmt.Errorf("the policy has %d parameters, more than %d", len(p.Parameters), MostParameters)
	}
	if err := validateParameters(p.Parameters); err != nil {
		return err
	}
	seen := make(map[string]bool, len(p.Rules))
	for _, r := range p.Rules {
		if seen[r.ID] {
			return fmt.Errorf("rule %q is there twice", r.ID)
		}
		seen[r.ID] = true
		if err := r.validate(); err != nil {
			return fmt.Errorf("rule %q: %w", r.ID, err)
		}
	}
	return nil
}

func validateParameters(parameters []Parameter) error {
	seen := make(map[string]bool, len(parameters))
	for _, p := range parameters {
		if !plain(p.Name, MostText) || p.Name == "" || seen[p.Name] {
			return fmt.Errorf("parameter %q has no name of its own", p.Name)
		}
		seen[p.Name] = true
		switch p.Kind {
		case TextParameter, TextsParameter, NumberParameter, FlagParameter, DurationParameter:
		default:
			return fmt.Errorf("parameter %q is of no known kind", p.Name)
		}
		if len(p.Choices) > 32 || len(p.Texts) > MostTexts || !plain(p.Text, MostText) {
			return fmt.Errorf("parameter %q is too large", p.Name)
		}
		for _, t := range append(p.Texts[:len(p.Texts):len(p.Texts)], p.Choices...) {
			if !plain(t, MostText) {
				return fmt.Errorf("parameter %q holds an improper text", p.Name)
			}
		}
	}
	return nil
}

func (r Rule) validate() error {
	switch {
	case !plain(r.ID, 32) || r.ID == "":
		return errors.New("its identifier is improper")
	case !plain(r.Title, MostText) || r.Title == "":
		return errors.New("its title is improper")
	case r.Side != OnDevice && r.Side != AtSchool:
		return fmt.Errorf("its side is %q", r.Side)
	case !known(r.For, Subjects()) || r.Side == AtSchool && r.For != "device":
		return fmt.Errorf("it cannot be for %q", r.For)
	case len(r.Require) == 0:
		return errors.New("it requires nothing")
	case r.None != posture.NotApplicable && r.None != posture.Pass && r.None != posture.Error:
		return fmt.Errorf("its result for none is %s", r.None)
	case r.GraceIn != CalendarTime && r.GraceIn != SchoolDays && r.GraceIn != OnlineTime:
		return fmt.Errorf("its grace is in %q", r.GraceIn)
	case len(r.Variants) > MostVariants || len(r.Clauses) > MostClauses || len(r.Facts) > MostClauses || len(r.Classes) > 6:
		return errors.New("it has too many variants, clauses, facts or classes")
	}
	return r.validateParts()
}

func (r Rule) validateParts() error {
	durations := []time.Duration{r.MaxAge, r.Grace}
	conditions := [][]byte{r.When, r.Require}
	for _, v := range r.Variants {
		durations = append(durations, v.Grace)
		conditions = append(conditions, v.When)
		if len(v.When) == 0 {
			return errors.New("a variant has no condition")
		}
	}
	if r.Escalate != nil {
		durations = append(durations, r.Escalate.After)
	}
	for _, d := range durations {
		if d < 0 || d > LongestDuration {
			return fmt.Errorf("the duration %s is out of bounds", d)
		}
	}
	for _, c := range conditions {
		if len(c) > MostCondition {
			return errors.New("a condition is too large")
		}
	}
	prose := []string{r.Met, r.NotMet, r.Remediation}
	for _, text := range r.RemediationOn {
		prose = append(prose, text)
	}
	for _, text := range prose {
		if !plain(text, MostProse) {
			return errors.New("its words are too long or improper")
		}
	}
	for _, names := range [][]string{r.Clauses, r.Facts, words(r.Classes...)} {
		for _, text := range names {
			if !plain(text, MostText) {
				return errors.New("a clause, fact or class is improper")
			}
		}
	}
	return nil
}

func known(word string, among []string) bool {
	for _, w := range among {
		if w == word {
			return true
		}
	}
	return false
}

// plain reports whether a text is bounded, valid, and free of control and
// bidirectional characters.
func plain(text string, most int) bool {
	if len(text) > most || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) {
			return false
		}
	}
	return true
}
