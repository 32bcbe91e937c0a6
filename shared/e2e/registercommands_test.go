package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// registerDeeds are the commands of the register, of media and of licences.
var registerDeeds = []string{
	"register import", "register tie", "register untie", "register allocate", "register hand-back", "register left", "register stays", "register done",
	"register guest-notice", "register sign", "register wiped", "register retire", "register recovery-key", "register investigation", "register lists-last", "register acknowledged",
	"register acknowledgements", "register list", "register show", "register coverage", "register export",
	"media register", "media erased", "media withdraw", "media list", "media show", "media find",
	"device personal-use", "device reveal", "device assignments",
	"licence set", "licence exclude", "licence include", "licence sign", "licence reconcile",
}

// doingRegister does them, each once what it rests on shows.
func doingRegister(t *testing.T, x *talk, person string, answers map[string]string) {
	t.Helper()
	tag, number, product := "HB-"+person, "M-"+person, "Shell "+person
	sum := sha256.Sum256([]byte(person))
	serial := hex.EncodeToString(sum[:])
	list := filepath.Join(t.TempDir(), "devices.csv")
	must(t, os.WriteFile(list, []byte("tag;what;class\r\n"+tag+";a laptop;SS\r\n"+tag+"b;another;SS\r\n"), 0o600))
	notice := filepath.Join(t.TempDir(), "notice.txt")
	must(t, os.WriteFile(notice, []byte("This laptop is the school's.\n"), 0o600))
	then := func(args ...string) {
		t.Helper()
		name := args[0] + " " + args[1]
		args = append(args, "--school", schoolName, "--data", x.Data, "--json")
		until(t, name+" can be done", func() bool {
			o := command(t, "caretaker-collector", args...)
			answers[name] = o.Stdout
			return o.Status == 0
		})
	}
	then("register", "import", list)
	for _, c := range [][]string{
		{"tie", tag, x.Device},
		{"recovery-key", tag, "held"},
		{"investigation", tag, "on"},
		{"guest-notice", notice, "--version", "G-" + person},
		{"allocate", tag, "--role", "supply teacher", "--person", "S. Hazel", "--guest", "--notice", "--until", "2040-01-01 16:00"},
		{"hand-back", tag},
		{"allocate", tag, "--role", "Year 4"},
		{"left", tag, "--on", "2026-01-01"},
		{"stays", tag},
		{"left", tag},
		{"done", tag, "returned"},
		{"done", tag, "data-moved"},
		{"done", tag, "accounts-removed"},
		{"wiped", tag, "--method", "reset"},
		{"sign", tag},
		{"untie", tag},
		{"retire", tag, "--on", "2026-01-01"},
	} {
		then(append([]string{"register"}, c...)...)
	}
	then("register", "lists-last", "21")
	then("device", "personal-use", x.Device, "on", "--reason", "a story")
	then("device", "reveal", x.Device, serial, "--reason", "a story")
	then("device", "assignments", x.Device)
	delete(answers, "device assignments") // a list of all that it was told, which grows
	good(t, "caretaker-collector", "device", "personal-use", x.Device, "off", "--reason", "a story", "--school", schoolName, "--data", x.Data)
	then("register", "acknowledged", "--role", "Year 4", "--person", "A. Rowan", "--version", "2026")
	for _, c := range [][]string{
		{"media", "register", number, "--role", "Year 4", "--serial", serial},
		{"media", "erased", number, "--method", "overwritten"},
		{"media", "withdraw", number, "--method", "lost"},
		{"media", "show", number},
		{"media", "list"},
		{"media", "find", "--serial", serial},
		{"licence", "set", product, "--bought", "1", "--program", "bash"},
		{"licence", "exclude", product, x.Device, "--reason", "a twin"},
		{"licence", "include", product, x.Device},
		{"licence", "sign", product, "--term", "autumn"},
		{"licence", "reconcile", product},
		{"register", "acknowledgements"},
		{"register", "list"},
		{"register", "show", tag},
		{"register", "coverage"},
		{"register", "export"},
	} {
		then(c...)
	}
}
