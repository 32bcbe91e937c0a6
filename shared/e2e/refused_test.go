package e2e

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/enroll"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
)

// refusedWith checks that something was refused, and in words that name why.
func refusedWith(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was not refused")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("it was refused with %q, which does not say %q", err, w)
		}
	}
}

func TestASecondAgentOnOneStateFolderIsRefused(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	err := agentapp.Run(t.Context(), agentapp.Config{State: l.state, Replay: l.machine, Log: logTo(t, "second agent")}, w.clock)
	refusedWith(t, err, l.state, "another process holds it")
	w.verified()
}

func TestASecondCollectorOnOneDataFolderIsRefused(t *testing.T) {
	w := newWorld(t)
	w.collect()
	err := collectorapp.Run(t.Context(), collectorapp.Config{
		Data: w.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: logTo(t, "second collector"),
	}, w.clock)
	refusedWith(t, err, w.data, "another process holds it")
	w.verified()
}

func TestTokensThatAdmitNobodySaySo(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	enrol := func(name, token string) error {
		_, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: filepath.Join(w.dir, name), Token: token}, w.clock)
		return err
	}
	token := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents))
	must(t, enrol("first", token.Token))

	t.Run("used up", func(t *testing.T) { refusedWith(t, enrol("second", token.Token), "used") })
	t.Run("expired", func(t *testing.T) {
		late := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents))
		w.clock.Advance(25 * time.Hour)
		refusedWith(t, enrol("third", late.Token), "ended")
	})
	fresh := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents))
	parsed, err := identity.ParseToken(fresh.Token)
	must(t, err)
	t.Run("forged secret", func(t *testing.T) {
		forged := parsed
		forged.Secret[0] ^= 1
		refusedWith(t, enrol("fourth", forged.String()), "token")
	})
	t.Run("forged identifier", func(t *testing.T) {
		forged := parsed
		forged.ID = "0123456789abcdef"
		refusedWith(t, enrol("fifth", forged.String()), "token")
	})
	t.Run("another collector's fingerprint", func(t *testing.T) {
		forged := parsed
		forged.Fingerprint[0] ^= 1
		refusedWith(t, enrol("sixth", forged.String()), "not the one that this laptop knows")
	})
	t.Run("mistyped", func(t *testing.T) {
		refusedWith(t, enrol("seventh", fresh.Token[:20]+"x"+fresh.Token[20:]), "mistyped")
	})
	must(t, enrol("eighth", fresh.Token)) // none of the attempts used it up
	enrolled := 0
	for _, e := range w.entries() {
		if e.Kind == "enrolment" {
			enrolled++
		}
	}
	if enrolled != 2 {
		t.Errorf("%d laptops are enrolled, want 2", enrolled)
	}
}

func TestSchoolsAreWalls(t *testing.T) {
	w := newWorld(t)
	ours := ask[view.DevicePage](w, "device.list", collectorapp.ListArguments{Limit: 10})
	if len(ours.Devices) != 0 {
		t.Fatalf("a new school has devices: %v", ours.Devices)
	}
	const other = "Fernleigh Infants"
	must(t, w.do("init", collectorapp.InitArguments{School: other}, new(collectorapp.InitAnswer)))
	c := w.collect()

	devices := map[string]*enroll.Device{}
	for _, school := range []string{schoolName, other} {
		args := tokenFor(c.agents)
		args.School = school
		token := ask[collectorapp.TokenAnswer](w, "token.create", args)
		state := filepath.Join(w.dir, "state-"+school[:5])
		_, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: state, Token: token.Token}, w.clock)
		must(t, err)
		devices[school], err = enroll.Load(state, time.Time{})
		must(t, err)
	}
	mine, theirs := devices[schoolName], devices[other]
	shake := func(school, certificate *enroll.Device) error {
		pair, err := certificate.TLS()
		must(t, err)
		own, err := pair.GetClientCertificate(&tls.CertificateRequestInfo{})
		must(t, err)
		config, err := identity.Client{
			School: school.School, Authority: school.Authority, Trusted: school.Trusted,
			Certificate: func() (*tls.Certificate, error) { return own, nil },
		}.Config()
		must(t, err)
		conn, err := tls.Dial("tcp", c.agents, config)
		if err != nil {
			return err
		}
		defer conn.Close()
		// With TLS 1.3 a client learns that its certificate was refused when it
		// reads; a server that takes it sends the settings of HTTP/2.
		if _, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	must(t, shake(mine, mine))
	if err := shake(theirs, mine); err == nil {
		t.Error("a laptop of one school was let in at another")
	}
	var d view.DeviceDetail
	refusedWith(t, w.do("device.show", collectorapp.ListArguments{School: other, Device: string(mine.Device)}, &d), "no device")
	must(t, w.do("device.show", collectorapp.ListArguments{School: schoolName, Device: string(mine.Device)}, &d))
	entries := ask[[]collectorapp.EntryView](w, "ledger.show", collectorapp.LedgerArguments{School: other, Count: 100})
	for _, e := range entries {
		if e.Subject == string(mine.Device) || e.School != theirs.School {
			t.Errorf("the other school's ledger holds %+v", e)
		}
	}
	account := w.signInAt(c, "dpo", other)
	if status, body := account.get("/schools/" + string(mine.School)); status == 200 || strings.Contains(body, schoolName) {
		t.Errorf("somebody of %s is shown %s: status %d", other, schoolName, status)
	}
	if status, _ := account.get("/schools/" + string(theirs.School)); status != 200 {
		t.Errorf("somebody of %s is not shown it: status %d", other, status)
	}
}

func TestAStateFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; TestAFullDiskLosesNothing covers what it cannot write")
	}
	dir := openDir(t)
	must(t, os.Chmod(dir, 0o555))
	err := collectorapp.Do(context.Background(), filepath.Join(dir, "data"), "init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer), nil)
	refusedWith(t, err, dir)
}
