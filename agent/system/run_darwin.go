package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// firstMacPerson is the first user id that macOS gives to people: those
	// below are its own, also that of the window for signing in.
	firstMacPerson = 501
	macAdminGroup  = 80
	console        = "/dev/console"
)

// macEnvironment is what every command is given.
var macEnvironment = []string{"LC_ALL=C", "LANG=C", "TZ=UTC", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR=/private/var/empty"}

// Run implements Reader. The command has a process group of its own, which is
// killed as a whole at the deadline.
func (d *darwin) Run(ctx context.Context, c Command) (Output, error) {
	spec, err := d.commands(c)
	if err != nil {
		return Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer cancel()
	out, err := within(ctx, func() (Output, error) {
		program, err := macProgram(spec.Paths)
		if err != nil {
			return Output{}, err
		}
		args, home := spec.Args, "/private/var/empty"
		if spec.AsConsoleUser {
			if program, args, home, err = asConsoleUser(program, args); err != nil {
				return Output{}, err
			}
		}
		return runCommand(ctx, program, args, append([]string{"HOME=" + home}, macEnvironment...), spec.Limit, &syscall.SysProcAttr{Setpgid: true})
	})
	if err != nil {
		return Output{}, fmt.Errorf("run %s: %w", c, err)
	}
	return out, nil
}

// macProgram finds the command's program. One that others than root may change,
// or whose folders they may, is refused: it would give them whatever rights the
// agent has. Administrators may install applications, and become root anyway.
func macProgram(paths []string) (string, error) {
	for _, name := range paths {
		var st unix.Stat_t
		err := unix.Lstat(name, &st)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || !onlyRootChanges(&st) {
			return "", fmt.Errorf("%s is not a file that only root may change: %w", name, fs.ErrPermission)
		}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			if err := unix.Lstat(dir, &st); err != nil {
				return "", err
			}
			if st.Mode&unix.S_IFMT != unix.S_IFDIR || !onlyRootChanges(&st) {
				return "", fmt.Errorf("%s is not a folder that only root may change: %w", dir, fs.ErrPermission)
			}
			if dir == "/" {
				return name, nil
			}
		}
	}
	return "", fs.ErrNotExist
}

func onlyRootChanges(st *unix.Stat_t) bool {
	return st.Uid == 0 && st.Mode&0o002 == 0 && (st.Mode&0o020 == 0 || st.Gid == 0 || st.Gid == macAdminGroup)
}

// asConsoleUser returns what runs a program as whoever is signed in at the
// screen, in that person's session. The number of the user, which the kernel
// tells, is all that is added to the command.
func asConsoleUser(program string, args []string) (string, []string, string, error) {
	var st unix.Stat_t
	if err := unix.Stat(console, &st); err != nil {
		return "", nil, "", err
	}
	if st.Uid < firstMacPerson {
		return "", nil, "", ErrNobody
	}
	switch os.Geteuid() {
	case int(st.Uid):
		home, err := os.UserHomeDir()
		return program, args, home, err
	case 0:
		id := strconv.FormatUint(uint64(st.Uid), 10)
		prefix := []string{"asuser", id, "/usr/bin/sudo", "-n", "-H", "-u", "#" + id, "--", program}
		return "/bin/launchctl", append(prefix, args...), "/private/var/empty", nil
	}
	return "", nil, "", fs.ErrPermission
}
