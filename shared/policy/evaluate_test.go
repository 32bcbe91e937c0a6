package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var now = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

// load returns the baseline with every rule switched on that its parameters
// can switch on.
func load(t testing.TB) *policy.Loaded {
	t.Helper()
	p, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Parameters {
		switch p.Parameters[i].Name {
		case "programs":
			p.Parameters[i].Text = "allow"
		case "allowedPrograms":
			p.Parameters[i].Texts = []string{"libre*", "scratch"}
		}
	}
	l, err := policy.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reading[T any](values ...T) *rapid.Generator[posture.Reading[T]] {
	return rapid.Custom(func(t *rapid.T) posture.Reading[T] {
		if rapid.IntRange(0, 5).Draw(t, "absent") == 0 {
			return posture.Unread[T](rapid.SampledFrom(absences).Draw(t, "why"))
		}
		return posture.Read(rapid.SampledFrom(values).Draw(t, "value"))
	})
}

var absences = []posture.Absence{
	posture.NotAsked, posture.Denied, posture.TimedOut, posture.Unreadable, posture.Unsupported, posture.NotVisible,
}

func answer[T any](item *rapid.Generator[T], least, most int) *rapid.Generator[posture.Answer[T]] {
	return rapid.Custom(func(t *rapid.T) posture.Answer[T] {
		a := posture.Answer[T]{Absent: posture.None, ReadAt: now.Add(-time.Minute)}
		if rapid.IntRange(0, 9).Draw(t, "absent") == 0 {
			a.Absent = rapid.SampledFrom(absences).Draw(t, "why")
			return a
		}
		a.Items = rapid.SliceOfN(item, least, most).Draw(t, "items")
		if rapid.IntRange(0, 4).Draw(t, "gap") == 0 {
			a.Gaps = []posture.Gap{{Source: "other", Absent: posture.TimedOut}}
		}
		return a
	})
}

func facts() *rapid.Generator[posture.Facts] {
	encryption := reading(posture.Unencrypted, posture.Partial, posture.Encrypted)
	flag := reading(true, false)
	when := reading(now.Add(-time.Hour), now.Add(-20*24*time.Hour), now.Add(90*24*time.Hour), time.Time{})
	number := reading(int64(0), 1, 300, 900)
	volume := rapid.Custom(func(t *rapid.T) posture.Volume {
		return posture.Volume{
			ID:         rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"),
			Role:       rapid.SampledFrom([]posture.VolumeRole{posture.SystemVolume, posture.DataVolume, posture.SwapVolume, posture.BootVolume}).Draw(t, "role"),
			Encryption: encryption.Draw(t, "encryption"),
			Protection: reading(posture.ProtectionOn, posture.ProtectionSuspended, posture.ProtectionLocked).Draw(t, "protection"),
		}
	})
	antivirus := rapid.Custom(func(t *rapid.T) posture.Antivirus {
		return posture.Antivirus{
			Product: rapid.SampledFrom([]string{"clamav", "sophos", "unheard-of"}).Draw(t, "product"),
			On:      flag.Draw(t, "on"), RealTime: flag.Draw(t, "realTime"), Expired: flag.Draw(t, "expired"),
			DefinitionsAt: when.Draw(t, "definitionsAt"),
		}
	})
	medium := rapid.Custom(func(t *rapid.T) posture.Medium {
		return posture.Medium{
			Serial:   posture.Read(rapid.SampledFrom([]string{"1a", "2b"}).Draw(t, "serial")),
			Kind:     rapid.SampledFrom([]posture.MediumKind{posture.DiskMedium, posture.PhoneMedium}).Draw(t, "kind"),
			Capacity: number.Draw(t, "capacity"), Writable: flag.Draw(t, "writable"), Encryption: encryption.Draw(t, "encryption"),
		}
	})
	program := rapid.Custom(func(t *rapid.T) posture.Program {
		return posture.Program{Source: "dpkg", Name: rapid.SampledFrom([]string{"LibreOffice", "anydesk", "scratch", "tor"}).Draw(t, "name")}
	})
	executable := rapid.Custom(func(t *rapid.T) posture.Executable {
		return posture.Executable{
			Location: posture.Downloads, Format: posture.ELF,
			SHA256:    posture.Read(rapid.SampledFrom([]string{"00", "11"}).Draw(t, "sha256")),
			Signature: reading(posture.Unsigned, posture.SignedValid).Draw(t, "signature"),
			Signer:    reading("", "Northwick").Draw(t, "signer"),
		}
	})
	security := rapid.Custom(func(t *rapid.T) posture.Security {
		return posture.Security{
			OSSupported: flag.Draw(t, "osSupported"), UpdatesImportant: number.Draw(t, "updates"),
			ImportantSince: when.Draw(t, "since"), UpdatesCheckedAt: when.Draw(t, "checked"),
			Firewall: flag.Draw(t, "firewall"), ScreenLock: flag.Draw(t, "lock"), ScreenLockAfter: number.Draw(t, "lockAfter"),
			PasswordSet: flag.Draw(t, "password"), AutoLogon: flag.Draw(t, "autoLogon"), AutoRun: flag.Draw(t, "autoRun"),
			DailyUserAdmin: flag.Draw(t, "admin"), OpenDetections: number.Draw(t, "detections"),
		}
	})
	system := rapid.Custom(func(t *rapid.T) posture.System {
		return posture.System{Platform: posture.Linux, Chassis: reading(posture.Laptop, posture.Desktop).Draw(t, "chassis")}
	})
	return rapid.Custom(func(t *rapid.T) posture.Facts {
		return posture.Facts{
			System:      answer(system, 1, 1).Draw(t, "system"),
			Volumes:     answer(volume, 0, 4).Draw(t, "volumes"),
			Antivirus:   answer(antivirus, 0, 3).Draw(t, "antivirus"),
			Media:       answer(medium, 0, 3).Draw(t, "media"),
			Programs:    answer(program, 0, 4).Draw(t, "programs"),
			Executables: answer(executable, 0, 3).Draw(t, "executables"),
			Security:    answer(security, 1, 1).Draw(t, "security"),
		}
	})
}

var single = policy.Assignment{Ownership: posture.SchoolSingleUser}

func asJSON(t rapid.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEvaluateIsPure(t *testing.T) {
	l := load(t)
	rapid.Check(t, func(t *rapid.T) {
		f := facts().Draw(t, "facts")
		before := asJSON(t, f)
		first := l.Evaluate(single, f, now)
		if diff := cmp.Diff(first, l.Evaluate(single, f, now)); diff != "" {
			t.Fatalf("the same facts were judged in two ways:\n%s", diff)
		}
		if after := asJSON(t, f); after != before {
			t.Fatalf("judging changed the facts:\n%s\n%s", before, after)
		}
	})
}

func TestEvaluateFromManyGoroutines(t *testing.T) {
	l := load(t)
	f := facts().Example(1)
	want := l.Evaluate(single, f, now)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if diff := cmp.Diff(want, l.Evaluate(single, f, now)); diff != "" {
				t.Errorf("goroutines judged in two ways:\n%s", diff)
			}
		})
	}
	wg.Wait()
}

func TestOrderOfFactsMeansNothing(t *testing.T) {
	l := load(t)
	rapid.Check(t, func(t *rapid.T) {
		f := facts().Draw(t, "facts")
		want := l.Evaluate(single, f, now)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		shuffle(r, f.Volumes.Items)
		shuffle(r, f.Antivirus.Items)
		shuffle(r, f.Media.Items)
		shuffle(r, f.Programs.Items)
		shuffle(r, f.Executables.Items)
		if diff := cmp.Diff(want, l.Evaluate(single, f, now)); diff != "" {
			t.Fatalf("another order was judged differently:\n%s", diff)
		}
	})
}

func shuffle[T any](r *rand.Rand, items []T) {
	r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
}

// TestNotKnowingProvesNothing takes knowledge away, one piece at a time: what
// was met or not met must then be the same, or not proven. Nothing may become
// met or not met for want of a fact.
func TestNotKnowingProvesNothing(t *testing.T) {
	l := load(t)
	rapid.Check(t, func(t *rapid.T) {
		f := facts().Draw(t, "facts")
		before := proven(l.Evaluate(single, f, now))
		took := forget(t, &f)
		for key, result := range proven(l.Evaluate(single, f, now)) {
			if before[key] != result {
				t.Fatalf("without %s, %s became %s", took, key, result)
			}
		}
	})
}

// proven maps each subject of a rule that is met or not met to which it is. A
// finding for the rest of programs or executables speaks of what is left, so
// it is the worst for the rule.
func proven(findings []posture.Finding) map[string]posture.Result {
	out := make(map[string]posture.Result)
	for _, f := range findings {
		if f.Result.Proven() {
			out[fmt.Sprintf("%s of %s %q", f.Rule, f.Subject.Kind, f.Subject.Key)] = f.Result
		}
	}
	return out
}

// forget makes one reading or one answer of the facts absent, or leaves
// something out of an answer. It says which.
func forget(t *rapid.T, f *posture.Facts) string {
	type place struct {
		name string
		take func()
	}
	var places []place
	why := rapid.SampledFrom(absences).Draw(t, "why")
	var visit func(v reflect.Value, name string)
	visit = func(v reflect.Value, name string) {
		if v.Kind() == reflect.Slice {
			for i := range v.Len() {
				visit(v.Index(i), fmt.Sprintf("%s[%d]", name, i))
			}
		}
		if v.Kind() == reflect.Struct {
			if absent := v.FieldByName("Absent"); absent.IsValid() {
				places = append(places, place{name, func() { absent.Set(reflect.ValueOf(why)) }})
				if gaps := v.FieldByName("Gaps"); gaps.IsValid() {
					places = append(places,
						place{"a part of " + name, func() { gaps.Set(reflect.ValueOf([]posture.Gap{{Source: "x", Absent: why}})) }},
						place{"the age of " + name, func() { v.FieldByName("ReadAt").Set(reflect.ValueOf(now.AddDate(0, -2, 0))) }},
						place{"the clock of " + name, func() { v.FieldByName("ReadAt").Set(reflect.ValueOf(now.AddDate(0, 2, 0))) }})
				}
			}
			for i := range v.NumField() {
				field := v.Type().Field(i).Name
				if field == "Serial" || field == "SHA256" {
					continue // part of what the subject is, not of what is known about it
				}
				visit(v.Field(i), name+"."+field)
			}
		}
	}
	visit(reflect.ValueOf(f).Elem(), "facts")
	p := rapid.SampledFrom(places).Draw(t, "place")
	p.take()
	return p.name
}

func TestNothingAskedIsNeverProven(t *testing.T) {
	l := load(t)
	for _, f := range l.Evaluate(single, posture.Facts{}, now) {
		if f.Result.Proven() || f.Result == posture.NotApplicable {
			t.Errorf("%s is %s though nothing was read", f.Rule, f.Result)
		}
	}
	for _, f := range l.EvaluateSchool(single, policy.SchoolFacts{}, now) {
		if f.Result.Proven() {
			t.Errorf("%s is %s though the school knows nothing", f.Rule, f.Result)
		}
	}
}

func TestManyFailuresAreBounded(t *testing.T) {
	l := load(t)
	var f posture.Facts
	for i := range 1000 {
		f.Executables.Items = append(f.Executables.Items, posture.Executable{
			Location: posture.Home, SHA256: posture.Read(fmt.Sprintf("%064x", i)), Signature: posture.Read(posture.Unsigned),
		})
	}
	f.Executables.Absent, f.Executables.ReadAt = posture.None, now
	var listed int
	var rest posture.Finding
	for _, x := range l.Evaluate(single, f, now) {
		switch {
		case x.Rule != "EXE-03":
		case x.Subject.Key == "":
			rest = x
		default:
			listed++
		}
	}
	if listed != 100 || rest.Result != posture.Fail {
		t.Errorf("%d findings and the rest %s, want 100 and fail", listed, rest.Result)
	}
}

func BenchmarkEvaluate200(b *testing.B) {
	l := load(b)
	f := posture.Facts{}
	for i := range 200 {
		f.Programs.Items = append(f.Programs.Items, posture.Program{Source: "dpkg", Name: fmt.Sprintf("program-%d", i)})
	}
	f.Programs.Absent, f.Programs.ReadAt = posture.None, now
	for b.Loop() {
		l.Evaluate(single, f, now)
	}
}

func BenchmarkLoad(b *testing.B) {
	body := baseline.School()
	for b.Loop() {
		if _, err := policy.Load(body); err != nil {
			b.Fatal(err)
		}
	}
}
