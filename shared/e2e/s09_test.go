package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const guestNotice = `This laptop is the school's. It checks that it is encrypted and protected, and
tells the school so. Hand it back on the day that was agreed.
`

// TestS9 is "Supply teacher": a three-day loan that expires on Friday at 16:00.
func TestS9(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-25 08:00"))
	c := w.collect()
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	l := w.laptop("laptop", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport >= 1 })
	w.imports("tag,class,host\nHB-LT-014,SS,"+l.shown().Hostname+"\n", time.Time{})
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{
		What: register.SetNotice, Tag: "2026-09", Text: guestNotice,
	}})

	// When issued
	w.to("2026-11-25 08:30")
	lends := collectorapp.RegisterArguments{Person: "S. Hazel", Until: "2026-11-27 16:00", Change: register.Change{
		What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "supply teacher", Guest: true},
	}}
	refusedWith(t, w.do("register.change", lends, new(any)), "given the school's notice")
	lends.Change.Allocation.Notice, lends.Change.Allocation.NoticeVersion = true, "2019-01"
	refusedWith(t, w.do("register.change", lends, new(any)), `no notice "2019-01"`)
	lends.Change.Allocation.NoticeVersion = ""
	ask[collectorapp.RegisterAnswer](w, "register.change", lends)

	// then the guest notice is recorded
	a := w.asset("HB-LT-014")
	if a.Held == nil || !a.Held.Guest || !a.Held.Notice || a.Held.NoticeVersion != "2026-09" || !a.Held.From.Equal(london(t, "2026-11-25 08:30")) ||
		!a.Held.Ends.Equal(london(t, "2026-11-27 16:00")) {
		t.Fatalf("lent: %+v", a.Held)
	}
	told := ask[view.GuestNotices](w, "register.guest-notices", collectorapp.GuestNoticeArguments{})
	if len(told.Notices) != 1 || told.Notices[0].Version != "2026-09" || told.Notices[0].Text != guestNotice {
		t.Errorf("guests are told %+v", told)
	}
	refusedWith(t, w.do("register.change", collectorapp.RegisterArguments{Change: register.Change{
		What: register.SetNotice, Tag: "2026-09", Text: "something else",
	}}, new(any)), "recorded already")

	// no admin rights: not proven until the laptop has said who can, since
	if r := a.Rights; r == nil || r.Standing != view.NotProven || !strings.Contains(r.Why, "since it was given out") {
		t.Errorf("before it has said anything: %+v", r)
	}
	if got := standing(l.shown(), "CFG-05"); got != view.NotProven {
		t.Errorf("before it has said anything CFG-05 is %s", got)
	}
	for _, day := range []struct {
		at, admins string
		want       view.Standing
		why        string
		rule       view.Standing // on whether more accounts can than the school keeps
	}{
		{"2026-11-26 12:30", "tech", view.NotProven, "whether the guest's is among them is not known", view.NotMet},
		{"2026-11-26 18:30", "tech,teacher", view.NotMet, "the person who mostly uses it can administer it", view.NotMet},
		{"2026-11-27 09:30", "", view.Met, "nobody's account can administer it", view.Met},
	} {
		l.administered(day.admins)
		l.assesses(london(t, day.at))
		until(t, "it has said who can administer it", func() bool { r := w.asset("HB-LT-014").Rights; return r != nil && r.Standing == day.want })
		if r := w.asset("HB-LT-014").Rights; !strings.Contains(r.Why, day.why) {
			t.Errorf("administered by %q: %+v", day.admins, r)
		}
		if got := standing(l.shown(), "CFG-05"); got != day.rule {
			t.Errorf("administered by %q, CFG-05 is %s", day.admins, got)
		}
	}
	must(t, l.stop())

	// expiry flags
	w.to("2026-11-27 15:59")
	if got := standing(l.shown(), "LIF-03"); got != view.Met || w.asset("HB-LT-014").Overdue {
		t.Errorf("a minute before its end LIF-03 is %s", got)
	}
	w.clock.Advance(time.Minute)
	if got := standing(l.shown(), "LIF-03"); got != view.Met {
		t.Errorf("at its end LIF-03 is %s", got)
	}
	w.clock.Advance(time.Second)
	b := w.rule(l.device, "LIF-03")
	if got := standing(l.shown(), "LIF-03"); got != view.NotMet || !w.asset("HB-LT-014").Overdue || b.Status != breach.Pending ||
		b.FirstFailed.Sub(london(t, "2026-11-27 16:00")) > time.Second || b.AssetTag != "HB-LT-014" {
		t.Errorf("a second after its end LIF-03 is %s and %+v", got, b)
	}
	w.untilPassing(30*time.Minute, "the office is told of LIF-03", func() bool {
		ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{})
		return slices.ContainsFunc(server.Letters(), func(m notifytest.Letter) bool {
			return strings.Contains(m.Data, "Not met on 1 laptop: Allocation is valid (LIF-03, high)")
		})
	})
	if b := w.rule(l.device, "LIF-03"); b.Status != breach.Open {
		t.Errorf("told of, it is %s", b.Status)
	}
	for _, m := range server.Letters() {
		if strings.Contains(m.Data, "Hazel") {
			t.Errorf("a letter names somebody: %s", m.Data)
		}
	}
	w.keeps(register.Change{What: register.HandBack, Tag: "HB-LT-014"}, "")
	if got := standing(l.shown(), "LIF-03"); got == view.NotMet || w.asset("HB-LT-014").Rights != nil {
		t.Errorf("handed back, LIF-03 is %s", got)
	}

	// and the installer refuses a visitor-owned laptop
	made := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents))
	_, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: filepath.Join(w.dir, "visitor"), Token: made.Token, Class: posture.VisitorOwned}, w.clock)
	refusedWith(t, err, "gets no agent")
	if n := w.coverage().Enrolled; n != 1 {
		t.Errorf("%d laptops are enrolled", n)
	}
	token := tokenFor(c.agents)
	token.Ownership = "visitor-owned"
	refusedWith(t, w.do("token.create", token, new(any)), "get no agent")
	refusedWith(t, w.do("register.import", collectorapp.ImportArguments{
		File: "devices.csv", Source: []byte("tag,class\nHB-LT-014,VI\n"),
	}, new(any)), `line 2, column "class"`)
	ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag,class\nHB-VI-001,VI\n")})
	refusedWith(t, w.do("register.change", collectorapp.RegisterArguments{
		Change: register.Change{What: register.Tie, Tag: "HB-VI-001"}, Device: l.device,
	}, new(any)), "gets no agent")

	// The name of a guest goes three months after the laptop came back.
	handed := w.asset("HB-LT-014").Past[0].Back
	head := w.callerOf(c, "Alex Reid", access.Head)
	var would api.Purges
	for _, day := range []struct {
		days int
		want bool
	}{{-3, false}, {1, true}} {
		on, want := handed.AddDate(0, 3, day.days).Format("2006-01-02T15:04:05Z"), day.want
		if got := head.ask(head.school()+"/retention/preview?on="+on, nil, &would); got != 200 ||
			slices.ContainsFunc(would.Purges, func(p api.Purge) bool { return p.Item == "guest-link" }) != want {
			t.Errorf("on %s it would forget %+v (%d)", on, would.Purges, got)
		}
	}
	same(w, "the notices", func() view.GuestNotices {
		return ask[view.GuestNotices](w, "register.guest-notices", collectorapp.GuestNoticeArguments{})
	})
	same(w, "the asset", func() view.Registered { return w.asset("HB-LT-014") })
	w.verified()
}

// administered has the laptop's accounts be such that some can administer it.
func (l *laptop) administered(by string) {
	l.w.t.Helper()
	l.becomes("encrypted-laptop")
	name := filepath.Join(l.machine, "reads.jsonl")
	data, err := os.ReadFile(name)
	must(l.w.t, err)
	const was = `sudo:x:27:tech\n`
	if !bytes.Contains(data, []byte(was)) {
		l.w.t.Fatalf("the recorded machine does not say %q", was)
	}
	must(l.w.t, os.WriteFile(name+".new", bytes.Replace(data, []byte(was), []byte(`sudo:x:27:`+by+`\n`), 1), 0o644))
	must(l.w.t, os.Rename(name+".new", name))
}
