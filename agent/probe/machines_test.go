package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var rewrite = flag.Bool("rewrite", false, "write what the probes answer as what is wanted of them")

// assessed is when the recorded machines are asked.
var assessed = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// asked are the probes by the folder of their recorded machines.
var asked = map[string]func(context.Context, system.Reader) any{
	"system": func(ctx context.Context, sys system.Reader) any { return System(ctx, sys) },
	"hardware": func(ctx context.Context, sys system.Reader) any {
		return withHardware(ctx, sys, Question{MediaKey: []byte("hollybank")}, System(ctx, sys))
	},
	"antivirus": func(ctx context.Context, sys system.Reader) any { return AntivirusProducts(ctx, sys) },
	"programs":  func(ctx context.Context, sys system.Reader) any { return Programs(ctx, sys, Question{}) },
	"security": func(ctx context.Context, sys system.Reader) any {
		return SecurityFacts(ctx, sys, Question{Now: assessed})
	},
}

func eachRecorded(t *testing.T, do func(t *testing.T, dir string, sys system.Reader, ask func(context.Context, system.Reader) any)) {
	for name, ask := range asked {
		dirs, err := filepath.Glob(filepath.Join("testdata", name, "*"))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no recorded machines of %s: %v", name, err)
		}
		for _, dir := range dirs {
			t.Run(filepath.ToSlash(dir), func(t *testing.T) { do(t, dir, systemtest.Load(t, dir), ask) })
		}
	}
}

// TestMachinesSayWhereTheyAreFrom: what is proven by a machine that somebody
// made up is not proven of any other.
func TestMachinesSayWhereTheyAreFrom(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*", system.MachineFile))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded machines: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		var m system.Machine
		if err = errors.Join(err, json.Unmarshal(data, &m)); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"real", "documentation", "synthetic"}, m.Origin) || m.Note == "" {
			t.Errorf("%s: its origin is %q and its note %q", file, m.Origin, m.Note)
		}
	}
}

func TestMachinesAnswerAsWanted(t *testing.T) {
	eachRecorded(t, func(t *testing.T, dir string, sys system.Reader, ask func(context.Context, system.Reader) any) {
		got, err := json.MarshalIndent(ask(t.Context(), sys), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := filepath.Join(dir, "want.json")
		if *rewrite {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

// failing is a machine on which one reading fails.
type failing struct {
	system.Reader
	at, reads int
	with      error  // nil cuts the reading in half instead
	what      string // the reading that failed
}

func (f *failing) fails(what string) bool {
	f.reads++
	if f.reads == f.at {
		f.what = what
		return true
	}
	return false
}

// half cuts a reading that is to be cut.
func (f *failing) half(data []byte, err error) ([]byte, error) {
	if f.with != nil {
		return nil, f.with
	}
	return data[:len(data)/2], err
}

func (f *failing) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	if f.fails("file " + path) {
		return f.half(f.Reader.File(ctx, path, limit))
	}
	return f.Reader.File(ctx, path, limit)
}

func (f *failing) Part(ctx context.Context, path string, offset int64, length int) ([]byte, error) {
	if f.fails("part " + path) {
		return f.half(f.Reader.Part(ctx, path, offset, length))
	}
	return f.Reader.Part(ctx, path, offset, length)
}

func (f *failing) Dir(ctx context.Context, path string) ([]system.Entry, error) {
	if f.fails("dir "+path) && f.with != nil {
		return nil, f.with
	}
	return f.Reader.Dir(ctx, path)
}

func (f *failing) Link(ctx context.Context, path string) (string, error) {
	if f.fails("link "+path) && f.with != nil {
		return "", f.with
	}
	return f.Reader.Link(ctx, path)
}

func (f *failing) Stat(ctx context.Context, path string) (system.Stat, error) {
	if f.fails("stat "+path) && f.with != nil {
		return system.Stat{}, f.with
	}
	return f.Reader.Stat(ctx, path)
}

func (f *failing) Run(ctx context.Context, c system.Command) (system.Output, error) {
	if f.fails("run " + string(c)) {
		out, err := f.Reader.Run(ctx, c)
		if f.with == nil {
			out.Stdout = out.Stdout[:len(out.Stdout)/2]
			return out, err
		}
		return system.Output{}, f.with
	}
	return f.Reader.Run(ctx, c)
}

func (f *failing) Ask(ctx context.Context, q system.Query) ([]byte, error) {
	if f.fails("ask " + string(q)) {
		return f.half(f.Reader.Ask(ctx, q))
	}
	return f.Reader.Ask(ctx, q)
}

func (f *failing) Key(ctx context.Context, path string) (system.RegistryKey, error) {
	key, err := f.Reader.Key(ctx, path)
	if !f.fails("key "+path) || err != nil {
		return key, err
	}
	if f.with != nil {
		return system.RegistryKey{}, f.with
	}
	return system.RegistryKey{Values: spoil(key.Values), Keys: key.Keys}, nil
}

func (f *failing) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	rows, err := f.Reader.Rows(ctx, r)
	if !f.fails("rows "+string(r)) || err != nil {
		return rows, err
	}
	if f.with != nil {
		return nil, f.with
	}
	for i := range rows {
		rows[i] = spoil(rows[i])
	}
	return rows, nil
}

// spoil leaves every second value untold.
func spoil(v system.Values) system.Values {
	spoilt := maps.Clone(v)
	for i, name := range slices.Sorted(maps.Keys(v)) {
		if i%2 == 0 {
			spoilt[name] = system.FailedValue(io.ErrUnexpectedEOF)
		}
	}
	return spoilt
}

func (f *failing) Processes(ctx context.Context) ([]string, error) {
	if f.fails("processes") && f.with != nil {
		return nil, f.with
	}
	return f.Reader.Processes(ctx)
}

// TestNoFailureTurnsAnAnswer fails every reading in turn, in every way. Each
// value is then what it was, or absent; each item is there, or a gap says that
// something may be missing.
func TestNoFailureTurnsAnAnswer(t *testing.T) {
	ways := []error{os.ErrPermission, context.DeadlineExceeded, system.ErrTooLarge, io.ErrUnexpectedEOF, errors.ErrUnsupported, nil}
	eachRecorded(t, func(t *testing.T, _ string, sys system.Reader, ask func(context.Context, system.Reader) any) {
		whole := &failing{Reader: sys}
		want := ask(t.Context(), whole)
		for at := 1; at <= whole.reads; at++ {
			for _, way := range ways {
				f := &failing{Reader: sys, at: at, with: way}
				got := ask(t.Context(), f)
				if problem := turned(reflect.ValueOf(want), reflect.ValueOf(got)); problem != "" {
					t.Errorf("%s fails (%v): %s", f.what, way, problem)
				}
			}
		}
	})
}

// turned compares two answers and says what changed that may not.
func turned(want, got reflect.Value) string {
	absent := func(v reflect.Value) posture.Absence { return v.FieldByName("Absent").Interface().(posture.Absence) }
	if absent(got) != posture.None {
		return ""
	}
	wanted, items, gaps := want.FieldByName("Items"), got.FieldByName("Items"), got.FieldByName("Gaps").Len()
	before := want.FieldByName("Gaps").Interface().([]posture.Gap)
	more := slices.ContainsFunc(got.FieldByName("Gaps").Interface().([]posture.Gap), func(g posture.Gap) bool { return !slices.Contains(before, g) })
	if items.Len() < wanted.Len() && !more && gaps <= len(before) {
		return "an item is missing and no gap says so"
	}
	for i := range items.Len() {
		problem, matched := "an item was made up", false
		for j := range wanted.Len() {
			p := itemTurned(wanted.Index(j), items.Index(i), gaps > 0)
			if p == "" {
				matched = true
				break
			}
			if wanted.Len() == 1 {
				problem = p
			}
		}
		if !matched {
			return problem
		}
	}
	return ""
}

func itemTurned(want, got reflect.Value, gaps bool) string {
	for i := range want.NumField() {
		name := want.Type().Field(i).Name
		w, g := want.Field(i), got.Field(i)
		if w.Kind() != reflect.Struct {
			if !w.Equal(g) && !(gaps && g.IsZero()) && name != "Version" {
				return name + " changed"
			}
			continue
		}
		if g.FieldByName("Absent").Interface().(posture.Absence) != posture.None {
			continue
		}
		if !reflect.DeepEqual(w.Interface(), g.Interface()) {
			return name + " changed"
		}
	}
	return ""
}
