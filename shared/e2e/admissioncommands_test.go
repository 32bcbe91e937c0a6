package e2e

import (
	"strings"
	"testing"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

// admissionDeeds are the commands about enrolments. device revoke is in a test
// of its own: nothing is done with a laptop after it.
var admissionDeeds = []string{"device renewal", "device same", "device apart", "enrolment list", "enrolment approve", "enrolment refuse"}

// doingAdmissions does them.
func doingAdmissions(x *talk, do func(args ...string) string) {
	do("device", "renewal", "list", "--school", schoolName)
	do("device", "renewal", "approve", x.Device, "--reason", "seen in the cupboard", "--school", schoolName)
	do("device", "renewal", "window", "--days", "120", "--school", schoolName)
	do("device", "same", "list", "--all", "--school", schoolName)
	doingEnrolments(x, do)
}

// doingEnrolments decides about laptops that wait. Those that wait while no
// collector runs asked while one did.
func doingEnrolments(x *talk, do func(args ...string) string) {
	x.t.Helper()
	at := []string{"--school", schoolName, "--data", x.Data, "--json"}
	waiting := func() (codes []string) {
		list := asJSON[collectorapp.PendingList](x.t, good(x.t, "caretaker-collector", append([]string{"enrolment", "list"}, at...)...))
		for _, p := range list.Pending {
			if p.Refused.IsZero() {
				codes = append(codes, p.Code)
			}
		}
		return codes
	}
	states := map[string]string{} // by code
	if len(waiting()) == 0 {
		token := asJSON[collectorapp.TokenAnswer](x.t, good(x.t, "caretaker-collector", append([]string{"token", "create", "--uses", "6", "--admits", "approval"}, at...)...))
		for range 6 {
			state := x.t.TempDir() + "/state"
			said := good(x.t, "caretaker-agent", "enroll", "--state", state, "--token", token.Token)
			s := asJSON[agentapp.Status](x.t, good(x.t, "caretaker-agent", "status", "--state", state, "--json"))
			if s.Approval == nil || !strings.Contains(said, s.Approval.Code) {
				x.t.Fatalf("it says %+v and %s", s, said)
			}
			states[s.Approval.Code] = state
		}
	}
	codes := waiting()
	do("enrolment", "approve", codes[0], "--school", schoolName)
	do("enrolment", "refuse", codes[1], "--reason", "it is nobody's of the school", "--school", schoolName)
	do("enrolment", "list", "--school", schoolName)
	if len(states) == 0 {
		return
	}
	// Called again without a token, enroll says at once how that was decided.
	if said := good(x.t, "caretaker-agent", "enroll", "--state", states[codes[0]]); !strings.Contains(said, "Enrolled with "+schoolName) {
		x.t.Errorf("admitted it says %s", said)
	}
	if told := command(x.t, "caretaker-agent", "enroll", "--state", states[codes[1]]); told.Status != 3 || !strings.Contains(told.Stderr, "it is nobody's of the school") {
		x.t.Errorf("refused it says %d, %s", told.Status, told.Stderr)
	}
}

// TestARevokedLaptopIsToldSo through the programs themselves.
func TestARevokedLaptopIsToldSo(t *testing.T) {
	x := newTalk(t)
	x.settled()
	at := []string{"--school", schoolName, "--data", x.Data, "--json"}
	done := asJSON[collectorapp.AdmissionAnswer](t, good(t, "caretaker-collector", append([]string{"device", "revoke", x.Device, "--reason", "its key was copied"}, at...)...))
	if string(done.Device) != x.Device || done.Entry == 0 {
		t.Errorf("revoked: %+v", done)
	}
	until(t, "the laptop says that it was revoked", func() bool {
		return strings.Contains(good(t, "caretaker-agent", "status", "--state", x.State), "revoked by the school")
	})
	until(t, "it shows", func() bool {
		d := asJSON[view.DeviceDetail](t, good(t, "caretaker-collector", append([]string{"device", "show", x.Device}, at...)...))
		return !d.RevokedAt.IsZero()
	})
	again := command(t, "caretaker-collector", append([]string{"device", "revoke", x.Device, "--reason", "again"}, at...)...)
	if again.Status == 0 || !strings.Contains(again.Stderr, "revoked already") {
		t.Errorf("revoked twice: status %d, %s", again.Status, again.Stderr)
	}
	personal := command(t, "caretaker-agent", "enroll", "--class", "visitor-owned", "--token", "-", "--state", t.TempDir()+"/none")
	if personal.Status != 3 || !strings.Contains(personal.Stderr, "belongs to a person gets no agent") {
		t.Errorf("a visitor's laptop: status %d, %s", personal.Status, personal.Stderr)
	}
}
