package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/identity"
)

// asks has a new machine ask to be admitted, and wait.
func (w *world) asks(name, token string) (*laptop, string) {
	w.t.Helper()
	l := w.newMachine(name, "plain-laptop")
	_, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{
		State: l.state, Token: token, Later: true, About: &agentapp.Config{State: l.state, Replay: l.machine, Log: logTo(w.t, "asking agent")},
	}, w.clock)
	waits, ok := errors.AsType[*enroll.WaitingError](err)
	if !ok {
		w.t.Fatalf("%s does not wait: %v", name, err)
	}
	return l, waits.Code
}

// keepsText says whether anything that a laptop keeps has a text in it.
func (l *laptop) keepsText(text string) (found bool) {
	l.w.t.Helper()
	must(l.w.t, filepath.WalkDir(l.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(text))
		return err
	}))
	return found
}

// TestATrolleyIsAdmittedByItsCodes: with a token that everybody can read in a
// roll-out profile. Each laptop shows a code, through a restart of both programs;
// a technician admits those whose screens show what the page shows, and refuses
// the one that is nobody's of the school.
func TestATrolleyIsAdmittedByItsCodes(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	road := newLink(t, c.agents)
	bulk := tokenFor(road.Address())
	bulk.Uses, bulk.Way, bulk.Groups = 30, admission.OnApproval, []string{"trolley-b"}
	made := ask[collectorapp.TokenAnswer](w, "token.create", bulk)
	secret, err := identity.ParseToken(made.Token)
	must(t, err)

	first, firstCode := w.asks("first", made.Token)
	second, secondCode := w.asks("second", made.Token)
	stranger, strangersCode := w.asks("strangers", made.Token)
	// It shows its code, and what happens next; nothing of the token is left.
	s := first.status()
	if s.Enrolled || s.Waits || s.Approval == nil || s.Approval.Code != firstCode || s.Approval.SchoolName != schoolName {
		t.Fatalf("it says %+v", s)
	}
	var told bytes.Buffer
	agentapp.PrintStatus(&told, s)
	for _, words := range []string{firstCode, "waits to be admitted to " + schoolName, "Nothing is to be done here"} {
		if !strings.Contains(told.String(), words) {
			t.Errorf("it does not say %q:\n%s", words, told.String())
		}
	}
	for text := range map[string]bool{made.Token: true, string(secret.Secret[:]): true} {
		if first.keptToken() || first.keepsText(text) {
			t.Error("the token is still there")
		}
	}
	// The service asks by itself, and everybody at the laptop can read the code.
	first.run()
	published := func() bool {
		data, err := os.ReadFile(filepath.Join(first.state, "status.json"))
		info, missing := os.Stat(filepath.Join(first.state, "status.json"))
		return err == nil && missing == nil && bytes.Contains(data, []byte(firstCode)) && info.Mode().Perm() == 0o644
	}
	until(t, "the service says the code to everybody", published)
	w.clock.Advance(time.Hour)
	must(t, first.stop()) // it is switched off, and the collector is started anew
	must(t, c.stop())
	c = w.collect()
	road.Mend(c.agents)
	first.run()
	second.run()
	w.clock.Advance(time.Hour)
	if first.status().Enrolled || w.coverage().Enrolled != 0 {
		t.Fatal("nobody has approved it")
	}

	// The technician types what the first shows, and admits it; the second in
	// another way.
	p := w.signIn(c, "technician")
	at := "/schools/" + string(w.only()) + "/enrolments/waiting"
	p.shows("/", "waiting to be admitted")
	p.shows(at+"?q="+url.QueryEscape(strings.ToLower(firstCode)), "checked", firstCode)
	p.post(at, url.Values{"deed": {"approve"}, "code": {firstCode}}, at)
	w.untilPassing(10*time.Second, "the first is a device", func() bool { return first.status().Enrolled })
	d := ask[collectorapp.DecidedList](w, "enrolment.approve", collectorapp.PendingArguments{Codes: []string{strings.ToLower(secondCode), "KF7Q-M2XP"}})
	if len(d.Decided) != 2 || d.Decided[0].Device == "" || !strings.Contains(d.Decided[1].Why, "no laptop with this code") {
		t.Fatalf("admitted: %+v", d)
	}
	w.untilPassing(10*time.Second, "the second is a device", func() bool { return second.status().Enrolled })
	for _, l := range []*laptop{first, second} {
		l.device = l.status().Device
		w.untilPassing(10*time.Second, "it has reported", func() bool { return l.status().Acknowledged >= 1 })
		until(t, "the report shows", func() bool { return l.shown().LastReport >= 1 })
		if got := l.shown().Groups; len(got) != 1 || got[0] != "trolley-b" || l.status().Approval != nil {
			t.Errorf("it is in the groups %v, and says %+v", got, l.status().Approval)
		}
	}
	if second.device != string(d.Decided[0].Device) {
		t.Errorf("the second is %s, not %+v", second.device, d.Decided[0])
	}

	// The stranger's is refused, and told why.
	refusedWith(t, w.do("enrolment.refuse", collectorapp.PendingArguments{Codes: []string{strangersCode}}, new(any)), "reason")
	var list api.PendingEnrolments
	other := w.callerOf(c, "Morgan Ellis", access.Technician)
	door := "/schools/" + string(w.only()) + "/enrolments/waiting"
	if status := other.ask(door, nil, &list); status != http.StatusOK || len(list.Pending) != 1 || list.Pending[0].Code != strangersCode || list.Pending[0].Model == "" {
		t.Fatalf("by API: %d, %+v", status, list)
	}
	var done api.DecidedEnrolments
	if status := other.ask(door+"/refusal", api.NewPendingDecision{Codes: []string{strangersCode}, Reason: "it is not the school's"}, &done); status != http.StatusCreated || done.Decided[0].Why != "" {
		t.Fatalf("by API: %d, %+v", status, done)
	}
	err = agentapp.Run(t.Context(), agentapp.Config{State: stranger.state, Replay: stranger.machine, Log: logTo(t, "refused agent")}, w.clock)
	if !errors.Is(err, enroll.ErrRefused) || !strings.Contains(err.Error(), "it is not the school's") {
		t.Errorf("refused it ends with %v", err)
	}
	if s := stranger.status(); s.Approval != nil || s.Enrolled || s.Waits {
		t.Errorf("refused it says %+v", s)
	}
	tokens := ask[collectorapp.TokenList](w, "token.list", collectorapp.ListArguments{})
	if n := tokens.Tokens[0]; n.Used != 2 || n.Waiting != 0 || n.Way != admission.OnApproval {
		t.Errorf("the token: %+v", n)
	}
}
