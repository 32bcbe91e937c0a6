package decision

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TermReport makes the report of a term, or signs one. The report and what is
// signed are in a section of their own, which is kept as long as the ledger and
// names nobody. Who made or signed it is in the decision beside it.
const TermReport Kind = "term-report"

// The names of the sections of a term's report: its bytes, and a signature.
const (
	TermReportSection    = "term-report"
	TermSignatureSection = "term-signature"
)

// TermSignature is what a signature on a term's report is to.
type TermSignature struct {
	Entry  uint64 `json:"entry"`  // that holds the report, counted from 1
	Digest string `json:"digest"` // of the report's bytes
	As     string `json:"as"`     // the role in which it was given: head or business-manager
}

// Check says what is wrong with a signature.
func (s TermSignature) Check() error {
	if s.Entry == 0 || len(s.Digest) != 64 || s.As != "head" && s.As != "business-manager" {
		return errors.New("a term's report is signed by the head or the business manager, as it is")
	}
	return nil
}

// mostSignature bounds the section of a signature, in bytes.
const mostSignature = 1 << 10

// termSignatures are the sections of signatures.
var termSignatures = body.Of[TermSignature]{What: "a signature on a term's report", Most: mostSignature}

// DecodeTermSignature reads the section of a signature.
func DecodeTermSignature(data []byte) (TermSignature, error) { return termSignatures.Decode(data) }

// checkReport is Check for a decision about the report of a term or a year.
func (d Decision) checkReport() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about a report is about nothing else")
	}
	return nil
}

// TermReportSections returns the sections of the entry that holds a report. The
// salts are random.
func TermReportSections(d Decision, report []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	return reportSections(d, TermReport, TermReportSection, report, salts)
}

// TermSignatureSections returns the sections of the entry that signs one.
func TermSignatureSections(d Decision, s TermSignature, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write a signature on a term's report: %w", err)
	}
	return reportSections(d, TermReport, TermSignatureSection, data, salts)
}

// reportSections returns the sections of a report or a signature: what is kept,
// and who decided it.
func reportSections(d Decision, kind Kind, name string, data []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != kind {
		return nil, fmt.Errorf("what is a %s is made and signed by decisions of that kind, not %.40q", kind, string(d.Kind))
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: name, Class: proof.Kept, Salt: salts[0], Body: data}, section}, nil
}
