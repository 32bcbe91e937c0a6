package decision

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// YearReport makes the report of a school year, or signs one, as TermReport does
// of a term.
const YearReport Kind = "year-report"

// The names of the sections of a year's report: its bytes, and a signature.
const (
	YearReportSection    = "year-report"
	YearSignatureSection = "year-signature"
)

// YearSignature is what a signature on a year's report is to.
type YearSignature struct {
	Entry  uint64 `json:"entry"`  // that holds the report, counted from 1
	Digest string `json:"digest"` // of the report's bytes
	As     string `json:"as"`     // the role in which it was given: head or dpo
}

// Check says what is wrong with a signature.
func (s YearSignature) Check() error {
	if s.Entry == 0 || len(s.Digest) != 64 || s.As != "head" && s.As != "dpo" {
		return errors.New("a year's report is signed by the head or the data-protection officer, as it is")
	}
	return nil
}

// yearSignatures are the sections of signatures.
var yearSignatures = body.Of[YearSignature]{What: "a signature on a year's report", Most: mostSignature}

// DecodeYearSignature reads the section of a signature.
func DecodeYearSignature(data []byte) (YearSignature, error) { return yearSignatures.Decode(data) }

// YearReportSections returns the sections of the entry that holds a report. The
// salts are random.
func YearReportSections(d Decision, report []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	return reportSections(d, YearReport, YearReportSection, report, salts)
}

// YearSignatureSections returns the sections of the entry that signs one.
func YearSignatureSections(d Decision, s YearSignature, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write a signature on a year's report: %w", err)
	}
	return reportSections(d, YearReport, YearSignatureSection, data, salts)
}
