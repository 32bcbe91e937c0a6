package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// enrolled records enrolments as the door does, where no collector runs.
func enrolled(t *testing.T, data string, devices ...posture.DeviceID) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := open(t.Context(), data, false, clock.System{}, slog.New(slog.DiscardHandler))
	ok(err)
	s, err := c.school("")
	ok(err)
	for _, id := range devices {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ok(err)
		certificate, err := s.Authority.Issue(id, &key.PublicKey, time.Now())
		ok(err)
		section, err := roster.Section(roster.SectionEnrolment, proof.Kept, roster.Enrolment{
			Device: id, Certificate: certificate, Ownership: posture.SchoolSingleUser, Platform: posture.Linux,
		})
		ok(err)
		_, err = s.append(t.Context(), roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindEnrolment, string(id), time.Now(), section))
		ok(err)
	}
	ok(c.Close())
}

// TestWhatWasDecidedAboutEnrolmentsShowsAtOnce: who is told that a laptop was
// revoked sees that it was, and is not asked about it any more.
func TestWhatWasDecidedAboutEnrolmentsShowsAtOnce(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	var devices []posture.DeviceID
	for n := range 30 {
		devices = append(devices, posture.DeviceID(fmt.Sprintf("d%02d", n)))
	}
	enrolled(t, data, devices...)
	stop := running(t, data)
	for _, id := range devices {
		do[AdmissionAnswer](t, data, "device.revoke", RevokeArguments{Device: string(id), Reason: "its key was copied"})
		shown := do[view.DeviceDetail](t, data, "device.show", ListArguments{Device: string(id)})
		if shown.RevokedAt.IsZero() {
			t.Fatalf("%s was revoked, and is shown as if it were not", id)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// admissionWalls are the operations about enrolments in the table of walls.
func admissionWalls(mine string) map[string]wall {
	return map[string]wall{
		"device.revoke": {
			school: func(s string) any { return RevokeArguments{School: s, Device: "d", Reason: "x"} },
			device: func(d string) any { return RevokeArguments{School: mine, Device: d, Reason: "x"} },
		},
		"health.show":       {school: func(s string) any { return ListArguments{School: s} }},
		"token.list":        {school: func(s string) any { return ListArguments{School: s} }},
		"token.end":         {school: func(s string) any { return EndTokenArguments{School: s, Token: "0123456789abcdef", Reason: "x"} }},
		"enrolment.list":    {school: func(s string) any { return ListArguments{School: s} }},
		"enrolment.approve": {school: func(s string) any { return PendingArguments{School: s, Codes: []string{"KF7Q-M2XP"}} }},
		"enrolment.refuse":  {school: func(s string) any { return PendingArguments{School: s, Codes: []string{"KF7Q-M2XP"}, Reason: "x"} }},
		"renewal.list":      {school: func(s string) any { return RenewalArguments{School: s} }},
		"renewal.approve": {
			school: func(s string) any { return RenewalArguments{School: s, Device: "d", Reason: "x"} },
			device: func(d string) any { return RenewalArguments{School: mine, Device: d, Reason: "x"} },
		},
		"renewal.window": {school: func(s string) any { return RenewalArguments{School: s, Days: 90} }},
		"apart.list":     {school: func(s string) any { return ApartArguments{School: s} }},
		"apart.decide":   {school: func(s string) any { return ApartArguments{School: s, Code: "KF7Q-M2XP", Reason: "x"} }},
		"same.list":      {school: func(s string) any { return SameArguments{School: s} }},
		"same.decide": {school: func(s string) any {
			return SameArguments{School: s, Device: "d", What: admission.SameHardware, Reason: "x"}
		}},
	}
}
