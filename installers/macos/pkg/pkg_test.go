package main

import (
	"bytes"
	"debug/macho"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/installers/macos"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reader runs bsdtar, which reads archives of both kinds and is nobody's of ours.
func reader(t *testing.T, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath("bsdtar"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no bsdtar to read the package with: install libarchive-tools")
		}
		t.Skip("there is no bsdtar to read the package with")
	}
	cmd := exec.CommandContext(t.Context(), "bsdtar", arguments...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bsdtar %v: %v: %s", arguments, err, &stderr)
	}
	return string(out)
}

// packed is a package of a program of a few bytes, and the folder it lies in.
func packed(t *testing.T, said string) (file, dir string) {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600") // 2026-01-01 in UTC
	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "program"), []byte(said), 0o755))
	file = filepath.Join(dir, "made.pkg")
	must(t, run([]string{"pack", "1.2.0", filepath.Join(dir, "program"), file}))
	return file, dir
}

// TestAnotherReaderReadsThePackage: the archive, the component in it, and in that
// the files and the script, with their owners and modes.
func TestAnotherReaderReadsThePackage(t *testing.T) {
	file, dir := packed(t, "program")
	if got := strings.Fields(reader(t, "-tf", file)); strings.Join(got, " ") != "Distribution agent.pkg agent.pkg/Bom agent.pkg/PackageInfo agent.pkg/Payload agent.pkg/Scripts" {
		t.Errorf("the package holds %q", got)
	}
	reader(t, "-xf", file, "-C", dir)
	component := filepath.Join(dir, "agent.pkg")

	var seen []string
	for line := range strings.Lines(reader(t, "-tvf", filepath.Join(component, "Payload"), "--numeric-owner")) {
		f := strings.Fields(line) // mode, links, user, group, size, month, day, year, path
		seen = append(seen, strings.Join([]string{f[0], f[2], f[3], f[len(f)-1]}, " "))
	}
	want := []string{
		"drwxr-xr-x 0 0 .",
		"drwxr-xr-x 0 0 ./Library",
		"drwxr-xr-x 0 0 ./Library/LaunchDaemons",
		"drwxr-xr-t 0 0 ./Library/PrivilegedHelperTools",
		"-rw-r--r-- 0 0 ./Library/LaunchDaemons/school.caretaker.agent.plist",
		"-rwxr-xr-x 0 0 ./Library/PrivilegedHelperTools/school.caretaker.agent",
	}
	if strings.Join(seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("the files are\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	if got := reader(t, "-xOf", filepath.Join(component, "Payload"), program); got != "program" {
		t.Errorf("the program is %q", got)
	}
	if got := reader(t, "-xOf", filepath.Join(component, "Payload"), service); got != string(macos.Service) {
		t.Errorf("the service is %q", got)
	}
	if got := reader(t, "-tvf", filepath.Join(component, "Scripts")); !strings.Contains(got, "-rwxr-xr-x") || !strings.Contains(got, "./postinstall") {
		t.Errorf("the scripts are %s", got)
	}
	if got := reader(t, "-xOf", filepath.Join(component, "Scripts"), "./postinstall"); got != string(macos.PostInstall) {
		t.Errorf("what is run is %q", got)
	}
	info, err := os.ReadFile(filepath.Join(component, "PackageInfo"))
	must(t, err)
	if !strings.Contains(string(info), `identifier="school.caretaker.agent" version="1.2.0" install-location="/"`) {
		t.Errorf("the component says\n%s", info)
	}
	asks, err := os.ReadFile(filepath.Join(dir, "Distribution"))
	must(t, err)
	if !strings.Contains(string(asks), `version="1.2.0"`) || !strings.Contains(string(asks), `hostArchitectures="arm64,x86_64"`) {
		t.Errorf("the package says\n%s", asks)
	}
}

// TestListIsAsAnotherToolWritesIt: testdata/Bom was written by mkbom of bomutils of
// the list beside it, Bom.list.
func TestListIsAsAnotherToolWritesIt(t *testing.T) {
	want, err := os.ReadFile("testdata/Bom")
	must(t, err)
	files := []entry{
		{".", isFolder | 0o755, nil},
		{"./Library", isFolder | 0o755, nil},
		{"./Library/LaunchDaemons", isFolder | 0o755, nil},
		{"./Library/PrivilegedHelperTools", isFolder | 0o1755, nil},
		{service, isFile | 0o644, []byte("service")},
		{program, isFile | 0o755, []byte("program")},
	}
	if got := bom(files, time.Unix(1767225600, 0)); !bytes.Equal(got, want) {
		t.Errorf("the list has %d bytes and is another than mkbom's of %d", len(got), len(want))
	}
}

// TestSameInSameOut: a package is the same whenever and wherever it is made.
func TestSameInSameOut(t *testing.T) {
	one, _ := packed(t, "program")
	other, _ := packed(t, "program")
	a, err := os.ReadFile(one)
	must(t, err)
	b, err := os.ReadFile(other)
	must(t, err)
	if !bytes.Equal(a, b) {
		t.Error("two packages of one program differ")
	}
}

func TestPackRefusesWhatIsNoVersion(t *testing.T) {
	for _, version := range []string{"", "v1.2.0", "1.2.0.4", "1.2.0-4", `1"`, "1.2."} {
		if _, err := newRelease(version, os.DevNull); err == nil {
			t.Errorf("%q is taken for a version", version)
		}
	}
}

// TestOneProgramForEveryMac: what is joined is read by Go's own reader, part by part
// as it was.
func TestOneProgramForEveryMac(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module tiny\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	var parts []string
	for _, arch := range []string{"arm64", "amd64"} {
		out := filepath.Join(dir, arch)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build for %s: %v: %s", arch, err, said)
		}
		parts = append(parts, out)
	}
	whole := filepath.Join(dir, "universal")
	must(t, run([]string{"join", parts[0], parts[1], whole}))
	fat, err := macho.OpenFat(whole)
	must(t, err)
	defer fat.Close()
	data, err := os.ReadFile(whole)
	must(t, err)
	found := map[macho.Cpu]string{macho.CpuArm64: parts[0], macho.CpuAmd64: parts[1]}
	for _, a := range fat.Arches {
		want, err := os.ReadFile(found[a.Cpu])
		must(t, err)
		if a.Offset%(1<<pageBits) != 0 || !bytes.Equal(data[a.Offset:a.Offset+a.Size], want) {
			t.Errorf("the part for %s is another", a.Cpu)
		}
		delete(found, a.Cpu)
	}
	if len(found) > 0 {
		t.Errorf("there is no part for %v", found)
	}
	if err := run([]string{"join", parts[0], parts[0], whole}); err == nil {
		t.Error("two programs for one processor were joined")
	}
	if err := run([]string{"join", parts[0], os.DevNull, whole}); err == nil {
		t.Error("what is no program was joined")
	}
}
