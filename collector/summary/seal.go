package summary

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// MostBody bounds a report, in bytes.
const MostBody = 256 << 10

// Encode returns a report as it is kept. It is written in one way.
func Encode(r Report) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(r)
	if err == nil && len(data) > MostBody {
		err = fmt.Errorf("it is longer than %d bytes", MostBody)
	}
	if err != nil {
		return nil, fmt.Errorf("write the report of %s: %w", r.Term.Name, err)
	}
	return data, nil
}

// Decode reads a report. Bytes that Encode would not have written are refused,
// so that a report has one digest.
func Decode(data []byte) (r Report, err error) {
	if len(data) > MostBody {
		return r, fmt.Errorf("read the report of a term: it is longer than %d bytes", MostBody)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read the report of a term: %w", err)
	}
	again, err := Encode(r)
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("read the report of a term: it is not written as reports are")
	}
	return r, err
}

// Digest is what signatures are given to: the SHA-256 of a report's bytes.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Check says what is wrong with a report.
func (r Report) Check() error {
	wrong := func(what string) error { return fmt.Errorf("check the report of a term: %s", what) }
	switch {
	case r.Format != Format:
		return wrong(fmt.Sprintf("it is of format %d, and this version knows %d", r.Format, Format))
	case r.School == "" || r.Term.ID == "" || r.Term.Name == "" || r.Number < 1 || r.At.IsZero():
		return wrong("it is of no term of no school")
	case len(r.Heard) != 2 || r.Enrolled != nil && len(r.Enrolled) != 4:
		return wrong("it does not count devices as reports do")
	}
	cells := append(append([]Cell{r.Devices}, r.Heard...), r.Enrolled...)
	for _, u := range r.Rules {
		if len(u.Cells) != len(Standings()) || u.Before != nil && len(u.Before) != len(Standings()) {
			return wrong("a rule is not counted as rules are")
		}
		cells = append(append(cells, u.Cells...), u.Before...)
	}
	for _, i := range r.Incidents {
		if len(i.Cells) != len(Outcomes()) {
			return wrong("incidents are not counted as they are")
		}
		cells = append(cells, i.Cells...)
	}
	for _, lines := range [][]Line{r.Uncovered, r.Breaches, r.Exemptions, r.Overdue} {
		for _, l := range lines {
			cells = append(cells, l.Cell)
		}
	}
	for _, c := range cells {
		if c.Count != nil && (*c.Count < Least || c.Few) {
			return wrong("it tells a count that is too small to be told")
		}
	}
	return nil
}
