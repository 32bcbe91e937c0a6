package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
)

// office is where the school's technician reads mail.
const office = "technician@hollybank.example"

// mails has notices go to a real mail server.
func (w *world) mails() *notifytest.MailServer {
	w.t.Helper()
	s := notifytest.NewMailServer(w.t, false, map[string]string{"caretaker": "word of honour"})
	of := func(s string) *string { return &s }
	ask[collectorapp.NoticesAnswer](w, "notice.set", collectorapp.NoticeSettings{
		Authorities: &s.Authority, MailServer: &s.Address, MailFrom: of("caretaker@hollybank.example"),
		MailUser: of("caretaker"), MailPassword: of("word of honour"), Pages: of("https://caretaker.hollybank.example"),
	})
	return s
}

// tells adds a way for notices.
func (w *world) tells(kind notify.Kind, address, role string) notify.ChannelStatus {
	w.t.Helper()
	return ask[notify.ChannelStatus](w, "notice.add", collectorapp.NoticeArguments{Kind: kind, Address: address, Role: role, Secret: "a secret of some length"})
}

// delivered waits until as many notices were delivered as there should be, with
// time passing, and returns a letter of each. While time flies an attempt can
// end at its deadline although the server took the letter: then it comes again
// under the same Message-ID, as it may.
func (w *world) delivered(s *notifytest.MailServer, n int) []notifytest.Letter {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%d notices are delivered", n), func() bool {
		if len(ask[[]notify.Logged](w, "notice.log", struct{}{})) >= n && len(alerts(s)) >= n {
			return true
		}
		if !w.telling() { // or it would be too late at once
			w.clock.Advance(5 * time.Minute)
		}
		return false
	})
	letters := alerts(s)
	if len(letters) != n {
		w.t.Fatalf("%d letters came, want %d: %+v", len(letters), n, letters)
	}
	return letters
}

// telling reports whether a notice is being handed over.
func (w *world) telling() bool {
	w.t.Helper()
	now := w.clock.Now()
	return slices.ContainsFunc(ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{}).Channels, func(c notify.ChannelStatus) bool {
		return c.Waiting != "" && !c.Next.After(now)
	})
}

// alerts are the letters that came, each once, but those that only bring a
// checkpoint of the record or the summary of a month: they tell of nothing new.
func alerts(s *notifytest.MailServer) []notifytest.Letter {
	var letters []notifytest.Letter
	for _, l := range s.Letters() {
		known := slices.ContainsFunc(letters, func(o notifytest.Letter) bool { return o.Header("Message-ID") == l.Header("Message-ID") })
		if !known && !strings.HasSuffix(l.Header("Subject"), ": checkpoint of the record") && !strings.Contains(l.Header("Subject"), ": Summary of ") {
			letters = append(letters, l)
		}
	}
	return letters
}

// quietly lets time pass in steps of an hour, each of which the collector
// notices, and checks that nothing more is told.
func (w *world) quietly(hours int, s *notifytest.MailServer) {
	w.t.Helper()
	letters := len(s.Letters())
	for range hours {
		w.clock.Advance(time.Hour)
		ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{})
	}
	if got := s.Letters(); len(got) != letters {
		w.t.Fatalf("%d letters, want %d; the last is %s", len(got), letters, got[len(got)-1].Data)
	}
}

// doingNotices does what the commands of notices do, each once.
func doingNotices(t *testing.T, do func(args ...string) string) {
	t.Helper()
	logs, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer logs.Close()
	do("notice", "set", "--pages", "https://caretaker.hollybank.example", "--digest", "06:45",
		"--mail-server", "mail.hollybank.example:587", "--mail-from", "caretaker@hollybank.example", "--mail-user", "caretaker")
	added := asJSON[notify.ChannelStatus](t, do("notice", "add", "syslog", "udp://"+logs.LocalAddr().String(), "--school", schoolName))
	do("notice", "test", added.ID)
	message := make([]byte, 4096)
	n, _, err := logs.ReadFrom(message)
	must(t, err)
	if !strings.Contains(string(message[:n]), "a test, nothing happened") {
		t.Errorf("the test is %q", message[:n])
	}
	do("notice", "list")
	do("notice", "log")
	do("notice", "remove", added.ID)
}

// TestPeopleAreToldOnce: a disk without encryption is told within minutes, by
// mail over TLS; the rest in the next morning's digest. Neither a collector that
// starts again nor a view that is made again tells anything twice.
func TestPeopleAreToldOnce(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })

	first := w.delivered(server, 1)[0]
	if first.To != office || !first.Secret || first.User != "caretaker" || !strings.Contains(first.Data, "Not met on 1 laptop: System disk encrypted (ENC-01, critical)") {
		t.Errorf("the first letter is %+v", first)
	}
	if strings.Contains(first.Data, "hb-lt-014") || !strings.Contains(first.Data, "https://caretaker.hollybank.example/schools/"+string(w.only())+"/breaches") {
		t.Errorf("the first letter names the laptop, or leads nowhere: %s", first.Data)
	}

	// Rebuilt, and started again: nothing more.
	must(t, l.stop())
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	w.quietly(3, server)
	must(t, c.stop())
	must(t, os.RemoveAll(filepath.Join(w.data, "view")))
	c = w.collect()
	w.quietly(3, server)

	// The next morning's digest has what could wait, and once only. Antivirus has
	// four hours to come back in which the laptop is online, and it is off.
	digest := w.delivered(server, 2)[1]
	if !strings.Contains(digest.Data, "What is new since the last notice.") || strings.Contains(digest.Data, "ENC-01") || strings.Contains(digest.Data, "AV-01") {
		t.Errorf("the digest is %s", digest.Data)
	}
	if at := digest.Header("Date"); !strings.Contains(at, "12 Jan 2027 07:3") {
		t.Errorf("the digest is of %s", at)
	}
	must(t, c.stop())
	w.collect()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	w.quietly(20, server)
	for _, s := range ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{}).Channels {
		if s.Delivered != 2 || s.Waiting != "" || s.Attempts != 0 {
			t.Errorf("the way is %+v", s)
		}
	}
	for _, e := range w.entries() {
		if e.Kind == "notice" {
			t.Errorf("entry %d is a notice: addresses of people do not belong in the ledger", e.Index)
		}
	}
	w.verified()
}

// TestAMailServerThatIsAwayIsSeen: notices wait, across a restart, and status
// says that they do; all else goes on.
func TestAMailServerThatIsAwayIsSeen(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	server := w.mails()
	server.Refuse("451 come back later")
	w.tells(notify.Mail, office, "technician")
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.untilPassing(time.Minute, "status speaks of notices", func() bool {
		return strings.Contains(strings.Join(w.status(w.only()).Trouble, " "), "come back later")
	})
	if s := w.status(w.only()); !s.Recording || s.Well() {
		t.Errorf("the status is %+v", s)
	}
	must(t, l.stop())
	must(t, c.stop())
	w.collect()
	if s := ask[collectorapp.NoticesAnswer](w, "notice.list", struct{}{}).Channels[0]; s.Attempts < 3 || s.Waiting == "" {
		t.Errorf("after a restart: %+v", s)
	}
	server.Refuse("")
	w.delivered(server, 1)
	if s := w.status(w.only()); !s.Well() {
		t.Errorf("the status is %+v", s)
	}
}

// TestHolidaysAreQuietButForDisks: in the holidays nobody is told of what can
// wait, and everybody of a disk that can be read. The first school day's digest
// has the rest.
func TestHolidaysAreQuietButForDisks(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "terms.yaml", Source: []byte(halfTerm)})
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	letters := w.delivered(server, 1)
	if !strings.Contains(letters[0].Data, "ENC-01") {
		t.Errorf("the letter is %s", letters[0].Data)
	}
	must(t, l.stop())
	w.quietly(6*24, server) // until Sunday the 17th
	letters = w.delivered(server, 2)
	if strings.Contains(letters[1].Data, "ENC-01") || !strings.Contains(letters[1].Header("Date"), "18 Jan 2027 07:3") {
		t.Errorf("the digest is %s", letters[1].Data)
	}
}

// halfTerm has the stories begin in a holiday.
const halfTerm = `name: Hollybank 2026/27
zone: Europe/London
from: 2026-12-19
to: 2027-08-31
terms:
  - {name: Spring, from: 2027-01-04, to: 2027-03-26}
holidays:
  - {name: A week off, from: 2027-01-11, to: 2027-01-15}
`

// TestFiguresForPrometheus: they are there when they are asked for, of this
// machine alone without a certificate and a token, and name no school.
func TestFiguresForPrometheus(t *testing.T) {
	w := newWorld(t)
	token := filepath.Join(w.dir, "token")
	must(t, os.WriteFile(token, []byte("a token of some length\n"), 0o600))
	for _, refused := range []func(*collectorapp.Config){
		func(c *collectorapp.Config) { c.Metrics = "0.0.0.0:0" },
		func(c *collectorapp.Config) { c.Metrics, c.MetricsToken = "0.0.0.0:0", token },
	} {
		config := collectorapp.Config{Data: w.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: logTo(t, "collector")}
		refused(&config)
		if err := collectorapp.Run(t.Context(), config, w.clock); err == nil {
			t.Errorf("figures are served to anybody: %+v", config)
		}
	}
	var at string
	c := w.collectBy(w.clock, func(c *collectorapp.Config) {
		c.Metrics, c.MetricsToken = "0", token
		c.Figures = func(address string) { at = address }
	})
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/metrics", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer a token of some length")
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	school := string(w.only())
	for _, line := range []string{
		fmt.Sprintf(`caretaker_devices{school=%q,state="known"} 1`, school),
		fmt.Sprintf(`caretaker_rule_devices{rule="ENC-01",school=%q,severity="critical",standing="not met"} 1`, school),
		fmt.Sprintf(`caretaker_recording{school=%q} 1`, school),
	} {
		if !strings.Contains(string(body), line) {
			t.Errorf("there is no %s in\n%s", line, body)
		}
	}
	for _, name := range []string{"Hollybank", "hb-lt", l.device} {
		if strings.Contains(string(body), name) {
			t.Errorf("the figures have %q", name)
		}
	}
}
