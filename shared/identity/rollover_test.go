package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// meets opens a connection between a laptop and a collector, and says how either
// end took it.
func meets(t *testing.T, a *Authority, clock *clocktest.Driven, c Client) (laptop, collector error) {
	t.Helper()
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	ended := make(chan error, 1)
	go func() {
		server := tls.Server(theirs, ServerConfig(func(posture.SchoolID) (*Authority, bool) { return a, true }, clock))
		err := server.Handshake()
		ended <- err
		theirs.Close()
	}()
	laptop = tls.Client(ours, config).Handshake()
	ours.Close()
	return laptop, <-ended
}

// TestAuthoritiesRollOver drives a clock over forty years: the authority is
// replaced twice, and no laptop is touched for it.
func TestAuthoritiesRollOver(t *testing.T) {
	clock := clocktest.NewDriven(monday)
	dir := t.TempDir()
	a, err := NewAuthority(dir, "hollybank", monday)
	if err != nil {
		t.Fatal(err)
	}
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	key, err := MakeDeviceKey(t.TempDir() + "/device.pem")
	if err != nil {
		t.Fatal(err)
	}
	first := a.Certificate.Raw
	der, err := a.Issue("d1", key.Public(), monday)
	if err != nil {
		t.Fatal(err)
	}
	// One laptop is on all the time; another has slept since the first week.
	trusted, asleep := NewTrusted(monday), NewTrusted(monday)
	var known [][]byte
	awake := func() Client {
		return Client{
			School: "hollybank", Authority: first, Others: known, Trusted: trusted,
			Certificate: func() (*tls.Certificate, error) { return key.Certificate(der) },
			Learned:     func(root []byte) { known = append(known, root) },
		}
	}
	rolls := 0
	for range 40 * 12 {
		clock.Advance(365 * 24 * time.Hour / 12)
		now := clock.Now()
		next, rolled, err := RollAuthority(dir, "hollybank", now)
		if err != nil {
			t.Fatal(err)
		}
		if a = next; rolled {
			rolls++
		}
		if !now.Before(a.Certificate.NotAfter) {
			t.Fatalf("on %v the authority has ended", now)
		}
		laptop, collector := meets(t, a, clock, awake())
		if laptop != nil || collector != nil {
			t.Fatalf("on %v: %v, %v", now, laptop, collector)
		}
		trusted.Heard(now, now)
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if a.Issued(leaf) != nil {
			t.Fatalf("on %v its certificate is by nobody", now)
		}
		if der, err = a.Issue("d1", key.Public(), now); err != nil { // it renews
			t.Fatal(err)
		}
	}
	if rolls != 1 && rolls != 2 || len(known) != rolls {
		t.Errorf("the authority was replaced %d times, and the laptop knows %d others", rolls, len(known))
	}
	// The one that slept knows the first authority alone, and learns the others.
	got := 0
	sleeper := Client{
		School: "hollybank", Authority: first, Trusted: asleep,
		Certificate: func() (*tls.Certificate, error) { return key.Certificate(der) }, Learned: func([]byte) { got++ },
	}
	if laptop, collector := meets(t, a, clock, sleeper); laptop != nil || collector != nil || got != rolls {
		t.Errorf("after forty years asleep: %v, %v; it learned %d", laptop, collector, got)
	}
	// A token of today names the present one.
	pinned := PinnedConfig("hollybank", a.Fingerprint(), NewTrusted(monday))
	if pinned.VerifyConnection == nil {
		t.Error("nothing is verified")
	}
	// A collector that was restored from before knows the first one alone. While
	// that holds, so does its word.
	old, err := LoadAuthority(before, "hollybank")
	if err != nil {
		t.Fatal(err)
	}
	early := Client{School: "hollybank", Authority: first, Others: known, Trusted: NewTrusted(monday), Certificate: func() (*tls.Certificate, error) { return &tls.Certificate{}, nil }}
	if laptop, _ := meets(t, old, clocktest.NewDriven(monday.AddDate(21, 0, 0)), early); laptop != nil {
		t.Errorf("a collector that was restored: %v", laptop)
	}
}

// TestNobodyElseVouchesForAnAuthority: another school's, or a stranger of the
// same name, cannot make itself the next one.
func TestNobodyElseVouchesForAnAuthority(t *testing.T) {
	clock := clocktest.NewDriven(monday)
	ours, err := NewAuthority(t.TempDir(), "hollybank", monday)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := NewAuthority(dir, "hollybank", monday.AddDate(-25, 0, 0)); err != nil {
		t.Fatal(err)
	}
	stranger, rolled, err := RollAuthority(dir, "hollybank", monday)
	if err != nil || !rolled {
		t.Fatalf("not replaced: %v", err)
	}
	stranger.shown = append(stranger.shown, ours.Certificate.Raw) // it shows ours too
	told := 0
	c := Client{
		School: "hollybank", Authority: ours.Certificate.Raw, Trusted: NewTrusted(monday),
		Certificate: func() (*tls.Certificate, error) { return &tls.Certificate{}, nil }, Learned: func([]byte) { told++ },
	}
	if laptop, _ := meets(t, stranger, clock, c); laptop == nil || told > 0 {
		t.Errorf("a stranger is taken for the next: %v, learned %d", laptop, told)
	}
}
