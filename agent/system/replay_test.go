package system_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const sysfs = `
{"under":"/sys","missing":true}
{"link":"/sys/dev/block/253:1","target":"../../devices/virtual/block/dm-1"}
{"file":"/sys/devices/virtual/block/dm-1/dm/uuid","text":"LVM-Zt0c\n"}
{"link":"/sys/devices/virtual/block/dm-1/slaves/dm-0","target":"../../dm-0"}
{"file":"/sys/devices/virtual/block/dm-0/dm/uuid","text":"CRYPT-LUKS2-2a2c-cryptdata\n"}
{"file":"/etc/shadow","absent":"denied"}
{"part":"/dev/sda1","offset":0,"length":8,"base64":"TFVLU7q+AAI="}
{"part":"/dev/sdb1","absent":"timed out"}
{"run":"nft-ruleset","missing":true}
{"run":"firewalld-state","stdout":"","stderr":"not running","exit":252}
{"ask":"clamd-version","text":"ClamAV 1.4.3"}
{"processes":["systemd","clamd","systemd"]}
`

func TestReplayFollowsRecordedLinks(t *testing.T) {
	m := systemtest.Replay(t, posture.Linux, sysfs)
	ctx := t.Context()
	got, err := m.File(ctx, "/sys/dev/block/253:1/slaves/dm-0/dm/uuid", 100)
	if err != nil || string(got) != "CRYPT-LUKS2-2a2c-cryptdata\n" {
		t.Errorf("file through two links: got %q, %v", got, err)
	}
	list, err := m.Dir(ctx, "/sys/dev/block/253:1/slaves")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]system.Entry{{Name: "dm-0", Type: fs.ModeSymlink}}, list); diff != "" {
		t.Errorf("entries of a folder of which all is recorded (-want +got):\n%s", diff)
	}
	target, err := m.Link(ctx, "/sys/dev/block/253:1")
	if err != nil || target != "../../devices/virtual/block/dm-1" {
		t.Errorf("link: got %q, %v", target, err)
	}
}

func TestReplayNeverInventsAbsence(t *testing.T) {
	m := systemtest.Replay(t, posture.Linux, sysfs)
	ctx := t.Context()
	for _, c := range []struct {
		name string
		read func() error
		want error
	}{
		{"a file that was not recorded", func() error { _, err := m.File(ctx, "/etc/passwd", 10); return err }, system.ErrNotRecorded},
		{"a folder that was not recorded", func() error { _, err := m.Dir(ctx, "/home"); return err }, system.ErrNotRecorded},
		{"a part beyond what was recorded", func() error { _, err := m.Part(ctx, "/dev/sda1", 0, 512); return err }, system.ErrNotRecorded},
		{"a command that was not recorded", func() error { _, err := m.Run(ctx, system.RPMPackages); return err }, system.ErrNotRecorded},
		{"a walk that was not recorded", func() error {
			_, err := m.Walk(ctx, system.WalkLimits{}, func(system.WalkedFile) error { return nil })
			return err
		}, system.ErrNotRecorded},
		{"a file of a tree that is complete", func() error { _, err := m.File(ctx, "/sys/class/tpm/tpm0", 10); return err }, fs.ErrNotExist},
		{"a file of a tree that is complete, behind a link", func() error { _, err := m.File(ctx, "/sys/dev/block/253:1/size", 10); return err }, fs.ErrNotExist},
		{"a denied file", func() error { _, err := m.File(ctx, "/etc/shadow", 10); return err }, fs.ErrPermission},
		{"a part of a device that hung", func() error { _, err := m.Part(ctx, "/dev/sdb1", 4096, 512); return err }, context.DeadlineExceeded},
		{"a command that is not installed", func() error { _, err := m.Run(ctx, system.NFTRuleset); return err }, fs.ErrNotExist},
		{"a file larger than allowed", func() error {
			_, err := m.File(ctx, "/sys/devices/virtual/block/dm-1/dm/uuid", 3)
			return err
		}, system.ErrTooLarge},
	} {
		if err := c.read(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{"file":"/a","text":"x","colour":"red"}`, "unknown field"},
		{`{"file":"/a"}`, "needs its content"},
		{`{"file":"/a","dir":"/a","text":""}`, "one question, not 2"},
		{`{}`, "one question, not 0"},
		{`{"file":"a","text":""}`, "not absolute"},
		{`{"file":"/a/../b","text":""}`, "not absolute and clean"},
		{`{"file":"/a","text":"","absent":"denied"}`, "that failed has no content"},
		{`{"file":"/a","absent":"gone"}`, "not a reason"},
		{`{"file":"/a","absent":"none"}`, "not a reason"},
		{`{"file":"/a","missing":true,"absent":"denied"}`, "either missing or absent"},
		{`{"file":"/a","base64":"!"}`, "decode base64"},
		{`{"dir":"/a","text":""}`, "has no content"},
		{`{"under":"/a"}`, "all else below"},
		{`{"walk":{"files":[{"location":"attic"}]}}`, "not a class of place"},
		{`{"walk":{"files":[],"stopped":"bored"}}`, "stops for"},
		{`{"walk":{"files":[],"gaps":[{"source":"home","absent":"none"}]}}`, "names its source and why"},
		{`{"file":"/a","text":""} {}`, "more than one value"},
		{`{"file":"/a","text":"","offset":2}`, "belong to a part"},
	} {
		_, err := system.NewReplay([]byte(`{"format":1,"platform":"linux","recordedAt":"2026-11-20T12:00:00Z"}`), []byte("\n"+c.line))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "reads.jsonl:2") {
			t.Errorf("%s: got %v, want reads.jsonl:2 and %q", c.line, err, c.want)
		}
	}
	for _, head := range []string{``, `{"format":2,"platform":"linux"}`, `{"format":1,"platform":"beos"}`, `{"format":1,"platform":"linux","serial":"x"}`} {
		if _, err := system.NewReplay([]byte(head), nil); err == nil || !strings.Contains(err.Error(), "machine.json") {
			t.Errorf("head %q: got %v, want an error that names machine.json", head, err)
		}
	}
}

func TestReplayWalk(t *testing.T) {
	m := systemtest.Replay(t, posture.Linux, `{"walk":{"files":[{"location":"downloads","text":"#!/bin/sh\n"},{"location":"media","base64":"f0VMRg=="}],"looked":9,"gaps":[{"source":"home","absent":"denied"}]}}`)
	var seen []posture.Location
	visit := func(f system.WalkedFile) error {
		seen = append(seen, f.Location)
		head := make([]byte, 4)
		if _, err := f.ReadAt(head, 0); err != nil {
			return err
		}
		return nil
	}
	s, err := m.Walk(t.Context(), system.WalkLimits{Files: 10}, visit)
	want := system.WalkSummary{Files: 9, Stopped: posture.None, Gaps: []posture.Gap{{Source: "home", Absent: posture.Denied}}}
	if err != nil || !cmp.Equal(s, want) || !cmp.Equal(seen, []posture.Location{posture.Downloads, posture.OnMedia}) {
		t.Errorf("walk: got %+v, %v, %v; want %+v", s, seen, err, want)
	}
	s, err = m.Walk(t.Context(), system.WalkLimits{Files: 1}, visit)
	if err != nil || s.Files != 1 || s.Stopped != posture.TimedOut {
		t.Errorf("limited walk: got %+v, %v", s, err)
	}
}

// FuzzReplay checks that no recording makes the program panic, and that
// whatever is accepted can be asked.
func FuzzReplay(f *testing.F) {
	for line := range strings.Lines(sysfs) {
		f.Add([]byte(line), "/sys/devices")
	}
	for line := range strings.Lines(hives) {
		f.Add([]byte(line), `HKLM\SOFTWARE\Acme`)
	}
	f.Add([]byte(`{"link":"/a","target":"/a"}`), "/a/b")
	f.Add([]byte(`{"link":"/a","target":"a/a"}`), "/a")
	head := []byte(`{"format":1,"platform":"linux","recordedAt":"2026-11-20T12:00:00Z"}`)
	f.Fuzz(func(t *testing.T, reads []byte, name string) {
		m, err := system.NewReplay(head, reads)
		if err != nil {
			return
		}
		ctx := t.Context()
		_, _ = m.File(ctx, name, 1<<20)
		_, _ = m.Part(ctx, name, 3, 5)
		_, _ = m.Dir(ctx, name)
		_, _ = m.Link(ctx, name)
		_, _ = m.Stat(ctx, name)
		_, _ = m.Run(ctx, system.Command(name))
		_, _ = m.Key(ctx, name)
		_, _ = m.Rows(ctx, system.Rowset(name))
		_, _ = m.Processes(ctx)
	})
}
