package access

import (
	"errors"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// keeping are the accounts of two schools.
func keeping(t *testing.T) (a *Access, admin, other, far, everywhere Account) {
	t.Helper()
	a = open(t, t.TempDir(), clocktest.NewDriven(start))
	created := func(name string, grants ...Grant) Account {
		account, _, err := a.CreateAccount(t.Context(), NewAccount{Name: name, Password: "walnut harbour lantern", Grants: grants})
		if err != nil {
			t.Fatal(err)
		}
		return account
	}
	admin = created("Ashton", Grant{"hollybank", Administrator})
	other = created("Blair", Grant{"hollybank", Technician})
	far = created("Casey", Grant{"oakfield", Administrator}, Grant{"hollybank", DPO})
	everywhere = created("Drew", Grant{EverySchool, Administrator})
	return a, admin, other, far, everywhere
}

func refusal(err error) string {
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return r.Why
	}
	return ""
}

// TestAnAdministratorKeepsTheRolesOfOneSchool, never another's or those at every
// school, and nobody's own.
func TestAnAdministratorKeepsTheRolesOfOneSchool(t *testing.T) {
	a, admin, other, far, everywhere := keeping(t)
	if err := a.Give(admin, other.ID, Grant{"hollybank", DPO}); err != nil {
		t.Fatal(err)
	}
	if err := a.Take(admin, other.ID, Grant{"hollybank", Technician}); err != nil {
		t.Fatal(err)
	}
	for words, err := range map[string]error{
		"to another school":   a.Give(admin, other.ID, Grant{"oakfield", Head}),
		"to every school":     a.Give(admin, other.ID, Grant{EverySchool, Head}),
		"to oneself":          a.Give(admin, admin.ID, Grant{"hollybank", Head}),
		"from oneself":        a.Take(admin, admin.ID, Grant{"hollybank", Administrator}),
		"by a technician":     a.Give(other, far.ID, Grant{"hollybank", Head}),
		"by another's":        a.Give(far, admin.ID, Grant{"hollybank", Head}),
		"by nobody":           a.Give(Account{}, admin.ID, Grant{"hollybank", Head}),
		"from every school":   a.Take(admin, everywhere.ID, Grant{EverySchool, Administrator}),
		"twice":               a.Give(admin, other.ID, Grant{"hollybank", DPO}),
		"what there is not":   a.Take(admin, other.ID, Grant{"hollybank", Head}),
		"the only one":        a.Take(admin, other.ID, Grant{"hollybank", DPO}),
		"no role":             a.Give(admin, other.ID, Grant{"hollybank", "caretaker"}),
		"every one, by every": a.Give(everywhere, other.ID, Grant{EverySchool, Head}),
	} {
		if refusal(err) == "" {
			t.Errorf("%s: got %v", words, err)
		}
	}
	for _, id := range []string{admin.ID, far.ID, everywhere.ID} {
		_, err := a.Remove(admin, id, "hollybank")
		if refusal(err) == "" {
			t.Errorf("removing %s: got %v", id, err)
		}
	}
	if _, err := a.Remove(far, other.ID, "hollybank"); refusal(err) == "" {
		t.Error("an administrator of another school removed an account")
	}
	if err := a.Give(admin, "nobody", Grant{"hollybank", Head}); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v", err)
	}
	if gone, err := a.Remove(admin, other.ID, "hollybank"); err != nil || gone.Name != "Blair" {
		t.Fatalf("removed %q, %v", gone.Name, err)
	}
	events, _, err := a.Events(10, func(Event) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range events {
		told = append(told, e.Name+": "+string(e.What)+" "+e.Words+" by "+e.By)
	}
	want := "Blair: account removed  by Ashton; Blair: role taken away technician by Ashton; Blair: role given dpo by Ashton"
	if got := strings.Join(told, "; "); got != want {
		t.Errorf("it is written down that %q, want %q", got, want)
	}
	if events[0].Schools[0] != "hollybank" {
		t.Errorf("the account that is gone belonged to %v", events[0].Schools)
	}
}

// TestTheLastAdministratorStays at the console too.
func TestTheLastAdministratorStays(t *testing.T) {
	a, admin, _, far, everywhere := keeping(t)
	if err := a.RemoveAccount("console", admin.Name); err != nil {
		t.Fatalf("there is another at every school: %v", err)
	}
	if err := a.TakeAtConsole("console", far.Name, Grant{"oakfield", Administrator}); err != nil {
		t.Fatalf("there is another at every school: %v", err)
	}
	if err := a.RemoveAccount("console", everywhere.Name); !errors.Is(err, errLast) {
		t.Errorf("the last of all: %v", err)
	}
	if err := a.GiveAtConsole("console", far.Name, Grant{"oakfield", Administrator}); err != nil {
		t.Fatal(err)
	}
	if err := a.RemoveAccount("console", everywhere.Name); !errors.Is(err, errLast) {
		t.Errorf("the last of one school of two: %v", err)
	}
	if err := a.GiveAtConsole("console", far.Name, Grant{"hollybank", Administrator}); err != nil {
		t.Fatal(err)
	}
	if err := a.TakeAtConsole("console", everywhere.Name, Grant{EverySchool, Administrator}); !errors.Is(err, errOnly) {
		t.Errorf("its only role: %v", err)
	}
	if err := a.RemoveAccount("console", everywhere.Name); err != nil {
		t.Errorf("every school has another: %v", err)
	}
	if err := a.TakeAtConsole("console", far.Name, Grant{"oakfield", Administrator}); !errors.Is(err, errLast) {
		t.Errorf("the last of a school: %v", err)
	}
	if err := a.RemoveAccount("console", far.Name); !errors.Is(err, errLast) {
		t.Errorf("the last of a school: %v", err)
	}
}

// TestWhoIsInvitedChoosesAPassword of their own before anything else.
func TestWhoIsInvitedChoosesAPassword(t *testing.T) {
	a, admin, _, _, _ := keeping(t)
	account, first, err := a.Invite(t.Context(), admin, "Ellis", Grant{"hollybank", Head})
	if err != nil || first == "" {
		t.Fatalf("got %q, %v", first, err)
	}
	if steps, err := a.StepsOf(account.ID); err != nil || !steps.NewPassword {
		t.Errorf("owes no password: %+v, %v", steps, err)
	}
	for _, g := range []Grant{{"oakfield", Head}, {EverySchool, Head}, {"", Head}} {
		if _, _, err := a.Invite(t.Context(), admin, "Finley", g); refusal(err) == "" {
			t.Errorf("invited as %v: %v", g, err)
		}
	}
	if _, _, err := a.Invite(t.Context(), admin, "ELLIS", Grant{posture.SchoolID("hollybank"), Head}); !errors.Is(err, ErrName) {
		t.Errorf("a name that is taken: %v", err)
	}
}
