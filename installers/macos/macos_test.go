// Package macos_test sees that what the installer for macOS brings is what
// macOS can read, and says what it should.
package macos_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/plist"
	"github.com/caretaker-school/caretaker/installers/macos"
)

const program = "/Library/PrivilegedHelperTools/school.caretaker.agent"

func dict(t *testing.T, data []byte) map[string]any {
	t.Helper()
	value, err := plist.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := value.(map[string]any)
	if !ok {
		t.Fatalf("it is no dictionary but %T", value)
	}
	return d
}

// TestServiceRunsWithoutAShell: launchd starts the program itself, keeps it, and
// lets it give way.
func TestServiceRunsWithoutAShell(t *testing.T) {
	data, err := os.ReadFile("school.caretaker.agent.plist")
	if err != nil {
		t.Fatal(err)
	}
	service := dict(t, data)
	for key, want := range map[string]any{
		"Label": "school.caretaker.agent", "RunAtLoad": true, "KeepAlive": true, "LowPriorityIO": true, "ProcessType": "Background", "Umask": int64(0o077),
	} {
		if service[key] != want {
			t.Errorf("%s is %v, want %v", key, service[key], want)
		}
	}
	if args, _ := service["ProgramArguments"].([]any); len(args) != 2 || args[0] != program || args[1] != "run" {
		t.Errorf("it starts %v", service["ProgramArguments"])
	}
}

func profile(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it is written by a shell script, for a Mac or Linux")
	}
	return exec.Command("./privacy-profile.sh", args...).Output()
}

// TestProfileGrantsThisProgramAlone: Full Disk Access is for the one program at
// its place, signed by its publisher.
func TestProfileGrantsThisProgramAlone(t *testing.T) {
	data, err := profile(t, "A1B2C3D4E5", "Hollybank Primary School")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "@") {
		t.Error("something was left to be filled in")
	}
	whole := dict(t, data)
	if whole["PayloadScope"] != "System" || whole["PayloadOrganization"] != "Hollybank Primary School" {
		t.Errorf("the profile is for %v of %v", whole["PayloadScope"], whole["PayloadOrganization"])
	}
	payloads, _ := whole["PayloadContent"].([]any)
	if len(payloads) != 2 {
		t.Fatalf("the profile has %d parts", len(payloads))
	}
	seen := map[any]bool{whole["PayloadUUID"]: true}
	for _, p := range payloads {
		if id := p.(map[string]any)["PayloadUUID"]; seen[id] {
			t.Errorf("two parts are called %v", id)
		} else {
			seen[id] = true
		}
	}
	services, _ := payloads[0].(map[string]any)["Services"].(map[string]any)
	grants, _ := services["SystemPolicyAllFiles"].([]any)
	if len(services) != 1 || len(grants) != 1 {
		t.Fatalf("it grants %v", services)
	}
	grant := grants[0].(map[string]any)
	requirement, _ := grant["CodeRequirement"].(string)
	if grant["Identifier"] != program || grant["IdentifierType"] != "path" || grant["Allowed"] != true ||
		!strings.Contains(requirement, `identifier "school.caretaker.agent"`) || !strings.Contains(requirement, `subject.OU] = "A1B2C3D4E5"`) {
		t.Errorf("it grants to %v", grant)
	}
}

func TestProfileRefusesWhatIsNotOne(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"A1B2C3D4E5"},
		{"a1b2c3d4e5", "School"},
		{"A1B2C3D4E", "School"},
		{"A1B2C3D4E5", ""},
		{"A1B2C3D4E5", "<School>"},
		{`A1B2C3D4"5`, "School"},
		{"A1B2C3D4E5", "School|", "x"},
		{"A1B2C3D4E5", "School", "x", "y", "z"},
		{"A1B2C3D4E5", "a\nb"},
	} {
		if data, err := profile(t, args...); err == nil || len(data) > 0 {
			t.Errorf("%q makes\n%s", args, data)
		}
	}
}

// installs runs what the Installer runs, on a Mac that is a folder: its paths lead
// there, launchctl notes what it is told, and the agent is the real one. It returns
// what launchctl was told and the exit status.
func installs(t *testing.T, agent, token, disk string) (told string, status int, left bool) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(program, "#!/bin/sh\nexec "+agent+" \"$@\" --state "+filepath.Join(dir, "state")+"\n", 0o755)
	write("bin/launchctl", "#!/bin/sh\necho \"$1 $2\" >>"+filepath.Join(dir, "told")+"\n[ \"$1\" = bootstrap ]\n", 0o755)
	if token != "" {
		write("private/var/root/caretaker-token", token, 0o600)
	}
	script := string(macos.PostInstall)
	for _, root := range []string{"/Library", "/private"} {
		script = strings.ReplaceAll(script, root+"/", dir+root+"/")
	}
	write("postinstall", script, 0o755)
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "postinstall"), "agent.pkg", "/", disk, "/")
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if token != "" && strings.Contains(string(out), token) {
		t.Errorf("it says the token: %s", out)
	}
	heard, err := os.ReadFile(filepath.Join(dir, "told"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(dir, "private/var/root/caretaker-token"))
	return string(heard), cmd.ProcessState.ExitCode(), err == nil
}

// TestTheInstallerStartsTheServiceAndTakesTheTokenAway: with a token that is none
// too.
func TestTheInstallerStartsTheServiceAndTakesTheTokenAway(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a Mac's paths are led elsewhere on Linux alone")
	}
	agent := filepath.Join(t.TempDir(), "agent")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", agent, "../../agent").CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v: %s", err, out)
	}
	const starts = "bootout system/school.caretaker.agent\nprint system/school.caretaker.agent\nbootstrap system\n"
	if told, status, _ := installs(t, agent, "", "/"); status != 0 || told != starts {
		t.Errorf("without a token it ended with %d and told launchd %q", status, told)
	}
	if told, status, left := installs(t, agent, "ctk1-otter-lamp", "/"); status == 0 || told != starts || left {
		t.Errorf("with what is no token it ended with %d, told launchd %q, and left the token: %t", status, told, left)
	}
	if told, status, _ := installs(t, agent, "", "/Volumes/Other"); status != 0 || told != "" {
		t.Errorf("on another disk it ended with %d and told launchd %q", status, told)
	}
}
