package exchange

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Dressed is a laptop for a released agent, which reads the machine that it
// runs on: this machine, with people, their files and a list of packages of
// our own in the place of its own, in a mount namespace that nothing but the
// agent is in. At each turn the person who uses it has another program in a
// folder. It needs Linux and root.
type Dressed struct {
	program string // the agent, in the folder
	folder  string
}

// disguise gives the agent the folder's home, passwd and status for those of
// the machine, hides what others leave in folders for anybody, and runs it.
// The folder stays within reach although it may lie in one of those.
const disguise = `set -e
mount -t tmpfs none /mnt
mkdir /mnt/laptop /mnt/state
mount --bind "$1" /mnt/laptop
mount --bind "$2" /mnt/state
mount --bind "$1/home" /home
mount --bind "$1/etc/passwd" /etc/passwd
[ ! -e /var/lib/dpkg/status ] || mount --bind "$1/etc/status" /var/lib/dpkg/status
for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 none "$d"; done
exec /mnt/laptop/agent run --state /mnt/state`

const (
	pupil  = "pupil:x:1000:1000:Pupil:/home/pupil:/bin/sh\n"
	lesson = "Package: lesson\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n"
	// elfHeader begins a 64-bit little-endian ELF program without sections.
	elfHeader = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x00\x3e\x00\x01\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// NewDressed makes a laptop in a folder for an agent.
func NewDressed(folder, agent string) (Dressed, error) {
	d := Dressed{program: filepath.Join(folder, "agent"), folder: folder}
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return d, errors.New("dress this machine up for an agent: that needs Linux and root")
	}
	downloads := filepath.Join(folder, "home", "pupil", "Downloads")
	passwd, err := os.ReadFile("/etc/passwd")
	if err := errors.Join(err, os.MkdirAll(downloads, 0o755), os.MkdirAll(filepath.Join(folder, "etc"), 0o755),
		copyProgram(d.program, agent)); err != nil {
		return d, fmt.Errorf("make a laptop for the agent: %w", err)
	}
	people := pupil
	for line := range strings.Lines(string(passwd)) {
		if strings.HasPrefix(line, "root:") || strings.HasPrefix(line, "nobody:") {
			people += line
		}
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(folder, "etc", "passwd"), []byte(people), 0o644),
		os.WriteFile(filepath.Join(folder, "etc", "status"), []byte(lesson), 0o644),
	); err != nil {
		return d, fmt.Errorf("make a laptop for the agent: %w", err)
	}
	return d, d.Change(0)
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Command implements Laptop.
func (d Dressed) Command(state string) []string {
	return []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", disguise, "sh", d.folder, state}
}

// Change implements Laptop.
func (d Dressed) Change(turn int) error {
	name := filepath.Join(d.folder, "home", "pupil", "Downloads", "lesson")
	return replace(name, []byte(elfHeader+fmt.Sprintf("lesson number %d", turn)))
}

// Asks implements Laptop: an agent does at once what it is asked three times,
// and then spares the laptop's battery.
func (d Dressed) Asks() int { return 3 }
