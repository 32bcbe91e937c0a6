package web

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestTimesNameTheirZone(t *testing.T) {
	london, err := time.LoadLocation(Zone)
	if err != nil {
		t.Fatal(err)
	}
	c := clockwork{london, now}
	for at, want := range map[string]string{
		"2026-10-23T14:52:00Z": "Fri 23 Oct 2026 15:52 BST 1 hour ago",
		"2026-10-25T00:59:59Z": "Sun 25 Oct 2026 01:59 BST in 32 hours",
		"2026-10-25T01:00:00Z": "Sun 25 Oct 2026 01:00 GMT in 32 hours",
		"2026-10-26T16:10:00Z": "Mon 26 Oct 2026 16:10 GMT in 2 days",
		"2026-10-23T16:11:30Z": "Fri 23 Oct 2026 17:11 BST just now",
		"2026-10-23T16:10:59Z": "Fri 23 Oct 2026 17:10 BST 1 minute ago",
		"2025-10-23T16:12:00Z": "Thu 23 Oct 2025 17:12 BST 12 months ago",
	} {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		m := c.moment(parsed)
		if got := m.Text + " " + m.Ago; got != want || m.Machine != at {
			t.Errorf("%s: got %q (%s), want %q", at, got, m.Machine, want)
		}
	}
	if c.moment(time.Time{}) != nil {
		t.Error("no time is shown as a time")
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"hb-lt-014":           "hb-lt-014",
		"Zoë's Классная 教室":   "Zoë's Классная 教室",
		"a\u202eexe.gnp":      "a⟨U+202E⟩exe.gnp",
		"a\u2066b\u2069":      "a⟨U+2066⟩b⟨U+2069⟩",
		"nul\x00esc\x1b[0m":   "nul⟨U+0000⟩esc⟨U+001B⟩[0m",
		"zero\u200bwidth":     "zero⟨U+200B⟩width",
		"line\u2028end\n":     "line⟨U+2028⟩end⟨U+000A⟩",
		"no\u00a0break":       "no⟨U+00A0⟩break",
		"bad\xff":             "bad⟨U+FFFD⟩",
		"tag\U000e0041":       "tag⟨U+E0041⟩",
		"hangul\u3164filler":  "hangul⟨U+3164⟩filler",
		"variation\ufe0fhere": "variation⟨U+FE0F⟩here",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got, want := string(show("<b>\u202e")), "<bdi>&lt;b&gt;⟨U+202E⟩</bdi>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("hb-lt-014")
	f.Add(hostile)
	f.Add("\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		got := visible(s)
		if strings.ContainsFunc(got, hidden) || visible(got) != got {
			t.Errorf("%q is shown as %q", s, got)
		}
		if strings.ContainsAny(strings.TrimSuffix(strings.TrimPrefix(string(show(s)), "<bdi>"), "</bdi>"), "<>\"") {
			t.Errorf("%q is written as %q", s, show(s))
		}
	})
}

func FuzzOwnAddress(f *testing.F) {
	f.Add("/schools/hollybank?q=x")
	f.Add("//elsewhere.example")
	f.Add("/\\elsewhere.example")
	f.Fuzz(func(t *testing.T, s string) {
		got := ownAddress(s)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, "/\\") || strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q leads to %q", s, got)
		}
	})
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1000): "1,000", number(-1234567): "-1,234,567",
		count(1, "device"): "1 device", count(2, "policy breach"): "2 policy breaches", count(0, "rule"): "0 rules",
		of(0, 3, "rule"): "none of 3 rules", of(3, 3, "rule"): "all 3 rules", of(1, 1, "rule"): "the one rule", of(1, 3, "rule"): "1 of 3 rules",
		size(0): "0 bytes", size(32_000_000_000): "32 GB", size(1_500): "1.5 kB", size(-1): "not known", size(math.MaxInt64): "9.2 EB",
		sentence("the disk"): "The disk.", sentence("Why?"): "Why?", sentence(""): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBars(t *testing.T) {
	for _, counts := range [][4]int{{0, 0, 0, 0}, {61, 0, 0, 0}, {99_999, 1, 0, 0}, {1, 1, 1, 100_000}, {54, 3, 4, 0}, {0, 0, 7, 0}} {
		b := newBar(counts[0], counts[1], counts[2], counts[3])
		sum, end := 0.0, 0.0
		for i, s := range b.Segments {
			x, errX := strconv.ParseFloat(strings.TrimSuffix(s.X, "%"), 64)
			w, errW := strconv.ParseFloat(strings.TrimSuffix(s.W, "%"), 64)
			if errX != nil || errW != nil || w < least-0.01 || math.Abs(x-end) > 0.02 {
				t.Errorf("%v: segment %d is %+v, which should begin at %v", counts, i, s, end)
			}
			sum, end = sum+w, x+w
		}
		if len(b.Segments) > 0 && math.Abs(sum-100) > 0.05 {
			t.Errorf("%v: the bar is %v%% wide", counts, sum)
		}
		if b.Total != counts[0]+counts[1]+counts[2]+counts[3] {
			t.Errorf("%v: got a total of %d", counts, b.Total)
		}
	}
	if got, want := newBar(54, 3, 4, 0).Words, "3 not met, 4 not proven, 54 met"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatIsNotKnownNeverLooksMet(t *testing.T) {
	for _, s := range []view.Standing{"", "met", "something new", view.NotProven} {
		if got := newStanding(s); got.Class != "not-proven" {
			t.Errorf("%q looks %+v", s, got)
		}
	}
}

func TestEncryptionVerdict(t *testing.T) {
	type volumes = posture.Answer[posture.Volume]
	disk := func(role posture.VolumeRole, e posture.Reading[posture.EncryptionState], p posture.Reading[posture.ProtectionState]) posture.Volume {
		return posture.Volume{ID: string(role), Role: role, Encryption: e, Protection: p, Method: posture.Read("LUKS2")}
	}
	full, none := posture.Read(posture.Encrypted), posture.Read(posture.Unencrypted)
	on, off := posture.Read(posture.ProtectionOn), posture.Read(posture.ProtectionOff)
	good := disk(posture.SystemVolume, full, on)
	boot := disk(posture.BootVolume, none, off)
	gap := posture.Found("sysfs", good)
	gap.Gaps = []posture.Gap{{Source: "zfs", Absent: posture.Denied}}
	tests := []struct {
		name    string
		volumes volumes
		class   string
		words   string
		detail  string
	}{
		{"encrypted", posture.Found("sysfs", good, boot), "met", "Encrypted when it last reported", "with LUKS2 and its key was protected"},
		{"locked", posture.Found("sysfs", disk(posture.SystemVolume, full, posture.Read(posture.ProtectionLocked))), "met", "Encrypted when", ""},
		{"data too", posture.Found("sysfs", good, disk(posture.DataVolume, full, on)), "met", "Encrypted when", ""},
		{"not encrypted", posture.Found("sysfs", disk(posture.SystemVolume, none, off)), "not-met", "Not encrypted when it last reported", ""},
		{"partly", posture.Found("sysfs", disk(posture.SystemVolume, posture.Read(posture.Partial), on)), "not-met", "Not fully encrypted", "Only a part"},
		{"begun", posture.Found("sysfs", disk(posture.SystemVolume, posture.Read(posture.Encrypting), on)), "not-met", "Not fully encrypted", "not finished"},
		{"being undone", posture.Found("sysfs", disk(posture.SystemVolume, posture.Read(posture.Decrypting), on)), "not-met", "Not fully encrypted", "taken off"},
		{"suspended", posture.Found("sysfs", disk(posture.SystemVolume, full, posture.Read(posture.ProtectionSuspended))), "not-met", "Encrypted but not protected", "in the clear"},
		{"clear key", posture.Found("sysfs", disk(posture.SystemVolume, full, posture.Read(posture.ProtectionClearKey))), "not-met", "Encrypted but not protected", "guarded by nothing"},
		{"open data disk", posture.Found("sysfs", good, disk(posture.DataVolume, none, off)), "not-met", "Only its system disk was encrypted", "The one other volume was not fully"},
		{"one of two systems open", posture.Found("sysfs", good, disk(posture.SystemVolume, none, off)), "not-met", "Not encrypted", ""},
		{"key not known", posture.Found("sysfs", disk(posture.SystemVolume, full, posture.Unread[posture.ProtectionState](posture.Denied))), "not-proven", "Not proven", "refused to show it"},
		{"disk not known", posture.Found("sysfs", disk(posture.SystemVolume, posture.Unread[posture.EncryptionState](posture.TimedOut), on)), "not-proven", "Not proven", "did not answer in time"},
		{"data not known", posture.Found("sysfs", good, disk(posture.DataVolume, posture.Unread[posture.EncryptionState](posture.Unreadable), on)), "not-proven", "Not proven", "other volume"},
		{"gap", gap, "not-proven", "Not proven", "not every volume could be read"},
		{"denied", posture.NotFound[posture.Volume]("sysfs", posture.Denied), "not-proven", "Not proven", "refused"},
		{"absent with items", volumes{Items: []posture.Volume{good}, Absent: posture.TimedOut}, "not-proven", "Not proven", ""},
		{"never asked", volumes{}, "not-proven", "Not proven", "on record"},
		{"no system disk", posture.Found("sysfs", disk(posture.DataVolume, full, on)), "not-proven", "Not proven", "No system disk"},
		{"nothing", posture.Found[posture.Volume]("sysfs"), "not-proven", "Not proven", ""},
		{"state from the future", posture.Found("sysfs", disk(posture.SystemVolume, posture.Read[posture.EncryptionState]("quantum"), on)), "not-proven", "Not proven", ""},
		{"zero", posture.Found("sysfs", posture.Volume{Role: posture.SystemVolume}), "not-proven", "Not proven", ""},
	}
	c := clockwork{time.UTC, now}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.volumes.ReadAt = now
			got := encryptionVerdict(tt.volumes, c)
			if got.Standing.Class != tt.class || !strings.HasPrefix(got.Words, tt.words) || !strings.Contains(got.Detail, tt.detail) {
				t.Errorf("got %s %q (%q), want %s %q (%q)", got.Standing.Class, got.Words, got.Detail, tt.class, tt.words, tt.detail)
			}
		})
	}
	if got := encryptionVerdict(posture.Found("sysfs", good), c); got.Standing.Class != "not-proven" {
		t.Errorf("without a time of reading it says %q", got.Words)
	}
	ok := encryptionVerdict(posture.Answer[posture.Volume]{Items: []posture.Volume{good}, Absent: posture.None, ReadAt: now}, c)
	if got := ok.today(true, nil); got.Standing.Class != "not-proven" || !strings.HasPrefix(got.Words, "Encrypted when") || !strings.Contains(got.Detail, "proves nothing about today") {
		t.Errorf("of a silent device it says %+v", got)
	}
	for _, s := range []view.Standing{view.NotMet, view.NotProven} {
		if got := ok.today(false, []findingRow{{Words: newStanding(view.Met)}, {Words: newStanding(s)}}); got.Standing != newStanding(s) {
			t.Errorf("with a rule that is %s it looks %+v", s, got.Standing)
		}
	}
}
