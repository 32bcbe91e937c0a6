package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Replay is a Reader over a recorded machine. What was not recorded fails with
// ErrNotRecorded, never with fs.ErrNotExist: a recording must not invent a
// "there is none".
type Replay struct {
	machine Machine
	reads   map[question]*reading
	parts   map[string][]*reading // by path, in the order recorded
	under   []string              // folders in which all that is not recorded is missing
	paths   []string              // every path that exists for sure, sorted
}

var _ Reader = (*Replay)(nil)

// OpenReplay reads the recorded machine in a folder. One of a system whose
// machines this build does not judge is refused.
func OpenReplay(dir string) (*Replay, error) {
	head, err := os.ReadFile(filepath.Join(dir, MachineFile))
	if err != nil {
		return nil, fmt.Errorf("open recorded machine: %w", err)
	}
	reads, err := os.ReadFile(filepath.Join(dir, ReadsFile))
	if err != nil {
		return nil, fmt.Errorf("open recorded machine: %w", err)
	}
	r, err := NewReplay(head, reads)
	if err == nil && !judges(r.Platform()) {
		err = fmt.Errorf("it is of %s, and this agent judges machines of its own system only: build one without the tag oneplatform", r.Platform())
	}
	if err != nil {
		return nil, fmt.Errorf("open recorded machine %s: %w", dir, err)
	}
	return r, nil
}

func judges(p posture.Platform) bool {
	return JudgesLinux && p == posture.Linux || JudgesWindows && p == posture.Windows || JudgesMacOS && p == posture.MacOS
}

// NewReplay makes a Replay of the content of a recorded machine's two files.
// Its errors name the file and the line.
func NewReplay(machine, reads []byte) (*Replay, error) {
	r := &Replay{reads: map[question]*reading{}, parts: map[string][]*reading{}}
	if err := decodeStrict(machine, &r.machine); err != nil {
		return nil, fmt.Errorf("%s: %w", MachineFile, err)
	}
	if r.machine.Format != recordFormat {
		return nil, fmt.Errorf("%s: format %d is not %d, the one this program reads", MachineFile, r.machine.Format, recordFormat)
	}
	switch r.machine.Platform {
	case posture.Linux, posture.Windows, posture.MacOS:
	default:
		return nil, fmt.Errorf("%s: %.40q is not a platform", MachineFile, string(r.machine.Platform))
	}
	lines := bufio.NewScanner(bytes.NewReader(reads))
	lines.Buffer(nil, maxReadLine)
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := r.add(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", ReadsFile, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", ReadsFile, number+1, err)
	}
	slices.Sort(r.paths)
	r.paths = slices.Compact(r.paths)
	return r, nil
}

func (r *Replay) add(line []byte) error {
	read, q, err := decodeReading(line)
	if err != nil {
		return err
	}
	switch q.kind {
	case "under":
		r.under = append(r.under, q.name)
		return nil
	case "part":
		r.parts[q.name] = append(r.parts[q.name], read)
	default:
		if r.reads[q] != nil {
			return fmt.Errorf("%s %s is recorded twice", q.kind, q.name)
		}
		r.reads[q] = read
	}
	switch q.kind {
	case "file", "part", "dir", "link", "stat":
		if !read.Missing {
			r.paths = append(r.paths, q.name)
		}
	}
	return nil
}

// Machine returns the head of the recorded machine.
func (r *Replay) Machine() Machine { return r.machine }

// Platform implements Reader.
func (r *Replay) Platform() posture.Platform { return r.machine.Platform }

// find returns the reading that answers a question about a path, following
// recorded links where the path itself was not recorded.
func (r *Replay) find(ctx context.Context, kind, name string) (*reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	wanted := name
	for range 40 {
		if read := r.reads[question{kind, wanted}]; read != nil {
			if err := read.failure(); err != nil {
				return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
			}
			return read, nil
		}
		next, ok := r.resolve(wanted, kind != "link")
		if !ok {
			break
		}
		wanted = next
	}
	return nil, fmt.Errorf("read %s %s: %w", kind, name, r.unrecorded(wanted))
}

// unrecorded returns fs.ErrNotExist for a path in a folder of which the
// recording says that nothing else is there, else ErrNotRecorded.
func (r *Replay) unrecorded(name string) error {
	if r.complete(name) && !r.exists(name) {
		return fs.ErrNotExist
	}
	return ErrNotRecorded
}

func (r *Replay) complete(name string) bool {
	return slices.ContainsFunc(r.under, func(dir string) bool { return name == dir || below(dir, name) })
}

// exists reports whether the path or something below it was recorded.
func (r *Replay) exists(name string) bool {
	return slices.ContainsFunc(r.paths, func(p string) bool { return p == name || below(name, p) })
}

// resolve replaces the first recorded link in a path by its target; in its
// last element only if last is true.
func (r *Replay) resolve(name string, last bool) (string, bool) {
	for i := 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' || i == len(name) && !last {
			continue
		}
		link := r.reads[question{"link", name[:i]}]
		if link == nil || link.Target == nil {
			continue
		}
		target := *link.Target
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name[:i]), target)
		}
		return path.Join(target, name[i:]), true
	}
	return "", false
}

// File implements Reader.
func (r *Replay) File(ctx context.Context, name string, limit int64) ([]byte, error) {
	read, err := r.find(ctx, "file", name)
	if err != nil {
		return nil, err
	}
	data, err := content(read.Text, read.Base64)
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read file %s: %w", name, ErrTooLarge)
	}
	return data, nil
}

// Part implements Reader. It answers from any recorded part that covers what
// is asked, or from the whole file if that was recorded.
func (r *Replay) Part(ctx context.Context, name string, offset int64, length int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read part of %s: %w", name, err)
	}
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("read part of %s: %w", name, fs.ErrInvalid)
	}
	wanted := name
	for range 40 {
		if len(r.parts[wanted]) > 0 {
			break
		}
		next, ok := r.resolve(wanted, true)
		if !ok {
			break
		}
		wanted = next
	}
	for _, p := range r.parts[wanted] {
		data, covers, err := p.cut(offset, length)
		if err != nil {
			return nil, fmt.Errorf("read part of %s: %w", name, err)
		}
		if covers {
			return data, nil
		}
	}
	read, err := r.find(ctx, "file", name)
	if err != nil {
		return nil, err
	}
	data, err := content(read.Text, read.Base64)
	if err != nil {
		return nil, fmt.Errorf("read part of %s: %w", name, err)
	}
	from := min(offset, int64(len(data)))
	return data[from:min(from+int64(length), int64(len(data)))], nil
}

// cut takes a part out of a recorded part, if that covers it. A recorded part
// shorter than its length ended with the file.
func (r *reading) cut(offset int64, length int) ([]byte, bool, error) {
	if offset < r.Offset {
		return nil, false, nil
	}
	if err := r.failure(); err != nil {
		// Without a length, the failure is that of the whole file.
		covers := r.Length == 0 || offset+int64(length) <= r.Offset+int64(r.Length)
		if !covers {
			return nil, false, nil
		}
		return nil, false, err
	}
	data, err := content(r.Text, r.Base64)
	if err != nil {
		return nil, false, err
	}
	have := r.Offset + int64(len(data))
	ended := len(data) < r.Length
	if offset+int64(length) > have && !ended {
		return nil, false, nil
	}
	from := min(offset, have) - r.Offset
	return data[from:min(from+int64(length), int64(len(data)))], true, nil
}

// Dir implements Reader. In a folder of which all is recorded, the entries
// are those of the recorded paths.
func (r *Replay) Dir(ctx context.Context, name string) ([]Entry, error) {
	read, err := r.find(ctx, "dir", name)
	if err == nil {
		list := slices.Clone([]Entry(*read.Entries))
		slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
		return list, nil
	}
	if !errors.Is(err, ErrNotRecorded) {
		return nil, err
	}
	for range 40 {
		if r.complete(name) && r.exists(name) {
			return r.derive(name), nil
		}
		next, ok := r.resolve(name, true)
		if !ok {
			break
		}
		name = next
	}
	return nil, err
}

// derive makes the entries of a folder from the recorded paths below it.
func (r *Replay) derive(dir string) []Entry {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	types := map[string]fs.FileMode{}
	for _, p := range r.paths {
		rest, ok := strings.CutPrefix(p, prefix)
		if !ok || rest == "" {
			continue
		}
		child, _, deeper := strings.Cut(rest, "/")
		switch {
		case r.reads[question{"link", prefix + child}] != nil:
			types[child] = fs.ModeSymlink
		case deeper || r.reads[question{"dir", p}] != nil:
			types[child] = fs.ModeDir
		case types[child] == 0:
			types[child] = 0
		}
	}
	list := make([]Entry, 0, len(types))
	for child, t := range types {
		list = append(list, Entry{Name: child, Type: t})
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Link implements Reader.
func (r *Replay) Link(ctx context.Context, name string) (string, error) {
	read, err := r.find(ctx, "link", name)
	if err != nil {
		return "", err
	}
	return *read.Target, nil
}

// Stat implements Reader.
func (r *Replay) Stat(ctx context.Context, name string) (Stat, error) {
	read, err := r.find(ctx, "stat", name)
	if err != nil {
		return Stat{}, err
	}
	return *read.Info, nil
}

// Run implements Reader.
func (r *Replay) Run(ctx context.Context, c Command) (Output, error) {
	read, err := r.find(ctx, "run", string(c))
	if err != nil {
		return Output{}, err
	}
	return Output{Stdout: []byte(*read.Stdout), Stderr: []byte(read.Stderr), Exit: read.Exit}, nil
}

// Ask implements Reader.
func (r *Replay) Ask(ctx context.Context, q Query) ([]byte, error) {
	read, err := r.find(ctx, "ask", string(q))
	if err != nil {
		return nil, err
	}
	return content(read.Text, read.Base64)
}

// Key implements Reader. A key that a recorded key does not list is missing.
func (r *Replay) Key(ctx context.Context, name string) (RegistryKey, error) {
	if err := ctx.Err(); err != nil {
		return RegistryKey{}, fmt.Errorf("read key %s: %w", name, err)
	}
	if !isKeyPath(name) {
		return RegistryKey{}, fmt.Errorf("read key %s: %w", name, fs.ErrInvalid)
	}
	wanted := strings.ToLower(name)
	if read := r.reads[question{"key", wanted}]; read != nil {
		if err := read.failure(); err != nil {
			return RegistryKey{}, fmt.Errorf("read key %s: %w", name, err)
		}
		return RegistryKey{Values: maps.Clone(read.Holds.Values), Keys: slices.Sorted(slices.Values(read.Holds.Keys))}, nil
	}
	return RegistryKey{}, fmt.Errorf("read key %s: %w", name, r.unrecordedKey(wanted))
}

// unrecordedKey returns fs.ErrNotExist for a key that cannot be there, because
// the recording says so of a key above it, else ErrNotRecorded.
func (r *Replay) unrecordedKey(name string) error {
	if slices.ContainsFunc(r.under, func(key string) bool {
		return name == key || strings.HasPrefix(name, key+`\`)
	}) {
		return fs.ErrNotExist
	}
	for {
		i := strings.LastIndexByte(name, '\\')
		if i < 0 {
			return ErrNotRecorded
		}
		child := name[i+1:]
		name = name[:i]
		read := r.reads[question{"key", name}]
		switch {
		case read == nil:
		case read.Missing:
			return fs.ErrNotExist
		case read.Holds != nil && !slices.ContainsFunc(read.Holds.Keys, func(k string) bool { return strings.EqualFold(k, child) }):
			return fs.ErrNotExist
		default:
			return ErrNotRecorded
		}
	}
}

// Rows implements Reader.
func (r *Replay) Rows(ctx context.Context, of Rowset) ([]Values, error) {
	read, err := r.find(ctx, "rows", string(of))
	if err != nil {
		return nil, err
	}
	rows := make([]Values, 0, len(*read.List))
	for _, row := range *read.List {
		rows = append(rows, maps.Clone(row))
	}
	return rows, nil
}

// Processes implements Reader.
func (r *Replay) Processes(ctx context.Context) ([]string, error) {
	read, err := r.find(ctx, "processes", "")
	if err != nil {
		return nil, err
	}
	list := slices.Clone([]string(*read.Processes))
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Walk implements Reader.
func (r *Replay) Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	read, err := r.find(ctx, "walk", "")
	if err != nil {
		return WalkSummary{}, err
	}
	w := read.Walk
	s := WalkSummary{Stopped: posture.None, Gaps: slices.Clone(w.Gaps)}
	if w.Stopped != "" {
		s.Stopped = posture.TimedOut
	}
	for i, f := range w.Files {
		if limits.leaves(f.Location) {
			continue
		}
		if s.Files >= limits.Files {
			s.Stopped = posture.TimedOut
			return s, nil
		}
		s.Files++
		data, err := content(f.Text, f.Base64)
		if err != nil {
			return s, fmt.Errorf("walk: file %d: %w", i, err)
		}
		id := FileIdentity{Inode: uint64(i) + 1, Size: int64(len(data))}
		if f.Identity != nil {
			id = *f.Identity
		}
		file := WalkedFile{Location: f.Location, Identity: id, ReaderAt: bytes.NewReader(data)}
		if f.Signature != nil {
			file.Signature = func(context.Context) (Signature, error) { return *f.Signature, nil }
		}
		if err := visit(file); err != nil {
			return s, err
		}
	}
	s.Files = max(s.Files, w.Looked)
	return s, nil
}
