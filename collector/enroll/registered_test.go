package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// shelf is a school's register as its ledger has it.
type shelf struct {
	o      *office
	broken error
	asked  int
}

// WithSerial implements Assets.
func (s *shelf) WithSerial(ctx context.Context, fits func(string) bool) (found register.Asset, ok bool, err error) {
	s.asked++
	assets, err := s.assets(ctx)
	for _, a := range assets {
		if a.Serial != "" && fits(register.SerialKey(a.Serial)) {
			found, ok = a, true
		}
	}
	return found, ok, err
}

// WithTag implements Assets.
func (s *shelf) WithTag(ctx context.Context, tag string) (found register.Asset, ok bool, err error) {
	assets, err := s.assets(ctx)
	found, ok = assets[register.Key(tag)]
	return found, ok, err
}

func (s *shelf) assets(ctx context.Context) (map[string]register.Asset, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	assets := map[string]register.Asset{}
	for rec, err := range s.o.ledger.Entries(ctx, 0, ledger.Index(s.o.ledger.Size())) {
		if err != nil {
			return nil, err
		}
		for n, ref := range rec.Envelope.Sections {
			if ref.Name != register.Section {
				continue
			}
			body, err := s.o.ledger.Body(ctx, rec.Index, n)
			if err != nil {
				return nil, err
			}
			c, err := register.Decode(body)
			if err != nil {
				return nil, err
			}
			made := register.Made{Entry: uint64(rec.Index) + 1, At: monday}
			for _, i := range c.Items {
				assets[register.Key(i.Tag)] = assets[register.Key(i.Tag)].Import(i, c.AsOf, made)
			}
			if c.What == register.Import {
				continue
			}
			if assets[register.Key(c.Tag)], err = assets[register.Key(c.Tag)].Take(c, made); err != nil {
				return nil, err
			}
		}
	}
	return assets, nil
}

// Tied implements Assets.
func (s *shelf) Tied(tag string, device posture.DeviceID, token roster.Token) ([]proof.Section, error) {
	return keeping(register.Change{What: register.TieBySerial, Tag: tag, Device: device})
}

func keeping(c register.Change) ([]proof.Section, error) {
	body, err := register.Encode(c)
	return []proof.Section{{Name: register.Section, Class: proof.Kept, Body: body}}, err
}

// keeps records a change of the register.
func (o *office) keeps(c register.Change) {
	o.t.Helper()
	sections, err := keeping(c)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.ledger.Append(o.t.Context(), (roster.Maker{School: o.school.ID, Intake: "collector"}).Entry(proof.KindDecision, "", monday, sections...)); err != nil {
		o.t.Fatal(err)
	}
}

// lists has the register name assets by their tags, each with its serial number.
func (o *office) lists(pairs ...string) *shelf {
	o.t.Helper()
	c := register.Change{What: register.Import, AsOf: monday}
	for i := 0; i < len(pairs); i += 2 {
		c.Items = append(c.Items, register.Item{Tag: pairs[i], Description: register.Description{Serial: pairs[i+1]}})
	}
	o.keeps(c)
	s := &shelf{o: o}
	o.service.Put(Desk{School: o.school, Roster: o.roster, Ledger: o.ledger, Assets: s})
	return s
}

// asksAs asks with a token, and says a serial number as an agent does.
func (a *applying) asksAs(token *identity.Token, serial string) (*pb.EnrollResponse, error) {
	a.serial = nil
	if number := posture.NormaliseSerial(serial); posture.TellsComputer(number) {
		a.serial = identity.HideSerial(token.Hash(), number)
	}
	return a.asks(token)
}

// waitsAs asks, and has to wait because of something that only the school is told.
func (a *applying) waitsAs(token *identity.Token, serial, why string) {
	a.o.t.Helper()
	out, err := a.asksAs(token, serial)
	if err != nil || out.GetWaiting() == nil || out.GetDevice() != "" || len(out.GetMediaKey()) != 0 {
		a.o.t.Fatalf("it does not wait: %v, %v", out, err)
	}
	if told := out.GetWaiting().GetReason(); told != whyAsLaptop {
		a.o.t.Errorf("the laptop is told %q", told)
	}
	for _, p := range a.o.service.Pending(a.o.school.ID) {
		if p.Code == a.code() && p.Why != why {
			a.o.t.Errorf("it waits because %q, want %q", p.Why, why)
		}
	}
}

func (a *applying) admittedAs(token *identity.Token, serial string) posture.DeviceID {
	a.o.t.Helper()
	out, err := a.asksAs(token, serial)
	if err != nil || out.GetDevice() == "" || len(out.GetCertificate()) == 0 || out.GetWaiting() != nil {
		a.o.t.Fatalf("it is not admitted: %v, %v", out, err)
	}
	return posture.DeviceID(out.GetDevice())
}

// TestTheRegisterAdmitsWhatItHas: once, whatever case and blanks a number is
// written in; all others wait, and why is for the school alone.
func TestTheRegisterAdmitsWhatItHas(t *testing.T) {
	o := newOffice(t)
	o.lists("HB-LT-014", "pf2x 9q7r", "HB-LT-015", "5CD1234XYZ", "HB-LT-016", "PF3ABCD1", "HB-LT-017", "PF3ABCD2")
	o.keeps(register.Change{What: register.Retire, Tag: "HB-LT-015", Date: "2026-11-01"})
	token := o.token(NewToken{Uses: 10, Way: admission.ByRegister})
	a := o.applicant()
	device := a.admittedAs(&token, " PF2X9q7r ")
	if again := a.admittedAs(&token, "PF2X9Q7R"); again != device {
		t.Errorf("its answer was lost, and it is %s, not %s", again, device)
	}
	known, _ := o.roster.Device(device)
	if e, err := o.roster.Enrolment(t.Context(), known); err != nil || e.Asset != "HB-LT-014" || e.Token != token.ID || e.Code != "" {
		t.Errorf("recorded: %+v, %v", e, err)
	}
	o.applicant().waitsAs(&token, "PF2X9Q7R", "the register's HB-LT-014 has enrolled already")
	o.applicant().waitsAs(&token, "5CD1234XYZ", "the register's HB-LT-015 was retired from 2026-11-01 on")
	o.applicant().waitsAs(&token, "PF9ZZZZ9", "its serial number is not in the register")
	for _, filler := range []string{"", "To be filled by O.E.M.", "Default string", "00000000", "X"} {
		o.applicant().waitsAs(&token, filler, "it says no serial number")
	}
	other := o.token(NewToken{Uses: 10, Way: admission.ByRegister})
	stolen := o.applicant()
	stolen.serial = identity.HideSerial(other.Hash(), "PF3ABCD1") // what was said with another token
	stolen.waits(&token)
	short := o.applicant()
	short.serial = []byte("PF3ABCD1")
	short.refused(&token, codes.InvalidArgument, "has 8 bytes, not 32")

	// A key that has asked is not held against the register again, nor is a claim.
	guesser := o.applicant()
	guesser.waitsAs(&token, "PF9ZZZZ8", "its serial number is not in the register")
	guesser.waitsAs(&token, "PF3ABCD2", "its serial number is not in the register")
	guesser.waits(nil)
	if done := o.approve(guesser.code()); done[0].Device == "" {
		t.Errorf("a person admits it: %+v", done)
	}

	// Once a person says that the asset is no device it admits again.
	o.keeps(register.Change{What: register.Untie, Tag: "HB-LT-014"})
	if next := o.applicant().admittedAs(&token, "PF2X9Q7R"); next == device {
		t.Error("two keys are one device")
	}
	if _, used, _ := o.roster.Token(token.ID); used != 3 {
		t.Errorf("the token was used %d times", used)
	}
	at := o.applicant() // a token that admits at once asks no register
	once := o.token(NewToken{})
	if at.admittedAs(&once, "PF3ABCD1"); o.ledger.Size() == 0 {
		t.Error("nothing was recorded")
	}
	if d := o.applicant().admittedAs(&token, "PF3ABCD1"); d == "" {
		t.Error("what was admitted at once took its asset")
	}
}

// TestOneAssetAdmitsOne: whoever asks at the same moment, also with one key twice.
func TestOneAssetAdmitsOne(t *testing.T) {
	o := newOffice(t)
	o.lists("HB-LT-014", "PF2X9Q7R")
	token := o.token(NewToken{Uses: 400, Way: admission.ByRegister})
	const each = 3
	machines := make([]*applying, 8)
	for i := range machines {
		machines[i] = o.applicant()
		machines[i].serial = identity.HideSerial(token.Hash(), "PF2X9Q7R")
	}
	answers := make([][each]string, len(machines))
	var all sync.WaitGroup
	for i, m := range machines {
		for n := range each {
			all.Go(func() {
				out, err := m.asks(&token)
				if err != nil {
					t.Error(err)
				}
				answers[i][n] = out.GetDevice()
			})
		}
	}
	all.Wait()
	devices := map[string]bool{}
	for _, got := range answers {
		if got[0] != got[1] || got[1] != got[2] {
			t.Errorf("one key is told %q", got)
		}
		devices[got[0]] = true
	}
	if len(devices) != 2 || !devices[""] {
		t.Errorf("admitted: %v", devices)
	}
	if n := len(o.service.Pending(o.school.ID)); n != len(machines)-1 {
		t.Errorf("%d wait", n)
	}
}

// TestGuessesNeedRoom: whoever tries serial numbers is held against the register as
// often as laptops may wait, and not once more.
func TestGuessesNeedRoom(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q7R")
	token := o.token(NewToken{Uses: 2, Way: admission.ByRegister})
	full := false
	for n := 0; n < 60 && !full; n++ {
		_, err := o.applicant().asksAs(&token, fmt.Sprintf("PF8%05d", n))
		full = errors.Is(err, errRoom)
	}
	if most := roomOf(2) / 2; !full || s.asked != most {
		t.Errorf("%d were tried, want %d; full: %t", s.asked, most, full)
	}
	o.applicant().refused(&token, codes.ResourceExhausted, "as many laptops wait")
	elsewhere := o.applicant()
	elsewhere.from = "198.51.100.7:1000"
	elsewhere.admittedAs(&token, "PF2X9Q7R")
}

// TestAnUnreadRegisterAdmitsNobody: and has nobody wait for good, or be counted.
func TestAnUnreadRegisterAdmitsNobody(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q7R")
	s.broken = errors.New("the view is being built")
	token := o.token(NewToken{Uses: 2, Way: admission.ByRegister})
	a := o.applicant()
	if _, err := a.asksAs(&token, "PF2X9Q7R"); !errors.Is(err, errUnread) || strings.Contains(err.Error(), "view") {
		t.Fatalf("got %v", err)
	}
	if len(o.service.Pending(o.school.ID)) != 0 {
		t.Error("it waits")
	}
	s.broken = nil
	a.admittedAs(&token, "PF2X9Q7R")
	// A refused laptop stays refused, whatever the register says by now.
	b := o.applicant()
	b.waitsAs(&token, "PF3ABCD1", "its serial number is not in the register")
	if _, err := o.service.Refuse(t.Context(), o.school.ID, []string{b.code()}, "it is not the school's", noted); err != nil {
		t.Fatal(err)
	}
	o.lists("HB-LT-015", "PF3ABCD1")
	b.serial = identity.HideSerial(token.Hash(), "PF3ABCD1")
	b.refused(&token, codes.PermissionDenied, "it is not the school's")
	o.clock.Advance(8 * day)
	late := o.applicant()
	late.serial = b.serial
	late.refused(&token, codes.PermissionDenied, "has ended")
}
