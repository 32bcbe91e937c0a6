package enroll

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// known waits as an agent with a serial number does, and returns what the school
// has of it.
func (a *applying) known(token *identity.Token, serial string) admission.Pending {
	a.o.t.Helper()
	out, err := a.asksAs(token, serial)
	if err != nil || out.GetWaiting() == nil || out.GetDevice() != "" {
		a.o.t.Fatalf("it does not wait: %v, %v", out, err)
	}
	for _, p := range a.o.service.Pending(a.o.school.ID) {
		if p.Code == a.code() {
			return p
		}
	}
	a.o.t.Fatal("nobody knows that it waits")
	return admission.Pending{}
}

// approvedAs approves one, and holds its asset against what is wanted: a tag, or the
// words why it is none.
func (a *applying) approvedAs(tag, untied string) posture.DeviceID {
	a.o.t.Helper()
	done := a.o.approve(a.code())
	if done[0].Why != "" || done[0].Device == "" || done[0].Asset != tag || (untied == "") != (done[0].Untied == "") || !strings.Contains(done[0].Untied, untied) {
		a.o.t.Fatalf("approved: %+v, want the asset %q or %q", done, tag, untied)
	}
	device, _ := a.o.roster.Device(done[0].Device)
	if e, err := a.o.roster.Enrolment(a.o.t.Context(), device); err != nil || e.Asset != tag {
		a.o.t.Errorf("recorded: %+v, %v", e, err)
	}
	return done[0].Device
}

func (s *shelf) is(tag string) register.Asset {
	s.o.t.Helper()
	a, ok, err := s.WithTag(s.o.t.Context(), tag)
	if err != nil || !ok {
		s.o.t.Fatalf("%s: %t, %v", tag, ok, err)
	}
	return a
}

// TestWhoIsApprovedIsTheirAsset: by whoever approved them, also after the collector
// was started anew; nothing of the serial number is kept, and a laptop is told the
// same whether the register has it or not.
func TestWhoIsApprovedIsTheirAsset(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q7R", "HB-LT-015", "5CD1234XYZ")
	o.keeps(register.Change{What: register.Retire, Tag: "HB-LT-015", Date: "2026-11-01"})
	token := o.token(NewToken{Uses: 10, Way: admission.OnApproval})
	a, b, c, d := o.applicant(), o.applicant(), o.applicant(), o.applicant()
	if p := a.known(&token, "pf2x 9q7r"); p.Asset != "HB-LT-014" || p.Why != whyWaits || p.WithoutRegister().Asset != "" {
		t.Errorf("it waits as %+v", p)
	}
	for serial, other := range map[string]*applying{"PF9ZZZZ9": b, "5CD1234XYZ": c, "": d} {
		if p := other.known(&token, serial); p.Asset != "" || p.Why != whyWaits {
			t.Errorf("with %q it waits as %+v", serial, p)
		}
	}
	file, err := os.ReadFile(filepath.Join(o.school.Dir, pendingDir, nameOf(a.code())))
	if err != nil || !bytes.Contains(file, []byte("HB-LT-014")) || bytes.Contains(bytes.ToUpper(file), []byte("PF2X9Q7R")) {
		t.Errorf("kept: %s, %v", file, err)
	}
	first, err1 := a.asks(nil)
	second, err2 := b.asks(nil)
	if err := errors.Join(err1, err2); err != nil || !proto.Equal(first, second) {
		t.Errorf("they are told %v and %v, %v", first, second, err)
	}

	o.restart()
	o.service.Put(Desk{School: o.school, Roster: o.roster, Ledger: o.ledger, Assets: s})
	device := a.approvedAs("HB-LT-014", "")
	if got := s.is("HB-LT-014"); got.Device != device || !got.BySerial.IsZero() {
		t.Errorf("the asset is %+v", got)
	}
	b.approvedAs("", "")
	c.approvedAs("", "")
}

// TestOneAssetIsOneApproved: of two that say one serial number the first that is
// approved is the asset, in one decision or in two; a laptop that was set up anew
// is told apart by a person.
func TestOneAssetIsOneApproved(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q7R", "HB-LT-016", "PF3ABCD1")
	token := o.token(NewToken{Uses: 10, Way: admission.OnApproval})
	a, b, anew := o.applicant(), o.applicant(), o.applicant()
	a.known(&token, "PF2X9Q7R")
	b.known(&token, "PF2X9Q7R")
	done := o.approve(b.code(), a.code())
	if done[0].Asset != "HB-LT-014" || done[0].Untied != "" || done[1].Device == "" || done[1].Asset != "" || !strings.Contains(done[1].Untied, "another laptop") {
		t.Errorf("approved: %+v", done)
	}
	if s.is("HB-LT-014").Device != done[0].Device {
		t.Errorf("the asset is %+v", s.is("HB-LT-014"))
	}
	if p := anew.known(&token, "PF2X9Q7R"); p.Asset != "HB-LT-014" {
		t.Errorf("it waits as %+v", p)
	}
	anew.approvedAs("", "the register's HB-LT-014 has enrolled already")

	// By the register: what waits for a person has its asset too, and what is asked
	// at the same time gets what is left.
	byList := o.token(NewToken{Uses: 10, Way: admission.ByRegister})
	waits := o.applicant()
	waits.known(&token, "PF3ABCD1")
	device := o.applicant().admittedAs(&byList, "PF3ABCD1")
	if got := s.is("HB-LT-016"); got.Device != device || got.BySerial.IsZero() {
		t.Errorf("the asset is %+v", got)
	}
	waits.approvedAs("", "has enrolled already")
	late := o.applicant()
	if p := late.known(&byList, "PF3ABCD1"); p.Asset != "HB-LT-016" || strings.Contains(p.WithoutRegister().Why, "HB-LT") {
		t.Errorf("it waits as %+v", p)
	}
	o.keeps(register.Change{What: register.Untie, Tag: "HB-LT-016"})
	late.approvedAs("HB-LT-016", "")
}

// TestTheRegisterIsAskedAgain: what it said when a laptop asked ties nothing by
// itself.
func TestTheRegisterIsAskedAgain(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q70", "HB-LT-015", "PF2X9Q71", "HB-LT-016", "PF2X9Q72", "HB-LT-017", "PF2X9Q73", "HB-LT-018", "PF2X9Q74")
	token := o.token(NewToken{Uses: 10, Way: admission.OnApproval})
	all := make([]*applying, 5)
	for i := range all {
		all[i] = o.applicant()
		if p := all[i].known(&token, "PF2X9Q7"+string(rune('0'+i))); p.Asset == "" {
			t.Fatalf("it waits as %+v", p)
		}
	}
	o.keeps(register.Change{What: register.Retire, Tag: "HB-LT-014", Date: "2026-11-01"})
	o.keeps(register.Change{What: register.Import, AsOf: monday, Items: []register.Item{
		{Tag: "HB-LT-015", Description: register.Description{Serial: "PF2X9QAA"}}, {Tag: "HB-LT-016", Description: register.Description{Serial: "pf2x 9q72"}},
	}})
	o.keeps(register.Change{What: register.Tie, Tag: "HB-LT-017", Device: "d-another"})
	all[0].approvedAs("", "was retired")
	all[1].approvedAs("", "the register's HB-LT-015 was given another serial number")
	all[2].approvedAs("HB-LT-016", "")
	all[3].approvedAs("", "has enrolled already")
	if got := s.is("HB-LT-017").Device; got != "d-another" {
		t.Errorf("the asset is now %s", got)
	}
	s.broken = errors.New("the view is being built")
	all[4].approvedAs("", "could not be read")
	late := o.applicant() // it waits, and nobody knows which it is
	if p := late.known(&token, "PF2X9Q74"); p.Asset != "" {
		t.Errorf("it waits as %+v", p)
	}
	s.broken = nil
	if p := late.known(&token, "PF2X9Q74"); p.Asset != "" {
		t.Errorf("a key is held against the register again: %+v", p)
	}
}

// TestGuessesForApprovalNeedRoom: what a stranger finds out by guessing is a line for
// the school, and there are so many lines.
func TestGuessesForApprovalNeedRoom(t *testing.T) {
	o := newOffice(t)
	s := o.lists("HB-LT-014", "PF2X9Q7R")
	token := o.token(NewToken{Uses: 2, Way: admission.OnApproval})
	full := false
	for n := 0; n < 60 && !full; n++ {
		_, err := o.applicant().asksAs(&token, "PF8"+random(6))
		full = errors.Is(err, errRoom)
	}
	if most := roomOf(2) / 2; !full || s.asked != most {
		t.Errorf("%d were tried, want %d; full: %t", s.asked, most, full)
	}
}
