package system

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEventsComeFromTheKernel provokes a real uevent, and a forged one before
// it that must not be told.
func TestEventsComeFromTheKernel(t *testing.T) {
	const trigger = "/sys/block/loop0/uevent"
	if _, err := os.Stat(trigger); err != nil || os.Getuid() != 0 {
		t.Skip("provoking an event needs root and a loop device")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := make(chan Event, 100)
	ended := make(chan error, 1)
	go func() { ended <- Events(ctx, func(e Event) { events <- e }) }()
	if e := <-events; e.Action != Overrun {
		t.Errorf("first event: got %+v, want an overrun", e)
	}
	forge(t, "add@/devices/virtual/block/forged\x00ACTION=add\x00DEVPATH=/devices/virtual/block/forged\x00SUBSYSTEM=block\x00DEVNAME=forged\x00DEVTYPE=disk\x00")
	must(t, os.WriteFile(trigger, []byte("change"), 0))
	for e := range events {
		if e.Name == "forged" {
			t.Fatal("a process could forge an event")
		}
		if e.Name == "loop0" {
			if e.Action != Changed || e.Device != "/devices/virtual/block/loop0" || !e.Whole {
				t.Errorf("event of loop0: got %+v", e)
			}
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("after the context ended: got %v, want nil", err)
	}
}

// forge sends a message to every listener of the kernel's group, as root can.
func forge(t *testing.T, message string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Sendto(fd, []byte(message), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}))
}

func TestFromKernel(t *testing.T) {
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	root := unix.UnixCredentials(&unix.Ucred{})
	for _, c := range []struct {
		name    string
		from    unix.Sockaddr
		control []byte
		want    bool
	}{
		{"the kernel", kernel, root, true},
		{"a process", &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: 7}, unix.UnixCredentials(&unix.Ucred{Pid: 7}), false},
		{"a process of a person", kernel, unix.UnixCredentials(&unix.Ucred{Uid: 1000}), false},
		{"nobody who says", kernel, nil, false},
		{"rubbish", kernel, []byte{1, 2, 3}, false},
		{"another family", &unix.SockaddrUnix{}, root, false},
	} {
		if got := fromKernel(c.from, c.control); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	status := filepath.Join(dir, "status")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changed := make(chan struct{}, 100)
	ended := make(chan error, 1)
	files := []string{status, filepath.Join(dir, "absent/folder/x")}
	go func() { ended <- Watch(ctx, files, func() { changed <- struct{}{} }) }()
	<-changed
	must(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	must(t, os.WriteFile(status+".new", nil, 0o600))
	must(t, os.Rename(status+".new", status))
	<-changed
	must(t, os.Remove(status))
	<-changed
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("after the context ended: got %v, want nil", err)
	}
	if n := len(changed); n != 0 {
		t.Errorf("told %d times more than the file changed", n)
	}
	if err := Watch(t.Context(), []string{filepath.Join(dir, "absent/x")}, func() {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to watch: got %v, want %v", err, fs.ErrNotExist)
	}
}

func notice(wd int32, mask uint32, name string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}

func TestConcerns(t *testing.T) {
	names := map[int32]map[string]bool{1: {"status": true}}
	for _, c := range []struct {
		name  string
		batch []byte
		want  bool
	}{
		{"the file", notice(1, unix.IN_MOVED_TO, "status\x00\x00"), true},
		{"the file, second", append(notice(1, unix.IN_DELETE, "lock\x00"), notice(1, unix.IN_MOVED_TO, "status\x00")...), true},
		{"another file", notice(1, unix.IN_MOVED_TO, "status.new\x00"), false},
		{"another folder", notice(2, unix.IN_MOVED_TO, "status\x00"), false},
		{"lost notices", notice(-1, unix.IN_Q_OVERFLOW, ""), true},
		{"nothing", nil, false},
	} {
		if got, err := concerns(c.batch, names); got != c.want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	for name, batch := range map[string][]byte{
		"a folder that went away": notice(1, unix.IN_IGNORED, ""),
		"a notice cut short":      notice(1, unix.IN_MOVED_TO, "status\x00")[:18],
	} {
		if told, err := concerns(batch, names); !told || err == nil {
			t.Errorf("%s: got %v, %v; want to be told and to fail", name, told, err)
		}
	}
}

func FuzzNotices(f *testing.F) {
	f.Add(notice(1, unix.IN_MOVED_TO, "status\x00"))
	f.Fuzz(func(t *testing.T, batch []byte) {
		if told, err := concerns(batch, map[int32]map[string]bool{1: {"status": true}}); err != nil && !told {
			t.Errorf("notices are lost without a word: %v", err)
		}
	})
}
