package access

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var start = time.Date(2026, 10, 23, 14, 52, 0, 0, time.UTC)

const goodPassword = "walnut harbour lantern"

func open(t *testing.T, dir string, c *clocktest.Driven) *Access {
	t.Helper()
	a, err := Open(dir, Options{Clock: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// signIn gives a name and a password in a browser that nobody has signed in with.
func signIn(t *testing.T, a *Access, address, name, password string) (Account, error) {
	t.Helper()
	return a.SignIn(t.Context(), Attempt{Address: address, Name: name, Password: password})
}

func create(t *testing.T, a *Access, name, password string) string {
	t.Helper()
	_, made, err := a.CreateAccount(t.Context(), NewAccount{
		Name: name, Password: password, Grants: []Grant{{School: "hollybank", Role: DPO}}, Context: []string{"Hollybank Primary School"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAccountOutlivesTheProcess(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	made := create(t, open(t, dir, c), "Priya Anand", "")
	if len(made) != 24 {
		t.Fatalf("made the password %q, want five groups of four", made)
	}
	a := open(t, dir, c)
	account, err := signIn(t, a, "192.0.2.1", " priya anand ", made)
	if err != nil {
		t.Fatal(err)
	}
	if !account.May("hollybank", ReadDevices) || account.May("oakfield", ReadDevices) || account.Belongs("oakfield") {
		t.Errorf("a DPO of hollybank may read the devices of hollybank and of no other school: %+v", account.Grants)
	}
	if all := a.Accounts(); len(all) != 1 || all[0].Hash != "" || all[0].CreatedAt != start {
		t.Errorf("got accounts %+v, want one without its hash", all)
	}
	data, err := os.ReadFile(filepath.Join(dir, accountsIn.name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), made) || !strings.Contains(string(data), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the file holds %s", data)
	}
	if info, err := os.Stat(filepath.Join(dir, accountsIn.name)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the accounts: %v %v", info.Mode(), err)
	}
}

func TestWrongNameAndWrongPasswordLookAlike(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	create(t, a, "Priya Anand", goodPassword)
	for _, try := range [][2]string{{"Priya Anand", "walnut harbour lanterns"}, {"Nobody Here", goodPassword}, {"", ""}, {"Priya Anand", strings.Repeat("x", 5000)}} {
		if _, err := signIn(t, a, "192.0.2.1", try[0], try[1]); !errors.Is(err, ErrWrong) {
			t.Errorf("sign in %q: got %v, want %v", try, err, ErrWrong)
		}
	}
	p, err := parseHash(a.hasher.nobody)
	if err != nil || p.memory != hashMemory || p.passes != hashPasses || p.threads != hashThreads {
		t.Errorf("a name nobody has costs %+v %v, not what a real one costs", p, err)
	}
}

func TestPasswords(t *testing.T) {
	words := []string{"Priya Anand", "Hollybank Primary School"}
	for _, weak := range []string{
		"", "short", "elevenchars", "password1234", "Password12345!", "123456789012", "qwertyqwerty", "abcabcabcabc",
		"aaaaaaaaaaaaaa", "abababababab", "hollybank2026", "Priya.Anand!!", "caretaker-hollybank", "letmeinletmein", "111122223333",
		"leavemealone", strings.Repeat("long", 300), "bad\xffbytes in here",
	} {
		if err := checkPassword(weak, words); !errors.Is(err, ErrPassword) {
			t.Errorf("%q was let through (%v)", weak, err)
		}
	}
	for _, good := range []string{goodPassword, "correct horse battery staple", "ein sehr langes Wort", "пароль на каждый день", "k7mq-2rtx-99bw-hd4v-zzfc"} {
		if err := checkPassword(good, words); err != nil {
			t.Errorf("%q was refused: %v", good, err)
		}
	}
	for range 50 {
		made, err := makePassword()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkPassword(made, words); err != nil {
			t.Errorf("made up %q: %v", made, err)
		}
	}
}

func TestGuessingSlowsOnlyWhoGuesses(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	create(t, a, "Head", goodPassword)
	var tooMany *TooManyError
	for i := range 8 {
		_, err := signIn(t, a, "192.0.2.66", "head", "a wrong guess entirely")
		if i < pairBurst && !errors.Is(err, ErrWrong) {
			t.Fatalf("guess %d: got %v, want %v", i, err, ErrWrong)
		}
		if i >= pairBurst && !errors.As(err, &tooMany) {
			t.Fatalf("guess %d: got %v, want too many", i, err)
		}
	}
	if _, err := signIn(t, a, "192.0.2.7", "Head", goodPassword); err != nil {
		t.Errorf("the head was kept out by somebody else's guesses: %v", err)
	}
	if tooMany.RetryAfter <= 0 || tooMany.RetryAfter > pairEvery {
		t.Errorf("got %v to wait", tooMany.RetryAfter)
	}
	c.Advance(tooMany.RetryAfter)
	if _, err := signIn(t, a, "192.0.2.66", "Head", goodPassword); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestOneAddressTriesFewNames(t *testing.T) {
	l := newLimits(clocktest.NewDriven(start))
	let := 0
	for i := range 200 {
		address, name := "2001:db8::"+hex.EncodeToString([]byte{byte(i)}), hex.EncodeToString([]byte{byte(i)})
		if from := (source{address: address}); l.wait(from, name) == 0 {
			let++
			l.failed(from, name)
		}
	}
	if let != addressBurst {
		t.Errorf("one line got %d attempts on different names, want %d", let, addressBurst)
	}
	for i := range 3 * maxLimits {
		l.failed(source{address: "192.0.2.1"}, hex.EncodeToString([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	for _, b := range []*buckets{l.pairs, l.address, l.accounts} {
		if b.recent.Len() > maxLimits || len(b.byKey) != b.recent.Len() {
			t.Errorf("%d limits are remembered, want at most %d", b.recent.Len(), maxLimits)
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLane(atOnce)
		var release []func()
		for range atOnce {
			done, err := h.turn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release = append(release, done)
		}
		var waiting sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range inQueue {
			waiting.Go(func() {
				if _, err := h.turn(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("waiting in vain: got %v, want it cancelled", err)
				}
			})
		}
		synctest.Wait() // all have queued
		if _, err := h.turn(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("one more: got %v, want %v", err, ErrBusy)
		}
		cancel()
		waiting.Wait()
		for _, done := range release {
			done()
		}
		done, err := h.turn(t.Context())
		if err != nil {
			t.Fatalf("after all are done: %v", err)
		}
		done()
	})
}

// visitor is a browser at a server whose /in signs the account in and whose /
// says who is signed in.
type visitor struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
}

func visit(t *testing.T, a *Access) *visitor {
	mux := http.NewServeMux()
	mux.HandleFunc("/in", func(w http.ResponseWriter, r *http.Request) {
		account, ok := a.byName("Head")
		if !ok {
			t.Error("no account")
		}
		if _, err := a.Begin(w, r, account, ByPassword, "192.0.2.1"); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/out", func(_ http.ResponseWriter, r *http.Request) {
		if err := a.End(r.Context()); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		account, _ := a.Current(r.Context())
		io.WriteString(w, account.Name)
	})
	server := httptest.NewServer(a.Sessions(mux, func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, server, &http.Client{Jar: jar}}
}

// get returns what a page says and the cookies it sets.
func (v *visitor) get(path string) (string, []*http.Cookie) {
	v.t.Helper()
	r, err := v.client.Get(v.server.URL + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(body), r.Cookies()
}

func (v *visitor) wantName(want string) {
	v.t.Helper()
	if got, _ := v.get("/"); got != want {
		v.t.Errorf("got %q signed in, want %q", got, want)
	}
}

func TestSessionSurvivesARestart(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	create(t, a, "Head", goodPassword)
	v := visit(t, a)
	v.wantName("")
	_, cookies := v.get("/in")
	i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return c.Name == "caretaker" })
	if i < 0 {
		t.Fatalf("signing in set the cookies %v, want that of the session", cookies)
	}
	cookie := cookies[i]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" || !cookie.Expires.IsZero() {
		t.Errorf("got the cookie %+v", cookie)
	}
	v.wantName("Head")

	data, err := os.ReadFile(filepath.Join(dir, sessionsFile))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), cookie.Value) {
		t.Errorf("the token itself is stored: %s", data)
	}

	after := visit(t, open(t, dir, c))
	after.client.Jar.SetCookies(mustParse(t, after.server.URL), []*http.Cookie{cookie})
	after.wantName("Head")
	after.get("/out")
	after.wantName("")
	after.client.Jar.SetCookies(mustParse(t, after.server.URL), []*http.Cookie{cookie})
	after.wantName("") // the cookie is worth nothing once signed out
}

func TestSessionsEnd(t *testing.T) {
	tests := map[string]func(t *testing.T, a *Access, c *clocktest.Driven, v *visitor){
		"idle": func(_ *testing.T, _ *Access, c *clocktest.Driven, _ *visitor) { c.Advance(IdleLimit) },
		"absolute": func(_ *testing.T, _ *Access, c *clocktest.Driven, v *visitor) {
			for range 24 {
				v.wantName("Head")
				c.Advance(AbsoluteLimit / 24)
			}
		},
		"clock set back": func(_ *testing.T, _ *Access, c *clocktest.Driven, v *visitor) {
			c.Advance(IdleLimit)
			v.get("/in") // another session, so that it is known to have been that late
			c.Advance(-IdleLimit)
		},
		"password changed": func(t *testing.T, a *Access, _ *clocktest.Driven, _ *visitor) {
			if made, err := a.ResetPassword(t.Context(), "console", "HEAD", ""); err != nil || made.Password == "" {
				t.Errorf("got %+v %v", made, err)
			}
		},
		"account removed": func(t *testing.T, a *Access, _ *clocktest.Driven, _ *visitor) {
			if err := a.RemoveAccount("console", "head"); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			c := clocktest.NewDriven(start)
			a := open(t, t.TempDir(), c)
			create(t, a, "Head", goodPassword)
			v := visit(t, a)
			v.get("/in")
			v.wantName("Head")
			end(t, a, c, v)
			v.wantName("")
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	c := clocktest.NewDriven(start)
	s, err := openSessions(t.TempDir(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxSessions - 1 {
		s.rows[hex.EncodeToString([]byte{byte(i), byte(i >> 8)})] = sessionRow{BegunAt: start, SeenAt: start}
	}
	c.Advance(time.Minute)
	for _, token := range []string{"a-new", "b-new", "c-new"} {
		if err := s.Commit(token, []byte("x"), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.rows) != maxSessions {
		t.Errorf("%d sessions are kept, want %d", len(s.rows), maxSessions)
	}
	if _, ok, err := s.Find("a-new"); !ok || err != nil {
		t.Errorf("a session in use was dropped for a new one (%v)", err)
	}
	c.Advance(AbsoluteLimit)
	if err := s.Commit("d-new", nil, time.Time{}); err != nil || len(s.rows) != 1 {
		t.Errorf("%d sessions are left after a day, want the new one (%v)", len(s.rows), err)
	}
}

func TestNamesAreOnePerson(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	create(t, a, "Zoë Bright", goodPassword)
	for _, name := range []string{"zoë bright", " ZOË BRIGHT ", "Zoe\u0308 Bright", "", "a\x00b", "x\u202ey", "<b>", strings.Repeat("n", 65)} {
		_, _, err := a.CreateAccount(t.Context(), NewAccount{Name: name, Password: goodPassword, Grants: []Grant{{"hollybank", Head}}})
		if !errors.Is(err, ErrName) {
			t.Errorf("an account %q was made (%v)", name, err)
		}
	}
	for _, grants := range [][]Grant{nil, {{"hollybank", "owner"}}, {{"", Head}}} {
		if _, _, err := a.CreateAccount(t.Context(), NewAccount{Name: "Sam", Grants: grants}); err == nil {
			t.Errorf("an account with the grants %v was made", grants)
		}
	}
	if _, err := a.ResetPassword(t.Context(), "console", "Nobody", goodPassword); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v, want %v", err, ErrNoAccount)
	}
	if err := a.RemoveAccount("console", "Nobody"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v, want %v", err, ErrNoAccount)
	}
}

func TestRightsByRole(t *testing.T) {
	may := map[Role]bool{Administrator: true, Technician: true, DPO: true, Head: true, Governor: false, Staff: false, Business: false, Senior: false, NetworkManager: true}
	for _, role := range Roles() {
		want, ok := may[role]
		if !ok {
			t.Errorf("nobody has said what a %s may do", role)
		}
		account := Account{Grants: []Grant{{EverySchool, role}}}
		for _, school := range []posture.SchoolID{"hollybank", "oakfield"} {
			if got := account.May(school, ReadDevices); got != want {
				t.Errorf("%s reads devices: %v, want %v", role, got, want)
			}
		}
		// The business manager reads the register, and nobody's name in it; the
		// trust reads no names either.
		if got, named := account.May("oakfield", ReadRegister), account.May("oakfield", ReadHolders); got != (want || role == Business) || named != (want && role != NetworkManager) {
			t.Errorf("%s reads the register: %v, with names: %v", role, got, named)
		}
		if account.May("", ReadDevices) || account.May("hollybank", "something else") {
			t.Errorf("%s may do what is not in the table", role)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(newHasher().nobody)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseHash(s)
		if err == nil && (p.String() != s || p.memory > 256*1024) {
			t.Errorf("parsed %q to %+v", s, p)
		}
	})
}

func FuzzParseAccounts(f *testing.F) {
	f.Add([]byte(`{"accounts":[{"id":"x","name":"Head","grants":[{"school":"*","role":"head"}],"version":1,"hash":"` + newHasher().nobody + `"}]}`))
	f.Add([]byte(`{"accounts":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		accounts, err := parseAccounts(data)
		for _, a := range accounts {
			if err != nil || len(a.Grants) == 0 || a.Hash == "" {
				t.Errorf("let %+v through (%v)", a, err)
			}
		}
	})
}

func FuzzParseSessions(f *testing.F) {
	f.Add([]byte(`{"sessions":{"ab":{"data":"AA==","begunAt":"2026-10-23T14:52:00Z","seenAt":"2026-10-23T14:52:00Z"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if j, err := parseSessions(data); err != nil && j.Sessions != nil {
			t.Errorf("returned rows with %v", err)
		}
	})
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAWholeStaffMaySignInFromOneAddress(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	create(t, a, "Head", goodPassword)
	for i := range addressBurst + 5 {
		if _, err := signIn(t, a, "192.0.2.1", "Head", goodPassword); err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
	}
}

// TestWhoAdmitsKeepsTheRegister: whom they admit is tied to its asset as they decided.
func TestWhoAdmitsKeepsTheRegister(t *testing.T) {
	for _, role := range Roles() {
		account := Account{Grants: []Grant{{"oakfield", role}}}
		if account.May("oakfield", AdmitDevices) && !account.May("oakfield", KeepRegister) {
			t.Errorf("the role %s admits laptops and keeps no register", role)
		}
	}
}
