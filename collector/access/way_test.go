package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// TestAnEndedSessionStaysEnded: a page that was being made while its session was
// ended from elsewhere does not bring it back.
func TestAnEndedSessionStaysEnded(t *testing.T) {
	c := clocktest.NewDriven(start)
	s, err := openSessions(t.TempDir(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit("token", []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.end(func([]byte) bool { return true }); n != 1 || err != nil {
		t.Fatalf("%d ended, %v", n, err)
	}
	if err := s.Commit("token", []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Find("token"); ok || err != nil {
		t.Errorf("the session is back (%v)", err)
	}
	c.Advance(AbsoluteLimit)
	if err := s.Commit("another", nil, time.Time{}); err != nil || len(s.ended) != 0 {
		t.Errorf("%d ended sessions are remembered for ever (%v)", len(s.ended), err)
	}
}

// TestOneAccountPushesNobodyOut: however often somebody signs in with one account,
// or begins to with its password alone, others stay signed in.
func TestOneAccountPushesNobodyOut(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	create(t, a, "Head", goodPassword)
	head := visit(t, a)
	head.get("/in")
	staff, _, _ := withApp(t, a, c, "Staff")
	for i := range maxSessions - maxOwn - maxHalf - 1 {
		a.sessions.store.rows[fmt.Sprintf("other-%d", i)] = sessionRow{BegunAt: c.Now(), SeenAt: c.Now()}
	}
	for _, way := range []Way{ByPassword, ByPasskey} {
		for range maxOwn + maxHalf + 2 {
			ctx, err := a.sessions.manager.Load(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/sign-in", nil)
			if _, err := a.Begin(httptest.NewRecorder(), r, staff, way, "192.0.2.9"); err != nil {
				t.Fatal(err)
			}
			if _, _, err := a.sessions.manager.Commit(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	head.wantName("Head")
	if list, err := a.SessionsOf(staff.ID, ""); err != nil || len(list) != maxOwn {
		t.Errorf("one account is signed in in %d places (%v)", len(list), err)
	}
}

func TestSessionsOutliveTheProcessAndAreEnded(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	create(t, a, "Head", goodPassword)
	head, _ := a.byName("Head")
	visit(t, a).get("/in")
	a = open(t, dir, c)
	list, err := a.SessionsOf(head.ID, "")
	if err != nil || len(list) != 1 || list[0].First != ByPassword || !list[0].Begun.Equal(start) || list[0].This {
		t.Fatalf("got %+v, %v", list, err)
	}
	if err := a.EndSession("somebody else", list[0].ID); !errors.Is(err, ErrNoSession) {
		t.Errorf("somebody else ended it: %v", err)
	}
	if err := a.EndSession(head.ID, ""); !errors.Is(err, ErrNoSession) {
		t.Errorf("one without a name was ended: %v", err)
	}
	if err := a.EndSessions("console:root", head.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := open(t, dir, c).SessionsOf(head.ID, ""); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
	wantEvents(t, a, "hollybank", SessionsEnded)
}

func TestBrowserWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0":                                                        "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/604.1":     "Safari on iPhone",
		"curl/8.14": "",
		"":          "",
	} {
		if got := browserWords(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}
