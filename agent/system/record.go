package system

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// The two files of a recorded machine. shared/docs/recorded-machines.md holds
// the format.
const (
	MachineFile = "machine.json" // the head: a Machine
	ReadsFile   = "reads.jsonl"  // one reading a line

	recordFormat = 1
	maxReadLine  = 64 << 20 // bytes of one line of reads.jsonl
)

// Machine is the head of a recorded machine.
type Machine struct {
	Format     int              `json:"format"`
	Platform   posture.Platform `json:"platform"`
	RecordedAt time.Time        `json:"recordedAt"`
	Agent      string           `json:"agent,omitempty"` // version of the agent that recorded it; "" if written by hand
	// Origin says where the readings are from: "real" if a machine gave them,
	// "documentation" if its maker says that it would, "synthetic" if they
	// were made up from what is known of such machines.
	Origin string `json:"origin,omitempty"`
	Note   string `json:"note,omitempty"` // for people
}

// reading is one line of reads.jsonl: exactly one question, and exactly one
// answer to it.
type reading struct {
	// The question.
	File      string `json:"file,omitempty"`
	Part      string `json:"part,omitempty"`
	Dir       string `json:"dir,omitempty"`
	Link      string `json:"link,omitempty"`
	Stat      string `json:"stat,omitempty"`
	Run       string `json:"run,omitempty"`
	Ask       string `json:"ask,omitempty"`
	Key       string `json:"key,omitempty"`
	Rows      string `json:"rows,omitempty"`
	Under     string `json:"under,omitempty"`
	Processes *names `json:"processes,omitempty"`
	Walk      *walk  `json:"walk,omitempty"`
	Offset    int64  `json:"offset,omitempty"`
	Length    int    `json:"length,omitempty"`

	// The answer: content, what the kind of question asks for, or a failure.
	Text    *string      `json:"text,omitempty"`
	Base64  *string      `json:"base64,omitempty"`
	Entries *entries     `json:"entries,omitempty"`
	Target  *string      `json:"target,omitempty"`
	Info    *Stat        `json:"info,omitempty"`
	Stdout  *string      `json:"stdout,omitempty"`
	Stderr  string       `json:"stderr,omitempty"`
	Exit    int          `json:"exit,omitempty"`
	Holds   *RegistryKey `json:"holds,omitempty"`
	List    *[]Values    `json:"list,omitempty"`
	Missing bool         `json:"missing,omitempty"`
	Absent  string       `json:"absent,omitempty"`
	Code    string       `json:"code,omitempty"` // the system's own code of the failure, such as "0x8004100e"
}

type (
	names   []string
	entries []Entry
)

// walk is a recorded walk.
type walk struct {
	Files []walkFile `json:"files"`
	// Looked is the number of files looked at, if that is more than Files.
	Looked  int           `json:"looked,omitempty"`
	Stopped string        `json:"stopped,omitempty"` // "" or "timed out"
	Gaps    []posture.Gap `json:"gaps,omitempty"`
}

type walkFile struct {
	Location posture.Location `json:"location"`
	Identity *FileIdentity    `json:"identity,omitempty"` // made up from its place in the list if not given
	Text     *string          `json:"text,omitempty"`
	Base64   *string          `json:"base64,omitempty"`
	// Signature is what the system made of it; it has no judge if not given.
	Signature *Signature `json:"signature,omitempty"`
}

// The words for a reading that failed, and the errors they stand for.
var failures = []struct {
	word string
	err  error
}{
	{"too large", ErrTooLarge},
	{posture.Denied.String(), fs.ErrPermission},
	{posture.TimedOut.String(), context.DeadlineExceeded},
	{posture.Unsupported.String(), errors.ErrUnsupported},
	{posture.NotVisible.String(), ErrNobody},
	{posture.Unreadable.String(), errUnreadable},
}

var errUnreadable = errors.New("it could not be read")

// failureOf returns the error that a failed reading stands for, or nil.
func failureOf(missing bool, word string) error {
	if missing {
		return fs.ErrNotExist
	}
	for _, f := range failures {
		if f.word == word {
			return f.err
		}
	}
	return nil
}

// failure returns the error that the reading stands for, or nil.
func (r *reading) failure() error {
	like := failureOf(r.Missing, r.Absent)
	code, err := parseCode(r.Code)
	if like == nil || err != nil {
		return like
	}
	return &CodeError{Code: code, Like: like}
}

// failureWord is the inverse of failureOf.
func failureWord(err error) (missing bool, word string) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, ""
	case errors.Is(err, ErrTooLarge):
		return false, "too large"
	}
	return false, Absence(err).String()
}

// question is what a reading answers, as a map key.
type question struct{ kind, name string }

func (r *reading) question() (question, error) {
	var asked []question
	for _, q := range []question{
		{"file", r.File},
		{"part", r.Part},
		{"dir", r.Dir},
		{"link", r.Link},
		{"stat", r.Stat},
		{"run", r.Run},
		{"ask", r.Ask},
		{"key", r.Key},
		{"rows", r.Rows},
		{"under", r.Under},
	} {
		if q.name != "" {
			asked = append(asked, q)
		}
	}
	if r.Processes != nil {
		asked = append(asked, question{kind: "processes"})
	}
	if r.Walk != nil {
		asked = append(asked, question{kind: "walk"})
	}
	if len(asked) != 1 {
		return question{}, fmt.Errorf("a reading asks one question, not %d", len(asked))
	}
	q := asked[0]
	switch q.kind {
	case "key":
		if !isKeyPath(q.name) {
			return question{}, fmt.Errorf(`the key %.200q is not below HKLM\ or HKU\`, q.name)
		}
		q.name = strings.ToLower(q.name)
	case "under":
		if isKeyPath(q.name) {
			q.name = strings.ToLower(q.name)
			break
		}
		fallthrough
	case "file", "part", "dir", "link", "stat":
		if !path.IsAbs(q.name) || path.Clean(q.name) != q.name {
			return question{}, fmt.Errorf("the path %.100q is not absolute and clean", q.name)
		}
	}
	return q, nil
}

// check refuses a reading that does not have exactly the answer its question
// needs.
func (r *reading) check(q question) error {
	failed := r.Missing || r.Absent != ""
	if failed && failureOf(r.Missing, r.Absent) == nil {
		return fmt.Errorf("%.40q is not a reason for a failed reading", r.Absent)
	}
	if r.Missing && r.Absent != "" {
		return errors.New("a reading is either missing or absent")
	}
	if _, err := parseCode(r.Code); r.Code != "" && (err != nil || !failed) {
		return fmt.Errorf("the code %.20q is not one, or of no failure", r.Code)
	}
	has := []struct {
		answer string
		there  bool
	}{
		{"content", r.Text != nil || r.Base64 != nil},
		{"entries", r.Entries != nil},
		{"target", r.Target != nil},
		{"info", r.Info != nil},
		{"stdout", r.Stdout != nil},
		{"holds", r.Holds != nil},
		{"list", r.List != nil},
	}
	wants := map[string]string{
		"file": "content", "part": "content", "dir": "entries", "link": "target",
		"stat": "info", "run": "stdout", "ask": "content", "key": "holds", "rows": "list",
	}[q.kind]
	given := failed
	for _, h := range has {
		switch {
		case h.there && failed:
			return fmt.Errorf("a reading that failed has no %s", h.answer)
		case h.there && h.answer != wants:
			return fmt.Errorf("a reading of %s has no %s", q.kind, h.answer)
		case h.there:
			given = true
		}
	}
	if !given && wants != "" {
		return fmt.Errorf("a reading of %s needs its %s or why it failed", q.kind, wants)
	}
	if q.kind == "rows" && r.List != nil && slices.ContainsFunc(*r.List, func(row Values) bool { return row == nil }) {
		return errors.New("a row is null")
	}
	if q.kind == "under" && !r.Missing {
		return errors.New(`"under" only says that all else below it is missing`)
	}
	if r.Offset < 0 || r.Length < 0 || (r.Offset > 0 || r.Length > 0) && q.kind != "part" {
		return errors.New("an offset and a length that are not negative belong to a part")
	}
	_, err := content(r.Text, r.Base64)
	return err
}

// isKeyPath reports whether name is a key of the registry as Reader.Key takes
// it. The two roots themselves are.
func isKeyPath(name string) bool {
	root, rest, deeper := strings.Cut(name, `\`)
	if !strings.EqualFold(root, "HKLM") && !strings.EqualFold(root, "HKU") {
		return false
	}
	return !deeper || !slices.Contains(strings.Split(rest, `\`), "")
}

func content(text, encoded *string) ([]byte, error) {
	switch {
	case text != nil && encoded != nil:
		return nil, errors.New("content is either text or base64")
	case text != nil:
		return []byte(*text), nil
	case encoded != nil:
		data, err := base64.StdEncoding.DecodeString(*encoded)
		if err != nil {
			return nil, fmt.Errorf("decode base64: %w", err)
		}
		return data, nil
	}
	return nil, nil
}

// asContent is the inverse of content: text where it is text.
func asContent(data []byte) (text, encoded *string) {
	if utf8.Valid(data) && !bytes.ContainsRune(data, 0) {
		s := string(data)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(data)
	return nil, &s
}

func decodeReading(line []byte) (*reading, question, error) {
	r := new(reading)
	if err := decodeStrict(line, r); err != nil {
		return nil, question{}, err
	}
	q, err := r.question()
	if err != nil {
		return nil, question{}, err
	}
	if err := r.check(q); err != nil {
		return nil, question{}, err
	}
	if r.Walk != nil {
		if err := r.Walk.check(); err != nil {
			return nil, question{}, err
		}
	}
	return r, q, nil
}

func (w *walk) check() error {
	if w.Stopped != "" && w.Stopped != posture.TimedOut.String() {
		return fmt.Errorf("a walk stops for %q only, not %.40q", posture.TimedOut, w.Stopped)
	}
	for _, g := range w.Gaps {
		if g.Absent == posture.None || g.Absent == posture.NotAsked || g.Source == "" {
			return errors.New("a gap names its source and why it could not be read")
		}
	}
	for i, f := range w.Files {
		if !validLocation(f.Location) {
			return fmt.Errorf("%.40q is not a class of place", string(f.Location))
		}
		if _, err := content(f.Text, f.Base64); err != nil {
			return fmt.Errorf("file %d of the walk: %w", i, err)
		}
	}
	return nil
}

func validLocation(l posture.Location) bool {
	switch l {
	case posture.Home, posture.OnDesktop, posture.Downloads, posture.Documents, posture.Temp, posture.OnMedia:
		return true
	}
	return false
}

// decodeStrict decodes one JSON value and refuses unknown fields and anything
// after it.
func decodeStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

// below reports whether name lies in the folder dir, at any depth.
func below(dir, name string) bool {
	return dir == "/" && name != "/" || strings.HasPrefix(name, dir+"/")
}
