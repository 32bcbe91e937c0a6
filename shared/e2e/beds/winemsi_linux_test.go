package beds

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

const (
	msiexec      = "msiexec"
	programFile  = `Program Files\Caretaker\caretaker-agent.exe`
	stateFolder  = `ProgramData\Caretaker`
	uninstallKey = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`
)

// msi builds the agent's installer as `make installers` does, where Windows sees
// it, and returns its path there.
func (w *windows) msi(version string) string {
	w.t.Helper()
	return w.msiOf(version, here(w.agent()))
}

// msiOf builds the installer of a program.
func (w *windows) msiOf(version, agent string) string {
	w.t.Helper()
	root, err := filepath.Abs("../../..")
	must(w.t, err)
	dist := filepath.Join(w.dir, "dist-"+version)
	programs := filepath.Join(dist, "windows-amd64")
	must(w.t, os.MkdirAll(programs, 0o755))
	program, err := os.ReadFile(agent)
	must(w.t, err)
	must(w.t, os.WriteFile(filepath.Join(programs, "caretaker-agent.exe"), program, 0o755))
	cmd := exec.CommandContext(w.t.Context(), "installers/windows/build.sh", dist, version)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("build the installer: %v: %s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dist, "*.msi"))
	must(w.t, err)
	if len(made) != 1 {
		w.t.Fatalf("built %v", made)
	}
	return seen(made[0])
}

// has reports whether a file or folder is on drive C.
func (w *windows) has(path string) bool {
	_, err := os.Stat(w.drive(path))
	return err == nil
}

// programs are the versions of the agent that Windows says are installed.
func (w *windows) programs() (versions []string) {
	w.t.Helper()
	for line := range strings.Lines(w.does("reg", "query", uninstallKey, "/s", "/v", "DisplayVersion")) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "DisplayVersion" {
			versions = append(versions, fields[2])
		}
	}
	return versions
}

// said is what an installation wrote to its log.
func (w *windows) said(log string) string {
	w.t.Helper()
	text, err := os.ReadFile(log)
	must(w.t, err)
	return strings.ReplaceAll(string(text), "\x00", "")
}

// TestTheInstallerUnderWine: silently from one file and a token to the first
// report, upgraded as the same device, no older version over a newer one, removed
// and installed again, and removed for good.
func TestTheInstallerUnderWine(t *testing.T) {
	w := newWindows(t)
	cannot(t, "elevation, Group Policy and Intune, access lists, the rollback of a real Windows Installer, and what it hides in its log")
	w.settled()
	first, second := w.msi("v1.0.0"), w.msi("v1.1.0")
	h := w.newHost()
	token := ask[collectorapp.TokenAnswer](h, "token.create", collectorapp.TokenArguments{
		Uses: 1, Lifetime: time.Hour, Ownership: "school-single-user", Addresses: []string{"127.0.0.1:" + h.collect()},
	}).Token

	// A password in the proxy's address is refused, and is not told to the log.
	const proxy, password = "127.0.0.1:9", "otter-lamp-47"
	log, logThere := w.here("refused.log")
	if a := w.tries(msiexec, "/i", first, "/qn", "/l*v", logThere, "TOKEN="+token, "PROXY=http://laptops:"+password+"@"+proxy); a.status == 0 || w.has(programFile) {
		t.Errorf("with a password in the proxy's address it ended with %d, the program is there: %t", a.status, w.has(programFile))
	}
	said := w.said(log)
	for _, hidden := range []string{"TOKEN", "PROXY"} { // Windows hides them in the list at the log's end, and Wine does not
		before, rest, _ := strings.Cut(said, "Property(S): "+hidden+" = ")
		_, after, _ := strings.Cut(rest, "\n")
		said = before + after
	}
	if strings.Contains(said, password) || strings.Contains(said, token) || !strings.Contains(said, "Property(S): ") {
		t.Errorf("the log of what was refused holds the password: %t, the token: %t", strings.Contains(said, password), strings.Contains(said, token))
	}

	// One file and a token, and a proxy that nobody is behind: the way straight is left.
	secret, secretThere := w.here("password")
	must(t, os.WriteFile(secret, []byte(password+"\r\n"), 0o600))
	log, logThere = w.here("install.log")
	w.does(msiexec, "/i", first, "/qn", "/l*v", logThere, "TOKEN="+token, "PROXY="+proxy, "PROXYUSER=laptops", "PROXYPASSWORDFILE="+secretThere)
	h.until("the service runs", func() bool { return w.serviceState() == running })
	h.until("its first report", func() bool { return h.shown().LastReport > 0 })
	device := h.shown().ID
	if said := w.said(log); strings.Contains(said, token) || strings.Contains(said, password) || !strings.Contains(said, "Property(S): ") {
		t.Errorf("the installer's log holds the token: %t, the proxy's password: %t", strings.Contains(said, token), strings.Contains(said, password))
	}
	if set := w.does(w.agent(), "proxy", "show"); !strings.Contains(set, proxy) || !strings.Contains(set, "with a name and a password") || strings.Contains(set, password) {
		t.Errorf("the agent's setting is %q", set)
	}
	if w.has(stateFolder + `\token`) {
		t.Error("the token is in the state folder")
	}
	if got := strings.Join(w.programs(), " "); got != "1.0.0" {
		t.Errorf("Windows says that %q is installed", got)
	}

	// A newer version goes on as the same device; an older one is refused.
	w.does(msiexec, "/i", second, "/qn")
	h.until("the newer version runs", func() bool { return w.serviceState() == running })
	w.installs("Atlas of Wales", "2.0")
	h.until("it reports", func() bool { return h.hasProgram("Atlas of Wales", "2.0") })
	if a := w.tries(msiexec, "/i", first, "/qn"); a.status == 0 {
		t.Error("an older version was installed over a newer one")
	}
	if got := strings.Join(w.programs(), " "); got != "1.1.0 2.0" && got != "2.0 1.1.0" {
		t.Errorf("after the upgrade Windows says that %q is installed", got)
	}

	// Removed it leaves who it was, and goes on when it is installed again.
	w.does(msiexec, "/x", second, "/qn")
	if a := w.tries("sc", "query", "caretaker-agent"); a.status == 0 || w.has(programFile) || !w.has(stateFolder+`\identity.json`) {
		t.Errorf("removed, the service says %s, the program is there: %t, its state: %t", a.stdout, w.has(programFile), w.has(stateFolder))
	}
	w.does(msiexec, "/i", second, "/qn")
	w.installs("Atlas of Ireland", "2.0")
	h.until("it reports again", func() bool { return h.hasProgram("Atlas of Ireland", "2.0") })
	if d := h.shown(); d.ID != device || len(d.Gaps) > 0 {
		t.Errorf("installed again it is %s with the gaps %v, and was %s", d.ID, d.Gaps, device)
	}
	w.does(msiexec, "/x", second, "/qn", "FORGET=1")
	if w.has(programFile) || w.has(stateFolder) || len(w.agents()) > 0 {
		t.Error("removed for good it left something")
	}

	// The school does not admit it: nothing of the program stays.
	if a := w.tries(msiexec, "/i", second, "/qn", "TOKEN="+token); a.status == 0 || w.has(programFile) || w.has(stateFolder+`\token`) {
		t.Errorf("with a token that was used it ended with %d, the program is there: %t, the token: %t", a.status, w.has(programFile), w.has(stateFolder+`\token`))
	}
	if a := w.tries("sc", "query", "caretaker-agent"); a.status == 0 {
		t.Errorf("not admitted, there is a service: %s", a.stdout)
	}
	// One that belongs to a person is refused before anything is sent.
	if a := w.tries(msiexec, "/i", second, "/qn", "TOKEN="+token, "CLASS=visitor-owned"); a.status == 0 || w.has(programFile) {
		t.Errorf("a visitor's laptop: it ended with %d, the program is there: %t", a.status, w.has(programFile))
	}

	// Without a token it waits: nothing runs that has nothing to do.
	w.does(msiexec, "/i", second, "/qn")
	if got := w.serviceState(); got != stopped {
		t.Errorf("without a token the service is in the state %s", got)
	}
	w.does(msiexec, "/x", second, "/qn", "FORGET=1")
}
