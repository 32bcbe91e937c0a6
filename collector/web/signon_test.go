package web

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// service is a real OpenID Connect provider on this machine, whose people are
// said to be of a domain and a tenant.
type service struct {
	*storage.Storage
	claims map[string]string
}

// SetUserinfoFromRequest adds what an organisation's provider says of everybody.
func (s *service) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	for name, value := range s.claims {
		info.AppendClaims(name, value)
	}
	return s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}

// signOnBed is the pages, the provider, and the way between them.
type signOnBed struct {
	t        *testing.T
	pages    string
	access   *access.Access
	clock    *clocktest.Driven
	service  *service
	provider *httptest.Server
}

const serviceSecret = "a secret of the client"

func newSignOnBed(t *testing.T) *signOnBed {
	t.Helper()
	b := &signOnBed{t: t, clock: clocktest.NewDriven(time.Now())}
	log := slog.New(slog.DiscardHandler)
	var err error
	if b.access, err = access.Open(t.TempDir(), access.Options{Clock: b.clock, Logger: log}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"head", "dpo"} {
		if _, _, err := b.access.CreateAccount(t.Context(), access.NewAccount{Name: name, Password: password, Grants: []access.Grant{{School: hollybank, Role: access.Role(name)}}}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSchool(t)
	h, err := New(Config{Queries: s, Disputes: disputesKept(s), Waiting: waitersOf(s), Desk: newDesk(t, ""), Saver: newSaver(t), Register: keepsOf(t, s), Concerns: concernsOf(s), Admissions: admissionsOf(s), Looks: &looked{}, Records: &standing{}, Access: b.access, Clock: b.clock, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	b.pages = server.URL

	b.provider = httptest.NewUnstartedServer(nil)
	issuer := "http://" + b.provider.Listener.Addr().String()
	client := storage.WebClient("caretaker", serviceSecret, b.pages+"/sign-in/with/school/back")
	b.service = &service{storage.NewStorageWithClients(storage.NewUserStore(issuer), map[string]*storage.Client{"caretaker": client}), map[string]string{"hd": "hollybank.example"}}
	b.provider.Config.Handler = exampleop.SetupServer(issuer, b.service, log, false)
	b.provider.Start()
	t.Cleanup(b.provider.Close)
	b.add(access.Provider{})
	return b
}

// add adds the provider, with what is said differently.
func (b *signOnBed) add(p access.Provider) {
	b.t.Helper()
	p.ID, p.Name, p.Issuer, p.Client, p.Secret = "school", "the school", b.provider.URL, "caretaker", serviceSecret
	if err := b.access.SetProvider(p); err != nil {
		b.t.Fatal(err)
	}
}

// surfer is a person's browser.
type surfer struct {
	*signOnBed
	*http.Client
}

func (b *signOnBed) surfer() surfer {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return surfer{b, &http.Client{Jar: jar}}
}

// ask returns where a request ended, its status and what the page says.
func (s surfer) ask(r *http.Response, err error) (string, int, string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Request.URL.Path, r.StatusCode, string(body)
}

func (s surfer) get(path string) (string, int, string) {
	s.t.Helper()
	return s.ask(s.Get(s.pages + path))
}

func (s surfer) signIn(name string) {
	s.t.Helper()
	if at, _, _ := s.ask(s.PostForm(s.pages+"/sign-in", url.Values{"name": {name}, "password": {password}, "next": {"/account"}})); at != "/account" {
		s.t.Fatalf("signing in as %s ended at %s", name, at)
	}
}

var requestID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// signOn goes to the provider by an address of ours, gives a name there, and
// comes back.
func (s surfer) signOn(path, person string) (string, int, string) {
	s.t.Helper()
	at, status, page := s.get(path)
	id := requestID.FindStringSubmatch(page)
	if at != "/login/username" || id == nil {
		s.t.Fatalf("%s leads to %s, not to the provider (%d): %s", path, at, status, plainText(page))
	}
	return s.ask(s.PostForm(s.provider.URL+"/login/username", url.Values{"id": {html.UnescapeString(id[1])}, "username": {person}, "password": {"verysecure"}}))
}

func TestSignOn(t *testing.T) {
	b := newSignOnBed(t)
	// Somebody whom the provider knows, and nobody here does, gets nothing.
	stranger := b.surfer()
	if _, status, page := stranger.signOn("/sign-in/with/school", "test-user2"); status != http.StatusForbidden || !strings.Contains(plainText(page), "No account here is linked") {
		t.Fatalf("a stranger got %d: %s", status, plainText(page))
	}
	if at, _, _ := stranger.get("/schools/hollybank"); at != "/sign-in" {
		t.Errorf("a stranger is let in to %s", at)
	}
	// Linked once, by whoever is signed in, it signs in.
	head := b.surfer()
	head.signIn("head")
	if at, status, page := head.signOn("/account/sign-on/school", "test-user2"); at != "/account" || status != http.StatusOK || !strings.Contains(plainText(page), "the school linked since") {
		t.Fatalf("linking ended at %s with %d: %s", at, status, plainText(page))
	}
	other := b.surfer()
	if at, status, page := other.signOn("/sign-in/with/school?next=%2Fschools%2Fhollybank%2Fdevices", "test-user2"); at != "/schools/hollybank/devices" || status != http.StatusOK || !strings.Contains(page, "head") {
		t.Errorf("signing on ended at %s with %d: %s", at, status, plainText(page))
	}
	// The same person there is nobody else here.
	dpo := b.surfer()
	dpo.signIn("dpo")
	if _, status, page := dpo.signOn("/account/sign-on/school", "test-user2"); status != http.StatusConflict || !strings.Contains(plainText(page), "linked to another account") {
		t.Errorf("linked twice: %d: %s", status, plainText(page))
	}
	// Unlinked it is a stranger's again.
	if at, _, _ := head.ask(head.PostForm(b.pages+"/account/sign-on/remove", url.Values{"issuer": {b.provider.URL}})); at != "/account" {
		t.Errorf("unlinking ended at %s", at)
	}
	if _, status, _ := b.surfer().signOn("/sign-in/with/school", "test-user2"); status != http.StatusForbidden {
		t.Errorf("unlinked: got %d", status)
	}
}

func TestSignOnChecksTheOrganisation(t *testing.T) {
	b := newSignOnBed(t)
	b.add(access.Provider{Domain: "hollybank.example"})
	head := b.surfer()
	head.signIn("head")
	if at, status, page := head.signOn("/account/sign-on/school", "test-user2"); at != "/account" || status != http.StatusOK {
		t.Fatalf("linking ended at %s with %d: %s", at, status, plainText(page))
	}
	b.service.claims = map[string]string{"hd": "elsewhere.example"}
	if _, status, _ := b.surfer().signOn("/sign-in/with/school", "test-user2"); status != http.StatusBadGateway {
		t.Errorf("somebody of another domain: got %d", status)
	}
	b.service.claims = nil
	if _, status, _ := b.surfer().signOn("/sign-in/with/school", "test-user2"); status != http.StatusBadGateway {
		t.Errorf("somebody of no domain: got %d", status)
	}
	// A provider of one school vouches for nobody who belongs to another too.
	b.add(access.Provider{Schools: []posture.SchoolID{oakfield}})
	if _, status, _ := b.surfer().signOn("/sign-in/with/school", "test-user2"); status != http.StatusForbidden {
		t.Errorf("somebody of another school: got %d", status)
	}
}

func TestASecondStepIsAskedForAfterSignOn(t *testing.T) {
	b := newSignOnBed(t)
	head := b.surfer()
	head.signIn("head")
	head.signOn("/account/sign-on/school", "test-user2")
	app := setUpApp(t, head, b.clock)
	other := b.surfer()
	if at, _, page := other.signOn("/sign-in/with/school?next=%2Faccount", "test-user2"); at != "/sign-in/second" || !strings.Contains(page, "Code of your app") {
		t.Fatalf("signing on ended at %s: %s", at, plainText(page))
	}
	b.clock.Advance(30 * time.Second)
	if at, status, _ := other.ask(other.PostForm(b.pages+"/sign-in/second", url.Values{"code": {app(b.clock.Now())}, "next": {"/account"}})); at != "/account" || status != http.StatusOK {
		t.Errorf("the second step ended at %s with %d", at, status)
	}
	// Unless the provider asks everybody for one itself.
	b.add(access.Provider{Vouches: true})
	if at, _, _ := b.surfer().signOn("/sign-in/with/school?next=%2Faccount", "test-user2"); at != "/account" {
		t.Errorf("signing on where a second step is asked for ended at %s", at)
	}
}

func TestAnswersToNoQuestionSignNobodyOn(t *testing.T) {
	b := newSignOnBed(t)
	head := b.surfer()
	head.signIn("head")
	head.signOn("/account/sign-on/school", "test-user2")

	// A code that was meant for another browser, whose cookie this one lacks.
	mallory := b.surfer()
	mallory.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/back") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	_, status, _ := mallory.signOn("/sign-in/with/school", "test-user2")
	if status != http.StatusFound {
		t.Fatalf("got %d", status)
	}
	for name, path := range map[string]string{
		"without a cookie": "/sign-in/with/school/back?code=x&state=y",
		"of no service":    "/sign-in/with/nobody/back?code=x&state=y",
	} {
		if at, status, page := b.surfer().get(path); status != http.StatusUnprocessableEntity || !strings.Contains(plainText(page), "Nothing was done") {
			t.Errorf("%s: %d at %s: %s", name, status, at, plainText(page))
		}
	}
	// The state is another's.
	victim := b.surfer()
	victim.get("/sign-in/with/school")
	if _, status, _ := victim.get("/sign-in/with/school/back?code=x&state=AAAA"); status != http.StatusUnprocessableEntity {
		t.Errorf("another's state: got %d", status)
	}
	if _, status, _ := b.surfer().get("/sign-in/with/nobody"); status != http.StatusNotFound {
		t.Errorf("a service that there is not: got %d", status)
	}
}

func TestTheProviderIsDown(t *testing.T) {
	b := newSignOnBed(t)
	b.provider.Close()
	s := b.surfer()
	_, status, page := s.get("/sign-in/with/school")
	if words := plainText(page); status != http.StatusBadGateway || !strings.Contains(words, "did not answer as it should") || !strings.Contains(words, "sign in with your name and password") {
		t.Errorf("got %d: %s", status, words)
	}
	s.signIn("head") // all the same
}
