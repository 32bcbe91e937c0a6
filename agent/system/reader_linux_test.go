package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestFile(t *testing.T) {
	root, l := machine(t, map[string]string{"/etc/os-release": "ID=debian\n"})
	must(t, os.Symlink("/etc/os-release", filepath.Join(root, "etc/link")))
	must(t, os.Symlink("/etc/nowhere", filepath.Join(root, "etc/broken")))
	must(t, os.Symlink("loop", filepath.Join(root, "etc/loop")))
	must(t, unix.Mkfifo(filepath.Join(root, "etc/fifo"), 0o666))
	socket, err := net.Listen("unix", filepath.Join(root, "etc/socket"))
	must(t, err)
	defer socket.Close()
	ctx := t.Context()
	for _, name := range []string{"/etc/os-release", "/etc/link"} {
		got, err := l.File(ctx, name, 10)
		if err != nil || string(got) != "ID=debian\n" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := l.File(ended, "/etc/os-release", 100); Absence(err) != posture.TimedOut {
		t.Errorf("after the deadline: got %v, want timed out", err)
	}
	for _, c := range []struct {
		name  string
		limit int64
		want  error
		why   posture.Absence
	}{
		{"/etc/os-release", 9, ErrTooLarge, posture.Unreadable},
		{"/etc/nowhere", 9, fs.ErrNotExist, posture.Unreadable},
		{"/etc/broken", 9, fs.ErrNotExist, posture.Unreadable},
		{"/etc/loop", 9, unix.ELOOP, posture.Unreadable},
		{"/etc", 9, unix.EISDIR, posture.Unreadable},
		{"/etc/os-release/x", 9, unix.ENOTDIR, posture.Unreadable},
		{"etc/os-release", 9, fs.ErrInvalid, posture.Unreadable},
		{"/etc/fifo", 9, nil, posture.Unreadable},
		{"/etc/socket", 9, nil, posture.Unreadable},
	} {
		_, err := l.File(ctx, c.name, c.limit)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || Absence(err) != c.why {
			t.Errorf("%s: got %v (%v), want %v (%v)", c.name, err, Absence(err), c.want, c.why)
		}
	}
	if _, err := New("/").File(ctx, "/dev/zero", 10); err == nil {
		t.Error("a device was read as a file")
	}
	if got, err := New("/").File(ctx, "/proc/self/comm", 100); err != nil || len(got) == 0 {
		t.Errorf("a file of the kernel: got %q, %v", got, err)
	}
}

// TestAReadThatHangsIsLeftBehind reads where the kernel does not come back:
// a socket takes the place of a hung disk.
func TestAReadThatHangsIsLeftBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	go func() {
		<-started
		cancel()
	}()
	_, err := within(ctx, func() (int, error) {
		close(started)
		<-end
		return 1, nil
	})
	if !errors.Is(err, context.Canceled) || Absence(err) != posture.TimedOut {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestPart(t *testing.T) {
	_, l := machine(t, map[string]string{"/disk": "0123456789"})
	for _, c := range []struct {
		offset int64
		length int
		want   string
	}{
		{0, 4, "0123"}, {8, 4, "89"}, {10, 4, ""}, {100, 4, ""}, {3, 0, ""},
	} {
		got, err := l.Part(t.Context(), "/disk", c.offset, c.length)
		if err != nil || string(got) != c.want {
			t.Errorf("part %d+%d: got %q, %v; want %q", c.offset, c.length, got, err, c.want)
		}
	}
	if _, err := l.Part(t.Context(), "/disk", -1, 4); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("negative offset: got %v", err)
	}
}

func TestDirLinkStat(t *testing.T) {
	root, l := machine(t, map[string]string{"/d/b": "bb", "/d/a/x": ""})
	must(t, os.Symlink("a", filepath.Join(root, "d/c")))
	must(t, os.Chtimes(filepath.Join(root, "d/b"), time.Time{}, time.Unix(1_700_000_000, 0)))
	ctx := t.Context()
	list, err := l.Dir(ctx, "/d")
	must(t, err)
	want := []Entry{{"a", fs.ModeDir}, {"b", 0}, {"c", fs.ModeSymlink}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := l.Dir(ctx, "/d/b"); err == nil {
		t.Error("a file was listed as a folder")
	}
	if target, err := l.Link(ctx, "/d/c"); err != nil || target != "a" {
		t.Errorf("link: got %q, %v", target, err)
	}
	if _, err := l.Link(ctx, "/d/b"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file read as a link: got %v", err)
	}
	st, err := l.Stat(ctx, "/d/b")
	must(t, err)
	wantStat := Stat{Type: 0o644, Size: 2, Modified: time.Unix(1_700_000_000, 0).UTC(), Owner: uint32(os.Getuid())}
	if diff := cmp.Diff(wantStat, st); diff != "" {
		t.Errorf("stat (-want +got):\n%s", diff)
	}
	if st, err := l.Stat(ctx, "/d/c"); err != nil || !st.Type.IsDir() {
		t.Errorf("stat follows links: got %+v, %v", st, err)
	}
	if st, err := New("/").Stat(ctx, "/tmp"); err != nil || st.Type != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("stat of /tmp: got %v, %v", st.Type, err)
	}
}

// withCommands makes a reader with an allow-list of its own.
func withCommands(list ...CommandSpec) *linux {
	l := New("/").(*linux)
	l.commands = func(c Command) (CommandSpec, error) {
		i := slices.IndexFunc(list, func(s CommandSpec) bool { return s.Name == c })
		if i < 0 {
			return c.spec(posture.Linux)
		}
		return list[i], nil
	}
	return l
}

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "ours")
	open := filepath.Join(t.TempDir(), "open")
	put(t, "/", open, "#!/bin/sh\n")
	must(t, os.Chmod(open, 0o777))
	sh := []string{"/nonexistent/sh", "/bin/sh"}
	run := func(name Command, script string) CommandSpec {
		return CommandSpec{Name: name, Paths: sh, Args: []string{"-c", script}, Deadline: time.Minute, Limit: 1000}
	}
	l := withCommands(
		run("both", "echo out; echo err >&2; exit 7"),
		run("environment", "env; pwd; cat"),
		run("babble", "yes"),
		run("killed", "kill -9 $$"),
		CommandSpec{Name: "hang", Paths: sh, Args: []string{"-c", "sleep 100000 & wait"}, Deadline: 50 * time.Millisecond, Limit: 1},
		CommandSpec{Name: "absent", Paths: sh[:1], Deadline: time.Minute},
		CommandSpec{Name: "open", Paths: []string{open}, Deadline: time.Minute},
	)
	out, err := l.Run(t.Context(), "both")
	if diff := cmp.Diff(Output{Stdout: []byte("out\n"), Stderr: []byte("err\n"), Exit: 7}, out); err != nil || diff != "" {
		t.Errorf("output (-want +got), %v:\n%s", err, diff)
	}
	out, err = l.Run(t.Context(), "environment")
	must(t, err)
	for _, line := range []string{"LC_ALL=C\n", "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", "\n/\n"} {
		if !strings.Contains(string(out.Stdout), line) {
			t.Errorf("environment: got %q, want %q in it", out.Stdout, line)
		}
	}
	if strings.Contains(string(out.Stdout), "SECRET") {
		t.Errorf("our environment was passed on: %q", out.Stdout)
	}
	for name, want := range map[Command]error{
		"babble":    ErrTooLarge,
		"hang":      context.DeadlineExceeded,
		"absent":    fs.ErrNotExist,
		"open":      fs.ErrPermission,
		"/bin/sh":   fs.ErrPermission,
		"fdesetup":  fs.ErrPermission,
		"no-such-1": fs.ErrPermission,
	} {
		if _, err := l.Run(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if _, err := l.Run(t.Context(), "killed"); err == nil || Absence(err) != posture.Unreadable {
		t.Errorf("a command that was killed: got %v", err)
	}
}

func TestAllowListsAreStrict(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Commands() {
		name := string(c.Name)
		if seen[name] || name == "" || c.On == "" || c.Deadline <= 0 || c.Limit <= 0 || len(c.Paths) == 0 {
			t.Errorf("command %q is doubled or lacks something: %+v", name, c)
		}
		seen[name] = true
		for _, p := range c.Paths {
			base := filepath.Base(p)
			if !filepath.IsAbs(p) || slices.Contains([]string{"sh", "bash", "dash", "env", "sudo", "su", "python3", "perl"}, base) {
				t.Errorf("command %s runs %s", name, p)
			}
		}
	}
	for _, q := range Queries() {
		if q.Name == "" || q.On == "" || q.Deadline <= 0 || q.Limit <= 0 || len(q.Sockets) == 0 || q.Request == "" {
			t.Errorf("query %q lacks something: %+v", q.Name, q)
		}
	}
	if _, err := NFTRuleset.spec(posture.MacOS); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a command of another platform: got %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := SnapdSnaps.spec(posture.Windows); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a query of another platform: got %v, want %v", err, fs.ErrNotExist)
	}
}

// answering listens on a socket below root and answers each question.
func answering(t *testing.T, root, name string, answer func(net.Conn)) {
	t.Helper()
	full := filepath.Join(root, name)
	must(t, os.MkdirAll(filepath.Dir(full), 0o755))
	listener, err := net.Listen("unix", full)
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			answer(c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
}

func reply(text string) func(net.Conn) {
	return func(c net.Conn) {
		c.Read(make([]byte, 1000))
		c.Write([]byte(text))
	}
}

func TestAsk(t *testing.T) {
	ctx := t.Context()
	// A root of its own, because a socket's path is short.
	root, err := os.MkdirTemp("/tmp", "ask")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	l := New(root).(*linux)
	if _, err := l.Ask(ctx, ClamdAnswersVersion); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody there: got %v, want %v", err, fs.ErrNotExist)
	}
	put(t, root, "/run/clamav/clamd.ctl", "left over")
	if _, err := l.Ask(ctx, ClamdAnswersVersion); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a socket that nobody listens on: got %v", err)
	}
	answering(t, root, "/tmp/clamd.socket", reply("ClamAV 1.4.3\x00"))
	if got, err := l.Ask(ctx, ClamdAnswersVersion); err != nil || string(got) != "ClamAV 1.4.3\x00" {
		t.Errorf("version: got %q, %v", got, err)
	}
	for _, c := range []struct {
		name, answer, want string
		fails              error
	}{
		{"body", "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}", "{}", nil},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "{}", nil},
		{"denied", "HTTP/1.0 403 Forbidden\r\n\r\n", "", fs.ErrPermission},
		{"error", "HTTP/1.0 500 Oh\r\n\r\n", "", errAny},
		{"cut", "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n{}", "", errAny},
		{"rubbish", "hello", "", errAny},
		{"flood", "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", large), "", ErrTooLarge},
	} {
		must(t, os.RemoveAll(filepath.Join(root, "run/snapd.socket")))
		t.Run(c.name, func(t *testing.T) {
			answering(t, root, "/run/snapd.socket", reply(c.answer))
			got, err := l.Ask(ctx, SnapdSnaps)
			if string(got) != c.want || (err != nil) != (c.fails != nil) || !errors.Is(c.fails, errAny) && !errors.Is(err, c.fails) {
				t.Errorf("got %.40q, %v; want %q, %v", got, err, c.want, c.fails)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		must(t, os.RemoveAll(filepath.Join(root, "run/snapd.socket")))
		asked, cancel := context.WithCancel(ctx)
		answering(t, root, "/run/snapd.socket", func(c net.Conn) {
			c.Read(make([]byte, 1000))
			cancel()
			c.Read(make([]byte, 1))
		})
		if _, err := l.Ask(asked, SnapdSnaps); Absence(err) != posture.TimedOut {
			t.Errorf("got %v, want timed out", err)
		}
	})
}

var errAny = errors.New("any error")

func TestAskRefusesAnOrdinaryUsersSocket(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("being another user needs root")
	}
	root, err := os.MkdirTemp("/tmp", "ask")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	must(t, os.Mkdir(filepath.Join(root, "tmp"), 0o755))
	must(t, os.Chown(filepath.Join(root, "tmp"), nobody, nobody))
	must(t, os.Chmod(root, 0o755))
	var listener net.Listener
	asNobody(t, func() { listener, err = net.Listen("unix", filepath.Join(root, "tmp/clamd.socket")) })
	must(t, err)
	defer listener.Close()
	if _, err := New(root).Ask(t.Context(), ClamdAnswersVersion); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
}

func TestProcesses(t *testing.T) {
	own, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	list, err := New("/").Processes(t.Context())
	if err != nil || !slices.ContainsFunc(list, func(p string) bool {
		return strings.HasPrefix(p, strings.TrimSpace(string(own)))
	}) {
		t.Errorf("processes of this machine: got %q, %v", list, err)
	}
	_, l := machine(t, map[string]string{
		"/proc/1/stat": "1 (systemd) S", "/proc/1/comm": "systemd\n",
		"/proc/20/comm":  "clamd\n",
		"/proc/21/comm":  "clamd\n",
		"/proc/22/other": "",
	})
	list, err = l.Processes(t.Context())
	if diff := cmp.Diff([]string{"clamd", "systemd"}, list); err != nil || diff != "" {
		t.Errorf("processes (-want +got), %v:\n%s", err, diff)
	}
	_, l = machine(t, map[string]string{"/proc/20/comm": "own\n"})
	if list, err := l.Processes(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("others' processes hidden: got %q, %v; want %v", list, err, fs.ErrPermission)
	}
}

func TestBoot(t *testing.T) {
	id, up, err := Boot(t.Context(), New("/"))
	if err != nil || len(id) != 36 || up <= 0 {
		t.Errorf("this boot: got %q, %v, %v", id, up, err)
	}
}

func FuzzUptime(f *testing.F) {
	for _, s := range []string{"3074.65 6000.1\n", "", "NaN", "-1", "1e300", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		up, err := parseUptime(text)
		if up < 0 || err != nil && up != 0 {
			t.Errorf("%q: got %v, %v", text, up, err)
		}
	})
}

func FuzzBootID(f *testing.F) {
	f.Add("ce49fe02-6019-44de-a470-808cfd83b696\n")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := parseBootID(text); err == nil && len(id) != 36 {
			t.Errorf("%q: got %q", text, id)
		}
	})
}

func FuzzHTTPBody(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if body, err := httpBody(raw); len(body) > len(raw) || err != nil && body != nil {
			t.Errorf("%q: got %q, %v", raw, body, err)
		}
	})
}

// TestSystemChildCanRun runs apt-get as the confined child would:
// it needs a place for what it unpacks.
func TestSystemChildCanRun(t *testing.T) {
	if _, err := os.Stat("/usr/bin/apt-get"); err != nil {
		t.Skip("there is no apt-get here")
	}
	c := child("apt", Limits{Deadline: 10 * time.Minute, Memory: roomy.Memory, MaxAnswer: roomy.MaxAnswer}) // it yields to all others
	c.Role = SystemChild
	ended, err := c.Run(t.Context(), nil)
	if err != nil || !strings.HasPrefix(string(ended.Answer), "0 ") {
		t.Errorf("apt-get in a child: got %.300q, %v", ended.Answer, err)
	}
}

func childApt() {
	out, err := New("/").Run(context.Background(), APTPending)
	fmt.Println(out.Exit, err, string(out.Stderr))
}
