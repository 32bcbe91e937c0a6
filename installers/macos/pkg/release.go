package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/caretaker-school/caretaker/installers/macos"
)

const (
	identifier = "school.caretaker.agent"
	program    = "./Library/PrivilegedHelperTools/" + identifier
	service    = "./Library/LaunchDaemons/" + identifier + ".plist"
)

// Modes as <sys/stat.h> has them: the kind of a file, and who may do what.
const (
	isFolder  = 0o040000
	isFile    = 0o100000
	modeKinds = 0o170000
)

// entry is a file or folder that a package brings. Everything is root's and the
// group wheel's, who are both number 0.
type entry struct {
	path string // from "." on
	mode uint16
	data []byte
}

func (e entry) folder() bool { return e.mode&modeKinds == isFolder }

// release is a version of the agent, to be packed.
type release struct {
	Version string
	Files   []entry // each after its folder
	made    time.Time
}

var versions = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,2}$`)

func newRelease(version, programFile string) (release, error) {
	if !versions.MatchString(version) {
		return release{}, fmt.Errorf("pack the agent: %q is no version: the Installer compares up to three numbers, as in 1.2.0", version)
	}
	made, err := built()
	if err != nil {
		return release{}, err
	}
	data, err := os.ReadFile(programFile)
	if err != nil {
		return release{}, fmt.Errorf("pack the agent: %w", err)
	}
	return release{Version: version, made: made, Files: []entry{
		{".", isFolder | 0o755, nil},
		{"./Library", isFolder | 0o755, nil},
		{"./Library/LaunchDaemons", isFolder | 0o755, nil},
		{"./Library/PrivilegedHelperTools", isFolder | 0o1755, nil},
		{service, isFile | 0o644, macos.Service},
		{program, isFile | 0o755, data},
	}}, nil
}

// KBytes is how much it takes on a disk.
func (r release) KBytes() (n int) {
	for _, f := range r.Files {
		n += (len(f.data) + 1023) / 1024
	}
	return n
}

// Identifier is by which a Mac knows the package: as it knows the service.
func (release) Identifier() string { return identifier }

//go:embed PackageInfo.xml
var packageInfo string

//go:embed Distribution.xml
var distribution string

func (r release) fill(text string) ([]byte, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("pack the agent: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("pack the agent: %w", err)
	}
	return out.Bytes(), nil
}

// write writes the package: an archive (xar.go) of what the Installer asks and
// shows, and of one component: what it is, its files (cpio.go), their list (bom.go)
// and what is run when they are there.
func (r release) write(w io.Writer) error {
	about, err := r.fill(packageInfo)
	if err != nil {
		return err
	}
	asks, err := r.fill(distribution)
	if err != nil {
		return err
	}
	payload, err := cpio(r.Files, r.made)
	if err != nil {
		return err
	}
	scripts, err := cpio([]entry{{".", isFolder | 0o755, nil}, {"./postinstall", isFile | 0o755, macos.PostInstall}}, r.made)
	if err != nil {
		return err
	}
	return xar(w, r.made, []entry{
		{"Distribution", isFile | 0o644, asks},
		{"agent.pkg", isFolder | 0o755, nil},
		{"agent.pkg/Bom", isFile | 0o644, bom(r.Files, r.made)},
		{"agent.pkg/PackageInfo", isFile | 0o644, about},
		{"agent.pkg/Payload", isFile | 0o644, payload},
		{"agent.pkg/Scripts", isFile | 0o644, scripts},
	})
}

// parent is the path of an entry's folder, and its own name in it.
func (e entry) parent() (folder, name string) {
	i := strings.LastIndexByte(e.path, '/')
	if i < 0 {
		return "", e.path
	}
	return e.path[:i], e.path[i+1:]
}
