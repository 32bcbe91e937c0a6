package evidence

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var update = flag.Bool("update", false, "rewrite the sheets that are wanted")

// golden is evidence that an earlier version made. It stays as it is.
func golden(t testing.TB) []byte { return kept(t, filepath.Join("v1", "hb-lt-014")) }

// kept is a file of evidence of any format.
func kept(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".evidence"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// everyKept names the files of evidence of every format.
func everyKept() []string {
	return []string{filepath.Join("v1", "hb-lt-014"), filepath.Join("v2", "hb-lt-014"), filepath.Join("v2", "hollybank"), filepath.Join("v2", "hollybank-judged"), filepath.Join("v3", "hollybank-year")}
}

func verified(t testing.TB) *Bundle {
	t.Helper()
	b, _, err := Verify(golden(t), Trust{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEvidenceOfBeforeIsReadToday verifies files of every format, and holds the
// words for people to what they were.
func TestEvidenceOfBeforeIsReadToday(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range everyKept() {
		b, _, err := Verify(kept(t, name), Trust{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var aware time.Time // of the first format, which does not hold it
		if b.Format == 1 {
			aware = time.Date(2027, 3, 26, 12, 0, 0, 0, time.UTC)
		}
		var got bytes.Buffer
		if err := Print(&got, b, b.Location(london), aware); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("the sheet of %s (-want +got):\n%s", name, diff)
		}
	}
}

// TestEveryByteCounts changes each byte in turn, and cuts the file after each.
func TestEveryByteCounts(t *testing.T) {
	step := 37
	if os.Getenv("CARETAKER_THOROUGH") == "1" {
		step = 1
	}
	for _, name := range everyKept() {
		whole := kept(t, name)
		for i := 0; i < len(whole); i += step {
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << (i % 8)
			if _, _, err := Verify(changed, Trust{}); err == nil {
				t.Errorf("%s: byte %d was changed, and it verifies", name, i)
			}
			if _, _, err := Verify(whole[:i], Trust{}); err == nil {
				t.Errorf("%s: it was cut after %d bytes, and it verifies", name, i)
			}
		}
		for what, changed := range map[string][]byte{
			"longer": append(bytes.Clone(whole), '\n'), "twice": append(bytes.Clone(whole), whole...),
			"carriage return": bytes.Replace(whole, []byte("==\n"), []byte("==\r\n"), 1),
			"another format":  append([]byte("caretaker evidence v4"), whole[len("caretaker evidence v1"):]...),
			"one before":      append([]byte("caretaker evidence v0"), whole[len("caretaker evidence v1"):]...),
		} {
			if _, _, err := Verify(changed, Trust{}); err == nil {
				t.Errorf("%s: %s: it verifies", name, what)
			}
		}
	}
}

func TestTrustInAnother(t *testing.T) {
	key, err := identity.ParseSchoolVerifier("caretaker.school/ashfield+5d9f9d9e+AX+04MQIjq9OxLfz0EcjctdRIPqbxrq09q2HiNiWdqDc")
	if err == nil {
		_, _, err = Verify(golden(t), Trust{Key: &key})
	}
	if err == nil {
		t.Error("another school's key is trusted")
	}
	if _, _, err := Verify(golden(t), Trust{Checkpoint: []byte("caretaker.school/ashfield\n1\nAAAA\n\n— caretaker.school/ashfield AAAA\n")}); err == nil {
		t.Error("another school's checkpoint is trusted")
	}
}

// TestTheAnswerFollowsFromTheEntries: a sheet that says something else is
// refused, however good the rest.
func TestTheAnswerFollowsFromTheEntries(t *testing.T) {
	for name, spoil := range map[string]func(*Bundle){
		"another state": func(b *Bundle) { b.Sheet.State = NotEncrypted },
		"another time":  func(b *Bundle) { b.Sheet.Since = b.Sheet.Since.Add(-time.Hour) },
		"less unknown":  func(b *Bundle) { b.Sheet.NotKnown = nil },
		"a report less": func(b *Bundle) { b.Entries = b.Entries[:len(b.Entries)-1] },
		"a body less": func(b *Bundle) {
			for i := range b.Entries {
				if i > 0 {
					b.Entries[i].Sections = nil
				}
			}
		},
	} {
		b := verified(t)
		spoil(b)
		if err := checkAnswer(b); err == nil {
			t.Errorf("%s: the answer is believed", name)
		}
	}
	if err := checkAnswer(verified(t)); err != nil {
		t.Errorf("the answer as it was made: %v", err)
	}
}

func volume(role posture.VolumeRole, e posture.EncryptionState, p posture.ProtectionState) posture.Volume {
	return posture.Volume{Role: role, Encryption: posture.Read(e), Protection: posture.Read(p)}
}

func TestJudge(t *testing.T) {
	good := volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionOn)
	boot := volume(posture.BootVolume, posture.Unencrypted, posture.ProtectionOff)
	plain := volume(posture.DataVolume, posture.Unencrypted, posture.ProtectionOff)
	denied := posture.Volume{Role: posture.DataVolume, Encryption: posture.Unread[posture.EncryptionState](posture.Denied)}
	gap := posture.Found("test", good)
	gap.Gaps = []posture.Gap{{Source: "disk", Absent: posture.TimedOut}}
	plainGap := posture.Found("test", good, plain)
	plainGap.Gaps = gap.Gaps
	for name, c := range map[string]struct {
		answer posture.Answer[posture.Volume]
		want   State
	}{
		"encrypted":                   {posture.Found("test", good, boot), Encrypted},
		"locked":                      {posture.Found("test", good, volume(posture.DataVolume, posture.Encrypted, posture.ProtectionLocked)), Encrypted},
		"suspended":                   {posture.Found("test", volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionSuspended)), Unprotected},
		"clear key":                   {posture.Found("test", volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionClearKey)), Unprotected},
		"being encrypted":             {posture.Found("test", volume(posture.SystemVolume, posture.Encrypting, posture.ProtectionOff)), NotEncrypted},
		"a plain second disk":         {posture.Found("test", good, plain), NotEncrypted},
		"plain, and one not read":     {posture.Found("test", good, denied, plain), NotEncrypted},
		"one not read":                {posture.Found("test", good, denied), NotProven},
		"protection not read":         {posture.Found("test", posture.Volume{Role: posture.SystemVolume, Encryption: posture.Read(posture.Encrypted)}), NotProven},
		"no system disk":              {posture.Found("test", volume(posture.DataVolume, posture.Encrypted, posture.ProtectionOn)), NotProven},
		"none":                        {posture.Found[posture.Volume]("test"), NotProven},
		"denied":                      {posture.NotFound[posture.Volume]("test", posture.Denied), NotProven},
		"a part is missing":           {gap, NotProven},
		"plain, and a part missing":   {plainGap, NotEncrypted},
		"suspended, and one not read": {posture.Found("test", volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionSuspended), denied), NotProven},
	} {
		got, why := judge(c.answer)
		if got != c.want || (got == NotProven) != (why != "") {
			t.Errorf("%s: got %s (%s), want %s", name, got, why, c.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	good := [][]byte{}
	for _, name := range everyKept() {
		good = append(good, kept(f, name))
		f.Add(good[len(good)-1])
	}
	f.Add([]byte(headlines()[1] + "\n{}\n\n"))
	f.Add([]byte(headlines()[2] + "\n{}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := Verify(data, Trust{}); err == nil && !slices.ContainsFunc(good, func(g []byte) bool { return bytes.Equal(g, data) }) {
			t.Error("something that nobody sealed verifies")
		}
	})
}

// FuzzAnswer lets what a seal would keep out reach the parts behind it.
func FuzzAnswer(f *testing.F) {
	for _, name := range everyKept() {
		f.Add([]byte(strings.Split(string(kept(f, name)), "\n")[1]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := &Bundle{}
		if json.Unmarshal(body, b) != nil {
			return
		}
		if b.Position != nil {
			if err := checkPosition(b); err != nil && len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if err := Print(&bytes.Buffer{}, b, time.UTC, time.Time{}); err != nil {
				t.Error(err)
			}
		}
		var err error
		if b.Sheet, err = Answer(b); err != nil {
			return
		}
		if _, err := checkSignatures(b); err != nil && len(err.Error()) > 2000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		if err := Print(&bytes.Buffer{}, b, time.UTC, time.Time{}); err != nil {
			t.Error(err)
		}
	})
}
