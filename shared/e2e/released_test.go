package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caretaker-school/caretaker/"

// TestReleasedProgramsCannotBeToldTheTime: the clock that a test drives is not
// in them, and there is no flag and no environment variable for one.
func TestReleasedProgramsCannotBeToldTheTime(t *testing.T) {
	environment := regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ|ExpandEnv)\(`)
	for _, program := range []string{"agent", "collector"} {
		cmd := exec.Command("go", "list", "-deps", "-tags", "grpcnotrace", "-f", "{{.ImportPath}} {{.Dir}} {{.GoFiles}}", "./"+program)
		cmd.Dir = "../.."
		out, err := cmd.Output()
		must(t, err)
		for line := range strings.Lines(string(out)) {
			path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			inner, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			if strings.HasSuffix(inner, "test") || strings.HasPrefix(inner, "shared/e2e") {
				t.Errorf("the released %s contains %s", program, inner)
			}
			dir, files, _ := strings.Cut(rest, " ")
			for _, f := range strings.Fields(strings.Trim(files, "[]")) {
				source, err := os.ReadFile(filepath.Join(dir, f))
				must(t, err)
				for _, use := range environment.FindAllString(string(source), -1) {
					if handed := inner == "agent/update" && use == "os.Environ("; !handed && (use != "os.ExpandEnv(" || inner != program+"/app") { // to the version that follows; default folders on Windows
						t.Errorf("%s/%s reads the environment: %s", inner, f, use)
					}
				}
			}
		}
		settable := regexp.MustCompile(`--\S*(clock|time|now|date)\S*`)
		for _, help := range helps(t, "caretaker-"+program) {
			for _, f := range settable.FindAllString(help, -1) {
				if !slices.Contains([]string{"--time-zone", "--lifetime", "--update-rate", "--update-within"}, f) {
					t.Errorf("the released %s has the flag %s", program, f)
				}
			}
		}
	}
}

// helps returns the help texts of a program and of all its commands.
func helps(t *testing.T, name string, under ...string) []string {
	t.Helper()
	help := good(t, name, append(under, "--help")...)
	all := []string{help}
	for _, c := range commandsIn(help) {
		if c != "help" {
			all = append(all, helps(t, name, append(under[:len(under):len(under)], c)...)...)
		}
	}
	return all
}
