package app

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// policyOf signs the baseline as a school's policy, in a format that this
// program reads or in the next.
func (l *laptop) policyOf(number uint64, next bool) []byte {
	l.t.Helper()
	p, err := policy.Decode(baseline.School())
	must(l.t, err)
	p.Number = number
	body, err := policy.Encode(p)
	must(l.t, err)
	if next {
		body = bytes.Replace(body, []byte(`"format":1`), []byte(`"format":2`), 1)
	}
	signed, err := l.key.SignDocument(enroll.Policy, body)
	must(l.t, err)
	return signed
}

func (l *laptop) trouble() string {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	return l.inbox.run.trouble()
}

// last returns the last report that waits.
func (l *laptop) last() proof.ReportStatement {
	l.t.Helper()
	all := l.reports()
	return all[len(all)-1]
}

// TestAPolicyOfANewerProgramStopsNothing: what judged before goes on judging,
// and that is said, until there is one that can be read.
func TestAPolicyOfANewerProgramStopsNothing(t *testing.T) {
	l := newLaptop(t)
	judged := func(when string, number, held uint64, trouble bool) {
		t.Helper()
		l.passes(2*retryAfter, time.Minute)
		if got := l.last(); got.Policy != number || l.hello().Policy != held || (l.trouble() != "") != trouble {
			t.Errorf("%s: judged by %d, holds %d, trouble %q; want %d, %d, %v", when, got.Policy, l.hello().Policy, l.trouble(), number, held, trouble)
		}
	}
	must(t, l.inbox.Policy(l.policyOf(3, true)))
	judged("with one that cannot be read, the first", 0, 3, true)
	must(t, l.inbox.Policy(l.policyOf(4, false)))
	judged("with one that can", 4, 4, false)
	for n := uint64(5); n < 7; n++ {
		must(t, l.inbox.Policy(l.policyOf(n, true)))
		judged("with ones that cannot", 4, n, true)
	}
	l.start(l.state.dir)
	judged("after a start", 4, 6, true)
	must(t, os.WriteFile(l.state.path("policy.signed"), []byte("damaged"), 0o600))
	l.start(l.state.dir)
	judged("with a damaged one", 4, 0, true)
	must(t, l.inbox.Policy(l.policyOf(7, false)))
	judged("with the next that can be read", 7, 7, false)
}

// TestALogOfMediaThatCannotBeReadIsKept and said, and ends no assessment.
func TestALogOfMediaThatCannotBeReadIsKept(t *testing.T) {
	l := newLaptop(t)
	l.becomes(withStick)
	l.do()
	data, err := os.ReadFile(l.state.path(chainFile))
	must(t, err)
	damaged := bytes.Replace(data, []byte(`"mediaLog":{"version":1`), []byte(`"mediaLog":{"version":2`), 1)
	if bytes.Equal(damaged, data) {
		t.Fatalf("there is no log of media in %s", data)
	}
	must(t, os.WriteFile(l.state.path(chainFile), damaged, 0o600))
	l.start(l.state.dir)
	l.becomes(withStick)
	l.do()
	m := new(pb.AgentMessage)
	for p, message := range l.waiting() {
		if p.Sequence == 2 {
			must(t, wire.Unmarshal(message, m))
		}
	}
	var facts posture.Facts
	for _, s := range m.GetReport().GetSections() {
		if s.GetName() == wire.MediaEvents {
			must(t, wire.DecodeSection(wire.MediaEvents, s.GetBody(), monday, &facts, nil))
		}
	}
	events := facts.MediaEvents
	if len(events.Gaps) != 1 || len(events.Items) != 1 || events.Items[0].Action != posture.Present || events.Items[0].Number != 3 {
		t.Errorf("it reports %+v", events)
	}
	if kept, err := os.ReadFile(l.state.path(mediaLogFile)); err != nil || !bytes.Contains(kept, []byte(`"version":2`)) {
		t.Errorf("kept %q, %v", kept, err)
	}
}

// worn is a laptop with all kinds of files in its state folder.
func worn(t *testing.T) *laptop {
	t.Helper()
	l := newLaptop(t)
	must(t, l.inbox.Policy(l.policyOf(1, false)))
	must(t, l.inbox.Welcomed(monday, 0))
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 5, Root: proof.Digest{1}}, []byte("five")))
	must(t, l.inbox.Checkpoint(proof.Checkpoint{Size: 4, Root: proof.Digest{2}}, []byte("four")))
	for _, machine := range []string{plain, withStick, encrypted} {
		l.becomes(machine)
		l.do()
		l.passes(2*time.Hour, 20*time.Minute)
	}
	if n := len(l.reports()); n < 3 {
		t.Fatalf("it has made %d reports", n)
	}
	return l
}

func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		must(t, err)
		files[relative], err = os.ReadFile(name)
		return err
	}))
	return files
}

// needed are the files without which the agent is no device of any school.
var needed = []string{"identity.json", "device.key.pem"}

// TestEachFileOfTheStateDamagedInTurn starts on a state folder of which one
// file is not what was written. Either it says which file, and what to do, and
// touches nothing; or it goes on: what waits still waits, no number is used
// twice, and the next report is whole where it has to be.
func TestEachFileOfTheStateDamagedInTurn(t *testing.T) {
	l := worn(t)
	sound, before := filesOf(t, l.state.dir), l.waiting()
	for name, data := range sound {
		ways := map[string][]byte{"cut": data[:len(data)/2], "another's": []byte(`{"a":[1]}`)}
		if os.Getenv("CARETAKER_THOROUGH") == "1" {
			maps.Copy(ways, map[string][]byte{"empty": nil, "garbage": []byte("\x00\xffgarbage\n"), "zeros": make([]byte, len(data))})
		}
		for how, damaged := range ways {
			if name == lockFile || bytes.Equal(data, damaged) {
				continue
			}
			what := name + " " + how
			dir := copyOf(t, l.state.dir)
			must(t, os.WriteFile(filepath.Join(dir, name), damaged, 0o600))
			var words bytes.Buffer
			again := &laptop{t: t, key: l.key, clock: clocktest.NewDriven(l.clock.Now().Add(time.Hour))}
			s, err := newService(Config{State: dir, Log: slog.New(slog.NewTextHandler(&words, nil))}, again.clock)
			if slices.Contains(needed, name) {
				if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) || !strings.Contains(err.Error(), "enrol") {
					t.Errorf("%s: it says %v", what, err)
				}
				now := filesOf(t, dir)
				for other, was := range sound {
					if other != name && !bytes.Equal(now[other], was) {
						t.Errorf("%s: it changed %s", what, other)
					}
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: it does not start: %v", what, err)
				continue
			}
			again.service = s
			s.boot = l.boot
			again.becomes(plain)
			again.do()
			again.goesOn(what, filepath.Base(name), before, &words)
		}
	}
}

// goesOn checks a laptop that was started on a damaged file.
func (l *laptop) goesOn(what, damaged string, before map[spool.Position][]byte, log *bytes.Buffer) {
	l.t.Helper()
	now := l.waiting()
	made, healed := uint64(0), true
	for p, message := range before {
		made = max(made, p.Sequence)
		healed = healed && bytes.Equal(now[p], message)
		if got, held := now[p]; !bytes.Equal(got, message) && !(p.Contact > 0 && held) && !strings.HasPrefix(damaged, fmt.Sprintf("%020d.", p.Sequence)) {
			l.t.Errorf("%s: statement %v does not wait any more", what, p)
		}
	}
	judges := !strings.HasPrefix(damaged, "assignment")
	last := l.last()
	if judges && last.Sequence != made+1 || !judges && last.Sequence != made {
		l.t.Errorf("%s: after report %d comes %d", what, made, last.Sequence)
	}
	if damaged == chainFile && !full(last) {
		l.t.Errorf("%s: report %d is not whole", what, last.Sequence)
	}
	words := log.String()                                                               // whatever read the files has done so by now
	silent := []string{knownFile, "told.json", contradictionFile, "policy.used.signed"} // each is worth no more than time, or said by what is there
	if strings.HasPrefix(damaged, "0000") && healed {
		return // it was on its way when the agent ended, and was put there again
	}
	if !slices.Contains(silent, damaged) && !strings.HasSuffix(what, "another's") && !strings.Contains(words, "level=WARN") && !strings.Contains(words, "level=ERROR") {
		l.t.Errorf("%s: it says nothing of it", what)
	}
}
