package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What a laptop has that is measured: as many files and packages as the
// limits speak of.
const (
	filesOfPeople = 20_000
	packages      = 1_000
)

const pupil = "pupil:x:1000:1000:Pupil:/home/pupil:/bin/sh\n"

// writeLaptop writes what the agent is to find: people, their files, and the
// list of installed packages.
func writeLaptop(dir string, passwd []byte) error {
	home := filepath.Join(dir, "home")
	for i := range filesOfPeople {
		folder := filepath.Join(home, "pupil", []string{"Documents", "Downloads", "Desktop", "projects"}[i%4], strconv.Itoa(i/200))
		if i < 4 || i%200 < 4 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return fmt.Errorf("write people's files: %w", err)
			}
		}
		content := fmt.Sprintf("Lesson plan %d.\n", i)
		switch i % 20 {
		case 7:
			content = "#!/bin/sh\necho " + content
		case 13:
			content = elfHeader + content
		}
		if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write people's files: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "passwd"), withPupil(passwd), 0o644); err != nil {
		return fmt.Errorf("write the list of people: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), packageList(packages), 0o644); err != nil {
		return fmt.Errorf("write the list of packages: %w", err)
	}
	return nil
}

// elfHeader begins a 64-bit little-endian ELF program without sections.
const elfHeader = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x02\x00\x3e\x00\x01\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// withPupil returns a list of users with one person in it.
func withPupil(passwd []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(passwd)) {
		field := strings.Split(line, ":")
		if uid, err := strconv.Atoi(field[min(2, len(field)-1)]); err == nil && (uid < 1000 || uid >= 65534) {
			out.WriteString(line)
		}
	}
	out.WriteString(pupil)
	return out.Bytes()
}

// libraries are what the other packages need. Without them apt would find the
// laptop broken and give no answer that could be remembered.
var libraries = []string{"libc6", "libgcc-s1", "libstdc++6"}

// packageList returns a list of installed packages as dpkg writes it: the
// libraries first.
func packageList(n int) []byte {
	var out bytes.Buffer
	for _, name := range libraries {
		fmt.Fprintf(&out, "Package: %s\nStatus: install ok installed\nPriority: optional\nSection: libs\nMulti-Arch: same\n"+
			"Installed-Size: 100\nMaintainer: Hollybank Packagers <packages@hollybank.example>\nArchitecture: amd64\nVersion: 99.0-1\n"+
			"Description: library\n\n", name)
	}
	for i := range n - len(libraries) {
		fmt.Fprintf(&out, "Package: lesson-%04d\nStatus: install ok installed\nPriority: optional\nSection: education\n"+
			"Installed-Size: %d\nMaintainer: Hollybank Packagers <packages@hollybank.example>\nArchitecture: amd64\nVersion: 2.%d.0-1\n"+
			"Depends: libc6 (>= 2.36), libgcc-s1 (>= 3.0), libstdc++6 (>= 11)\nConffiles:\n /etc/lesson/%04d.conf 0123456789abcdef0123456789abcdef\n"+
			"Description: lesson number %d\n%sHomepage: https://lessons.example/%04d\n\n",
			i, 100+i, i, i, i, strings.Repeat(" It helps a class to learn something that it did not know before.\n", 6), i)
	}
	return out.Bytes()
}

// What is hashed: many programs of sizes that occur in downloads.
const (
	programs     = 700
	programBytes = 350 << 20 // of all, about
)

// writePrograms writes a machine whose one person has programs in Downloads.
// It returns the folder of the machine, the files, and their bytes.
func writePrograms(dir string) (root string, files []string, total int64, err error) {
	root = filepath.Join(dir, "machine")
	downloads := filepath.Join(root, "home", "pupil", "Downloads")
	if err := errors.Join(
		os.MkdirAll(downloads, 0o755), os.MkdirAll(filepath.Join(root, "etc"), 0o755), os.MkdirAll(filepath.Join(root, "proc", "self"), 0o755),
	); err != nil {
		return "", nil, 0, fmt.Errorf("write programs: %w", err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 2*programBytes/programs)
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	copy(content, elfHeader)
	for i := range programs {
		name := filepath.Join(downloads, fmt.Sprintf("program-%04d", i))
		size := len(elfHeader) + r.IntN(len(content)-len(elfHeader))
		copy(content[len(elfHeader):], strconv.Itoa(i))
		if err := os.WriteFile(name, content[:size], 0o644); err != nil {
			return "", nil, 0, fmt.Errorf("write programs: %w", err)
		}
		files, total = append(files, name), total+int64(size)
	}
	for name, text := range map[string]string{
		"etc/passwd": pupil, "proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return "", nil, 0, fmt.Errorf("write programs: %w", err)
		}
	}
	return root, files, total, nil
}
