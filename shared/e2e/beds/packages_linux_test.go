package beds

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
)

// packages are Linux packages as `make installers` makes them, of programs that
// believe a publisher of the test's.
type packages struct {
	t    *testing.T
	dist string
	root string // the publisher's, as base64
}

func newPackages(t *testing.T, root []byte) *packages {
	return &packages{t: t, dist: t.TempDir(), root: base64.StdEncoding.EncodeToString(root)}
}

func (p *packages) run(env []string, name string, arguments ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), name, arguments...)
	cmd.Dir = filepath.Dir(filepath.Dir(filepath.Dir(abs(p.t, ""))))
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// program builds one of the two programs as a version, and returns its path.
func (p *packages) program(name, version string) string {
	p.t.Helper()
	const release = "github.com/caretaker-school/caretaker/shared/release"
	out := filepath.Join(p.dist, version, "linux-amd64", "caretaker-"+name)
	p.run([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"}, "go", "build", "-trimpath", "-tags", "grpcnotrace,oneplatform",
		"-ldflags", "-s -w -X "+release+".version="+version+" -X "+release+".root="+p.root, "-o", out, "./"+name)
	return out
}

// of makes the packages of a version of the given programs, and returns all of them.
func (p *packages) of(version string, programs ...string) []string {
	p.t.Helper()
	for _, name := range programs {
		p.program(name, version)
	}
	dist := filepath.Join(p.dist, version)
	p.run([]string{"PATH=" + filepath.Join(abs(p.t, "../../../.tools")) + ":" + os.Getenv("PATH")}, "installers/linux/build.sh", dist, version)
	made, err := filepath.Glob(filepath.Join(dist, "*.*"))
	must(p.t, err)
	if len(made) != 2*len(programs) {
		p.t.Fatalf("built %v", made)
	}
	return made
}

// TestPackagesOnDebian: both packages on a bare Debian with systemd, from the
// installation to the first report on the collector's list, restarted, updated,
// upgraded, removed, installed again and purged; and the same programs as rpm
// packages, put there and taken away by rpm itself. The scripts say what they look
// for.
func TestPackagesOnDebian(t *testing.T) {
	needBeds(t)
	press := publishertest.New(t, time.Now())
	p := newPackages(t, press.Trusted())
	press.Publish("v1.2.0", map[string]string{"linux-amd64": p.program("agent", "v1.2.0")})
	release := filepath.Join(t.TempDir(), "release")
	must(t, os.CopyFS(release, os.DirFS(string(press.Dir))))
	made := slices.Concat(p.of("v1.0.0", "agent", "collector"), p.of("v1.1.0", "agent", "collector"), p.of("v1.3.0", "agent"))

	for kind, more := range map[string][]string{"deb": {"-R", "-f", release}, "rpm": nil} {
		options := append([]string{"-g", "debian", "-t", "1800", "-f", filepath.Join("scripts", "packages.sh")}, more...)
		for _, file := range made {
			if filepath.Ext(file) == "."+kind {
				options = append(options, "-f", file)
			}
		}
		t.Run(kind, func(t *testing.T) { must(t, newGuest(t).run(kind+".sh", options...)) })
	}
	cannot(t, "a desktop, a TPM, a network between laptop and collector; SELinux, dnf and zypper, or a Fedora, openSUSE or Red Hat beneath the rpm")
}
