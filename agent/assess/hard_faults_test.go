package assess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// fault is one way in which a reading goes wrong: it fails, or only a part of
// it arrives and nothing says so.
type fault struct {
	name string
	err  error
	part float64
}

func faults() []fault {
	return []fault{
		{"denied", fs.ErrPermission, 0},
		{"timed out", context.DeadlineExceeded, 0},
		{"absent", fs.ErrNotExist, 0},
		{"unreadable", errors.New("input/output error"), 0},
		{"cut after nothing", nil, 0},
		{"cut after a quarter", nil, 0.25},
		{"cut in the middle", nil, 0.5},
		{"cut after three quarters", nil, 0.75},
		{"cut at the end", nil, 1},
	}
}

// cut returns a part of a text that ends within a line: one that ends with a
// line cannot be told from the whole.
func (f fault) cut(data []byte) []byte {
	n := min(int(float64(len(data))*f.part), len(data)-1)
	for n > 0 && (data[n-1] == '\n' || data[n] == '\n') {
		n--
	}
	return data[:max(n, 0)]
}

// struck is a machine of which one reading goes wrong.
type struck struct {
	system.Reader
	fault
	nth, reads int
	what       string // the reading that went wrong
}

func (s *struck) strikes(kind, name string) bool {
	s.reads++
	if s.reads != s.nth {
		return false
	}
	s.what = kind + " " + name
	return true
}

func (s *struck) bytes(kind, name string, read func() ([]byte, error)) ([]byte, error) {
	if !s.strikes(kind, name) {
		return read()
	}
	data, err := read()
	if s.err != nil || err != nil {
		return nil, cmp.Or(err, s.err)
	}
	return s.cut(data), nil
}

func (s *struck) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	return s.bytes("file", path, func() ([]byte, error) { return s.Reader.File(ctx, path, limit) })
}

func (s *struck) Part(ctx context.Context, path string, offset int64, length int) ([]byte, error) {
	return s.bytes("part", path, func() ([]byte, error) { return s.Reader.Part(ctx, path, offset, length) })
}

func (s *struck) Ask(ctx context.Context, q system.Query) ([]byte, error) {
	return s.bytes("ask", string(q), func() ([]byte, error) { return s.Reader.Ask(ctx, q) })
}

func (s *struck) Run(ctx context.Context, c system.Command) (system.Output, error) {
	var out system.Output
	var err error
	out.Stdout, err = s.bytes("run", string(c), func() ([]byte, error) {
		out, err = s.Reader.Run(ctx, c)
		return out.Stdout, err
	})
	return out, err
}

// What follows is never a part of itself: a listing or an answer that is not
// whole is an error of the Reader.

func (s *struck) Dir(ctx context.Context, path string) ([]system.Entry, error) {
	if list, err := s.Reader.Dir(ctx, path); !s.strikes("dir", path) || s.err == nil || err != nil {
		return list, err
	}
	return nil, s.err
}

func (s *struck) Link(ctx context.Context, path string) (string, error) {
	if target, err := s.Reader.Link(ctx, path); !s.strikes("link", path) || s.err == nil || err != nil {
		return target, err
	}
	return "", s.err
}

func (s *struck) Stat(ctx context.Context, path string) (system.Stat, error) {
	if st, err := s.Reader.Stat(ctx, path); !s.strikes("stat", path) || s.err == nil || err != nil {
		return st, err
	}
	return system.Stat{}, s.err
}

func (s *struck) Key(ctx context.Context, path string) (system.RegistryKey, error) {
	key, err := s.Reader.Key(ctx, path)
	if !s.strikes("key", path) || err != nil {
		return key, err
	}
	if s.err != nil {
		return system.RegistryKey{}, s.err
	}
	return system.RegistryKey{Values: s.spoil(key.Values), Keys: key.Keys}, nil
}

func (s *struck) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	rows, err := s.Reader.Rows(ctx, r)
	if !s.strikes("rows", string(r)) || err != nil {
		return rows, err
	}
	if s.err != nil {
		return nil, s.err
	}
	for i := range rows {
		rows[i] = s.spoil(rows[i])
	}
	return rows, nil
}

// spoil is what a cut is to values: some of them are not told.
func (f fault) spoil(v system.Values) system.Values {
	spoilt := maps.Clone(v)
	names := slices.Sorted(maps.Keys(v))
	for _, name := range names[min(int(float64(len(names))*f.part), max(len(names)-1, 0)):] {
		spoilt[name] = system.FailedValue(errors.New("input/output error"))
	}
	return spoilt
}

func (s *struck) Processes(ctx context.Context) ([]string, error) {
	if list, err := s.Reader.Processes(ctx); !s.strikes("processes", "") || s.err == nil || err != nil {
		return list, err
	}
	return nil, s.err
}

func (s *struck) Walk(ctx context.Context, limits system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	if !s.strikes("walk", "") || s.err == nil {
		return s.Reader.Walk(ctx, limits, visit)
	}
	return system.WalkSummary{}, s.err
}

// verdicts are the results of the school's baseline on what a machine's probes
// answer, by rule and subject.
type verdicts map[string]map[string]posture.Result

func judge(t *testing.T, rules *policy.Policy, sys system.Reader, probes []probe.Probe) verdicts {
	t.Helper()
	at := monday
	facts := probe.Facts(t.Context(), sys, probe.Question{Now: at, MediaKey: make([]byte, 32)}, probes)
	found := verdicts{}
	for _, f := range policy.Evaluate(rules, policy.Assignment{Ownership: posture.SchoolSingleUser}, facts, at) {
		if found[f.Rule] == nil {
			found[f.Rule] = map[string]posture.Result{}
		}
		found[f.Rule][f.Subject.Key] = f.Result
	}
	return found
}

func judged(r posture.Result) bool { return r == posture.Pass || r == posture.Fail }

// turned says which results became pass or fail that were not, and which
// failures are gone without a word.
func turned(want, got verdicts) (wrong []string) {
	for rule, results := range got {
		open := false
		for key, r := range results {
			open = open || !judged(r) && r != posture.NotApplicable
			// A subject that lost its name is compared with all that it may be.
			was, same := want[rule][key]
			if !same {
				for _, w := range want[rule] {
					same = same || w == r
					was = w
				}
				same = same && len(want[rule]) > 0
				if same {
					continue
				}
			}
			if judged(r) && was != r {
				wrong = append(wrong, fmt.Sprintf("%s %q was %v and is %v", rule, key, was, r))
			}
		}
		for key, was := range want[rule] {
			_, there := results[key]
			lost := !there && was != posture.Pass && was != posture.NotApplicable
			if lost && !open && len(results) < len(want[rule]) {
				wrong = append(wrong, fmt.Sprintf("%s %q was %v and is not told of", rule, key, was))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// machines are the recorded machines with the section that each is about; ""
// for all.
func machines(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for pattern, section := range map[string]string{
		"../probe/testdata/system/*": "system", "../probe/testdata/volumes/*": "encryption", "../probe/testdata/media/*": "media",
		"../probe/testdata/antivirus/*": "antivirus", "../probe/testdata/programs/*": "programs", "../probe/testdata/security/*": "security",
		"../../shared/e2e/testdata/machines/*": "",
	} {
		dirs, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no recorded machines at %s: %v", pattern, err)
		}
		for _, dir := range dirs {
			all[dir] = section
		}
	}
	return all
}

// sample chooses which readings are tried: all if there is time, or else a
// few, the same ones each time.
func sample(dir string, nth int, f fault) bool {
	if os.Getenv("CARETAKER_THOROUGH") == "1" {
		return true
	}
	h := fnv.New32a()
	fmt.Fprint(h, filepath.ToSlash(dir), nth, f.name)
	return h.Sum32()%64 == 0
}

// TestNoFaultTurnsAResult has each reading of each recorded machine go wrong in
// turn, in every way, and judges what the probes then answer by the school's
// baseline: no result that depended on it becomes pass or fail.
func TestNoFaultTurnsAResult(t *testing.T) {
	rules, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for dir, section := range machines(t) {
		machine := systemtest.Load(t, dir)
		probes := slices.DeleteFunc(probe.All(), func(p probe.Probe) bool { return section != "" && p.Section != section })
		whole := &struck{Reader: machine}
		want := judge(t, rules, whole, probes)
		for nth := 1; nth <= whole.reads; nth++ {
			for _, f := range faults() {
				if !sample(dir, nth, f) {
					continue
				}
				tried++
				s := &struck{Reader: machine, fault: f, nth: nth}
				wrong := turned(want, judge(t, rules, s, probes))
				if len(wrong) > 0 && !believed(s.what, f) {
					t.Errorf("%s: %s %s: %s", dir, s.what, f.name, strings.Join(wrong, "; "))
				}
			}
		}
	}
	t.Logf("%d faults were tried", tried)
}

// believed reports whether there is no such thing is an answer to a reading: a
// machine without it is another machine, and is judged as that. An empty file
// says as little as none.
func believed(what string, f fault) bool {
	if f.name != "absent" && f.name != "cut after nothing" {
		return false
	}
	for _, one := range []string{
		"file /proc/swaps",                                   // a kernel without swap
		"stat /var/lib/rpm/Packages",                         // a system of another kind of packages
		"/.local/share/flatpak/app",                          // a person without applications of their own
		"/.config/dconf/user",                                // a person who changed no setting
		"file /etc/dconf/profile/user", "file /etc/dconf/db", // a school that sets none
		"link /etc/systemd/system/display-manager.service", "file /etc/gdm3/custom.conf", // nobody is signed in by itself
		"stat /opt/sophos-spl/", "stat /usr/sbin/clamd", "stat /opt/microsoft/mdatp/", // a product that is not installed
		`key HKLM\SOFTWARE\Policies\`, `\CurrentVersion\Policies\Explorer`, // a school that sets no such policy
		`\Software\Policies\Microsoft\Windows\Control Panel\Desktop`,
		"dir /opt/homebrew/", "dir /usr/local/C", // a Mac without Homebrew
	} {
		if strings.Contains(what, one) {
			return true
		}
	}
	return false
}
