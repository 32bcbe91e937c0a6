package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// FormatYear is the version of bundles about the report of a year.
const FormatYear = 3

// YearSheet says which report of a year a bundle proves, and who signed it. The
// report follows from the signed reports of its terms, which are there too.
type YearSheet struct {
	Year     string      `json:"year"`
	Entry    uint64      `json:"entry"`  // that holds the report, counted from 1
	Digest   string      `json:"digest"` // of its bytes
	Signed   []Signature `json:"signed"` // in the order in which they were given
	NotKnown []string    `json:"notKnown"`
}

// Signature is one on the report of a year.
type Signature struct {
	As    string    `json:"as"`           // head or dpo
	By    string    `json:"by,omitempty"` // "": that was forgotten
	At    time.Time `json:"at"`           // when the collector received it
	Entry uint64    `json:"entry"`        // counted from 1
}

// YearQuestion says where the ledger keeps a report of a year, its signatures, the
// reports of its terms and theirs: entries, counted from 1. What is said wrongly is
// refused when the bundle is made.
type YearQuestion struct {
	Report  uint64
	Entries []uint64
	Zone    string
	By      string
	Now     time.Time
}

// CollectYear makes evidence of the report of a year.
func CollectYear(ctx context.Context, s School, q YearQuestion) (*Bundle, error) {
	b, err := collectYear(ctx, s, q)
	if err != nil {
		return nil, fmt.Errorf("gather evidence of the year of %s: %w", s.ID, err)
	}
	return b, nil
}

func collectYear(ctx context.Context, s School, q YearQuestion) (*Bundle, error) {
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	checkpoint, err := proof.ReadCheckpoint(note)
	if err != nil {
		return nil, err
	}
	g := gathering{School: s, size: checkpoint.Size, taken: map[ledger.Index]*Entry{}}
	for _, n := range append([]uint64{q.Report}, q.Entries...) {
		if n == 0 || n > g.size {
			return nil, fmt.Errorf("entry %d is not in the checkpoint", n)
		}
		e, err := g.take(ctx, ledger.Index(n-1))
		if err != nil {
			return nil, err
		}
		if err := g.bodies(ctx, e, decision.YearReportSection, decision.YearSignatureSection, decision.TermReportSection, decision.TermSignatureSection); err != nil {
			return nil, err
		}
		// Who signed the report of a term is said by none: that it is signed is.
		if slices.ContainsFunc(sectionsOf(e), func(name string) bool { return name == decision.YearSignatureSection }) {
			if err := g.bodies(ctx, e, decision.Section); err != nil {
				return nil, err
			}
		}
	}
	b := &Bundle{
		Format: FormatYear, School: s.ID, SchoolName: s.Name, Key: s.Key.String(), MadeAt: q.Now.UTC().Truncate(time.Millisecond), MadeBy: q.By,
		Zone: q.Zone, Checkpoint: string(note), Entries: g.entries(), Year: &YearSheet{Entry: q.Report},
	}
	y, _, err := b.report()
	if err != nil {
		return nil, err
	}
	b.At = y.At
	if b.Year, err = yearSheet(b); err != nil {
		return nil, err
	}
	return b, checkYear(b)
}

// sectionsOf names the sections that an entry's envelope has.
func sectionsOf(e *Entry) (names []string) {
	if env, err := proof.DecodeEnvelope(e.Envelope); err == nil {
		for _, ref := range env.Sections {
			names = append(names, ref.Name)
		}
	}
	return names
}

// bodiesOf returns the sections that a bundle holds of an entry, by their name.
func bodiesOf(e Entry) (proof.Envelope, map[string][]byte, error) {
	env, err := proof.DecodeEnvelope(e.Envelope)
	if err != nil {
		return env, nil, err
	}
	bodies := map[string][]byte{}
	for _, s := range e.Sections {
		if s.Number < 0 || s.Number >= len(env.Sections) {
			return env, nil, fmt.Errorf("it has no section %d", s.Number)
		}
		bodies[env.Sections[s.Number].Name] = s.Body
	}
	return env, bodies, nil
}

// report returns the report that a bundle is about, and its bytes.
func (b *Bundle) report() (y summary.Year, data []byte, err error) {
	for _, e := range b.Entries {
		if e.Index+1 != b.Year.Entry {
			continue
		}
		_, bodies, err := bodiesOf(e)
		if err != nil {
			return y, nil, err
		}
		data = bodies[decision.YearReportSection]
	}
	if data == nil {
		return y, nil, errors.New("it holds no report of a year")
	}
	y, err = summary.DecodeYear(data)
	return y, data, err
}

// papers are what a bundle about a year holds.
type papers struct {
	reports map[uint64]*summary.Report // of terms, by their entry
	signed  map[decision.TermSignature]bool
	given   []Signature // on the report of the year
}

// take takes in an entry. One that is nothing of a report proves nothing here.
func (p *papers) take(e Entry, sheet *YearSheet) error {
	env, bodies, err := bodiesOf(e)
	if err != nil {
		return err
	}
	if env.Kind != proof.KindDecision {
		return fmt.Errorf("a %s proves nothing here", env.Kind)
	}
	if data, ok := bodies[decision.TermReportSection]; ok {
		r, err := summary.Decode(data)
		p.reports[e.Index+1] = &r
		return err
	}
	if data, ok := bodies[decision.TermSignatureSection]; ok {
		s, err := decision.DecodeTermSignature(data)
		p.signed[s] = true
		return err
	}
	if data, ok := bodies[decision.YearSignatureSection]; ok {
		s, err := decision.DecodeYearSignature(data)
		if err != nil {
			return err
		}
		if s.Entry != sheet.Entry || s.Digest != sheet.Digest || slices.ContainsFunc(p.given, func(g Signature) bool { return g.As == s.As }) {
			return errors.New("it signs something else, or what that role had signed")
		}
		given := Signature{As: s.As, At: moment(env.ReceivedAt), Entry: e.Index + 1}
		if said, ok := bodies[decision.Section]; ok {
			d, err := decision.Decode(said)
			if err != nil {
				return err
			}
			given.By = d.By
		}
		p.given = append(p.given, given)
		return nil
	}
	if e.Index+1 == sheet.Entry {
		return nil
	}
	return errors.New("it is nothing of the report of a year")
}

// yearSheet works out what a bundle about the report of a year proves.
func yearSheet(b *Bundle) (*YearSheet, error) {
	y, data, err := b.report()
	if err != nil {
		return nil, err
	}
	sheet := &YearSheet{Year: y.Year, Entry: b.Year.Entry, Digest: summary.Digest(data), Signed: []Signature{}, NotKnown: notKnownOfYear()}
	p := papers{reports: map[uint64]*summary.Report{}, signed: map[decision.TermSignature]bool{}}
	for _, e := range b.Entries {
		if err := p.take(e, sheet); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
	}
	if !y.At.Equal(b.At) {
		return nil, errors.New("it is not about the end of the year")
	}
	sheet.Signed = append(sheet.Signed, p.given...)
	for _, t := range y.Terms {
		for _, as := range []string{"head", "business-manager"} {
			if t.Number > 0 && !p.signed[decision.TermSignature{Entry: t.Entry, Digest: t.Digest, As: as}] {
				return nil, fmt.Errorf("the report of %s is not signed by its %s", t.Name, as)
			}
		}
	}
	return sheet, y.Follows(func(entry uint64) (*summary.Report, error) {
		if r := p.reports[entry]; r != nil {
			return r, nil
		}
		return nil, fmt.Errorf("it does not hold the report in entry %d", entry)
	})
}

func notKnownOfYear() []string {
	return []string{
		"whether a later report corrects this one: what is left out at the end does not show",
		"that the numbers are right: they are the school's word, and whoever holds the record can count again",
		"whether whoever signed was who the account names: the collector let them in",
	}
}

// checkYear works out again what the bundle proves.
func checkYear(b *Bundle) error {
	s, err := yearSheet(b)
	if err != nil {
		return fmt.Errorf("check the report of the year: %w", err)
	}
	ours, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("check the report of the year: %w", err)
	}
	theirs, err := json.Marshal(b.Year)
	if err == nil && string(ours) != string(theirs) {
		err = errors.New("it is not what the entries say")
	}
	if err != nil {
		return fmt.Errorf("check the report of the year: %w", err)
	}
	return nil
}

// year writes the report of a year and who signed it.
func (p *page) year() {
	y, _, err := p.b.report()
	if err != nil {
		p.line("%s", err) // Verify has refused it
		return
	}
	p.d.Title = visible(p.b.SchoolName)
	p.d.Subtitle = visible(y.Title() + ", " + y.Period())
	p.begin("Signed")
	for _, as := range []struct{ role, words string }{{"head", "Head"}, {"dpo", "Data-protection officer"}} {
		i := slices.IndexFunc(p.b.Year.Signed, func(s Signature) bool { return s.As == as.role })
		if i < 0 {
			p.line("%s\tnot signed", as.words)
			continue
		}
		s := p.b.Year.Signed[i]
		by := visible(s.By)
		if by == "" {
			by = "who did was forgotten"
		}
		p.line("%s\t%s, %s, entry %d", as.words, by, p.time(s.At), s.Entry)
	}
	for _, part := range y.Parts() {
		into := p.begin("%s", part.Heading)
		if len(part.Columns) > 0 {
			into.Columns, into.Shown = append([]string{""}, part.Columns...), true
		}
		for _, row := range part.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = visible(cell)
			}
			into.Rows = append(into.Rows, cells)
		}
		for _, words := range part.List {
			p.item(words)
		}
	}
	p.begin("How this is known")
	p.line("Report\tentry %d of the school's ledger, SHA-256 %s", p.b.Year.Entry, p.b.Year.Digest)
	p.line("Made\t%s by %s", p.time(p.b.MadeAt), visible(p.b.MadeBy))
	p.line("Proven here\tthat this report was recorded and signed as above, and that it follows from the signed reports of its terms, which are here too")
	p.begin("Not known")
	for _, words := range p.b.Year.NotKnown {
		p.item(words)
	}
}
