package projection

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// spoil damages something of an entry.
func (s *shelf) spoil(i int, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = map[ledger.Index]string{}
	}
	s.broken[ledger.Index(i)] = what
}

func damageOf(t *testing.T, f fixture, s *school) *DamageError {
	t.Helper()
	p := f.Progress(s.id)
	d, ok := errors.AsType[*DamageError](p.Err)
	if !ok || p.Folded != p.Recorded || !p.BehindSince.IsZero() {
		t.Fatalf("got %+v", p)
	}
	return d
}

// TestDamageTakesNothingElseWithIt damages a section of a laptop's report: what
// rests on it is not proven, everything else is shown, and whoever asks is told.
// A later report that does not rest on it proves again.
func TestDamageTakesNothingElseWithIt(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, other := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	usual(l)
	bad := int(s.ledger.Size())
	l.report(t, term, term)
	swap(l)
	l.report(t, term.Add(time.Minute), term.Add(time.Minute))
	other.report(t, term, term.Add(2*time.Minute))
	s.ledger.spoil(bad, wire.Encryption)

	var log bytes.Buffer
	f := open(t, s)
	f.folders[0].log = slog.New(slog.NewTextHandler(&log, nil))
	now := term.Add(hour)
	d := f.device(t, s, "hb-lt-014", now)
	for rule, want := range map[string]view.Standing{"ENC-01": view.NotProven, "ENC-02": view.NotProven, "CFG-01": view.Met, "AV-01": view.Met, "USB-01": view.NotMet} {
		if got := standing(t, d, rule); got.Standing != want {
			t.Errorf("%s: got %s, want %s: %+v", rule, got.Standing, want, got)
		}
	}
	if d.Facts.Volumes.Absent != posture.Unreadable || len(d.Disagreements) != 0 {
		t.Errorf("volumes %+v, disagreements %v", d.Facts.Volumes, d.Disagreements)
	}
	if got := standing(t, f.device(t, s, "hb-lt-015", now), "ENC-01"); got.Standing != view.Met {
		t.Errorf("another laptop's: %+v", got)
	}
	if o := f.overview(t, s, now); counts(t, o, "ENC-01") != [5]int{1, 0, 1} {
		t.Errorf("the overview: %v", counts(t, o, "ENC-01"))
	}
	if got := damageOf(t, f, s); got.Entries != 1 || got.First != uint64(bad) || !strings.Contains(got.Error(), "not what was written") {
		t.Errorf("got %v", got)
	}
	if n := strings.Count(log.String(), "damaged"); n == 0 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log: %s", log.String())
	}
	if got := damageOf(t, reopen(t, f, s), s); got.First != uint64(bad) {
		t.Errorf("after a restart: %v", got)
	}
	l.facts.Volumes.Items = []posture.Volume{volume(true), {ID: "bbbbbbbbbbbb", Role: posture.BootVolume}}
	l.report(t, now, now)
	if got := standing(t, f.device(t, s, "hb-lt-014", now), "ENC-01"); got.Standing != view.Met {
		t.Errorf("after a report with new facts: %+v", got)
	}
}

// reopen follows a school with a new projection on the same view, as a collector
// does that was started again.
func reopen(t *testing.T, f fixture, s *school) fixture {
	t.Helper()
	l, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{View: f.view, Schools: []School{s.config()}, Baseline: l.Policy()})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{f.view, p, f.q}
}

// TestAPassNeverRestsOnDamage damages each section of a report in turn, and the
// whole entry: no rule that rests on it is met afterwards, whether the report
// brought the section or a later one carries it.
func TestAPassNeverRestsOnDamage(t *testing.T) {
	loaded, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{
		"envelope", wire.System, wire.Encryption, wire.Antivirus, wire.Media, wire.Programs, wire.Executables, wire.Security, wire.Findings,
	} {
		for _, again := range []bool{false, true} {
			s := newSchool(t, "hollybank")
			l := s.enrol(t, "hb-lt-014", term)
			l.still = true
			bad := int(s.ledger.Size())
			l.report(t, term, term)
			if again || what == "envelope" {
				if what == wire.Security {
					l.facts.Antivirus.Items[0].Version = posture.Read("1.5")
				} else {
					l.facts.Security.Items[0].TPM = posture.Read(false)
				}
				l.report(t, term.Add(time.Minute), term.Add(time.Minute))
			}
			s.ledger.spoil(bad, what)
			f := open(t, s)
			d := f.device(t, s, "hb-lt-014", term.Add(hour))
			met := 0
			for _, found := range d.Findings {
				reads, _ := loaded.Reads(found.Rule)
				rule, _ := loaded.Policy().Rule(found.Rule)
				rests := slices.Contains(reads.Sections, what) || what == wire.Findings && rule.Side == policy.OnDevice
				if what == "envelope" {
					rests = slices.ContainsFunc(reads.Sections, func(name string) bool {
						return slices.Contains([]string{wire.System, wire.Encryption, wire.Antivirus, wire.Media, wire.Programs, wire.Executables}, name)
					})
				}
				if rests && found.Standing != view.NotProven && found.Standing != view.NotFor {
					t.Errorf("%s damaged, again %v: %s is %s", what, again, found.Rule, found.Standing)
				}
				if found.Standing == view.Met {
					met++
				}
			}
			if met == 0 && what != wire.Findings && what != "envelope" {
				t.Errorf("%s damaged: nothing is met", what)
			}
			if got := damageOf(t, f, s); got.First != uint64(bad) || got.Entries != 1 {
				t.Errorf("%s damaged: %v", what, got)
			}
		}
	}
}

// TestRebuildEqualsFollowPastDamage damages entries of random histories, and
// folds them with and without memory and workers, in steps and at once: the
// views are the same to the byte, hold what there is, and agree with themselves.
func TestRebuildEqualsFollowPastDamage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		s := newSchool(t, "hollybank")
		end := history(t, rt, s, func() {})
		size := int(s.ledger.Size())
		for range rapid.IntRange(1, 3).Draw(rt, "damaged") {
			i := rapid.IntRange(0, size-1).Draw(rt, "entry")
			what := "envelope"
			if refs := s.ledger.records[i].Envelope.Sections; len(refs) > 0 && rapid.Bool().Draw(rt, "body") {
				what = rapid.SampledFrom(refs).Draw(rt, "section").Name
			}
			if s.ledger.records[i].Envelope.Kind != proof.KindPurge {
				s.ledger.spoil(i, what)
			}
		}
		live := with(rt, s, 3, 1<<20)
		for more := true; more; {
			if err := live.folders[0].introduce(); err != nil {
				rt.Fatal(err)
			}
			var err error
			if more, err = live.folders[0].step(t.Context(), rapid.Uint64Range(1, 9).Draw(rt, "size")); err != nil {
				rt.Fatal(err)
			}
		}
		followed := live.dump(t, s)
		plain := with(rt, s, 1, 0)
		plain.catchUp(t)
		if got := plain.dump(t, s); got != followed {
			rt.Fatalf("at once, in steps: %s", differences(got, followed))
		}
		if err := live.Rebuild(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if got := live.dump(t, s); got != followed {
			rt.Fatalf("rebuilt, followed: %s", differences(got, followed))
		}
		if p := live.Progress(s.id); p.Folded != uint64(size) || p.Recorded != uint64(size) {
			rt.Fatalf("got %+v", p)
		}
		agree(rt, live, s, end)
		agree(rt, live, s, end.Add(20*24*hour))
	})
}

// TestALostPolicyIsPassedOver damages a policy after the view was made under it.
// A collector that is started again cannot judge by it: the view is made again
// without it, as a rebuild makes it.
func TestALostPolicyIsPassedOver(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	bad := int(s.ledger.Size())
	s.publish(t, term, dropRule("CFG-01"))
	l.policy, l.number = s.policy, s.number
	l.report(t, term, term)
	f := open(t, s)
	f.catchUp(t)
	s.ledger.spoil(bad, "policy")
	l.report(t, term.Add(hour), term.Add(hour))
	again := reopen(t, f, s)
	again.catchUp(t)
	if got := damageOf(t, again, s); got.First != uint64(bad) {
		t.Errorf("got %v", got)
	}
	fresh := open(t, s)
	fresh.catchUp(t)
	if a, b := again.dump(t, s), fresh.dump(t, s); a != b {
		t.Errorf("started again, rebuilt: %s", differences(a, b))
	}
	if o := again.overview(t, s, term.Add(2*hour)); o.Policy != 0 || o.Devices != 1 {
		t.Errorf("got %+v", o)
	}
}

// TestADamagedFileTakesNothingElseWithIt flips a byte in each file of a real
// ledger in turn, in the middle: the view is made of the rest, and is the same
// however it is made.
func TestADamagedFileTakesNothingElseWithIt(t *testing.T) {
	s := newSchool(t, "hollybank")
	for i := range 12 {
		l := s.enrol(t, "hb-lt-0"+string(rune('a'+i)), term)
		l.report(t, term, term)
		swap(l)
		l.report(t, term.Add(hour), term.Add(hour))
		l.contact(t, term.Add(2*hour), term.Add(2*hour))
	}
	dir := t.TempDir()
	disk, err := ledger.Open(dir, ledger.Options{School: string(s.id)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	shelve(t, s, disk)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.seg"))
	if err != nil || len(files)+len(bodies) < 4 {
		t.Fatalf("found %v and %v, %v", files, bodies, err)
	}
	for _, name := range append(files, bodies...) {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		flip := func() {
			broken := slices.Clone(whole)
			broken[len(broken)/2] ^= 0x10
			if err := os.WriteFile(name, broken, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		var dumps []string
		for _, workers := range []int{1, 3} {
			f := with(t, s, workers, workers/2<<20)
			f.folders[0].school.Ledger = disk
			f.catchUp(t)
			if got := damageOf(t, f, s); got.Entries != 1 {
				t.Errorf("%s: %v", filepath.Base(name), got)
			}
			if o, err := f.q.Overview(t.Context(), s.id, term.Add(3*hour)); err != nil || o.Devices != 12 && o.Devices != 11 {
				t.Errorf("%s: %d devices, %v", filepath.Base(name), o.Devices, err)
			}
			dumps = append(dumps, f.dump(t, s))
		}
		if dumps[0] != dumps[1] {
			t.Errorf("%s: %s", filepath.Base(name), differences(dumps[0], dumps[1]))
		}
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
