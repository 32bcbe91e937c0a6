package enroll

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/roster"
)

// TestATokenThatEndedStaysSo when the clock is set back, as far as the record
// knows that it was once later; one that is made then is good for its own time.
// A restart changes nothing.
func TestATokenThatEndedStaysSo(t *testing.T) {
	o := newOffice(t)
	ended, unproven := o.token(NewToken{Lasts: time.Hour}), o.token(NewToken{Lasts: 3 * time.Hour})
	o.clock.Advance(2 * time.Hour)
	o.token(NewToken{}) // by now the record knows how late it is
	o.clock.Advance(-2 * time.Hour)
	fresh := o.token(NewToken{Lasts: time.Hour})
	check := func() {
		t.Helper()
		if _, err := o.ask(o.school.ID, ended, newRequest(t)); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("the token that had ended: got %v", err)
		}
		if latest := o.roster.Latest(); !latest.Equal(monday.Add(2 * time.Hour)) {
			t.Errorf("the record has an entry of %s, and says %s", monday.Add(2*time.Hour), latest)
		}
	}
	check()
	again, err := roster.Open(t.Context(), roster.Options{School: o.school.ID, Ledger: o.ledger, Verifier: o.roster.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	o.roster = again
	o.service.Put(Desk{School: o.school, Roster: again, Ledger: o.ledger})
	check()
	if _, err := o.ask(o.school.ID, unproven, newRequest(t)); err != nil {
		t.Errorf("the token that had not ended: %v", err)
	}
	if _, err := o.ask(o.school.ID, fresh, newRequest(t)); err != nil {
		t.Errorf("the token made since: %v", err)
	}
}
