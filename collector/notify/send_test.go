package notify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// example is a notice as it is sent.
func example() Notice {
	return Notice{
		ID: "00112233445566778899aabbccddeeff", At: monday, Digest: true, Laptops: 2, Pages: "https://caretaker.hollybank.example",
		Parts: []Part{{School: hollybank, Name: "Hollybank Primary School", Causes: []Cause{
			{What: Opened, Rule: "ENC-01", Title: "System disk encrypted", Severity: posture.Critical, Laptops: 2, Tags: []string{"HB-LT-001", "HB-LT-002"}, Since: monday},
			{What: Escalated, Rule: "CFG-02", Title: "Locks itself", Severity: posture.High, Laptops: 1, Since: monday},
		}}},
	}
}

func mailTo(s *notifytest.MailServer, p Protection, user, password string) (Settings, Channel) {
	return Settings{
		Authorities: s.Authority, Mail: MailServer{Address: s.Address, Protection: p, From: "caretaker@hollybank.example", User: user, Password: password},
	}, Channel{ID: "c", Kind: Mail, School: hollybank, Role: access.Technician, Address: "office@hollybank.example"}
}

func sendNow(t *testing.T, s Settings, c Channel) error {
	t.Helper()
	return attempt(t.Context(), clock.System{}, s, c, example(), time.UTC)
}

// TestMailGoesOverTLS hands mail to real servers, by both ways of TLS and with
// and without a password.
func TestMailGoesOverTLS(t *testing.T) {
	for _, c := range []struct {
		protection Protection
		users      map[string]string
		user       string
	}{
		{StartTLS, nil, ""}, {TLS, nil, ""}, {StartTLS, map[string]string{"caretaker": "word"}, "caretaker"}, {TLS, map[string]string{"caretaker": "word"}, "caretaker"},
	} {
		s := notifytest.NewMailServer(t, c.protection == TLS, c.users)
		settings, channel := mailTo(s, c.protection, c.user, c.users[c.user])
		if err := sendNow(t, settings, channel); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		l := s.Letters()[0]
		if !l.Secret || l.User != c.user || l.From != "caretaker@hollybank.example" || l.To != "office@hollybank.example" {
			t.Errorf("%+v: the letter is %+v", c, l)
		}
		if l.Header("Message-ID") != "<"+example().ID+"@hollybank.example>" || l.Header("Subject") != "Hollybank Primary School: 2 policy breaches to look at" ||
			l.Header("Auto-Submitted") != "auto-generated" {
			t.Errorf("%+v: the headers are %q", c, l.Data)
		}
		if !strings.Contains(l.Data, "Not met on 2 laptops: System disk encrypted") {
			t.Errorf("%+v: the text is %q", c, l.Data)
		}
	}
}

// TestMailIsNotHandedToAnybody: a server without TLS, with another's
// certificate, or that does not know the password gets nothing.
func TestMailIsNotHandedToAnybody(t *testing.T) {
	s := notifytest.NewMailServer(t, false, map[string]string{"caretaker": "word"})
	settings, channel := mailTo(s, StartTLS, "caretaker", "another")
	if err := sendNow(t, settings, channel); err == nil || strings.Contains(reason(err), "another") {
		t.Errorf("a wrong password: %v", err)
	}
	settings, channel = mailTo(s, StartTLS, "caretaker", "word")
	_, settings.Authorities = notifytest.Certificate(t)
	if err := sendNow(t, settings, channel); err == nil {
		t.Error("a certificate of nobody known was believed")
	}
	bare := answering(t, nil, func(c net.Conn) {
		fmt.Fprint(c, "220 hello\r\n")
		lines := bufio.NewScanner(c)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "AUTH") || strings.HasPrefix(lines.Text(), "MAIL") {
				t.Errorf("in the clear it was told %q", lines.Text())
			}
			fmt.Fprint(c, "250 OK\r\n")
		}
	})
	settings.Mail.Address = bare
	if err := sendNow(t, settings, channel); err == nil {
		t.Error("mail went to a server without TLS")
	}
	if len(s.Letters()) != 0 {
		t.Errorf("letters: %+v", s.Letters())
	}
	s.Refuse("550 no such mailbox")
	settings, channel = mailTo(s, StartTLS, "caretaker", "word")
	if err := sendNow(t, settings, channel); err == nil || !strings.Contains(reason(err), "no such mailbox") {
		t.Errorf("a letter that was refused: %v", err)
	}
}

// answering is a server that does with every connection what a test says. With
// a configuration it speaks TLS.
func answering(t *testing.T, config *tls.Config, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	var under sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	under.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			under.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		under.Wait()
	})
	return l.Addr().String()
}

// TestAWebhookIsSigned checks the signature as a receiver does.
func TestAWebhookIsSigned(t *testing.T) {
	r := newReceiver(t)
	c := Channel{Kind: Webhook, Address: r.URL + "/notices?for=hollybank", Secret: secret}
	if err := sendNow(t, Settings{Authorities: r.authority()}, c); err != nil {
		t.Fatal(err)
	}
	request, body := r.requests[0], r.bodies[0]
	at, signature, _ := strings.Cut(strings.TrimPrefix(request.Header.Get(HeaderSignature), "t="), ",v1=")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || Signature(secret, time.Unix(seconds, 0), body) != signature || Signature("another", time.Unix(seconds, 0), body) == signature {
		t.Errorf("the signature is %q: %v", request.Header.Get(HeaderSignature), err)
	}
	if request.Header.Get(HeaderKey) != example().ID || request.URL.RawQuery != "for=hollybank" || request.Method != http.MethodPost {
		t.Errorf("the request is %+v", request)
	}
	var n Notice
	if err := json.Unmarshal(body, &n); err != nil || n.Parts[0].Causes[0].Laptops != 2 {
		t.Errorf("the body is %s: %v", body, err)
	}
	// As OpenSSL computes it: printf '1.{}' | openssl dgst -sha256 -hmac key
	if got := Signature("key", time.Unix(1, 0), []byte("{}")); got != "1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224" {
		t.Errorf("a signature is %q", got)
	}
}

// TestACardIsWhatTeamsTakes: a message with one Adaptive Card, below the size
// that a workflow takes whatever stands in it.
func TestACardIsWhatTeamsTakes(t *testing.T) {
	r := newReceiver(t)
	if err := sendNow(t, Settings{Authorities: r.authority()}, Channel{Kind: Teams, Address: r.URL + "/workflows/x?sig=y"}); err != nil {
		t.Fatal(err)
	}
	var m teamsMessage
	if err := json.Unmarshal(r.bodies[0], &m); err != nil || m.Type != "message" || len(m.Attachments) != 1 {
		t.Fatalf("the message is %s: %v", r.bodies[0], err)
	}
	content := m.Attachments[0].Content
	if content.Type != "AdaptiveCard" || len(content.Body) != 8 || content.Actions[0].URL != "https://caretaker.hollybank.example/schools/shollybank/breaches" {
		t.Errorf("the card is %+v", content)
	}
	n := example()
	for i := range 500 {
		n.Parts[0].Causes = append(n.Parts[0].Causes, Cause{What: Opened, Rule: fmt.Sprint(i), Title: strings.Repeat("[_*`<", 40), Laptops: 1, Since: monday})
	}
	large, err := json.Marshal(teamsCard(n, time.UTC))
	if err != nil || len(large) > 28<<10 {
		t.Errorf("a large card has %d bytes: %v", len(large), err)
	}
}

// TestAReceiverThatMisbehavesIsSurvived: one that hangs, says 100 MB, sends the
// notice elsewhere, closes, or speaks no TLS at all.
func TestAReceiverThatMisbehavesIsSurvived(t *testing.T) {
	certificate, authority := notifytest.Certificate(t)
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}}
	elsewhere := newReceiver(t)
	for name, c := range map[string]struct {
		serve func(net.Conn)
		words string
		taken bool
	}{
		"100 MB of headers": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for range 100 << 10 {
				if _, err := fmt.Fprintf(c, "X-Long: %s\r\n", strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}, "", false},
		"100 MB of body": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 No\r\nContent-Length: 104857600\r\n\r\n")
			for range 100 << 10 {
				if _, err := c.Write(bytes.Repeat([]byte("x"), 1024)); err != nil {
					return
				}
			}
		}, "500", false},
		"a redirect": {func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", elsewhere.URL)
		}, "not followed", false},
		"closed":             {func(net.Conn) {}, "", false},
		"no HTTP":            {func(c net.Conn) { fmt.Fprint(c, "220 hello\r\n\r\n") }, "", false},
		"taken, then closed": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\n") }, "", true},
	} {
		address := answering(t, secure, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				c.serve(conn)
			}
		})
		err := sendNow(t, Settings{Authorities: authority + elsewhere.authority()}, Channel{Kind: Webhook, Address: "https://" + address + "/", Secret: secret})
		if (err == nil) != c.taken || err != nil && !strings.Contains(reason(err), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if elsewhere.asked() != 0 {
		t.Error("the notice went elsewhere")
	}
	bare := answering(t, nil, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := attempt(ctx, clock.System{}, Settings{}, Channel{Kind: Webhook, Address: "https://" + bare, Secret: secret}, example(), time.UTC); err == nil {
		t.Error("something without TLS took a notice")
	}
	loud := answering(t, nil, func(c net.Conn) {
		for {
			if _, err := c.Write(bytes.Repeat([]byte("220-x"), 1000)); err != nil {
				return
			}
		}
	})
	settings := Settings{Mail: MailServer{Address: loud, Protection: StartTLS, From: "caretaker@hollybank.example"}}
	if err := sendNow(t, settings, Channel{Kind: Mail, Address: "office@hollybank.example"}); err == nil || !strings.Contains(reason(err), "says more than") {
		t.Errorf("a mail server that never stops: %v", err)
	}
}

// TestAReceiverThatHangsHoldsNobodyUp: others are told meanwhile, the attempt
// ends at its deadline, and the next waits.
func TestAReceiverThatHangsHoldsNobodyUp(t *testing.T) {
	p, works, hangs := newPlace(t), newReceiver(t), newReceiver(t)
	release, arrived := make(chan struct{}), make(chan struct{}, 10)
	hangs.answers(func(http.ResponseWriter, *http.Request) bool { arrived <- struct{}{}; <-release; return false })
	defer close(release)
	p.tell(works, access.Technician)
	stuck, err := p.teller.Add(Channel{Kind: Webhook, School: hollybank, Role: access.Technician, Address: hangs.URL, Secret: secret})
	if err == nil {
		err = p.teller.Set(func(s *Settings) error { s.Authorities += hangs.authority(); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical))
	var under sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	turn := func() {
		p.clock.Advance(tick)
		if err := p.teller.turn(ctx, &under); err != nil {
			t.Fatal(err)
		}
	}
	for range 15 {
		turn()
		select {
		case <-arrived:
		default:
			continue
		}
		break
	}
	for len(works.took()) == 0 { // comes while the other still hangs
		turn()
	}
	for attempts := 0; attempts == 0; { // the deadline has passed by the clock
		turn()
		for _, s := range p.teller.Status() {
			if s.ID == stuck.ID {
				attempts = s.Attempts
			}
		}
	}
	cancel() // a second attempt may be under way
	under.Wait()
	for _, s := range p.teller.Status() {
		if s.ID == stuck.ID && (s.Why != errLate.Error() || s.Next.IsZero() || s.Failing.IsZero()) {
			t.Errorf("the one that hangs: %+v", s)
		}
	}
}

// TestFailuresBackOffAndSurviveARestart: each attempt waits longer, a restart
// does not begin anew, and what is given up is told by the next notice.
func TestFailuresBackOffAndSurviveARestart(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	r.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	})
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical))
	for i := range 40 {
		p.pass(time.Hour)
		if i%7 == 0 {
			p.restart()
		}
	}
	if got := r.asked(); got > 50 || got < 40 {
		t.Errorf("%d attempts in forty hours", got)
	}
	first := p.teller.Status()[0]
	if first.Attempts != r.asked() || !first.Failing.Before(monday.Add(time.Hour)) || p.teller.Failures()[Webhook] == 0 {
		t.Errorf("%+v after %d attempts", first, r.asked())
	}
	p.pass(40 * time.Hour)
	log := p.teller.Log()
	if len(log) != 1 || log[0].GivenUp.IsZero() || !log[0].Delivered.IsZero() {
		t.Fatalf("the log is %+v", log)
	}
	r.answers(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusOK); return true })
	p.pass(30 * time.Hour)
	wantLines(t, r.took(), "Not met on 1 laptop: System disk encrypted (ENC-01, critical)")
	if n := r.took()[0]; n.ID == log[0].ID {
		t.Error("the next notice has the identifier of the one that was given up")
	}
}

// TestAddressesThatAreRefused: what no notice may go to.
func TestAddressesThatAreRefused(t *testing.T) {
	for address, fine := range map[string]bool{
		"192.0.2.7": true, "10.1.2.3": true, "127.0.0.1": true, "2001:db8::1": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		if got := refusedAddress(netip.MustParseAddr(address)); (got == nil) != fine {
			t.Errorf("%s: %v", address, got)
		}
	}
	if err := sendNow(t, Settings{}, Channel{Kind: Webhook, Address: "https://169.254.169.254/latest", Secret: secret}); err == nil || !strings.Contains(reason(err), "no address of a receiver") {
		t.Errorf("a cloud's own address: %v", err)
	}
	for _, c := range []Channel{
		{Kind: Webhook, Address: "http://hollybank.example/", Secret: secret},
		{Kind: Webhook, Address: "https://hollybank.example/", Secret: "short"},
		{Kind: Teams, Address: "file:///etc/passwd"},
		{Kind: Teams, Address: "https://user:word@hollybank.example/"},
		{Kind: Teams, Address: "https://"},
		{Kind: Mail, Address: "Jane <jane@hollybank.example>"},
		{Kind: Mail, Address: "jane@hollybank.example\r\nBcc: x@y.example"},
		{Kind: Mail, Address: "jane"},
		{Kind: Syslog, Address: "http://hollybank.example"},
		{Kind: Syslog, Address: "udp://"},
		{Kind: Syslog, Address: "tls://h:0"},
		{Kind: "fax", Address: "1"},
	} {
		c.School, c.Role = hollybank, access.Technician
		if c.check() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	for _, m := range []MailServer{
		{Address: "mail.hollybank.example", Protection: TLS, From: "a@b.example"},
		{Address: "mail.hollybank.example:25", Protection: Plain, From: "a@b.example"},
		{Address: "localhost:25", Protection: Plain, From: "a@b.example", User: "u", Password: "p"},
		{Address: "h:25", Protection: "maybe", From: "a@b.example"},
		{Address: "h:25", Protection: TLS, From: "nobody"},
		{Address: "h:25", Protection: TLS, From: "a@b.example", Password: "p"},
	} {
		if m.check() == nil {
			t.Errorf("%+v is taken", m)
		}
	}
	if (Settings{Digest: "25:00"}).check() == nil {
		t.Error("a digest at 25 o'clock")
	}
}
