package evidence

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var update = flag.Bool("update", false, "rewrite the sheets that are wanted")

// golden is evidence that an earlier version made. It stays as it is.
func golden(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "v1", "hb-lt-014.evidence"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func verified(t testing.TB) *Bundle {
	t.Helper()
	b, _, err := Verify(golden(t), Trust{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEvidenceOfBeforeIsReadToday verifies a file of the first version, and
// holds the words for people to what they were.
func TestEvidenceOfBeforeIsReadToday(t *testing.T) {
	b := verified(t)
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := Print(&got, b, london, time.Date(2027, 3, 26, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "v1", "hb-lt-014.txt")
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
		t.Errorf("the sheet (-want +got):\n%s", diff)
	}
}

// TestEveryByteCounts changes each byte in turn, and cuts the file after each.
func TestEveryByteCounts(t *testing.T) {
	whole := golden(t)
	step := 17
	if os.Getenv("CARETAKER_THOROUGH") == "1" {
		step = 1
	}
	for i := 0; i < len(whole); i += step {
		changed := bytes.Clone(whole)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := Verify(changed, Trust{}); err == nil {
			t.Errorf("byte %d was changed, and it verifies", i)
		}
		if _, _, err := Verify(whole[:i], Trust{}); err == nil {
			t.Errorf("it was cut after %d bytes, and it verifies", i)
		}
	}
	for name, changed := range map[string][]byte{
		"longer": append(bytes.Clone(whole), '\n'), "twice": append(bytes.Clone(whole), whole...),
		"carriage return": bytes.Replace(whole, []byte("==\n"), []byte("==\r\n"), 1),
	} {
		if _, _, err := Verify(changed, Trust{}); err == nil {
			t.Errorf("%s: it verifies", name)
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
	f.Add(golden(f))
	f.Add([]byte(headlines()[1] + "\n{}\n\n"))
	f.Add([]byte(headlines()[2] + "\n{}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := Verify(data, Trust{}); err == nil && !bytes.Equal(data, golden(t)) {
			t.Error("something that nobody sealed verifies")
		}
	})
}

// FuzzAnswer lets what a seal would keep out reach the parts behind it.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(strings.Split(string(golden(f)), "\n")[1]))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := &Bundle{}
		if json.Unmarshal(body, b) != nil {
			return
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
