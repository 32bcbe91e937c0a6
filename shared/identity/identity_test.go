package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// school is a school with one enrolled device.
type school struct {
	authority   *Authority
	key         *DeviceKey
	certificate *tls.Certificate
	device      posture.DeviceID
}

func newSchool(t *testing.T, id posture.SchoolID) school {
	t.Helper()
	dir := t.TempDir()
	made, err := NewAuthority(dir, id, monday)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := LoadAuthority(dir, id)
	if err != nil || made.Fingerprint() != authority.Fingerprint() {
		t.Fatalf("load the authority: %v", err)
	}
	key, err := MakeDeviceKey(filepath.Join(dir, "device.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return school{authority: authority, key: key, certificate: issue(t, authority, key, "d1", monday), device: "d1"}
}

func issue(t *testing.T, a *Authority, key *DeviceKey, device posture.DeviceID, now time.Time) *tls.Certificate {
	t.Helper()
	request, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	public, err := CheckRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	der, err := a.Issue(device, public, now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := key.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// connect opens a connection from client to a collector of the schools, whose
// clock says now, and returns what each end saw.
func connect(t *testing.T, client *tls.Config, now time.Time, schools ...school) (Peer, error, error) {
	t.Helper()
	find := func(id posture.SchoolID) (*Authority, bool) {
		for _, s := range schools {
			if s.authority.School == id {
				return s.authority, true
			}
		}
		return nil, false
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		c := tls.Client(conn, client)
		if err := c.HandshakeContext(t.Context()); err != nil {
			served <- err
			return
		}
		// In TLS 1.3 a client learns only by reading that it was refused.
		_, err = c.Read(make([]byte, 1))
		served <- err
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server := tls.Server(conn, ServerConfig(find, clocktest.NewDriven(now)))
	peer, serverErr := Handshake(t.Context(), server)
	if serverErr == nil {
		if _, err := server.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if state := server.ConnectionState(); state.Version != tls.VersionTLS13 {
			t.Errorf("got TLS version %x, want 1.3", state.Version)
		} else if len(state.PeerCertificates) > 0 && state.PeerCertificates[0] != nil {
			t.Error("the connection keeps the peer's certificate")
		}
	}
	conn.Close()
	return peer, serverErr, <-served
}

func (s school) client(t *testing.T, certificate *tls.Certificate, trusted time.Time) *tls.Config {
	t.Helper()
	config, err := Client{
		School: s.authority.School, Authority: s.authority.Certificate.Raw, Trusted: NewTrusted(trusted),
		Certificate: func() (*tls.Certificate, error) { return certificate, nil },
	}.Config()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestBothEndsKnowEachOther(t *testing.T) {
	hollybank, ashgrove := newSchool(t, "hollybank"), newSchool(t, "ashgrove")
	for _, s := range []school{hollybank, ashgrove} {
		peer, err, clientErr := connect(t, s.client(t, s.certificate, monday), monday, hollybank, ashgrove)
		if err != nil || clientErr != nil {
			t.Fatalf("%s: collector: %v, device: %v", s.authority.School, err, clientErr)
		}
		if peer.School != s.authority.School || peer.Device != s.device || peer.Expired(monday) {
			t.Errorf("got %+v, want device %s of %s", peer, s.device, s.authority.School)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	hollybank, ashgrove := newSchool(t, "hollybank"), newSchool(t, "ashgrove")
	impostor := newSchool(t, "hollybank")
	crossed := hollybank.client(t, hollybank.certificate, monday)
	crossed.ServerName = ServerName("ashgrove")
	nowhere := hollybank.client(t, hollybank.certificate, monday)
	nowhere.ServerName = ServerName("elsewhere")
	server, err := hollybank.authority.Server(monday)
	if err != nil {
		t.Fatal(err)
	}
	old := hollybank.client(t, hollybank.certificate, monday)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, config := range map[string]*tls.Config{
		"another school's device":       ashgroveAt(t, ashgrove, hollybank),
		"an authority of the same name": hollybank.client(t, impostor.certificate, monday),
		"a collector's certificate":     hollybank.client(t, server, monday),
		"another school's name":         crossed,
		"an unknown school":             nowhere,
		"TLS 1.2":                       old,
	} {
		if _, err, _ := connect(t, config, monday, hollybank, ashgrove); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	if _, _, err := connect(t, impostor.client(t, impostor.certificate, monday), monday, hollybank); err == nil {
		t.Error("a device accepted a collector of another authority")
	}
}

// ashgroveAt is a device of one school that calls at another's door.
func ashgroveAt(t *testing.T, from, at school) *tls.Config {
	t.Helper()
	return at.client(t, from.certificate, monday)
}

func TestClocks(t *testing.T) {
	s := newSchool(t, "hollybank")
	year := monday.AddDate(1, 0, 0)

	// The collector's certificate is newer than anything the laptop heard of.
	if _, err, clientErr := connect(t, s.client(t, s.certificate, monday.AddDate(-3, 0, 0)), monday, s); err != nil || clientErr != nil {
		t.Errorf("a laptop that was off for long: %v, %v", err, clientErr)
	}
	// The laptop's certificate has ended: it is known, and said to have ended.
	peer, err, clientErr := connect(t, s.client(t, s.certificate, monday), year, s)
	if err != nil || clientErr != nil || !peer.Expired(year) || peer.Device != "d1" {
		t.Errorf("an expired device: got %+v, %v, %v", peer, err, clientErr)
	}
	// The collector shows a certificate that ended before the time it told.
	if _, _, err := connect(t, s.client(t, s.certificate, year), monday, s); err == nil {
		t.Error("a device accepted a collector's certificate that has ended")
	}

	trusted := NewTrusted(time.Time{}, monday)
	for _, step := range []struct{ told, own, want time.Time }{
		{monday.Add(-day), monday.Add(day), monday},
		{monday.Add(day), year, monday.Add(day)},
		{year.AddDate(70, 0, 0), monday.Add(2 * day), monday.Add(2 * day)},
		{year, monday.AddDate(-20, 0, 0), monday.Add(2 * day)},
	} {
		if trusted.Heard(step.told, step.own); !trusted.Now().Equal(step.want) {
			t.Errorf("told %s by %s: trusts %s, want %s", step.told, step.own, trusted.Now(), step.want)
		}
	}
}

func TestPinnedEnrolment(t *testing.T) {
	s, impostor := newSchool(t, "hollybank"), newSchool(t, "hollybank")
	pinned := PinnedConfig("hollybank", s.authority.Fingerprint(), NewTrusted(monday))
	peer, err, clientErr := connect(t, pinned, monday, s)
	if err != nil || clientErr != nil || peer.School != "hollybank" || peer.Device != "" {
		t.Errorf("got %+v, %v, %v, want a peer without a device", peer, err, clientErr)
	}
	pinned = PinnedConfig("hollybank", s.authority.Fingerprint(), NewTrusted(monday))
	if _, _, err := connect(t, pinned, monday, impostor); err == nil || !strings.Contains(err.Error(), "the token names") {
		t.Errorf("another collector: got %v, want a refusal", err)
	}
}

func TestServerCertificateRotates(t *testing.T) {
	s := newSchool(t, "hollybank")
	get := func(at time.Time) *x509.Certificate {
		c, err := s.authority.Server(at)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	first := get(monday)
	if got := get(monday.Add(ServerLifetime / 2)); got != first {
		t.Error("a certificate was replaced before its time")
	}
	if got := get(monday.Add(ServerLifetime * 3 / 4)); got == first {
		t.Error("a certificate was not replaced in time")
	}
	if got := get(monday.AddDate(-1, 0, 0)); got.NotBefore.After(monday.AddDate(-1, 0, 0)) {
		t.Error("a clock set back left a certificate that does not hold yet")
	}
}

func TestDeviceKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.pem")
	if _, err := LoadDeviceKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load before there is one: got %v", err)
	}
	first, err := MakeDeviceKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := MakeDeviceKey(path)
	if err != nil || !second.Public().Equal(first.Public()) {
		t.Errorf("made again: %v, want the same key", err)
	}
	hash := proof.HashReport([]byte("statement"))
	signature, err := second.Sign(hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyStatement(first.Public(), hash, signature); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v, want its owner alone to read it", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeDeviceKey(path); err == nil {
		t.Error("a damaged key was replaced: the device would have lost its identity in silence")
	}
}

func TestSchoolKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "school.pem")
	made, err := NewSchoolKey(path, "hollybank")
	if err != nil {
		t.Fatal(err)
	}
	key, err := LoadSchoolKey(path, "hollybank")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := made.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSchoolVerifier(verifier.String())
	if err != nil || again.School != "hollybank" || !again.Key.Equal(verifier.Key) {
		t.Fatalf("parse %q: %v, %v", verifier, again, err)
	}
	document, err := key.SignDocument("policy", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := again.Document("policy", document); err != nil || string(body) != "body" {
		t.Errorf("got %q, %v", body, err)
	}
	signer, err := key.Signer()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: proof.Origin("hollybank"), Size: 3}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := again.Checkpoint(signed); err != nil || c.Size != 3 {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := (SchoolVerifier{}).Checkpoint(signed); err == nil {
		t.Error("no key accepted a checkpoint")
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	find := func(posture.SchoolID) (*Authority, bool) { return nil, false }
	if _, err := Handshake(ctx, tls.Server(ours, ServerConfig(find, clocktest.NewDriven(monday)))); err == nil {
		t.Error("a handshake that nobody answered succeeded")
	}
}
