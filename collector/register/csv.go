package register

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Line is one line of a school's list of devices.
type Line struct {
	Item
	Host string `json:"host,omitempty"` // of the enrolled device that it is
	Line int    `json:"line"`           // of the file, from 1

	columns []string // that the file has
}

// keep takes from an asset what the file has no column for.
func (l *Line) keep(was Asset) {
	has := func(column string) bool { return slices.Contains(l.columns, column) }
	if !has("what") {
		l.What = was.What
	}
	if !has("class") {
		l.Class = was.Class
	}
	if !has("group") {
		l.Group = was.Group
	}
	if !has("bought") {
		l.Bought = was.Bought
	}
	if !has("retired") {
		l.Retired = was.Retired
	}
	if !has("serial") {
		l.Serial = was.Serial
	}
	if !has("managed") {
		l.Managed = was.Managed
	}
	if !has("encrypted") {
		l.Encrypted = was.Encrypted
	}
	if !has("enrolled") {
		l.Enrolled = was.Enrolled
	}
	if !has("seen") {
		l.Seen = was.Seen
	}
	listed := saysManager(l.columns)
	l.Listed = &listed
}

// Wrong is one thing that is wrong with a file.
type Wrong struct {
	Line   int    `json:"line"`             // from 1; 0: the file as a whole
	Column string `json:"column,omitempty"` // as the file heads it
	What   string `json:"what"`             // and what to do about it
}

// String returns it as people read it.
func (w Wrong) String() string {
	switch {
	case w.Line == 0:
		return w.What
	case w.Column == "":
		return fmt.Sprintf("line %d: %s", w.Line, w.What)
	}
	return fmt.Sprintf("line %d, column %q: %s", w.Line, w.Column, w.What)
}

// WrongError is everything that is wrong with a file, as far as it is listed.
type WrongError struct{ List []Wrong }

// Error implements error.
func (e *WrongError) Error() string {
	var b strings.Builder
	for i, w := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(w.String())
	}
	return b.String()
}

// Columns are the columns that a list of devices may have. Only the first is
// needed.
func Columns() []string {
	return []string{"tag", "what", "class", "group", "bought", "retired", "host", "managed", "encrypted", "enrolled", "seen", "serial"}
}

// mostWrong is how many things that are wrong are listed.
const mostWrong = 50

// ParseCSV reads a list of devices as spreadsheets save it: in UTF-8, with
// commas, semicolons or tabs, with or without a mark at its beginning. If
// anything is wrong the error is a *WrongError that lists it.
func ParseCSV(data []byte) ([]Line, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > MostList:
		return nil, wholly("the file has more than %d bytes: import it in parts", MostList)
	case len(data) > 1 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff):
		return nil, wholly("the file is in UTF-16: save it as \"CSV UTF-8\"")
	case !utf8.Valid(data):
		return nil, wholly("the file is not in UTF-8: save it as \"CSV UTF-8\"")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, wholly("the file is empty: its first line names the columns, such as %s", strings.Join(Columns(), ","))
	}
	p := &parser{r: csv.NewReader(bytes.NewReader(data)), tags: map[string]int{}, hosts: map[string]int{}, serials: map[string]int{}}
	p.r.Comma, p.r.FieldsPerRecord, p.r.ReuseRecord = delimiter(data), -1, true
	if err := p.parse(); err != nil {
		return nil, err
	}
	if len(p.wrong) > 0 {
		return nil, &WrongError{p.wrong}
	}
	if len(p.lines) == 0 {
		return nil, wholly("the file names columns and no device")
	}
	return p.lines, nil
}

func wholly(format string, args ...any) error {
	return &WrongError{[]Wrong{{What: fmt.Sprintf(format, args...)}}}
}

// delimiter is whichever of the usual ones the first line has most of.
func delimiter(data []byte) rune {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', 0
	for _, r := range []rune{',', ';', '\t'} {
		if n := bytes.Count(first, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

type parser struct {
	r       *csv.Reader
	columns []string // of the table above, by place; "" for one that is passed over
	heads   []string // as the file has them
	lines   []Line
	wrong   []Wrong
	tags    map[string]int // lines by tag
	hosts   map[string]int
	serials map[string]int
}

func (p *parser) say(line int, column, format string, args ...any) {
	if len(p.wrong) < mostWrong {
		p.wrong = append(p.wrong, Wrong{Line: line, Column: column, What: fmt.Sprintf(format, args...)})
	}
}

func (p *parser) parse() error {
	for {
		record, err := p.r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			p.say(bad.Line, "", "%v at character %d: a quote that is part of a text is written twice, and the whole text is put in quotes", bad.Err, bad.Column)
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the list: %w", err)
		}
		at, _ := p.r.FieldPos(0)
		if p.columns == nil {
			if !p.head(at, record) {
				return nil
			}
			continue
		}
		if len(p.lines) == mostItems {
			p.say(at, "", "the list has more than %d devices: import it in parts", mostItems)
			return nil
		}
		p.line(at, record)
	}
}

// head reads the names of the columns.
func (p *parser) head(at int, record []string) bool {
	for _, cell := range record {
		head := strings.TrimSpace(cell)
		name := strings.ToLower(head)
		switch {
		case head != "" && !slices.Contains(Columns(), name):
			p.say(at, head, "there is no such column: the columns are %s", strings.Join(Columns(), ", "))
		case head != "" && slices.Contains(p.columns, name):
			p.say(at, head, "the column is there twice: remove one")
		}
		p.columns, p.heads = append(p.columns, name), append(p.heads, head)
	}
	if !slices.Contains(p.columns, "tag") {
		p.say(at, "", "the column tag is missing: the first line names the columns, such as %s", strings.Join(Columns(), ","))
	}
	return len(p.wrong) == 0
}

func (p *parser) line(at int, record []string) {
	if !slices.ContainsFunc(record, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return // spreadsheets save empty lines after the last
	}
	l, before := Line{Line: at, columns: p.columns}, len(p.wrong)
	for i, cell := range record {
		if i >= len(p.columns) || p.columns[i] == "" {
			if strings.TrimSpace(cell) != "" {
				p.say(at, "", "there is %.40q beyond the named columns: name the column or remove it", cell)
			}
			continue
		}
		cell = plain(cell)
		if strings.IndexAny(cell, "=+@\t\r") == 0 || strings.HasPrefix(cell, "-") {
			p.say(at, p.heads[i], "%.40q looks like a formula: write its value", cell)
			continue
		}
		if err := l.set(p.columns[i], cell); err != nil {
			p.say(at, p.heads[i], "%v", err)
		}
	}
	if l.Tag == "" && len(p.wrong) == before {
		p.say(at, "tag", "the tag is missing: every line needs one")
	}
	if l.Tag != "" {
		p.once(p.tags, Key(l.Tag), at, "tag", "the tag "+l.Tag)
	}
	if l.Host != "" {
		p.once(p.hosts, Key(l.Host), at, "host", "the host name "+l.Host)
	}
	if l.Serial != "" {
		p.once(p.serials, SerialKey(l.Serial), at, "serial", "the serial number "+l.Serial)
	}
	p.lines = append(p.lines, l)
}

func (p *parser) once(seen map[string]int, key string, at int, column, what string) {
	if first, ok := seen[key]; ok {
		p.say(at, column, "%s is on line %d already: keep one of the two", what, first)
		return
	}
	seen[key] = at
}

// plain takes off what spreadsheets put around a text that they are to leave
// as it is: spaces, and ="…".
func plain(cell string) string {
	cell = strings.TrimSpace(cell)
	if inner, ok := strings.CutPrefix(cell, `="`); ok {
		if inner, ok := strings.CutSuffix(inner, `"`); ok && !strings.Contains(inner, `"`) {
			return strings.TrimSpace(inner)
		}
	}
	return cell
}

// set puts a cell into its column.
func (l *Line) set(column, cell string) (err error) {
	if cell == "" {
		return nil
	}
	switch column {
	case "tag":
		if err = CheckTag(cell); err == nil {
			l.Tag = cell
		}
	case "what":
		l.What, err = cell, line("the text", cell, mostText, false)
	case "class":
		l.Class, err = ParseClass(cell)
	case "group":
		l.Group, err = cell, line("the group", cell, mostText, false)
	case "bought":
		l.Bought, err = ParseDate(cell)
	case "retired":
		l.Retired, err = ParseDate(cell)
	case "host":
		l.Host, err = cell, line("the host name", cell, mostText, false)
	case "serial":
		if l.Serial, err = cell, CheckMakersSerial(cell); err != nil {
			l.Serial = ""
		}
	case "managed":
		l.Managed, err = cell, line("the text", cell, mostText, false)
	case "encrypted":
		l.Encrypted, err = ParseSaid(cell)
	case "enrolled":
		if l.Enrolled, err = ParseSaid(cell); err == nil && l.Enrolled == ByDefault {
			err = errors.New("nothing is enrolled by default: write yes or no")
		}
	case "seen":
		l.Seen, err = ParseDate(cell)
	}
	return err
}

// Cell returns a text as it may stand in a cell of a spreadsheet: one that the
// spreadsheet would take for a formula is marked as a text.
func Cell(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// WriteCSV writes assets as a list that ParseCSV reads.
func WriteCSV(w io.Writer, lines []Line) error {
	out := csv.NewWriter(w)
	rows := [][]string{Columns()}
	for _, l := range lines {
		rows = append(rows, []string{
			l.Tag, l.What, string(l.Class), l.Group, string(l.Bought), string(l.Retired), l.Host, l.Managed,
			string(l.Encrypted), string(l.Enrolled), string(l.Seen), l.Serial,
		})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = Cell(row[i])
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write the list: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// OneLine writes a list of one device that ParseCSV reads: columns, each followed
// by its cell as it is.
func OneLine(pairs ...string) ([]byte, error) {
	var head, cells []string
	for pair := range slices.Chunk(pairs, 2) {
		if len(pair) != 2 {
			return nil, fmt.Errorf("write a line of the list: the column %s has no cell", pair[0])
		}
		head, cells = append(head, pair[0]), append(cells, pair[1])
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll([][]string{head, cells}); err != nil {
		return nil, fmt.Errorf("write a line of the list: %w", err)
	}
	return b.Bytes(), nil
}
