package enroll

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// applying is a laptop that asks to be admitted.
type applying struct {
	o       *office
	request []byte
	claim   []byte
	serial  []byte // hidden
	from    string // address
}

func (o *office) applicant() *applying {
	claim := make([]byte, identity.SecretSize)
	copy(claim, random(identity.SecretSize))
	return &applying{o: o, request: newRequest(o.t), claim: claim, from: "192.0.2.1:40000"}
}

func (a *applying) code() string {
	a.o.t.Helper()
	key, err := identity.CheckRequest(a.request)
	if err != nil {
		a.o.t.Fatal(err)
	}
	code, err := identity.ShortCode(a.o.school.ID, key)
	if err != nil {
		a.o.t.Fatal(err)
	}
	return code
}

// asks asks with a token, or with the claim if it has none.
func (a *applying) asks(token *identity.Token) (*pb.EnrollResponse, error) {
	host, port, _ := net.SplitHostPort(a.from)
	at := &net.TCPAddr{IP: net.ParseIP(host), Port: len(port)}
	ctx := peer.NewContext(a.o.t.Context(), &peer.Peer{Addr: at, AuthInfo: guest{school: a.o.school.ID}})
	in := &pb.EnrollRequest{CertificateRequest: a.request, Platform: "windows", Hostname: "hb-lt-014\u202e", AgentVersion: "v1", Claim: a.claim, Model: "14 G3"}
	if token != nil {
		in.TokenId, in.TokenSecret, in.Serial = token.ID, token.Secret[:], a.serial
	}
	return a.o.service.Enroll(ctx, in)
}

func (a *applying) waits(token *identity.Token) {
	a.o.t.Helper()
	out, err := a.asks(token)
	if err != nil || out.GetWaiting() == nil || out.GetDevice() != "" || len(out.GetMediaKey()) != 0 || out.GetCertificate() != nil {
		a.o.t.Fatalf("it does not wait: %v, %v", out, err)
	}
}

func (a *applying) refused(token *identity.Token, code codes.Code, words string) {
	a.o.t.Helper()
	out, err := a.asks(token)
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), words) {
		a.o.t.Errorf("got %v, %v, want %q", out, err, words)
	}
}

// noted records decisions without words about people.
func noted(c admission.Change) ([]proof.Section, error) {
	body, err := admission.Encode(c)
	return []proof.Section{{Name: admission.Section, Class: proof.Kept, Body: body}}, err
}

// bound ties an asset to a device as whoever approved it decided.
func bound(tag string, device posture.DeviceID) ([]proof.Section, error) {
	return keeping(register.Change{What: register.TieBySerial, Tag: tag, Device: device, On: true})
}

func (o *office) approve(codes ...string) []admission.Decided {
	o.t.Helper()
	done, err := o.service.Approve(o.t.Context(), o.school.ID, codes, noted, bound)
	if err != nil {
		o.t.Fatal(err)
	}
	return done
}

// restart is the collector started anew.
func (o *office) restart() {
	o.service = NewService([]Desk{{School: o.school, Roster: o.roster, Ledger: o.ledger}}, "collector", o.clock, slog.New(slog.DiscardHandler))
}

// TestALaptopWaitsUntilItIsApproved: through a restart, without its token, even
// when that has ended; and what it is given then it is given again.
func TestALaptopWaitsUntilItIsApproved(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 1, Way: admission.OnApproval, Groups: []string{"trolley-b"}})
	a := o.applicant()
	size := o.ledger.Size()
	a.waits(&token)
	a.waits(&token) // its answer was lost
	if o.ledger.Size() != size {
		t.Error("what a stranger said is in the record")
	}
	list := o.service.Pending(o.school.ID)
	if len(list) != 1 || list[0].Code != a.code() || list[0].Hostname != `hb-lt-014\u{202e}` || list[0].Model != "14 G3" || list[0].Token != token.ID || !list[0].Ends.Equal(monday.Add(PendingLasts)) {
		t.Fatalf("waiting: %+v", list)
	}
	o.restart()
	o.clock.Advance(8 * day) // the token has ended
	a.waits(nil)
	a.waits(&token)
	o.applicant().refused(&token, codes.PermissionDenied, "has ended")
	other := o.applicant()
	other.claim = a.claim
	other.refused(nil, codes.PermissionDenied, "knows nothing any more")

	done := o.approve(a.code(), "KF7Q-M2XP", a.code())
	if len(done) != 3 || done[0].Why != "" || done[0].Device == "" || !strings.Contains(done[1].Why, "no laptop with this code") || done[2].Why == "" {
		t.Fatalf("approved: %+v", done)
	}
	if _, used, _ := o.roster.Token(token.ID); used != 1 || len(o.service.Pending(o.school.ID)) != 0 {
		t.Errorf("the token was used %d times, %d wait", used, len(o.service.Pending(o.school.ID)))
	}
	decided, err := o.ledger.Read(t.Context(), ledger.Index(done[0].Entry))
	if err != nil || decided.Envelope.Kind != proof.KindDecision || decided.Envelope.Subject != string(done[0].Device) {
		t.Errorf("entry %d: %+v, %v", done[0].Entry, decided.Envelope, err)
	}
	o.restart()
	for range 2 {
		out, err := a.asks(nil)
		if err != nil || posture.DeviceID(out.GetDevice()) != done[0].Device || len(out.GetCertificate()) == 0 || out.GetAssignment() == nil {
			t.Fatalf("approved it is given %v, %v", out, err)
		}
	}
	stranger := o.applicant()
	stranger.request = a.request // seen somewhere, without the claim
	stranger.refused(nil, codes.PermissionDenied, "knows nothing any more")
}

// TestARefusedLaptopIsToldWhy: and can be admitted after all, for a while.
func TestARefusedLaptopIsToldWhy(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 5, Way: admission.OnApproval})
	a, b := o.applicant(), o.applicant()
	a.waits(&token)
	b.waits(&token)
	refuse := func() []admission.Decided {
		done, err := o.service.Refuse(t.Context(), o.school.ID, []string{a.code()}, "it is not the school's", noted)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if done := refuse(); done[0].Why != "" || done[0].Entry == 0 {
		t.Fatalf("refused: %+v", done)
	}
	if done := refuse(); !strings.Contains(done[0].Why, "already") {
		t.Errorf("refused twice: %+v", done)
	}
	o.restart()
	a.refused(nil, codes.PermissionDenied, "refused on 23 November 2026")
	a.refused(&token, codes.PermissionDenied, "it is not the school's")
	b.waits(nil)
	if done := o.approve(a.code()); done[0].Device == "" {
		t.Fatalf("admitted after all: %+v", done)
	}
	if out, err := a.asks(&token); err != nil || out.GetDevice() == "" {
		t.Errorf("it is told %v, %v", out, err)
	}
	// Who waits for 14 days waits no more, and leaves no file.
	o.clock.Advance(PendingLasts)
	b.refused(nil, codes.PermissionDenied, "within 14 days")
	if len(o.service.Pending(o.school.ID)) != 0 {
		t.Error("it waits still")
	}
	if files, err := os.ReadDir(filepath.Join(o.school.Dir, pendingDir)); err != nil || len(files) != 0 {
		t.Errorf("left: %v, %v", files, err)
	}
}

// TestAFloodLeavesRoom: whoever found a token cannot put out who waits, nor keep
// out who asks from elsewhere, nor fill the disk.
func TestAFloodLeavesRoom(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 2, Way: admission.OnApproval})
	first := o.applicant()
	first.waits(&token)
	n := 0
	for ; n < 100; n++ {
		stranger := o.applicant()
		stranger.from = fmt.Sprintf("198.51.100.7:%d", 1000+n)
		if _, err := stranger.asks(&token); status.Code(err) == codes.ResourceExhausted {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != roomOf(2)/2 {
		t.Errorf("%d strangers wait", n)
	}
	own := o.applicant()
	own.waits(&token)
	for i := range 100 { // from everywhere
		stranger := o.applicant()
		stranger.from = fmt.Sprintf("203.0.113.%d:1", i)
		_, _ = stranger.asks(&token)
	}
	if got := len(o.service.Pending(o.school.ID)); got != roomOf(2) {
		t.Errorf("%d wait", got)
	}
	first.waits(nil)
	own.waits(nil)
	o.applicant().refused(&token, codes.ResourceExhausted, "as many laptops wait")
	another := o.token(NewToken{Uses: 1, Way: admission.OnApproval})
	o.applicant().waits(&another)
	// A token that is used up admits none of those that ask later.
	done := o.approve(first.code(), own.code())
	if done[0].Device == "" || done[1].Device == "" {
		t.Fatalf("approved: %+v", done)
	}
	o.applicant().refused(&token, codes.PermissionDenied, "as often as it may")
	// Those that wait can still be approved: somebody has seen them.
	for _, p := range o.service.Pending(o.school.ID) {
		if p.Token == token.ID {
			if done := o.approve(p.Code); done[0].Device == "" {
				t.Errorf("with a token that is used up: %+v", done)
			}
			break
		}
	}
}

// TestTwoOfOneCode: the second is refused, whatever it says of itself, and makes
// another key.
func TestTwoOfOneCode(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 5, Way: admission.OnApproval})
	a, b := o.applicant(), o.applicant()
	a.waits(&token)
	d, _ := o.service.desk(o.school.ID, errToken)
	d.pending.mu.Lock() // nobody can look for two keys of one code in a test
	d.pending.byCode[b.code()] = d.pending.byCode[a.code()]
	d.pending.mu.Unlock()
	b.refused(&token, codes.AlreadyExists, "the same code")
	a.waits(nil)
}

// TestAnOlderAgentWaitsWithItsToken: it has no claim, and asks as it always did.
func TestAnOlderAgentWaitsWithItsToken(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 5, Way: admission.OnApproval})
	a := o.applicant()
	a.claim = nil
	a.refused(&token, codes.Unavailable, a.code())
	a.refused(nil, codes.PermissionDenied, "not valid here")
	if done := o.approve(a.code()); done[0].Device == "" {
		t.Fatalf("approved: %+v", done)
	}
	if out, err := a.asks(&token); err != nil || out.GetDevice() == "" {
		t.Errorf("it is told %v, %v", out, err)
	}
	a.claim = make([]byte, 3)
	a.refused(&token, codes.InvalidArgument, "a claim has 16 bytes")
	a.claim = make([]byte, identity.SecretSize)
	a.refused(nil, codes.PermissionDenied, "knows nothing") // it had none
}

// TestWhatIsDamagedWaitsNoMore: a damaged file stops nobody else.
func TestWhatIsDamagedWaitsNoMore(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 5, Way: admission.OnApproval})
	a, b := o.applicant(), o.applicant()
	a.waits(&token)
	b.waits(&token)
	if err := os.WriteFile(filepath.Join(o.school.Dir, pendingDir, nameOf(a.code())), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.restart()
	if list := o.service.Pending(o.school.ID); len(list) != 1 || list[0].Code != b.code() {
		t.Errorf("waiting: %+v", list)
	}
	a.refused(nil, codes.PermissionDenied, "knows nothing any more")
	a.waits(&token) // with its token it asks anew
	// One that was admitted by another way meanwhile waits no more.
	bulk := o.token(NewToken{})
	if out, err := a.asks(&bulk); err != nil || out.GetDevice() == "" {
		t.Fatalf("with a token that admits at once: %v, %v", out, err)
	}
	if done := o.approve(a.code()); done[0].Why == "" {
		t.Errorf("approved twice: %+v", done)
	}
}

// TestATrolleyIsApprovedAtOnce: each decision is an entry of its own, in a few
// appends.
func TestATrolleyIsApprovedAtOnce(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Uses: 400, Way: admission.OnApproval})
	all := map[string]*applying{}
	var list []string
	for range 130 {
		a := o.applicant()
		a.waits(&token)
		all[a.code()], list = a, append(list, a.code())
	}
	for _, d := range o.approve(list...) {
		out, err := all[d.Code].asks(nil)
		if d.Why != "" || err != nil || posture.DeviceID(out.GetDevice()) != d.Device {
			t.Fatalf("%+v is told %v, %v", d, out, err)
		}
	}
	devices := 0
	for range o.roster.Devices() {
		devices++
	}
	if devices != 130 {
		t.Errorf("%d devices", devices)
	}
	// Folded from nothing the record says the same.
	verifier, err := o.school.Key.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	again, err := roster.Open(context.Background(), roster.Options{School: o.school.ID, Ledger: o.ledger, Verifier: verifier})
	if err != nil {
		t.Fatal(err)
	}
	if _, used, _ := again.Token(token.ID); used != 130 {
		t.Errorf("used %d times", used)
	}
}

// FuzzApplicant finds anything in the place of the file of one that waits.
func FuzzApplicant(f *testing.F) {
	f.Add([]byte(`{"code":"KF7Q-M2XP","token":"0123456789abcdef","asked":"2026-11-23T08:00:00Z","ends":"2026-12-07T08:00:00Z","key":"BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="}`))
	f.Add([]byte(`{"key":"AA=="}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := decodeApplicant(data)
		if err != nil {
			return
		}
		if _, err := a.key(); err != nil {
			t.Errorf("it has no key: %v", err)
		}
	})
}

// TestACodeNamedTwice is decided about once, and the second time says so.
func TestACodeNamedTwice(t *testing.T) {
	o := newOffice(t)
	token := o.token(NewToken{Way: admission.OnApproval})
	a := o.applicant()
	a.waits(&token)
	done := o.approve(a.code(), a.code())
	if done[0].Device == "" || done[1].Device != "" || done[1].Why != "it is named twice" {
		t.Errorf("got %+v", done)
	}
}
