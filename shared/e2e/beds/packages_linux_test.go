package beds

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// packagesFor builds the packages for Debian as `make installers` does, in a
// folder of their own.
func packagesFor(t *testing.T, version string) []string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	must(t, err)
	dist := t.TempDir()
	programs := filepath.Join(dist, "linux-amd64")
	must(t, os.Mkdir(programs, 0o755))
	run := func(name string, arguments ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, arguments...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "PATH="+filepath.Join(root, ".tools")+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("go", "build", "-trimpath", "-tags", "grpcnotrace,oneplatform", "-o", filepath.Join(programs, "caretaker-agent"), "./agent")
	run("go", "build", "-trimpath", "-o", filepath.Join(programs, "caretaker-collector"), "./collector")
	run("installers/linux/build.sh", dist, version)
	packages, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	must(t, err)
	if len(packages) != 2 {
		t.Fatalf("built %v", packages)
	}
	return packages
}

// TestPackagesOnDebian: both packages on a bare Debian with systemd, from the
// installation to the first report on the collector's list, upgraded, removed,
// installed again and purged. The script says what it looks for.
func TestPackagesOnDebian(t *testing.T) {
	needBeds(t)
	g := newGuest(t)
	options := []string{"-g", "debian", "-t", "900"}
	for _, p := range packagesFor(t, "v1.0.0") {
		options = append(options, "-f", p)
	}
	must(t, g.run("packages.sh", options...))
	cannot(t, "rpm packages, a desktop, a TPM, or a network between laptop and collector")
}
