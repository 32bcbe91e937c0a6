package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// otherChild is the program of children that only Linux has.
func otherChild(mode string, request []byte) int {
	if mode == "apt" {
		childApt()
		return 0
	}
	return hostileChild(mode, request)
}

// memoryIsBounded reports whether the system holds children to their memory.
func memoryIsBounded(*testing.T) bool { return true }

// peakIsTold reports whether the system says what an ended process took.
func peakIsTold() bool { return true }

// state is what a child says about itself.
type state struct {
	UID, GID, Nice, IOPriority int
	Groups                     []int
	Caps, Bounding, NoNew      string
	Core, Data, File           uint64
	Env                        []string
	Dir                        string
	Networks                   []string
	Read, Write, Disk          string // errors of trying
	Null                       string
	Firewall                   string
	Threads                    string
}

func ownState(file []byte) state {
	s := state{UID: os.Getuid(), GID: os.Getgid(), Env: os.Environ()}
	s.Groups, _ = os.Getgroups()
	nice, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	s.Nice = 20 - nice // as the system call counts
	priority, _, _ := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
	s.IOPriority = int(priority)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch key {
		case "CapEff":
			s.Caps = value
		case "CapBnd":
			s.Bounding = value
		case "NoNewPrivs":
			s.NoNew = value
		}
	}
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	s.Core = limit.Max
	_ = unix.Getrlimit(unix.RLIMIT_FSIZE, &limit)
	s.File = limit.Max
	_ = unix.Getrlimit(unix.RLIMIT_DATA, &limit)
	s.Data = limit.Max
	s.Dir, _ = os.Getwd()
	list, _ := net.Interfaces()
	for _, i := range list {
		s.Networks = append(s.Networks, i.Name)
	}
	_, err := os.ReadFile("/etc/shadow")
	s.Read = fmt.Sprint(err)
	s.Write = fmt.Sprint(os.WriteFile(string(file), nil, 0o600))
	s.Null = fmt.Sprint(os.WriteFile(os.DevNull, []byte("x"), 0))
	if disk, err := os.Open("/dev/loop0"); err == nil {
		disk.Close()
		s.Disk = "read"
	}
	if out, err := New("/").Run(context.Background(), NFTRuleset); err == nil && out.Exit == 0 && strings.Contains(string(out.Stdout), "nftables") {
		s.Firewall = "read"
	}
	return s
}

// TestChildIsKilledWithAllItStarted ends a child at a deadline; the process
// that it started must be gone as well.
func TestChildIsKilledWithAllItStarted(t *testing.T) {
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := child("hang", roomy)
	c.Files = []*os.File{write}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx, nil)
		write.Close() // so that nobody waits for a child that did not start
		ended <- err
	}()
	var pid int
	if _, err := fmt.Fscan(read, &pid); err != nil {
		t.Fatal(err)
	}
	grandchild, err := unix.PidfdOpen(pid, 0)
	must(t, err)
	defer unix.Close(grandchild)
	cancel(context.DeadlineExceeded)
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	// A pidfd is readable once its process has ended.
	if _, err := retry(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(grandchild), Events: unix.POLLIN}}, -1)
	}); err != nil {
		t.Error(err)
	}
}

// TestChildRights asks children of both roles what they can do. As root it is
// the real thing.
func TestChildRights(t *testing.T) {
	t.Setenv("SECRET", "of the parent")
	open := t.TempDir()
	must(t, os.Chmod(open, 0o777))
	for dir := open; dir != "/" && os.Getuid() == 0; dir = filepath.Dir(dir) {
		if dir != open && dir != "/tmp" {
			must(t, os.Chmod(dir, 0o755))
		}
	}
	_, nft := os.Stat("/usr/sbin/nft")
	_, loop := os.Stat("/dev/loop0")
	for _, role := range []Role{FolderChild, SystemChild} {
		c := child("state", roomy)
		c.Role = role
		ended, err := c.Run(t.Context(), []byte(filepath.Join(open, "written")))
		if err != nil {
			t.Fatal(err)
		}
		var got state
		must(t, json.Unmarshal(ended.Answer, &got))
		want := state{
			UID: os.Getuid(), GID: os.Getgid(), Nice: 19, IOPriority: ioprioIdle, Groups: got.Groups,
			Caps: got.Caps, Bounding: got.Bounding, NoNew: "1", Data: uint64(roomy.Memory) + arena, File: maxFile,
			Env: []string{"LC_ALL=C", "GOMAXPROCS=1", "GOGC=400", fmt.Sprintf("GOMEMLIMIT=%d", roomy.Memory), childMode + "=state"},
			Dir: "/", Networks: got.Networks, Read: got.Read, Write: got.Write, Disk: got.Disk, Null: "<nil>", Firewall: got.Firewall,
		}
		if raceDetector {
			want.Data = got.Data
		}
		if os.Getuid() == 0 {
			want.UID, want.GID, want.Groups = nobody, nobody, nil
			want.Read = "<nil>"
			if loop == nil {
				want.Disk = "read"
			}
			if role == FolderChild {
				want.Caps, want.Networks, want.Firewall = "0000000000000004", []string{"lo"}, ""
			} else {
				want.Caps = "0000000000001004"
				if nft == nil {
					want.Firewall = "read"
				}
			}
			want.Bounding = want.Caps
		}
		if landlocked() {
			want.Write = fmt.Sprintf("open %s: %v", filepath.Join(open, "written"), syscall.EACCES)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("role %d (-want +got):\n%s", role, diff)
		}
	}
}

func landlocked() bool {
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0
}
