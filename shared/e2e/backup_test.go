package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/caretaker-school/caretaker/agent/enroll"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/backup"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	sharedpolicy "github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// backupDeeds are the commands of backups.
var backupDeeds = []string{"backup", "restore"}

// doingBackup takes a backup, of the collector that runs or of the folder, and
// restores it elsewhere.
func doingBackup(t *testing.T, x *talk, answers map[string]string) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	must(t, err)
	dir := t.TempDir()
	keys, file, to := filepath.Join(dir, "keys"), filepath.Join(dir, "one.backup"), filepath.Join(dir, "restored")
	must(t, os.WriteFile(keys, []byte(key.String()+"\n"), 0o600))
	answers["backup"] = good(t, "caretaker-collector", "backup", "--recipient", key.Recipient().String(), file, "--data", x.Data, "--json")
	answers["restore"] = good(t, "caretaker-collector", "restore", "--identity", keys, file, "--data", to, "--json")
	again := command(t, "caretaker-collector", "backup", "--recipient", key.Recipient().String(), file, "--data", x.Data)
	if again.Status != 2 || !strings.Contains(again.Stderr, "is there already") {
		t.Errorf("over a backup: status %d, %s", again.Status, again.Stderr)
	}
	passphrase := filepath.Join(dir, "passphrase")
	must(t, os.WriteFile(passphrase, []byte("four plain words here\n"), 0o600))
	wrong := command(t, "caretaker-collector", "restore", "--passphrase-file", passphrase, file, "--data", filepath.Join(dir, "other"))
	if wrong.Status != 2 || !strings.Contains(wrong.Stderr, "not the one that it was made with") {
		t.Errorf("with a passphrase that is not its own: status %d, %s", wrong.Status, wrong.Stderr)
	}
	if verified := good(t, "caretaker-collector", "ledger", "verify", "--data", to, "--school", schoolName); !strings.HasPrefix(verified, "Good") {
		t.Errorf("what was restored: %s", verified)
	}
}

// told is what the laptop was last told of its use.
func (l *laptop) told() (a sharedpolicy.Assignment) {
	l.w.t.Helper()
	d, err := enroll.Load(l.state, time.Time{})
	must(l.w.t, err)
	body, _, err := d.Document(enroll.Assignment)
	must(l.w.t, err)
	must(l.w.t, json.Unmarshal(body, &a))
	return a
}

// TestALaptopThatIsAheadOfARestoredCollector: a backup is taken while the
// collector runs; more is reported; the collector's machine is lost, and the
// backup is restored on another. The laptop says that it was told of reports that
// are not there, the page shows the gap, what the lost reports said is not
// claimed, and from then on everything goes on.
func TestALaptopThatIsAheadOfARestoredCollector(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	road := newLink(t, c.agents)
	policy := func(file, text string) collectorapp.PublishAnswer {
		return ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: file, Source: []byte(text)})
	}
	policy("kept.yaml", lockAndDisk)
	l := w.laptop("laptop", "encrypted-laptop", road.Address())
	retold := func(personal bool) collectorapp.AssignAnswer {
		return ask[collectorapp.AssignAnswer](w, "device.assign", collectorapp.AssignArguments{Device: l.device, Reason: "as agreed", Telling: decision.Telling{PersonalUse: &personal}})
	}
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	inForce := func() uint64 { return l.status().Policy }

	var plain bytes.Buffer
	m, err := collectorapp.Backup(t.Context(), w.data, &plain, func(int64, int64) {}, w.clock)
	must(t, err)
	if len(m.Schools) != 1 || m.Schools[0].Entries == 0 || len(m.Left) != 0 {
		t.Fatalf("the backup says %+v", m)
	}
	must(t, collectorapp.NoteBackup(t.Context(), w.data, m, w.clock))
	if health := ask[collectorapp.HealthAnswer](w, "health.show", collectorapp.ListArguments{}); health.Backup == nil || !health.Backup.At.Equal(w.clock.Now()) {
		t.Errorf("after a backup the health is %+v", health.Backup)
	}

	// Two reports that the backup does not have; the last but one says that the
	// disk is not encrypted any more.
	for n, machine := range []string{"plain-laptop", "encrypted-laptop"} {
		l.becomes(machine)
		l.at(monday.Add(time.Duration(n+1) * 8 * time.Hour))
		until(t, "the report shows", func() bool { return l.shown().LastReport == uint64(n+2) })
	}
	last := w.entries()
	lost := last[len(last)-1]

	// Meanwhile the school publishes another policy and lends the laptop out, and
	// takes that back: the laptop has numbers that the backup does not have.
	policy("lost.yaml", strings.Replace(lockAndDisk, "grace: 7d", "grace: 3d", 1))
	retold(true)
	retold(false)
	retold(true)
	until(t, "the laptop has what the backup does not have", func() bool { return inForce() == 2 && l.told().Number == 4 })

	// The machine is lost, and nothing of it is left.
	road.Cut()
	must(t, c.stop())
	must(t, os.RemoveAll(w.data))
	restored, err := collectorapp.Restore(t.Context(), w.data, bytes.NewReader(plain.Bytes()), func(int64, int64) {}, w.clock, slog.New(slog.DiscardHandler))
	must(t, err)
	if got := restored.Records[0]; !got.Good || got.Entries != m.Schools[0].Entries {
		t.Fatalf("what was restored: %+v", got)
	}
	if r := restored.Renumbered; len(r) != 1 || r[0].Was != 1 || r[0].Number <= 2 {
		t.Fatalf("the policy in force has another number: %+v", r)
	}
	if l.shown().LastReport != 1 {
		t.Fatal("the restored collector knows what came after the backup")
	}

	c = w.collect()
	road.Mend(c.agents)
	w.untilPassing(time.Minute, "the laptop reports again, in full", func() bool { return l.shown().LastReport > 3 })
	d := l.shown()
	if len(d.Gaps) != 1 || d.Gaps[0].From != 2 || d.Gaps[0].To < 3 || !strings.Contains(d.Gaps[0].Reason, "restored") {
		t.Fatalf("the gaps are %+v", d.Gaps)
	}
	t.Logf("the page says: %+v", d.Gaps[0])
	gaps, reports := 0, []uint64{}
	for _, e := range w.entries() {
		switch e.Kind {
		case proof.KindGap.String():
			gaps++
		case proof.KindReport.String():
			reports = append(reports, e.Sequence)
			if e.Leaf == lost.Leaf {
				t.Errorf("report %d, which was lost, is in the record", e.Sequence)
			}
		}
	}
	if gaps != 1 || reports[0] != 1 || reports[1] != d.Gaps[0].To+1 {
		t.Errorf("the record has %d gaps and the reports %v", gaps, reports)
	}
	p := w.signIn(c, "technician")
	p.shows("/schools/"+string(m.Schools[0].ID)+"/devices/"+l.device, "are missing: the collector was restored from a backup, and what they said is lost")
	w.verified()

	// The laptop has what the record says, under numbers that it takes, and nobody
	// had to do anything.
	until(t, "the laptop has the policy of the backup", func() bool { return inForce() == restored.Renumbered[0].Number })
	until(t, "and its assignment", func() bool { a := l.told(); return a.Number > 4 && !a.PersonalUse })
	p.shows("/schools/"+string(m.Schools[0].ID)+"/settings/health", "Restored from a backup", "what was recorded after it is lost")
	if next := policy("next.yaml", strings.Replace(lockAndDisk, "grace: 7d", "grace: 2d", 1)).Number; next != restored.Renumbered[0].Number+1 {
		t.Errorf("the next policy is %d after %d", next, restored.Renumbered[0].Number)
	}
	if had := l.told().Number; retold(true).Assignment.Number != had+1 {
		t.Errorf("the next assignment does not follow %d", had)
	}

	// And it goes on.
	l.becomes("plain-laptop")
	l.at(w.clock.Now().Add(8 * time.Hour))
	until(t, "what it is now shows", func() bool { return standing(l.shown(), "HB-DISK") == view.NotMet })
	if got := l.shown(); len(got.Gaps) != 1 {
		t.Errorf("more is missing: %+v", got.Gaps)
	}
}

// TestABackupIsTakenWhileReportsArrive: backups that are taken one after another
// while laptops report are each whole, and none keeps a report waiting.
func TestABackupIsTakenWhileReportsArrive(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	for n := range uint64(4) {
		// The backup stands still half way, the report is recorded all the same.
		from, to := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := collectorapp.Backup(t.Context(), w.data, to, func(int64, int64) {}, w.clock)
			to.CloseWithError(err)
			ended <- err
		}()
		begun := make([]byte, 4096)
		_, err := io.ReadFull(from, begun)
		must(t, err)
		l.becomes([]string{"encrypted-laptop", "plain-laptop"}[n%2])
		l.at(monday.Add(time.Duration(n+1) * 8 * time.Hour))
		until(t, "the report shows", func() bool { return l.shown().LastReport == n+2 })
		a, err := backup.NewReader(io.MultiReader(bytes.NewReader(begun), from))
		must(t, err)
		must(t, a.Check(func(int64) {}))
		must(t, <-ended)
	}
	w.once(l)
}
