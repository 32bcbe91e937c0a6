package viewing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var start = time.Date(2026, 11, 23, 8, 30, 0, 0, time.UTC)

// ledger is where a book has looks recorded.
type ledger struct {
	mu    sync.Mutex
	looks []Look
	times []time.Time
	full  error
}

func (l *ledger) record(_ context.Context, one Look, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return l.full
	}
	l.looks, l.times = append(l.looks, one), append(l.times, at)
	return nil
}

func morgan(w Way) Look { return Look{By: "Morgan Ellis", Way: w, What: Device, Name: "d-014"} }

func TestTheSameLookAgainIsOne(t *testing.T) {
	for _, c := range []struct {
		what   string
		first  Look
		then   Look
		later  time.Duration
		counts int
	}{
		{"at once", morgan(Page), morgan(Page), 0, 1},
		{"within the hour", morgan(Page), morgan(Page), Span - 1, 1},
		{"after it", morgan(Page), morgan(Page), Span, 2},
		{"by a clock that was put back", morgan(Page), morgan(Page), -time.Second, 2},
		{"a program within a day", morgan(Program), morgan(Program), ProgramSpan - 1, 1},
		{"and after it", morgan(Program), morgan(Program), ProgramSpan, 2},
		{"in another way", morgan(Page), morgan(Command), 0, 2},
		{"another laptop", morgan(Page), Look{By: "Morgan Ellis", Way: Page, What: Device, Name: "d-015"}, 0, 2},
		{"somebody else", morgan(Page), Look{By: "Priya Anand", Way: Page, What: Device, Name: "d-014"}, 0, 2},
		{"with another key", morgan(Program), Look{By: "Morgan Ellis", Key: "abcd", Way: Program, What: Device, Name: "d-014"}, 0, 2},
		{"evidence of it", morgan(Page), Look{By: "Morgan Ellis", Way: Page, What: Evidence, Name: "d-014"}, 0, 2},
		{
			"an incident that names another laptop by now",
			Look{By: "Morgan Ellis", Way: Page, What: Incident, Name: "2026-03"},
			Look{By: "Morgan Ellis", Way: Page, What: Incident, Name: "2026-03", Devices: []posture.DeviceID{"d-014"}},
			0, 2,
		},
	} {
		l := &ledger{}
		b := NewBook(l.record)
		for _, look := range []struct {
			Look
			at time.Time
		}{{c.first, start}, {c.then, start.Add(c.later)}} {
			if err := b.Look(t.Context(), look.Look, look.at); err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if len(l.looks) != c.counts {
			t.Errorf("%s: %d looks are recorded, want %d", c.what, len(l.looks), c.counts)
		}
	}
}

// TestWhatIsNotRecordedIsNotShown: nor does a look that failed count for the next.
func TestWhatIsNotRecordedIsNotShown(t *testing.T) {
	full := errors.New("no space left on device")
	l := &ledger{full: full}
	b := NewBook(l.record)
	for range 2 {
		if err := b.Look(t.Context(), morgan(Page), start); !errors.Is(err, ErrUnrecorded) || !errors.Is(err, full) {
			t.Fatalf("got %v, want that it cannot be recorded, and why", err)
		}
	}
	if err := b.Look(t.Context(), Look{What: Nobody}, start); err != nil {
		t.Errorf("what shows nobody's record: %v", err)
	}
	l.full = nil
	if err := b.Look(t.Context(), morgan(Page), start); err != nil || len(l.looks) != 1 {
		t.Errorf("once there is room: %v, %d looks", err, len(l.looks))
	}
}

// TestNobodySeesBeforeItIsRecorded: a second window waits for what the first began,
// and a window that is closed meanwhile does not keep that from being recorded.
func TestNobodySeesBeforeItIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk := &ledger{}, make(chan struct{})
		b := NewBook(func(ctx context.Context, one Look, at time.Time) error {
			<-disk
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return l.record(ctx, one, at)
		})
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- b.Look(ctx, morgan(Page), start) }()
		synctest.Wait()
		go func() { second <- b.Look(t.Context(), morgan(Page), start) }()
		synctest.Wait()
		select {
		case <-first:
			t.Error("the first was shown before it was recorded")
		case <-second:
			t.Error("the second was shown before it was recorded")
		default:
		}
		leave()
		close(disk)
		if err := <-second; err != nil || len(l.looks) != 1 {
			t.Errorf("got %v and %d looks, want one", err, len(l.looks))
		}
		<-first
	})
}

// TestTheBookIsBounded: what it dropped is recorded again.
func TestTheBookIsBounded(t *testing.T) {
	l := &ledger{}
	b := NewBook(l.record)
	for i := range mostRecent + 10 {
		one := morgan(Page)
		one.Name = fmt.Sprintf("d-%d", i)
		if err := b.Look(t.Context(), one, start); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.recent) > mostRecent || len(l.looks) != mostRecent+10 {
		t.Errorf("%d looks are remembered of %d", len(b.recent), len(l.looks))
	}
}

// TestEveryLookIsCovered: whatever people look at in whatever order, each look has
// one like it in the record, made at that moment or less than its span before.
func TestEveryLookIsCovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{}
		b := NewBook(l.record)
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(-5, 90).Draw(t, "minutes")) * time.Minute)
			one := Look{
				By:  rapid.SampledFrom([]string{"Morgan Ellis", "Priya Anand"}).Draw(t, "by"),
				Way: rapid.SampledFrom([]Way{Page, Program, Command}).Draw(t, "way"), What: Device,
				Name: rapid.SampledFrom([]string{"d-014", "d-015"}).Draw(t, "name"),
			}
			l.full = nil
			if rapid.IntRange(0, 3).Draw(t, "disk") == 0 {
				l.full = errors.New("no space left on device")
			}
			if err := b.Look(context.Background(), one, now); err != nil {
				if l.full == nil {
					t.Fatal(err)
				}
				continue
			}
			covered := false
			for i, was := range l.looks {
				since := now.Sub(l.times[i])
				covered = covered || cmp.Equal(was, one) && since >= 0 && since < one.Way.Lasts()
			}
			if !covered {
				t.Fatalf("%+v at %s is not in the record", one, now)
			}
		}
	})
}

func TestEverythingHasWords(t *testing.T) {
	for _, what := range All() {
		if strings.Contains(what.Words(), "does not know") {
			t.Errorf("%s has no words", what)
		}
	}
	for _, way := range []Way{Page, Program, Command} {
		if strings.Contains(Look{Way: way}.How(), "does not know") {
			t.Errorf("%s has no words", way)
		}
	}
}

func TestCheck(t *testing.T) {
	good := morgan(Page)
	if err := good.Check(); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	later := Look{By: "Morgan Ellis", Way: "voice", What: "timetable"}
	if err := later.Check(); err != nil {
		t.Errorf("what a later version shows: %v", err)
	}
	if _, err := Encode(later, [proof.SaltSize]byte{}); err == nil {
		t.Error("this version records what it does not know")
	}
	for what, spoil := range map[string]func(*Look){
		"nobody looks":               func(l *Look) { l.By = "" },
		"a name of two lines":        func(l *Look) { l.By = "Morgan\nEllis" },
		"a name that hides":          func(l *Look) { l.By = "Morgan\u202eEllis" },
		"no way":                     func(l *Look) { l.Way = "" },
		"nothing":                    func(l *Look) { l.What = "" },
		"nobody's record":            func(l *Look) { l.What, l.Name = Nobody, "" },
		"a laptop without a name":    func(l *Look) { l.Name = "" },
		"a list with a name":         func(l *Look) { l.What = Devices },
		"a laptop of another sort":   func(l *Look) { l.Name = "John Smith" },
		"a long name":                func(l *Look) { l.What, l.Name = Person, strings.Repeat("a", mostName+1) },
		"too many laptops":           func(l *Look) { l.What, l.Devices = Incident, make([]posture.DeviceID, MostDevices+1) },
		"a laptop with no name":      func(l *Look) { l.What, l.Devices = Incident, []posture.DeviceID{""} },
		"a key that is a whole one":  func(l *Look) { l.Key = "ctp1-abcdefgh-" },
		"a what that is no word":     func(l *Look) { l.What = "Device 14" },
		"a way with a searched word": func(l *Look) { l.Way = "page?q=x" },
	} {
		l := good
		if spoil(&l); l.Check() == nil {
			t.Errorf("%s: %+v passes", what, l)
		}
	}
}

// FuzzDecode: what is read is written again as it is read.
func FuzzDecode(f *testing.F) {
	for _, l := range []Look{
		morgan(Page),
		{By: "console:caretaker", Way: Command, What: Looks},
		{By: "Morgan Ellis", Key: "abcd2345", Way: Program, What: Incident, Name: "2026-03", Devices: []posture.DeviceID{"d-014", "d-015"}},
	} {
		s, err := Encode(l, [proof.SaltSize]byte{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Body)
	}
	f.Add([]byte(`{"by":"x","way":"page","what":"timetable"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Decode(data)
		if err != nil {
			return
		}
		for _, id := range l.Laptops() {
			if id == "" || len(id) > 63 {
				t.Fatalf("a laptop is called %q", id)
			}
		}
		if !l.What.Known() {
			return
		}
		s, err := Encode(l, [proof.SaltSize]byte{})
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", l, err)
		}
		again, err := Decode(s.Body)
		if diff := cmp.Diff(l, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-first +again):\n%s", err, diff)
		}
	})
}
