package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// accountDeeds are the commands about people and how they sign in.
var accountDeeds = []string{
	"account password", "account let-in", "account drop-second", "account sessions", "account sign-out", "account second-step", "account log", "account remove",
	"account grant", "account revoke", "token list", "token end",
	"sign-on add", "sign-on list", "sign-on remove",
}

// doingAccounts does them, with an account that was made for it.
func doingAccounts(t *testing.T, person string, do func(args ...string) string) {
	t.Helper()
	name := "Visitor of " + person
	do("account", "create", "--role", "technician", "--name", name)
	if a := asJSON[collectorapp.PasswordAnswer](t, do("account", "password", name)); a.Name != name || len(a.Password) < 20 {
		t.Errorf("got %+v", a)
	}
	if a := asJSON[collectorapp.LetInAnswer](t, do("account", "let-in", name, "--lost", "password", "--reason", "came to the office")); len(a.Code) < 20 || a.Ends.IsZero() {
		t.Errorf("got %+v", a)
	}
	do("account", "drop-second", name)
	do("account", "sessions", name)
	do("account", "sign-out", name)
	if a := asJSON[collectorapp.SecondStepAnswer](t, do("account", "second-step", "--role", "administrator,technician", "--grace", "24h")); strings.Join(a.Roles, " ") != "administrator technician" || len(a.Lacking) == 0 {
		t.Errorf("got %+v", a)
	}
	do("account", "grant", name, "--role", "dpo", "--school", schoolName)
	do("account", "revoke", name, "--role", "dpo", "--school", schoolName)
	made := asJSON[collectorapp.TokenAnswer](t, do("token", "create", "--school", schoolName, "--address", "127.0.0.1:1"))
	do("token", "end", made.ID, "--reason", "left in the staff room", "--school", schoolName)
	if list := do("token", "list", "--school", schoolName); !strings.Contains(list, `"taken-back"`) || strings.Contains(list, made.Token) {
		t.Errorf("got %s", list)
	}
	log := asJSON[collectorapp.AccountLogAnswer](t, do("account", "log"))
	if len(log.Events) < 3 || log.Unread != 0 || !strings.HasPrefix(log.Events[0].By, "console:") {
		t.Errorf("got %+v", log)
	}
	do("account", "remove", name)
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("a secret of the client\n"), 0o600))
	issuer := "https://login.microsoftonline.com/4f1b3ad0-8c2e-4c55-9f6e-2d7b1c9e0a11/v2.0"
	if a := asJSON[collectorapp.SignOnAnswer](t, do("sign-on", "add", "microsoft", "--name", "Microsoft", "--issuer", issuer, "--client", "caretaker", "--secret", secret)); a.Back != "/sign-in/with/microsoft/back" {
		t.Errorf("got %+v", a)
	}
	if list := do("sign-on", "list"); !strings.Contains(list, issuer) || strings.Contains(list, "a secret of the client") {
		t.Errorf("got %s", list)
	}
	do("sign-on", "remove", "microsoft")
}
