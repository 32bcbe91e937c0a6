package web

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// newConfidence makes the pages of a school with a restricted incident, and
// returns what they log.
func newConfidence(t *testing.T) (http.Handler, *confidence, *bytes.Buffer) {
	t.Helper()
	s, kept, logged := newSchool(t), &confidence{}, &bytes.Buffer{}
	clock, log := clocktest.NewDriven(now), slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := access.Open(t.TempDir(), access.Options{Clock: clock, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []access.Role{access.Head, access.Governor, access.Technician, access.Administrator} {
		if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: string(role), Password: password, Grants: []access.Grant{{School: hollybank, Role: role}}}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(Config{Queries: s, Disputes: disputesKept(s), Waiting: waitersOf(s), Looks: looksOf(s), Records: &standing{}, Admissions: admissionsOf(s), Restricted: kept, Desk: newDesk(t, ""), Concerns: concernsOf(s), Saver: newSaver(t), Register: keepsOf(t, s), Particulars: s, Access: a, Clock: clock, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return h, kept, logged
}

const restrictedAt = "/schools/hollybank/restricted"

// TestToOthersThereIsNothingRestricted: whoever is no senior gets what any address
// gets at which nothing is, to the byte, and no menu leads there.
func TestToOthersThereIsNothingRestricted(t *testing.T) {
	h, kept, _ := newConfidence(t)
	for _, role := range []string{"technician", "administrator"} {
		c := newClient(t, h, role)
		none := c.get("/schools/hollybank/no-such-page/" + theCase).Body.String()
		for _, path := range []string{"", "/key", "/open", "/" + theCase, "/" + theCase + "/note", "/" + theCase + "/close"} {
			for _, r := range []*httptest.ResponseRecorder{c.get(restrictedAt + path), c.post(restrictedAt+path, url.Values{"passphrase": {theirPassphrase}})} {
				if r.Code != http.StatusNotFound && r.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s of %s: %d", path, role, r.Code)
				}
				if r.Code == http.StatusNotFound && plainText(r.Body.String()) != plainText(none) {
					t.Errorf("%s of %s says %s", path, role, plainText(r.Body.String()))
				}
			}
		}
		if page := c.want("/schools/hollybank", http.StatusOK); strings.Contains(page, "Restricted") {
			t.Errorf("a %s is led there", role)
		}
	}
	if len(kept.asked) != 0 {
		t.Errorf("%v were asked after", kept.asked)
	}
}

// TestARestrictedIncidentIsReadWithThePassphrase: without it, and by a senior who
// is not named, the address says the same as one at which there is nothing.
func TestARestrictedIncidentIsReadWithThePassphrase(t *testing.T) {
	h, kept, logged := newConfidence(t)
	head, governor := newClient(t, h, "head"), newClient(t, h, "governor")
	right := url.Values{"passphrase": {theirPassphrase}}
	head.want(restrictedAt, http.StatusOK, "Passphrase of your key", "3kfa-77qd-abcd-m2xy , yours", "Do not name anybody by a code from this list")
	there, none := head.get(restrictedAt+"/"+theCase).Body.String(), head.get(restrictedAt+"/r-00000000").Body.String()
	if strings.ReplaceAll(there, theCase, "r-00000000") != none {
		t.Error("before the passphrase is given, the page of an incident is another than that of none")
	}
	if len(kept.asked) != 0 {
		t.Errorf("looked at without a passphrase: %v", kept.asked)
	}
	if page := plainText(head.post(restrictedAt, right).Body.String()); !strings.Contains(page, "Is said to have copied records.") || !strings.Contains(page, "To lift a hold was asked") {
		t.Errorf("the list is %s", page)
	}
	page := plainText(head.post(restrictedAt+"/"+theCase, right).Body.String())
	for _, want := range []string{"It is about Morgan Ellis", "due Mon 26 Oct 2026 14:12 GMT", "The laptop HB-LT-014", "The police may want it.", "Agree to what was asked", "Who looked", "Police, Fri"} {
		if !strings.Contains(page, want) {
			t.Errorf("the incident does not say %q: %s", want, page)
		}
	}
	for path, c := range map[string]*client{"/r-00000000": head, "/" + theCase: governor} {
		if r := c.post(restrictedAt+path, right); r.Code != http.StatusNotFound || strings.Contains(r.Body.String(), "Morgan") {
			t.Errorf("%s was answered with %d", path, r.Code)
		}
	}
	for _, path := range []string{"", "/" + theCase} {
		for _, wrong := range []string{"", "a guess"} {
			r := head.post(restrictedAt+path, url.Values{"passphrase": {wrong}})
			if r.Code != http.StatusUnprocessableEntity || strings.Contains(r.Body.String(), "Morgan") || wrong != "" && strings.Contains(r.Body.String(), wrong) {
				t.Errorf("%s with the passphrase %q was answered with %d", path, wrong, r.Code)
			}
		}
	}
	if all := logged.String(); strings.Contains(all, theirPassphrase) || strings.Contains(all, "a guess") || strings.Contains(all, "Morgan") {
		t.Errorf("it is logged: %s", all)
	}
}

// TestWhatSeniorsDo: each form does what it says, loses nothing that was typed,
// and never writes a passphrase back.
func TestWhatSeniorsDo(t *testing.T) {
	h, kept, _ := newConfidence(t)
	c := newClient(t, h, "head")
	aware := time.Date(2026, 10, 23, 8, 30, 0, 0, time.UTC)
	for _, p := range []struct {
		path  string
		form  url.Values
		check func(Deed) bool
		wrong string
	}{
		{
			"/open",
			url.Values{"kind": {"disclosure"}, "concerns": {"Morgan Ellis, Jo Marsh"}, "seniors": {"9abc-77qd-abcd-m2xy"}, "aware-day": {"2026-10-23"}, "aware-time": {"09:30"}, "reason": {"Is said to."}},
			func(d Deed) bool {
				return d.Do == "open" && len(d.Concerns) == 2 && len(d.Seniors) == 1 && d.Change.Kind == incident.Disclosure && d.Change.Aware.At.Equal(aware) && d.Words == "Is said to."
			}, "",
		},
		{"/open", url.Values{"kind": {"disclosure"}, "aware-day": {"2026-10-23"}, "aware-time": {"09:30"}, "reason": {"Is said to."}}, nil, "at least one other senior"},
		{"/open", url.Values{"kind": {"disclosure"}, "seniors": {"x"}, "reason": {"Is said to."}}, nil, "became aware"},
		{"/open", url.Values{"kind": {"robbery"}, "seniors": {"x"}, "aware-day": {"2026-10-23"}, "aware-time": {"09:30"}, "reason": {"Is said to."}}, nil, "is no kind of incident"},
		{"/" + theCase + "/agree", nil, func(d Deed) bool { return d.Do == "agree" && d.Incident == theCase }, ""},
		{"/" + theCase + "/decline", nil, func(d Deed) bool { return d.Do == "decline" }, ""},
		{"/" + theCase + "/note", url.Values{"what": {"lesson"}, "reason": {"Two keys."}}, func(d Deed) bool { return d.Do == "record" && d.Change.What == incident.Lesson }, ""},
		{"/" + theCase + "/note", url.Values{"what": {"contact"}, "reason": {"Two keys."}}, nil, "Say with whom"},
		{"/" + theCase + "/note", url.Values{"what": {"note"}}, nil, "Write a few words"},
		{"/" + theCase + "/telling", url.Values{"audience": {"regulator"}, "answer": {"no"}, "reason": {"No data."}}, func(d Deed) bool { return d.Change.Answer == incident.No }, ""},
		{"/" + theCase + "/correction", url.Values{"aware-day": {"2026-10-23"}, "aware-time": {"09:30"}, "reason": {"Earlier."}}, func(d Deed) bool { return d.Change.Aware.At.Equal(aware) }, ""},
		{"/" + theCase + "/hold", url.Values{"device": {"HB-LT-014"}, "reason": {"The police."}}, func(d Deed) bool { return d.Do == "hold" && d.Device == "d-014" }, ""},
		{"/" + theCase + "/hold", url.Values{"device": {"lt-01"}, "reason": {"The police."}}, nil, "No laptop of this school"},
		{"/" + theCase + "/hold", url.Values{"reason": {"The police."}}, nil, "Name one laptop, or one stick"},
		{"/" + theCase + "/lift", url.Values{"medium": {"M-031"}, "reason": {"Over."}}, func(d Deed) bool { return d.Do == "lift" && d.Medium == "M-031" }, ""},
		{"/" + theCase + "/name", url.Values{"senior": {"zzzz-1"}}, func(d Deed) bool { return d.Do == "name" && d.Seniors[0] == "zzzz-1" }, ""},
		{"/" + theCase + "/remove", url.Values{"reason": {"Left."}}, nil, "Type the code"},
		{"/" + theCase + "/close", url.Values{"outcome": {"internal"}, "reason": {"It was nothing."}}, func(d Deed) bool { return d.Do == "close" && d.Change.Outcome == incident.Internal }, ""},
		{"/" + theCase + "/close", url.Values{"outcome": {"internal"}, "reason": {"refuse this"}}, nil, "It holds something still."},
		{"/" + theCase + "/reopen", url.Values{"reason": {"More came."}}, func(d Deed) bool { return d.Do == "reopen" }, ""},
	} {
		kept.done = nil
		form := url.Values{"passphrase": {theirPassphrase}}
		for k, v := range p.form {
			form[k] = v
		}
		c.want(restrictedAt+p.path, http.StatusOK, "Passphrase of your key")
		r := c.post(restrictedAt+p.path, form)
		text := plainText(r.Body.String())
		if strings.Contains(r.Body.String(), theirPassphrase) {
			t.Errorf("%s writes the passphrase back", p.path)
		}
		if p.wrong != "" {
			if words := form.Get("reason"); r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, p.wrong) || len(kept.done) > 0 || !strings.Contains(r.Body.String(), words) {
				t.Errorf("%s %v was answered with %d: %.300s", p.path, p.form, r.Code, text)
			}
			continue
		}
		if r.Code != http.StatusSeeOther || r.Header().Get("Location") != restrictedAt+"/"+theCase+"?done=1" || len(kept.done) != 1 || !p.check(kept.done[0]) {
			t.Errorf("%s %v led to %d %s: %+v %.300s", p.path, p.form, r.Code, r.Header().Get("Location"), kept.done, text)
		}
	}
	c.want(restrictedAt+"/"+theCase+"/dance", http.StatusNotFound)
	if r := c.post(restrictedAt+"/"+theCase+"/close", url.Values{"passphrase": {"a guess"}, "outcome": {"internal"}, "reason": {"Kept words."}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), "Kept words.") {
		t.Errorf("with a wrong passphrase what was typed is gone: %d", r.Code)
	}
}

// TestASeniorsKeyIsToldOnce: on the page that answers, and nowhere again; and
// passphrases are not tried without end.
func TestASeniorsKeyIsToldOnce(t *testing.T) {
	h, kept, logged := newConfidence(t)
	c := newClient(t, h, "governor")
	c.want(restrictedAt, http.StatusOK, "You have none yet", "Make your key")
	page := plainText(c.post(restrictedAt+"/key", nil).Body.String())
	if !strings.Contains(page, "made-up-pass-phrase") || !strings.Contains(page, "zzzz-77qd-abcd-m2xy") {
		t.Errorf("the key is %s", page)
	}
	if strings.Contains(c.want(restrictedAt, http.StatusOK), "made-up-pass-phrase") || strings.Contains(logged.String(), "made-up-pass-phrase") {
		t.Error("its passphrase is told again")
	}
	for range 60 {
		c.post(restrictedAt, url.Values{"passphrase": {"a guess"}})
	}
	if n := len(kept.asked); n > 20 {
		t.Errorf("%d passphrases were tried at once", n)
	}
}

// TestARestrictedIncidentInABrowser: read with the passphrase, in each look.
func TestARestrictedIncidentInABrowser(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	signInAs(t, ctx, base, "head")
	for _, p := range []struct{ name, path, shown string }{{"restricted-list", "", "#list + ul"}, {"restricted-read", "/" + theCase, "#looks"}} {
		t.Run(p.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			err := chromedp.Do(ctx, chromedp.Navigate(base+restrictedAt+p.path), chromedp.SendKeys(chromedp.CSS("#passphrase"), theirPassphrase),
				chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS(p.shown)))
			if err != nil {
				t.Fatal(err)
			}
			inspectAll(t, ctx, p.name)
		})
	}
}
