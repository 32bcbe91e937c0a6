package system

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Recorder is a Reader that keeps what another one reads, so that it can be
// read again elsewhere. What is kept leaves the Recorder scrubbed: without
// names, serial numbers or addresses, and without anything of the files met on
// a walk. shared/docs/recorded-machines.md says what is scrubbed and how.
type Recorder struct {
	reader Reader

	mu    sync.Mutex // guards what follows
	reads []*reading
	asked map[recorded]bool
}

// recorded is what one reading is an answer to.
type recorded struct {
	question
	offset int64
	length int
}

var _ Reader = (*Recorder)(nil)

// NewRecorder makes a Recorder of what r reads.
func NewRecorder(r Reader) *Recorder {
	return &Recorder{reader: r, asked: map[recorded]bool{}}
}

// keep keeps one reading, or that it failed.
func (r *Recorder) keep(read *reading, err error) {
	if errors.Is(err, ErrNotRecorded) {
		return
	}
	if err != nil {
		read.Missing, read.Absent = failureWord(err)
		read.Code = CodeWord(err)
	}
	q, bad := read.question()
	if bad != nil {
		return // a path that no Reader takes
	}
	key := recorded{q, read.Offset, read.Length}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked[key] {
		r.asked[key] = true
		r.reads = append(r.reads, read)
	}
}

// telling are the readings that hold the names to be scrubbed. They are read
// for that even if no probe asked for them.
var telling = []string{"/etc/passwd", "/etc/hostname", "/proc/sys/kernel/hostname", "/proc/self/mountinfo"}

// learn returns the readings that tell names. On a machine that keeps its
// names from us there is no recording: it could not be scrubbed.
func (r *Recorder) learn(ctx context.Context) ([]*reading, error) {
	reads := slices.Clone(r.reads)
	switch r.reader.Platform() {
	case posture.Windows:
		told, err := learnKeys(ctx, r.reader)
		return append(reads, told...), err
	case posture.MacOS:
		told, err := learnMac(ctx, r.reader)
		return append(reads, told...), err
	}
	for _, name := range telling {
		data, err := r.reader.File(ctx, name, maxMountinfo)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRecorded), errors.Is(err, errors.ErrUnsupported):
			continue
		case err != nil:
			return nil, err
		}
		text := string(data)
		reads = append(reads, &reading{File: name, Text: &text})
	}
	if list, err := r.reader.Dir(ctx, "/home"); err == nil {
		kept := entries(list)
		reads = append(reads, &reading{Dir: "/home", Entries: &kept})
	}
	return reads, nil
}

// Bytes returns the content of the two files of the recorded machine. The
// head's Format, Platform and Origin are filled in.
func (r *Recorder) Bytes(ctx context.Context, head Machine) (machine, reads []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told, err := r.learn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("learn what to scrub: %w", err)
	}
	head.Format, head.Platform, head.Origin = recordFormat, r.reader.Platform(), "real"
	if machine, err = json.MarshalIndent(head, "", "  "); err != nil {
		return nil, nil, fmt.Errorf("write %s: %w", MachineFile, err)
	}
	scrub, err := newScrubber(r.reader.Platform(), told)
	if err != nil {
		return nil, nil, fmt.Errorf("scrub the recording: %w", err)
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	seen := map[recorded]bool{}
	for _, read := range r.reads {
		clean, ok := scrub.reading(*read)
		if !ok {
			continue
		}
		q, err := clean.question()
		if err != nil {
			return nil, nil, fmt.Errorf("write %s: %w", ReadsFile, err)
		}
		key := recorded{q, clean.Offset, clean.Length}
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := lines.Encode(clean); err != nil {
			return nil, nil, fmt.Errorf("write %s: %w", ReadsFile, err)
		}
	}
	return append(machine, '\n'), b.Bytes(), nil
}

// Platform implements Reader.
func (r *Recorder) Platform() posture.Platform { return r.reader.Platform() }

// File implements Reader.
func (r *Recorder) File(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, err := r.reader.File(ctx, name, limit)
	read := &reading{File: name}
	if err == nil {
		read.Text, read.Base64 = asContent(data)
	}
	r.keep(read, err)
	return data, err
}

// Part implements Reader.
func (r *Recorder) Part(ctx context.Context, name string, offset int64, length int) ([]byte, error) {
	data, err := r.reader.Part(ctx, name, offset, length)
	read := &reading{Part: name, Offset: offset, Length: length}
	if err == nil && (below("/dev", name) || below("/device", name)) {
		encoded := base64.StdEncoding.EncodeToString(data)
		read.Base64 = &encoded
	} else if err == nil {
		read.Text, read.Base64 = asContent(data)
	}
	r.keep(read, err)
	return data, err
}

// Dir implements Reader.
func (r *Recorder) Dir(ctx context.Context, name string) ([]Entry, error) {
	list, err := r.reader.Dir(ctx, name)
	read := &reading{Dir: name}
	if err == nil {
		kept := entries(slices.Clone(list))
		if kept == nil {
			kept = entries{}
		}
		read.Entries = &kept
	}
	r.keep(read, err)
	return list, err
}

// Link implements Reader.
func (r *Recorder) Link(ctx context.Context, name string) (string, error) {
	target, err := r.reader.Link(ctx, name)
	read := &reading{Link: name}
	if err == nil {
		read.Target = &target
	}
	r.keep(read, err)
	return target, err
}

// Stat implements Reader.
func (r *Recorder) Stat(ctx context.Context, name string) (Stat, error) {
	st, err := r.reader.Stat(ctx, name)
	read := &reading{Stat: name}
	if err == nil {
		read.Info = &st
	}
	r.keep(read, err)
	return st, err
}

// Run implements Reader.
func (r *Recorder) Run(ctx context.Context, c Command) (Output, error) {
	out, err := r.reader.Run(ctx, c)
	read := &reading{Run: string(c)}
	if err == nil {
		text := strings.ToValidUTF8(string(out.Stdout), "\uFFFD")
		read.Stdout, read.Stderr, read.Exit = &text, strings.ToValidUTF8(string(out.Stderr), "\uFFFD"), out.Exit
	}
	r.keep(read, err)
	return out, err
}

// Ask implements Reader.
func (r *Recorder) Ask(ctx context.Context, q Query) ([]byte, error) {
	answer, err := r.reader.Ask(ctx, q)
	read := &reading{Ask: string(q)}
	if err == nil {
		read.Text, read.Base64 = asContent(answer)
	}
	r.keep(read, err)
	return answer, err
}

// Key implements Reader.
func (r *Recorder) Key(ctx context.Context, name string) (RegistryKey, error) {
	key, err := r.reader.Key(ctx, name)
	read := &reading{Key: name}
	if err == nil {
		read.Holds = &RegistryKey{Values: maps.Clone(key.Values), Keys: slices.Clone(key.Keys)}
	}
	r.keep(read, err)
	return key, err
}

// Rows implements Reader.
func (r *Recorder) Rows(ctx context.Context, of Rowset) ([]Values, error) {
	rows, err := r.reader.Rows(ctx, of)
	read := &reading{Rows: string(of)}
	if err == nil {
		kept := make([]Values, 0, len(rows))
		for _, row := range rows {
			kept = append(kept, maps.Clone(row))
		}
		read.List = &kept
	}
	r.keep(read, err)
	return rows, err
}

// Processes implements Reader.
func (r *Recorder) Processes(ctx context.Context) ([]string, error) {
	list, err := r.reader.Processes(ctx)
	kept := names(append([]string{}, list...))
	r.keep(&reading{Processes: &kept}, err)
	return list, err
}

// withheld is the gap of a recorded walk: its files are not in the recording.
const withheld = "recording"

// Walk implements Reader. Of the files only their number is kept: what they
// hold is people's own, and what the walk is for, their hashes, cannot be had
// from less than all of it.
func (r *Recorder) Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	s, err := r.reader.Walk(ctx, limits, visit)
	kept := &walk{Files: []walkFile{}}
	if err == nil {
		kept.Looked = s.Files
		kept.Gaps = append(slices.Clone(s.Gaps), posture.Gap{Source: withheld, Absent: posture.NotVisible})
		if s.Stopped != posture.None {
			kept.Stopped = posture.TimedOut.String()
		}
	}
	r.keep(&reading{Walk: kept}, err)
	return s, err
}
