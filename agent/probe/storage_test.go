package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var updateStorage = flag.Bool("update-storage", false, "write what the storage probes find as what they should find")

// mediaKey is the key that the recorded machines are read with.
var mediaKey = []byte("0123456789abcdef0123456789abcdef")

func askVolumes(t *testing.T, sys system.Reader) posture.Answer[posture.Volume] {
	t.Helper()
	return Volumes(t.Context(), sys)
}

func askMedia(t *testing.T, sys system.Reader) posture.Answer[posture.Medium] {
	t.Helper()
	return Media(t.Context(), sys, Question{MediaKey: mediaKey})
}

func TestVolumesOfRecordedMachines(t *testing.T) {
	eachMachine(t, "volumes", func(t *testing.T, dir string) {
		compareWithWant(t, dir, askVolumes(t, systemtest.Load(t, dir)))
	})
}

func TestMediaOfRecordedMachines(t *testing.T) {
	eachMachine(t, "media", func(t *testing.T, dir string) {
		compareWithWant(t, dir, askMedia(t, systemtest.Load(t, dir)))
	})
}

func eachMachine(t *testing.T, section string, test func(t *testing.T, dir string)) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join("testdata", section, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no recorded machines of %s: %v", section, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { test(t, dir) })
	}
}

func compareWithWant(t *testing.T, dir string, answer any) {
	t.Helper()
	got, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join(dir, "want.json")
	if *updateStorage {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("%s: got -, want +\n%s", dir, diff)
	}
}

// faults are the ways in which one reading can go wrong.
var faults = []struct {
	name string
	err  error // nil cuts the reading in half instead
}{
	{"denied", fs.ErrPermission},
	{"timed out", context.DeadlineExceeded},
	{"unreadable", errors.New("input/output error")},
	{"missing", fs.ErrNotExist},
	{"cut", nil},
}

// faulty is a machine of which one reading goes wrong.
type faulty struct {
	system.Reader
	nth  int // the reading that goes wrong, from 1
	done int
	what string // the reading that went wrong
	err  error
}

func (f *faulty) strikes(kind, name string) bool {
	f.done++
	if f.done != f.nth {
		return false
	}
	f.what = kind + " " + name
	return true
}

func (f *faulty) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	data, err := f.Reader.File(ctx, path, limit)
	if f.strikes("file", path) && err == nil {
		return data[:len(data)/2], f.err
	}
	return data, err
}

func (f *faulty) Part(ctx context.Context, path string, offset int64, length int) ([]byte, error) {
	data, err := f.Reader.Part(ctx, path, offset, length)
	if f.strikes("part", path) && err == nil {
		return data[:len(data)/2], f.err
	}
	return data, err
}

func (f *faulty) Dir(ctx context.Context, path string) ([]system.Entry, error) {
	list, err := f.Reader.Dir(ctx, path)
	// A listing is not cut: one that is not whole is an error of the Reader.
	if f.strikes("dir", path) && err == nil && f.err != nil {
		return nil, f.err
	}
	return list, err
}

func (f *faulty) Link(ctx context.Context, path string) (string, error) {
	target, err := f.Reader.Link(ctx, path)
	if f.strikes("link", path) && err == nil {
		return target[:len(target)/2], f.err
	}
	return target, err
}

func (f *faulty) Stat(ctx context.Context, path string) (system.Stat, error) {
	info, err := f.Reader.Stat(ctx, path)
	if f.strikes("stat", path) && err == nil && f.err != nil {
		return system.Stat{}, f.err
	}
	return info, err
}

func (f *faulty) Run(ctx context.Context, c system.Command) (system.Output, error) {
	out, err := f.Reader.Run(ctx, c)
	if f.strikes("run", string(c)) && err == nil {
		out.Stdout = out.Stdout[:len(out.Stdout)/2]
		return out, f.err
	}
	return out, err
}

func (f *faulty) Key(ctx context.Context, path string) (system.RegistryKey, error) {
	key, err := f.Reader.Key(ctx, path)
	if !f.strikes("key", path) || err != nil {
		return key, err
	}
	if f.err != nil {
		return system.RegistryKey{}, f.err
	}
	return system.RegistryKey{Values: spoil(key.Values), Keys: key.Keys}, nil
}

func (f *faulty) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	rows, err := f.Reader.Rows(ctx, r)
	if !f.strikes("rows", string(r)) || err != nil {
		return rows, err
	}
	if f.err != nil {
		return nil, f.err
	}
	for i := range rows {
		rows[i] = spoil(rows[i])
	}
	return rows, nil
}

// believed are the readings whose absence is an answer: that there is no such
// thing. A machine without it would be another machine.
func believed(what, fault string) bool {
	return fault == "missing" && (strings.HasPrefix(what, "stat ") || what == "file /proc/swaps" ||
		strings.HasSuffix(what, "/removable") || strings.HasSuffix(what, "/serial") || strings.HasSuffix(what, "/cid") ||
		strings.HasSuffix(what, "/vpd_pg80") || strings.HasSuffix(what, "/interface") || strings.HasSuffix(what, "backing_dev") ||
		strings.HasPrefix(what, "dir /sys/bus/usb"))
}

// eachFault asks a machine again and again, each time with one reading gone
// wrong in one way.
func eachFault(t *testing.T, dir string, ask func(sys system.Reader), check func(name string)) {
	t.Helper()
	machine := systemtest.Load(t, dir)
	for _, fault := range faults {
		for nth := 1; ; nth++ {
			sys := &faulty{Reader: machine, nth: nth, err: fault.err}
			ask(sys)
			if sys.what == "" {
				break
			}
			if !believed(sys.what, fault.name) {
				check(fault.name + ": " + sys.what)
			}
		}
	}
}

// told reports what a reading under a fault says against the true one.
func told[T comparable](t *testing.T, fault, field string, got, want posture.Reading[T]) {
	t.Helper()
	if got.Known() && got != want {
		t.Errorf("%s: %s is %v, want %v or an absence", fault, field, got, want)
	}
}

func TestNoFaultTurnsVolumesIntoAnotherTruth(t *testing.T) {
	eachMachine(t, "volumes", func(t *testing.T, dir string) {
		want := askVolumes(t, systemtest.Load(t, dir))
		var got posture.Answer[posture.Volume]
		eachFault(t, dir, func(sys system.Reader) { got = askVolumes(t, sys) }, func(fault string) {
			checkVolumes(t, fault, got, want)
		})
	})
}

func checkVolumes(t *testing.T, fault string, got, want posture.Answer[posture.Volume]) {
	t.Helper()
	if got.Absent != posture.None {
		return
	}
	matched := make([]bool, len(want.Items))
	match := matchVolumes(got.Items, want.Items)
	for n, v := range got.Items {
		i := match[n]
		if i < 0 {
			if v.Encryption.Known() {
				t.Errorf("%s: invents %+v", fault, v)
			}
			continue
		}
		matched[i] = true
		w := want.Items[i]
		told(t, fault, "encryption", v.Encryption, w.Encryption)
		told(t, fault, "protection", v.Protection, w.Protection)
		told(t, fault, "method", v.Method, w.Method)
		told(t, fault, "cipher", v.Cipher, w.Cipher)
		told(t, fault, "capacity", v.Capacity, w.Capacity)
		told(t, fault, "filesystem", v.Filesystem, w.Filesystem)
		told(t, fault, "progress", v.Progress, w.Progress)
		told(t, fault, "used space", v.UsedSpace, w.UsedSpace)
		told(t, fault, "hardware", v.Hardware, w.Hardware)
		told(t, fault, "protectors", v.Protectors, w.Protectors)
		told(t, fault, "recovery key", v.RecoveryKey, w.RecoveryKey)
	}
	// A data volume of which nothing is known stands for all on a disk, if it
	// is there because of the fault.
	standIn := slices.ContainsFunc(got.Items, func(v posture.Volume) bool {
		own := slices.ContainsFunc(want.Items, func(w posture.Volume) bool { return w.ID == v.ID })
		return v.Role == posture.DataVolume && !v.Capacity.Known() && !v.Encryption.Known() && !own
	})
	for i, w := range want.Items {
		if !matched[i] && len(got.Gaps) == 0 && !(standIn && w.Role != posture.SystemVolume) {
			t.Errorf("%s: loses %+v without a word", fault, w)
		}
	}
}

// matchVolumes finds which volumes faulty readings are about: by identifier, or
// where that was lost, by what they are for; -1 for none.
func matchVolumes(got, want []posture.Volume) []int {
	match := make([]int, len(got))
	taken := make([]bool, len(want))
	pass := func(same func(g, w posture.Volume) bool) {
		for n, g := range got {
			for i, w := range want {
				if match[n] < 0 && !taken[i] && same(g, w) {
					match[n], taken[i] = i, true
				}
			}
		}
	}
	for n := range match {
		match[n] = -1
	}
	pass(func(g, w posture.Volume) bool { return g.ID == w.ID })
	pass(func(g, w posture.Volume) bool { return g.Role == w.Role && g.Mount == w.Mount && g.Mount != "" })
	pass(func(g, w posture.Volume) bool {
		// Another identifier, but the same facts.
		return g.Role == w.Role && g.Mount == w.Mount && g.Encryption == w.Encryption && g.Method == w.Method
	})
	pass(func(g, w posture.Volume) bool {
		return g.Role == w.Role && g.Mount == w.Mount && !g.Encryption.Known()
	})
	return match
}

func TestNoFaultTurnsMediaIntoAnotherTruth(t *testing.T) {
	eachMachine(t, "media", func(t *testing.T, dir string) {
		want := askMedia(t, systemtest.Load(t, dir))
		var got posture.Answer[posture.Medium]
		eachFault(t, dir, func(sys system.Reader) { got = askMedia(t, sys) }, func(fault string) {
			checkMedia(t, fault, got, want)
		})
	})
}

func checkMedia(t *testing.T, fault string, got, want posture.Answer[posture.Medium]) {
	t.Helper()
	if got.Absent != posture.None {
		return
	}
	if len(got.Items) > len(want.Items) {
		t.Errorf("%s: invents a medium: %+v", fault, got.Items)
		return
	}
	if len(got.Items) < len(want.Items) {
		if len(got.Gaps) == 0 {
			t.Errorf("%s: loses a medium without a word", fault)
		}
		return
	}
	left := slices.Clone(want.Items)
	for _, m := range got.Items {
		// The same medium has the same serial number or, where that was lost,
		// the same product.
		i := slices.IndexFunc(left, func(w posture.Medium) bool { return w.Serial == m.Serial && m.Serial.Known() })
		if i < 0 {
			i = slices.IndexFunc(left, func(w posture.Medium) bool { return w.Product == m.Product })
		}
		w := left[max(i, 0)]
		left = slices.Delete(left, max(i, 0), max(i, 0)+1)
		told(t, fault, "serial", m.Serial, w.Serial)
		told(t, fault, "capacity", m.Capacity, w.Capacity)
		told(t, fault, "writable", m.Writable, w.Writable)
		told(t, fault, "encryption", m.Encryption, w.Encryption)
	}
}
