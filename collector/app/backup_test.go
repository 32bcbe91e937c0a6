package app

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/backup"
	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/shared/clock"
)

func unsaid(int64, int64) {}

// backedUp makes a collector with two schools and an account, and a backup of it.
func backedUp(t *testing.T) (data string, plain []byte) {
	t.Helper()
	data = t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	ashfield := do[InitAnswer](t, data, "init", InitArguments{School: "Ashfield Primary School"}).School
	makeToken(t, data, ashfield)
	do[AccountAnswer](t, data, "account.create", AccountArguments{Name: "Morgan Ellis", Role: "administrator"})
	var b bytes.Buffer
	m, err := Backup(t.Context(), data, &b, unsaid, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Schools) != 2 || len(m.Left) != 0 || m.Schools[0].Entries+m.Schools[1].Entries != 1 {
		t.Fatalf("the backup says %+v", m)
	}
	return data, b.Bytes()
}

func restoreTo(t *testing.T, data string, plain io.Reader) (RestoreAnswer, error) {
	t.Helper()
	return Restore(t.Context(), data, plain, unsaid, clock.System{}, slog.New(slog.DiscardHandler))
}

// files lists a folder's plain files.
func filesOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names[filepath.ToSlash(name)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestEveryFileIsBackedUpOrMadeAgain: a file of the data folder is in the
// backup, or it is known to be made from the rest. One that nobody thought of is
// in it.
func TestEveryFileIsBackedUpOrMadeAgain(t *testing.T) {
	data, plain := backedUp(t)
	held := map[string]bool{}
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held[h.Name] = true
	}
	again := []string{"lock", "view/", "/roster.snapshot", "/ledger/lock", "/ledger/hashes", "/ledger/entries", "/ledger/subjects", "/ledger/mark"}
	for name := range filesOf(t, data) {
		derived := false
		for _, a := range again {
			derived = derived || name == a || strings.HasSuffix(name, a) || strings.HasSuffix(a, "/") && strings.HasPrefix(name, a)
		}
		if held[name] == derived {
			t.Errorf("%s: in the backup: %v, made again: %v", name, held[name], derived)
		}
	}
}

// TestRestore: what comes back is the same schools, accounts and keys, verified,
// and it knows when it was backed up.
func TestRestore(t *testing.T) {
	data, plain := backedUp(t)
	to := filepath.Join(t.TempDir(), "new")
	a, err := restoreTo(t, to, bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Records {
		if !r.Good {
			t.Errorf("%s: %s", r.School, r.Trouble)
		}
	}
	for _, of := range []string{data, to} {
		accounts := do[[]AccountAnswer](t, of, "account.list", struct{}{})
		if len(accounts) != 1 || accounts[0].Name != "Morgan Ellis" {
			t.Errorf("%s: got %+v", of, accounts)
		}
	}
	for _, l := range do[HealthAnswer](t, to, "health.show", ListArguments{School: "Ashfield Primary School"}).Lines {
		if l.Title == "Backup" && (l.State != health.Well || time.Since(l.At) > time.Hour) {
			t.Errorf("got %+v", l)
		}
	}
	if _, err := restoreTo(t, to, bytes.NewReader(plain)); err == nil || !strings.Contains(err.Error(), "into an empty folder only") {
		t.Errorf("over a collector: got %v", err)
	}
}

// TestRestoreOverACollectorWithoutASchool: a package's service runs before
// anybody made a school, and what it left is in nobody's way.
func TestRestoreOverACollectorWithoutASchool(t *testing.T) {
	_, plain := backedUp(t)
	fresh := t.TempDir()
	if got := do[[]SchoolStatus](t, fresh, "status", struct{}{}); len(got) != 0 {
		t.Fatalf("got %+v", got)
	}
	if _, err := restoreTo(t, fresh, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	if got := do[[]SchoolStatus](t, fresh, "status", struct{}{}); len(got) != 2 {
		t.Errorf("got %+v", got)
	}
}

// rewritten is a backup with one file changed, left out or added.
func rewritten(t *testing.T, plain []byte, change func(name string, data []byte) []byte, more ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := backup.NewReader(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	w, err := backup.NewWriter(&b, a.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(h.Name, "caretaker-backup") {
			continue
		}
		if data = change(h.Name, data); data != nil {
			if err := w.Add(h.Name, int64(len(data)), bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range more {
		if err := w.Add(name, 1, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWhatIsNotWellIsNotRestored: whatever is changed in a backup by somebody who
// can encrypt one, the restore names it and leaves an empty folder.
func TestWhatIsNotWellIsNotRestored(t *testing.T) {
	_, plain := backedUp(t)
	flip := func(suffix string) func(string, []byte) []byte {
		return func(name string, data []byte) []byte {
			if strings.HasSuffix(name, suffix) && len(data) > 0 {
				data = bytes.Clone(data)
				data[len(data)/2] ^= 0x20
			}
			return data
		}
	}
	without := func(part string) func(string, []byte) []byte {
		return func(name string, data []byte) []byte {
			if strings.Contains(name, part) {
				return nil
			}
			return data
		}
	}
	same := func(_ string, data []byte) []byte { return data }
	for what, c := range map[string]struct {
		data []byte
		says string
	}{
		"an envelope":             {rewritten(t, plain, flip("0000.seg")), "segments"},
		"a body":                  {rewritten(t, plain, flip("-"+time.Now().UTC().Format("01")+".seg")), "bodies"},
		"the school's key":        {rewritten(t, plain, flip("school.key.pem")), "key"},
		"the record is gone":      {rewritten(t, plain, without("/ledger/")), "verify what was restored"},
		"entries are gone":        {rewritten(t, plain, without("/segments/")), "verify what was restored"},
		"a checkpoint":            {rewritten(t, plain, flip("/checkpoints")), "checkpoint"},
		"a school is gone":        {rewritten(t, plain, without("schools/")), "it has 0 schools, and the backup says 2"},
		"a view of somebody's":    {rewritten(t, plain, same, "view/000001.sst"), "which a collector makes by itself"},
		"the lock":                {rewritten(t, plain, same, "lock"), "which a collector makes by itself"},
		"broken off":              {plain[:len(plain)/2], "damaged or broken off"},
		"broken off at its start": {plain[:100], "no backup of a collector"},
		"nothing":                 {nil, "no backup of a collector"},
	} {
		to := t.TempDir()
		_, err := restoreTo(t, to, bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want words about %q", what, err, c.says)
		}
		if left := filesOf(t, to); len(left) > 0 {
			t.Errorf("%s: it left %v", what, left)
		}
	}
}

// TestABrokenOffRestoreIsNotBelieved: where the power went while a backup was
// being restored, no collector and no other restore goes on with what is there.
func TestABrokenOffRestoreIsNotBelieved(t *testing.T) {
	_, plain := backedUp(t)
	to := t.TempDir()
	if err := claim(to); err != nil {
		t.Fatal(err)
	}
	a, err := backup.NewReader(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	if err := unpack(to, a, unsaid); err != nil {
		t.Fatal(err)
	}
	err = Do(t.Context(), to, "status", struct{}{}, new([]SchoolStatus), clock.System{})
	if err == nil || !strings.Contains(err.Error(), "that was broken off") {
		t.Errorf("a command: got %v", err)
	}
	if _, err := restoreTo(t, to, bytes.NewReader(plain)); err == nil || !strings.Contains(err.Error(), "that was broken off") {
		t.Errorf("another restore: got %v", err)
	}
}

// TestADamagedSchoolIsLeftOutAndSaid: one school's damage does not keep the
// others from being backed up, and is not passed over.
func TestADamagedSchoolIsLeftOutAndSaid(t *testing.T) {
	data, _ := backedUp(t)
	segments, err := filepath.Glob(filepath.Join(data, "schools", "*", "ledger", "segments", "*.seg"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("got %v, %v", segments, err)
	}
	text, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(segments[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m, err := Backup(t.Context(), data, &b, unsaid, clock.System{})
	if err != nil || len(m.Schools) != 1 || len(m.Left) != 1 || !strings.Contains(m.Left[0].Why, "segments") {
		t.Fatalf("got %+v, %v", m, err)
	}
	to := t.TempDir()
	a, err := restoreTo(t, to, &b)
	if err != nil || len(a.Records) != 1 || a.Records[0].School != m.Schools[0].ID {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestALinkStopsABackup: what is not copied must not look as if it were.
func TestALinkStopsABackup(t *testing.T) {
	data, _ := backedUp(t)
	if err := os.Symlink(t.TempDir(), filepath.Join(data, "saved")); err != nil {
		t.Skip(err)
	}
	if _, err := Backup(t.Context(), data, io.Discard, unsaid, clock.System{}); err == nil || !strings.Contains(err.Error(), "saved is a link") {
		t.Errorf("got %v", err)
	}
}

// full is a disk that takes no more.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestAFullDiskEndsABackup(t *testing.T) {
	data, plain := backedUp(t)
	for room := 0; room < len(plain); room += len(plain)/5 + 1 {
		if _, err := Backup(t.Context(), data, &full{room}, unsaid, clock.System{}); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("with room for %d bytes: got %v", room, err)
		}
	}
}
