// Package archtest holds the architecture as tests: who may import whom, that
// every package says what it is, and what the agent carries. It is tests only
// and nothing imports it.
package archtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the agent's list of dependencies")

const module = "github.com/caretaker-school/caretaker/"

// A rule says what the packages of one room may import.
type rule struct {
	in    string   // the room; "…/..." for all below it
	may   []string // rooms of this project, beside the room's own sub-packages
	never []string // packages of the standard library or of others, by prefix
	mayX  []string // if set, the only packages of others that it may import, by prefix
}

// domain lists what rooms of pure thought never touch.
var domain = []string{"os", "net", "io/fs", "os/exec", "golang.org/x/sys", "google.golang.org/grpc", "database/sql"}

var none = []string{"nothing"}

// rules is the table of shared/docs/decisions/0002-rooms.md: a room that is
// not in it may not exist.
var rules = []rule{
	{in: "shared/posture", never: domain, mayX: none},
	{in: "shared/clock", mayX: none},
	{in: "shared/release", mayX: none},
	{in: "shared/policy", may: []string{"shared/posture"}, never: domain, mayX: []string{
		"cel.dev/cel-go/common", "cel.dev/cel-go/interpreter", "cel.dev/expr", "cel.dev/cel-go/checker/decls", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/api/expr",
	}},
	{in: "shared/proof", never: domain, mayX: []string{"golang.org/x/crypto/cryptobyte", "golang.org/x/mod/sumdb"}},
	{in: "shared/wire", may: []string{"shared/posture", "shared/proof"}, never: []string{"os", "net"}},
	{in: "shared/identity", may: []string{"shared/durable", "shared/posture", "shared/proof", "shared/clock", "shared/release"}},
	{in: "shared/durable", mayX: []string{"golang.org/x/sys"}},
	{in: "shared/publisher", may: []string{"shared/durable"}, mayX: []string{"golang.org/x/mod/semver", "github.com/secure-systems-lab/go-securesystemslib/cjson"}},

	{in: "agent/plist", never: []string{"os", "os/exec", "net"}},
	{in: "agent/system", may: []string{"agent/plist", "shared/posture", "shared/clock", "shared/durable", "shared/release"}},
	{in: "agent/probe", may: []string{"agent/plist", "agent/system", "shared/posture"}, never: []string{"os", "os/exec", "net", "golang.org/x/sys"}},
	{in: "agent/assess", may: []string{"agent/probe", "agent/system", "shared/policy", "shared/posture", "shared/wire", "shared/proof", "shared/clock"}, never: []string{"os", "net", "os/exec"}},
	{in: "agent/spool", may: []string{"shared/durable"}},
	{in: "agent/route", may: []string{"agent/plist", "shared/durable", "shared/wire"}, never: []string{"os/exec"}},
	{in: "agent/uplink", may: []string{"shared/publisher", "agent/route", "agent/spool", "shared/clock", "shared/wire", "shared/identity", "shared/proof", "shared/posture", "shared/policy", "shared/release"}},
	{in: "agent/tpm", may: []string{"shared/durable"}, mayX: []string{"github.com/google/go-tpm", "golang.org/x/sys"}},
	{in: "agent/enroll", may: []string{"agent/route", "agent/tpm", "shared/wire", "shared/identity", "shared/durable", "shared/clock", "shared/posture", "shared/policy", "shared/proof", "shared/release"}},
	{in: "agent/update", may: []string{"shared/clock", "shared/durable", "shared/publisher"}},
	{in: "agent/daemon"},
	{in: "agent/app", may: []string{"agent/...", "shared/..."}},
	{in: "agent", may: []string{"agent/...", "shared/..."}},

	{in: "installers/macos", mayX: none},

	{in: "collector/ledger", may: []string{"shared/proof", "shared/durable", "shared/clock", "shared/posture"}},
	{in: "collector/roster", may: []string{"shared/wire", "collector/body", "collector/admission", "collector/incident", "collector/ledger", "collector/restricted", "shared/posture", "shared/proof", "shared/policy", "shared/clock", "shared/durable", "shared/identity"}},
	{in: "collector/intake", may: []string{"shared/publisher", "collector/ledger", "collector/roster", "shared/wire", "shared/identity", "shared/proof", "shared/clock", "shared/posture", "shared/policy", "shared/release"}},
	{in: "collector/enroll", may: []string{"collector/admission", "collector/ledger", "collector/register", "collector/roster", "shared/wire", "shared/identity", "shared/proof", "shared/clock", "shared/posture", "shared/policy", "shared/durable", "shared/release"}},
	{in: "collector/fault", never: domain, mayX: none},
	{in: "collector/body", never: domain, mayX: none},
	{in: "collector/viewing", may: []string{"collector/body", "shared/durable", "shared/posture", "shared/proof"}, never: []string{"net", "log"}, mayX: none},
	{in: "collector/saved", may: []string{"collector/body", "shared/durable", "shared/posture"}, mayX: none},
	{in: "collector/rulebook", may: []string{"collector/fault", "shared/posture", "shared/policy"}},
	{in: "collector/calendar", may: []string{"collector/fault"}, never: domain, mayX: []string{"go.yaml.in/yaml"}},
	{in: "collector/breach", may: []string{"collector/calendar", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/register", may: []string{"collector/body", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/summary", never: domain, mayX: none},
	{in: "collector/subject", may: []string{"collector/body", "collector/incident", "collector/register", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/particulars", never: []string{"os", "io/fs", "net/http"}, mayX: none},
	{in: "collector/incident", may: []string{"collector/body", "collector/register", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/concern", may: []string{"collector/body", "collector/incident"}, never: domain, mayX: none},
	{in: "collector/dispute", may: []string{"collector/body", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/admission", may: []string{"collector/body", "shared/posture"}, never: domain, mayX: none},
	{in: "collector/restricted", may: []string{"collector/incident", "collector/register", "shared/posture"}, never: domain, mayX: []string{"filippo.io/age"}},
	{in: "collector/view", may: []string{"collector/release", "collector/admission", "collector/release", "collector/dispute", "collector/subject", "collector/concern", "collector/particulars", "collector/viewing", "collector/breach", "collector/calendar", "collector/incident", "collector/register", "shared/posture", "shared/policy"}},
	{in: "collector/projection", may: []string{"collector/dispute", "collector/subject", "collector/concern", "collector/viewing", "collector/admission", "collector/summary", "collector/restricted", "collector/calendar", "collector/ledger", "collector/roster", "collector/view", "collector/breach", "collector/incident", "collector/register", "collector/decision", "shared/posture", "shared/policy", "shared/wire", "shared/proof", "shared/identity", "shared/clock"}},
	{in: "collector/decision", may: []string{"collector/release", "collector/dispute", "collector/subject", "collector/concern", "collector/particulars", "collector/body", "collector/admission", "collector/ledger", "collector/breach", "collector/calendar", "collector/incident", "collector/register", "shared/posture", "shared/proof", "shared/clock"}},
	{in: "collector/evidence", may: []string{"collector/admission", "collector/decision", "collector/dispute", "collector/summary", "collector/ledger", "collector/roster", "collector/incident", "collector/register", "shared/posture", "shared/proof", "shared/identity", "shared/wire"}, never: []string{"os", "net"}},
	{in: "collector/retention", may: []string{"collector/dispute", "collector/body", "collector/viewing", "collector/admission", "collector/decision", "collector/ledger", "collector/roster", "collector/incident", "collector/register", "shared/posture", "shared/proof", "shared/wire"}, never: []string{"os", "net"}},
	{in: "collector/access", may: []string{"shared/durable", "shared/clock", "shared/posture"}},
	{in: "collector/release", may: []string{"shared/clock", "shared/durable", "shared/posture", "shared/publisher"}},
	{in: "collector/certificate", may: []string{"shared/clock", "shared/durable"}},
	{in: "collector/health"},
	{in: "collector/daemon", never: []string{"os", "net"}, mayX: []string{"github.com/kardianos/service", "golang.org/x/sys"}},
	{in: "collector/backup", may: []string{"shared/posture", "shared/proof"}, mayX: []string{"filippo.io/age"}},
	{in: "collector/web", may: []string{"collector/release", "collector/dispute", "collector/health", "collector/fault", "collector/saved", "collector/register", "collector/restricted", "collector/calendar", "collector/admission", "collector/subject", "collector/concern", "collector/particulars", "collector/viewing", "collector/summary", "collector/view", "collector/breach", "collector/decision", "collector/evidence", "collector/incident", "collector/access", "shared/posture", "shared/clock", "shared/release", "shared/policy"}},
	{in: "collector/api", may: []string{"collector/release", "collector/dispute", "collector/health", "collector/subject", "collector/concern", "collector/particulars", "collector/viewing", "collector/summary", "collector/admission", "collector/view", "collector/fault", "collector/breach", "collector/calendar", "collector/incident", "collector/register", "collector/restricted", "collector/access", "collector/decision", "shared/posture", "shared/clock"}},
	{in: "collector/notify", may: []string{"collector/concern", "collector/view", "collector/access", "collector/incident", "shared/posture", "shared/clock", "shared/durable"}},
	{in: "collector/metrics", may: []string{"collector/view", "shared/posture"}},
	{in: "collector/console", may: []string{"shared/durable", "shared/clock"}},
	{in: "collector/app", may: []string{"collector/...", "shared/..."}},
	{in: "collector", may: []string{"collector/...", "shared/..."}},
}

// pkg is what `go list` tells about a package.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	GoFiles    []string
}

func goList(t *testing.T, env []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Dir,Standard,Imports,GoFiles"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatalf("read what go list printed: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

// everywhere lists the project's packages on every system that has an agent.
func everywhere(t *testing.T) map[string]pkg {
	t.Helper()
	all := map[string]pkg{}
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range goList(t, []string{"GOOS=" + goos, "CGO_ENABLED=0"}, "./...") {
			known, ok := all[p.ImportPath]
			if ok {
				p.Imports = append(p.Imports, known.Imports...)
				p.GoFiles = append(p.GoFiles, known.GoFiles...)
			}
			all[p.ImportPath] = p
		}
	}
	return all
}

// room returns the rule for a package: the one of the longest room that is the
// package or holds it.
func room(path string) (rule, bool) {
	var best rule
	found := false
	for _, r := range rules {
		if (path == r.in || strings.HasPrefix(path, r.in+"/")) && len(r.in) >= len(best.in) {
			if (r.in == "agent" || r.in == "collector") && path != r.in {
				continue
			}
			best, found = r, true
		}
	}
	return best, found
}

func TestImportsGoOneWay(t *testing.T) {
	for path, p := range everywhere(t) {
		path = strings.TrimPrefix(path, module)
		if testsOnly(path) || len(p.GoFiles) == 0 {
			continue
		}
		r, ok := room(path)
		if !ok {
			t.Errorf("%s is in no room: give it a row in the table, with the reason in shared/docs/decisions", path)
			continue
		}
		for _, imp := range p.Imports {
			if !r.allows(imp) {
				t.Errorf("%s imports %s, which its room may not", path, imp)
			}
		}
	}
}

// testsOnly reports whether a package exists for tests or tools and is free to
// import what it needs; nothing but tests may import it (TestNobodyImportsTests).
func testsOnly(path string) bool {
	return path == "shared/archtest" || strings.HasPrefix(path, "shared/e2e") || strings.HasPrefix(path, "shared/tools") ||
		strings.HasSuffix(path, "test") || strings.Contains(path, "/internal/gen")
}

func (r rule) allows(imp string) bool {
	if inner, ours := strings.CutPrefix(imp, module); ours {
		if testsOnly(inner) {
			return false
		}
		if inner == r.in || strings.HasPrefix(inner, r.in+"/") && r.in != "agent" && r.in != "collector" {
			return true
		}
		return slices.ContainsFunc(r.may, func(m string) bool {
			if dir, all := strings.CutSuffix(m, "/..."); all {
				return strings.HasPrefix(inner, dir+"/")
			}
			return inner == m || strings.HasPrefix(inner, m+"/")
		})
	}
	for _, n := range r.never {
		if imp == n || strings.HasPrefix(imp, n+"/") {
			return false
		}
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return true // standard library
	}
	if strings.HasPrefix(imp, "github.com/dgraph-io/badger") {
		return r.in == "collector/view"
	}
	if r.mayX == nil {
		return true
	}
	return slices.ContainsFunc(r.mayX, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") })
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	for path, p := range everywhere(t) {
		if len(p.GoFiles) == 0 || strings.HasSuffix(path, "/wirepb") {
			continue
		}
		comment := ""
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatalf("parse %s: %v", f, err)
			}
			if doc := file.Doc.Text(); doc != "" && !constraint.IsGoBuild(doc) {
				comment = doc
			}
		}
		if len(comment) < 60 {
			t.Errorf("%s has no package comment that says what it is and what it never does", path)
		}
	}
}

// TestAgentDependencies freezes what the agent carries: a new dependency is a
// decision, made by changing the committed list.
func TestAgentDependencies(t *testing.T) {
	const file = "agent-dependencies.txt"
	deps := map[string]bool{}
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range goList(t, []string{"GOOS=" + goos, "CGO_ENABLED=0"}, "-deps", "-tags=grpcnotrace", "./agent") {
			if !p.Standard {
				deps[p.ImportPath] = true
			}
		}
	}
	var list []string
	for d := range deps {
		list = append(list, d)
	}
	slices.Sort(list)
	got := strings.Join(list, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the agent's dependencies changed; if that is meant, say why in shared/docs/dependencies.md and run go test ./shared/archtest -update\n%s", diff(string(want), got))
	}
	for _, d := range list {
		for _, never := range []string{"cel.dev/cel-go/parser", "cel.dev/cel-go/checker", "github.com/antlr4-go", "go.yaml.in/yaml", "html/template", "text/template", "github.com/dgraph-io/badger"} {
			if (d == never || strings.HasPrefix(d, never+"/")) && d != "cel.dev/cel-go/checker/decls" {
				t.Errorf("the agent carries %s: it evaluates compiled rules and parses none", d)
			}
		}
	}
}

func diff(want, got string) string {
	var b strings.Builder
	for line := range strings.Lines(got) {
		if !strings.Contains("\n"+want, "\n"+line) {
			b.WriteString("+ " + line)
		}
	}
	for line := range strings.Lines(want) {
		if !strings.Contains("\n"+got, "\n"+line) {
			b.WriteString("- " + line)
		}
	}
	return b.String()
}

// TestTimeIsAnArgument finds calls of time.Now and its kin outside the one
// package that may make them, the two programs and tests.
func TestTimeIsAnArgument(t *testing.T) {
	calls := []string{"time.Now()", "time.Since(", "time.Until(", "time.Sleep(", "time.After(", "time.NewTimer(", "time.NewTicker(", "time.Tick(", "time.AfterFunc("}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("../..", path)
		if d.IsDir() && (strings.HasPrefix(rel, ".") && rel != "." || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			dir == "shared/clock" || dir == "agent" || dir == "collector" || testsOnly(dir) {
			return nil
		}
		src, err := os.Open(path)
		if err != nil {
			return err
		}
		defer src.Close()
		lines := bufio.NewScanner(src)
		for n := 1; lines.Scan(); n++ {
			code, _, _ := strings.Cut(lines.Text(), "//")
			for _, c := range calls {
				if strings.Contains(code, c) {
					t.Errorf("%s:%d calls %s…: take the time as an argument or from a clock.Clock", rel, n, c)
				}
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTopLevel keeps the front door tidy.
func TestTopLevel(t *testing.T) {
	allowed := []string{"agent", "collector", "shared", "installers", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
	out, err := exec.Command("git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(line), "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(allowed, top) {
			t.Errorf("%s does not belong at the top level", strings.TrimSpace(line))
		}
	}
}
