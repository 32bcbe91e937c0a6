package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// office is a school's desk over a real ledger.
type office struct {
	t       testing.TB
	clock   *clocktest.Driven
	school  *School
	ledger  *ledger.Ledger
	roster  *roster.Roster
	service *Service
}

func newOffice(t testing.TB) *office {
	t.Helper()
	s, err := CreateSchool(t.TempDir(), "Hollybank Primary School", monday)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, clock: clocktest.NewDriven(monday), school: s}
	signer, err := s.Key.Signer()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := s.Key.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	if o.ledger, err = ledger.Open(s.LedgerDir(), ledger.Options{School: string(s.ID), Signer: signer, Verifier: verifier.Note}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := o.ledger.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
			t.Error(err)
		}
		o.ledger.Close()
	})
	if o.roster, err = roster.Open(t.Context(), roster.Options{School: s.ID, Ledger: o.ledger, Verifier: verifier}); err != nil {
		t.Fatal(err)
	}
	o.service = NewService([]Desk{{School: s, Roster: o.roster, Ledger: o.ledger}}, "collector", o.clock, slog.New(slog.DiscardHandler))
	return o
}

func (o *office) token(n NewToken) identity.Token {
	o.t.Helper()
	n.Addresses = []string{"collector.hollybank.example:8443"}
	token, err := CreateToken(o.t.Context(), o.school, o.ledger, n, o.clock.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.roster.CatchUp(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	return token
}

// guest is how the door names who calls.
type guest struct {
	credentials.CommonAuthInfo
	school posture.SchoolID
}

func (guest) AuthType() string      { return "tls" }
func (g guest) Peer() identity.Peer { return identity.Peer{School: g.school} }

func (o *office) ask(school posture.SchoolID, token identity.Token, request []byte) (*pb.EnrollResponse, error) {
	ctx := peer.NewContext(o.t.Context(), &peer.Peer{AuthInfo: guest{school: school}})
	return o.service.Enroll(ctx, &pb.EnrollRequest{
		TokenId: token.ID, TokenSecret: token.Secret[:], CertificateRequest: request, Platform: "linux", Hostname: "hb-lt-014\u202e", AgentVersion: "v1",
	})
}

func newRequest(t testing.TB) []byte {
	t.Helper()
	key, err := identity.MakeDeviceKey(filepath.Join(t.TempDir(), "device.pem"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestSameKeyIsTheSameDevice(t *testing.T) {
	o := newOffice(t)
	token, request := o.token(NewToken{}), newRequest(t)
	first, err := o.ask(o.school.ID, token, request)
	if err != nil {
		t.Fatal(err)
	}
	size := o.ledger.Size()
	o.clock.Advance(300 * day) // the token has ended and is used up; the answer was lost
	second, err := o.ask(o.school.ID, token, request)
	if err != nil || second.GetDevice() != first.GetDevice() || string(second.GetCertificate()) != string(first.GetCertificate()) {
		t.Errorf("asked again: got %v, %v, want the same device and certificate", second, err)
	}
	if o.ledger.Size() != size {
		t.Error("a device that asked again was recorded again")
	}
	d, ok := o.roster.Device(posture.DeviceID(first.GetDevice()))
	if !ok || d.Ownership != posture.SchoolSingleUser || d.Assignment != 1 {
		t.Errorf("the roster has %+v", d)
	}
	e, err := o.roster.Enrolment(t.Context(), d)
	if err != nil || e.Token != token.ID || e.Platform != posture.Linux {
		t.Errorf("enrolment: got %+v, %v", e, err)
	}
}

func TestTokensThatAdmitNobody(t *testing.T) {
	o := newOffice(t)
	good := o.token(NewToken{})
	forged, unknown := good, good
	forged.Secret[3] ^= 1
	unknown.ID = "0123456789abcdef"
	ended := o.token(NewToken{Lasts: time.Hour})
	used := o.token(NewToken{})
	if _, err := o.ask(o.school.ID, used, newRequest(t)); err != nil {
		t.Fatal(err)
	}
	o.clock.Advance(2 * time.Hour)
	size := o.ledger.Size()
	for name, c := range map[string]struct {
		token  identity.Token
		school posture.SchoolID
		words  string
	}{
		"forged":         {forged, o.school.ID, "not valid"},
		"unknown":        {unknown, o.school.ID, "not valid"},
		"another school": {good, "elsewhere", "not valid"},
		"ended":          {ended, o.school.ID, "has ended"},
		"used up":        {used, o.school.ID, "was used"},
	} {
		_, err := o.ask(c.school, c.token, newRequest(t))
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: got %v, want a refusal with %q", name, err, c.words)
		}
	}
	for name, request := range map[string][]byte{"no request": nil, "not a request": []byte("hello")} {
		if _, err := o.ask(o.school.ID, good, request); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if o.ledger.Size() != size {
		t.Error("a refusal was recorded as an enrolment")
	}
}

func TestUsesAreNeverExceeded(t *testing.T) {
	o := newOffice(t)
	const uses, devices = 5, 20
	token := o.token(NewToken{Uses: uses})
	requests := make([][]byte, devices)
	for i := range requests {
		requests[i] = newRequest(t)
	}
	var all sync.WaitGroup
	admitted := make(chan string, devices)
	for _, request := range requests {
		all.Go(func() {
			if answer, err := o.ask(o.school.ID, token, request); err == nil {
				admitted <- answer.GetDevice()
			}
		})
	}
	all.Wait()
	if got := len(admitted); got != uses {
		t.Errorf("a token for %d devices admitted %d of %d that came at once", uses, got, devices)
	}
	// As after a restart: the ledger counts.
	again, err := roster.Open(t.Context(), roster.Options{School: o.school.ID, Ledger: o.ledger, Verifier: o.roster.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	if _, used, ok := again.Token(token.ID); !ok || used != uses {
		t.Errorf("the ledger counts %d uses, want %d", used, uses)
	}
}

func TestEnrolmentsAreLimited(t *testing.T) {
	o := newOffice(t)
	stolen, other, request := o.token(NewToken{}), o.token(NewToken{Uses: 2}), newRequest(t)
	for range tokenAtOnce {
		if _, err := o.ask(o.school.ID, stolen, request); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.ask(o.school.ID, stolen, request); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("beyond the limit: got %v", err)
	}
	if _, err := o.ask(o.school.ID, other, newRequest(t)); err != nil {
		t.Errorf("with another token: got %v", err)
	}
	o.clock.Advance(time.Second)
	if _, err := o.ask(o.school.ID, stolen, request); err != nil {
		t.Errorf("a second later: got %v", err)
	}
}

func TestPaceForgetsTokensThatAreNotInUse(t *testing.T) {
	p, now := newPace(), monday
	for i := range 5 * mostPaced {
		if !p.allow(fmt.Sprint("token ", i), now) {
			t.Fatalf("token %d is refused though it is the first use of it", i)
		}
		now = now.Add(time.Second)
	}
	if len(p.tokens) > mostPaced+1 {
		t.Errorf("%d tokens are remembered", len(p.tokens))
	}
}

// A trolley: all of it switched on together, each laptop that asks twice.
func TestTrolleyEnrolsAtOnce(t *testing.T) {
	o := newOffice(t)
	const laptops = 100
	token := o.token(NewToken{Uses: laptops})
	var all sync.WaitGroup
	var mu sync.Mutex
	names := map[string]int{}
	for range laptops {
		request := newRequest(t)
		for range 2 {
			all.Go(func() {
				answer, err := o.ask(o.school.ID, token, request)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				names[answer.GetDevice()]++
			})
		}
	}
	all.Wait()
	for name, asked := range names {
		if asked != 2 {
			t.Errorf("device %q was given to %d that asked", name, asked)
		}
	}
	if _, used, _ := o.roster.Token(token.ID); len(names) != laptops || used != laptops {
		t.Errorf("%d laptops are %d devices, and the token counts %d", laptops, len(names), used)
	}
	if _, err := o.ask(o.school.ID, token, newRequest(t)); status.Code(err) != codes.PermissionDenied {
		t.Errorf("one laptop more: got %v", err)
	}
	if len(o.service.desks[o.school.ID].admitting) != 0 {
		t.Error("admissions are left that nobody is under way with")
	}
}

func BenchmarkEnrol(b *testing.B) {
	o := newOffice(b)
	token := o.token(NewToken{Uses: maxTokenUses})
	requests := make([][]byte, 1000)
	for i := range requests {
		requests[i] = newRequest(b)
	}
	b.SetParallelism(100)
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			o.clock.Advance(time.Second)
			if _, err := o.ask(o.school.ID, token, requests[int(next.Add(1))%len(requests)]); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestRevokedKeyStaysOut(t *testing.T) {
	o := newOffice(t)
	request := newRequest(t)
	answer, err := o.ask(o.school.ID, o.token(NewToken{}), request)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := roster.Maker{School: o.school.ID}.Revocation(roster.Revocation{Device: posture.DeviceID(answer.GetDevice())}, monday)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ledger.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if _, err := o.ask(o.school.ID, o.token(NewToken{}), request); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a revoked key with a good token: got %v", err)
	}
}

func TestTokensOfClassesWithoutAgent(t *testing.T) {
	o := newOffice(t)
	for _, class := range []posture.Ownership{posture.StudentOwned, posture.StaffOwned, posture.VisitorOwned, "borrowed"} {
		if _, err := CreateToken(t.Context(), o.school, o.ledger, NewToken{Addresses: []string{"h:1"}, Ownership: class}, monday); err == nil {
			t.Errorf("a token for devices of the class %s was made", class)
		}
	}
	for _, n := range []NewToken{{Uses: -1}, {Uses: maxTokenUses + 1}, {Lasts: -time.Hour}, {Lasts: 2 * maxTokenLife}} {
		n.Addresses = []string{"h:1"}
		if _, err := CreateToken(t.Context(), o.school, o.ledger, n, monday); err == nil {
			t.Errorf("a token like %+v was made", n)
		}
	}
	if o.ledger.Size() != 0 {
		t.Error("a token that was refused was recorded")
	}
	token := o.token(NewToken{})
	secret := string(token.Secret[:])
	for rec, err := range o.ledger.Entries(t.Context(), 0, ledger.Index(o.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := o.ledger.Body(t.Context(), rec.Index, 0)
		if err != nil || rec.Envelope.Kind != proof.KindToken || strings.Contains(string(body), secret) {
			t.Errorf("token's entry: kind %s, %v; it must not hold the secret", rec.Envelope.Kind, err)
		}
	}
}

func TestSchoolIsThereWholeOrNotAtAll(t *testing.T) {
	data := t.TempDir()
	if schools, err := LoadSchools(data); err != nil || len(schools) != 0 {
		t.Errorf("no schools yet: got %v, %v", schools, err)
	}
	s, err := CreateSchool(data, "  Hollybank   Primary School ", monday)
	if err != nil || s.Name != "Hollybank Primary School" {
		t.Fatalf("got %+v, %v", s, err)
	}
	for _, name := range []string{"hollybank primary school", "", " ", "bad\u202ename", strings.Repeat("x", 300)} {
		if _, err := CreateSchool(data, name, monday); err == nil {
			t.Errorf("a school named %q was made", name)
		}
	}
	// A crash in the middle leaves a folder that is passed over.
	if err := os.MkdirAll(filepath.Join(data, schoolsDir, unfinished+"sabc", keysDir), 0o700); err != nil {
		t.Fatal(err)
	}
	schools, err := LoadSchools(data)
	if err != nil || len(schools) != 1 || string(schools[0].MediaKey) != string(s.MediaKey) || schools[0].Authority.Fingerprint() != s.Authority.Fingerprint() {
		t.Errorf("loaded again: got %v, %v", schools, err)
	}
	if _, ok := FindSchool(schools, "HOLLYBANK primary school"); !ok {
		t.Error("the school is not found by its name")
	}
	if err := os.Remove(filepath.Join(s.Dir, keysDir, schoolKey)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSchools(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a school without its key: got %v", err)
	}
}
