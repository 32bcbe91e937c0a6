// Package notifytest is a mail server for tests: it speaks SMTP over real
// connections and real TLS, and keeps what it is given. It delivers nothing.
package notifytest

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Letter is one mail as it was handed over.
type Letter struct {
	From, To string
	User     string // who signed in; "" if nobody did
	Secret   bool   // the connection was encrypted
	Data     string
}

// Header returns a header of the letter, unfolded.
func (l Letter) Header(name string) string {
	head, _, _ := strings.Cut(l.Data, "\r\n\r\n")
	head = strings.ReplaceAll(head, "\r\n ", " ")
	for line := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// Text returns the letter's text as its reader sees it.
func (l Letter) Text() string {
	_, body, _ := strings.Cut(l.Data, "\r\n\r\n")
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// MailServer is a mail server on this machine.
type MailServer struct {
	Address   string // host:port
	Authority string // PEM of its certificate

	secure   *tls.Config
	implicit bool
	listener net.Listener
	under    sync.WaitGroup

	mu      sync.Mutex
	letters []Letter
	open    map[net.Conn]bool
	refuses string // what it answers to a letter instead of taking it
	users   map[string]string
}

// NewMailServer starts a server, which ends with the test. With implicit it
// speaks TLS from the first byte; otherwise it offers STARTTLS. It takes letters
// of those users alone, or of anybody if there are none.
func NewMailServer(t testing.TB, implicit bool, users map[string]string) *MailServer {
	t.Helper()
	certificate, authority := Certificate(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &MailServer{
		Address: l.Addr().String(), Authority: authority, listener: l, implicit: implicit, users: users, open: map[net.Conn]bool{},
		secure: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	s.under.Go(s.accept)
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.under.Wait()
	})
	return s
}

// Certificate makes a certificate for 127.0.0.1, and its PEM.
func Certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a server for tests"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Letters returns what was handed over.
func (s *MailServer) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

// Refuse has the server answer every letter with words such as "451 later"; ""
// has it take letters again.
func (s *MailServer) Refuse(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = words
}

func (s *MailServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		s.mu.Unlock()
		s.under.Go(func() {
			s.talk(c)
			c.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.open, c)
		})
	}
}

// visit is one connection.
type visit struct {
	net.Conn
	in     *bufio.Reader
	secret bool
	letter Letter
}

func (v *visit) says(line string) bool {
	_, err := v.Write([]byte(line + "\r\n"))
	return err == nil
}

func (v *visit) hears() (string, bool) {
	line, err := v.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

func (v *visit) encrypt(config *tls.Config) bool {
	c := tls.Server(v.Conn, config)
	v.Conn, v.in, v.secret = c, bufio.NewReader(c), true
	return c.HandshakeContext(context.Background()) == nil
}

func (s *MailServer) talk(c net.Conn) {
	v := &visit{Conn: c, in: bufio.NewReader(c)}
	if s.implicit && !v.encrypt(s.secure) || !v.says("220 mail.hollybank.example ready") {
		return
	}
	for {
		line, ok := v.hears()
		if !ok || !s.answer(v, line) {
			return
		}
	}
}

// answer answers one command and reports whether there may be more.
func (s *MailServer) answer(v *visit, line string) bool {
	word, rest, _ := strings.Cut(line, " ")
	switch word = strings.ToUpper(word); word {
	case "EHLO":
		offers := []string{"250-mail.hollybank.example", "250-8BITMIME"}
		if !v.secret {
			offers = append(offers, "250-STARTTLS")
		} else if s.users != nil {
			offers = append(offers, "250-AUTH PLAIN")
		}
		return v.says(strings.Join(append(offers, "250 OK"), "\r\n"))
	case "STARTTLS":
		return v.says("220 go on") && v.encrypt(s.secure)
	case "AUTH":
		return s.signIn(v, rest)
	case "MAIL", "RCPT":
		if s.users != nil && v.letter.User == "" {
			return v.says("530 sign in first")
		}
		_, address, _ := strings.Cut(rest, "<")
		address, _, _ = strings.Cut(address, ">")
		if word == "MAIL" {
			v.letter.From = address
		} else {
			v.letter.To = address
		}
		return v.says("250 OK")
	case "DATA":
		return v.says("354 go on") && s.take(v)
	case "QUIT":
		v.says("221 goodbye")
		return false
	}
	return v.says("250 OK")
}

func (s *MailServer) signIn(v *visit, rest string) bool {
	_, coded, _ := strings.Cut(rest, " ")
	plain, err := base64.StdEncoding.DecodeString(coded)
	parts := strings.Split(string(plain), "\x00")
	if err != nil || len(parts) != 3 || s.users[parts[1]] != parts[2] {
		return v.says("535 no")
	}
	v.letter.User = parts[1]
	return v.says("235 yes")
}

func (s *MailServer) take(v *visit) bool {
	var data strings.Builder
	for {
		line, ok := v.hears()
		if !ok {
			return false
		}
		if line == "." {
			break
		}
		data.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	s.mu.Lock()
	refuses := s.refuses
	if refuses == "" {
		v.letter.Data, v.letter.Secret = data.String(), v.secret
		s.letters = append(s.letters, v.letter)
	}
	s.mu.Unlock()
	if refuses != "" {
		return v.says(refuses)
	}
	return v.says("250 taken")
}
