package peer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	agentenroll "github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// TestBrokenMessagesOfACollector sends a laptop every message that a collector
// can send, in every way that it can be broken. Each stream ends or goes on;
// nothing that waits is forgotten, and nothing is in force but what was signed.
func TestBrokenMessagesOfACollector(t *testing.T) {
	w := newWorld(t)
	school := w.schools[0]
	f := newFront(w)
	f.step *= 6
	l := newLaptop(w, f.address())
	f.hostile.Store(true)
	const reports = 3
	for range reports {
		l.puts()
	}
	l.connects()
	signer, err := school.Key.Signer()
	must(t, err)
	note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: proof.Origin(string(school.ID)), Size: 9, Root: proof.Digest{1}}, signer)
	must(t, err)
	signed := policyOf(t, school.Key, 5)
	for _, c := range []struct {
		name  string
		m     *pb.CollectorMessage
		every int
	}{
		{"welcome", &pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: &pb.Welcome{WireVersion: wire.Version, ClockUnixMs: monday.UnixMilli(), Recorded: 1, SendFull: true}}}, 17},
		{"send full", sendFull(), 13},
		{"policy", document("policy", signed), len(signed)/5 + 1},
		{"assignment", document("assignment", assignmentOf(t, school.Key, school.ID, l.device.Device)), 67},
		{"checkpoint", checkpoint(string(note)), 47},
		{"assess now", assessNow("request-1"), 13},
		{"refusal", refusal("busy", "come again later"), 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, b := range some(breaks(t, c.m), c.every) {
				s := f.next()
				s.t = t
				if s.answer(); c.m.GetWelcome() == nil {
					s.welcomed()
				}
				s.raw(message(b.data))
				s.send(refusal("enough", "that is all"))
				s.left()
				s.hangUp()
				if n := l.spool.Stats().Waiting; n != reports {
					t.Fatalf("%s: %d reports wait, want %d", b.name, n, reports)
				}
			}
		})
	}
	s := f.next()
	if _, number, err := l.device.Document(agentenroll.Policy); err != nil || number != 5 && number != 0 {
		t.Errorf("policy %d is in force: %v", number, err)
	}
	// The real collector gets all of it.
	f.hostile.Store(false)
	s.hangUp()
	w.untilPassing(t, "all reports are acknowledged", func() bool { return l.spool.Stats().Waiting == 0 })
	if got := (&attacker{signer: l.signer, place: school}).recorded(proof.KindReport); got != reports {
		t.Errorf("the ledger has %d reports, want %d", got, reports)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, reason := range l.ended {
		if reason == "" || len(reason) > 500 || strings.ContainsAny(reason, "\x1b\n") {
			t.Errorf("a stream ended with %q", reason)
		}
	}
	if len(l.ended) == 0 {
		t.Error("no stream ended, and every one was ended")
	}
}

// answerOf says how a hostile collector answers one single call, and what the
// laptop is to say of it: "" where it may take it.
type answerOf struct {
	name string
	data []byte
	want string
}

// TestACertificateThatIsNotARenewal answers a renewal with everything but what
// was asked for: the certificate in force stays.
func TestACertificateThatIsNotARenewal(t *testing.T) {
	w := newWorld(t)
	school := w.schools[0]
	f := newFront(w)
	l := newLaptop(w, f.address())
	f.hostile.Store(true)
	issued := func(by *identity.Authority, device posture.DeviceID, key *identity.DeviceKey) []byte {
		der, err := by.Issue(device, key.Public(), monday)
		must(t, err)
		return encode(t, &pb.RenewResponse{Certificate: der})
	}
	other, err := identity.MakeDeviceKey(filepath.Join(t.TempDir(), "other.pem"))
	must(t, err)
	stranger, err := identity.NewAuthority(t.TempDir(), school.ID, monday)
	must(t, err)
	collectors, err := school.Authority.Server(monday)
	must(t, err)
	good := issued(school.Authority, l.device.Device, l.device.Key)
	table := []answerOf{
		{"for another key", issued(school.Authority, l.device.Device, other), "another key"},
		{"for another device", issued(school.Authority, "d0000000000", l.device.Key), "names d0000000000"},
		{"by another authority", issued(stranger, l.device.Device, l.device.Key), "not by the school's authority"},
		{"of another school", issued(w.schools[1].Authority, l.device.Device, l.device.Key), "not by the school's authority"},
		{"the collector's own", encode(t, &pb.RenewResponse{Certificate: collectors.Certificate[0]}), "another key"},
		{"the authority's", encode(t, &pb.RenewResponse{Certificate: school.Authority.Certificate.Raw}), "another key"},
		{"nothing", nil, "read the device's certificate"},
		{"garbage", encode(t, &pb.RenewResponse{Certificate: []byte("hello")}), "read the device's certificate"},
		{"a megabyte", encode(t, &pb.RenewResponse{Certificate: make([]byte, 1<<20)}), "read the device's certificate"},
		{"what cannot be read", []byte{0xff}, "decode message"},
	}
	for _, b := range some(breaks(t, decoded(t, good, new(pb.RenewResponse))), 61) {
		if !same(b.data, decoded(t, good, new(pb.RenewResponse))) {
			table = append(table, answerOf{b.name, b.data, "e"})
		}
	}
	before := bytes.Clone(l.device.Certificate)
	for _, c := range table {
		ended := make(chan error, 1)
		go func() { ended <- l.device.Renew(t.Context(), w.clock) }()
		s := <-f.calls
		s.replyRaw(c.data)
		err := <-ended
		s.hangUp()
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%s: renewing ended with %v, want words on %q", c.name, err, c.want)
		}
		loaded, err := agentenroll.Load(l.state, monday)
		if err != nil || !bytes.Equal(loaded.Certificate, before) || !bytes.Equal(l.device.Certificate, before) {
			t.Fatalf("%s: another certificate is in force: %v", c.name, err)
		}
	}
	f.hostile.Store(false)
	must(t, l.device.Renew(t.Context(), w.clock))
	if bytes.Equal(l.device.Certificate, before) {
		t.Error("the certificate was not renewed")
	}
}

func decoded[M proto.Message](t *testing.T, data []byte, into M) M {
	t.Helper()
	must(t, wire.Unmarshal(data, into))
	return into
}

// TestBrokenAnswersToEnrolling answers a laptop that enrols in every way that
// is not right. It is not enrolled then, and enrolling again works.
func TestBrokenAnswersToEnrolling(t *testing.T) {
	w := newWorld(t)
	school := w.schools[0]
	f := newFront(w)
	token := w.token
	token.Addresses = []string{f.address()}
	state := t.TempDir()
	options := agentenroll.Options{Token: token.String(), State: state, Hostname: "hb-lt-015", Platform: posture.Linux, Built: monday, Clock: w.clock}
	key, err := identity.MakeDeviceKey(filepath.Join(state, "device.key.pem"))
	must(t, err)
	p := w.stranger(school.ID)
	good := decodeEnrolled(t, p.unary(enrollMethod, enrollRequest(t, w.token, key)))
	changed := func(change func(*pb.EnrollResponse)) []byte {
		m := proto.CloneOf(good)
		change(m)
		return encode(t, m)
	}
	theirs := w.schools[1]
	verifier, err := theirs.Key.Verifier()
	must(t, err)
	table := []answerOf{
		{"another school", changed(func(m *pb.EnrollResponse) { m.School = string(theirs.ID) }), "cannot be used"},
		{"another device", changed(func(m *pb.EnrollResponse) { m.Device = "d0000000000" }), "names"},
		{"another authority", changed(func(m *pb.EnrollResponse) { m.Authority = theirs.Authority.Certificate.Raw }), "not the one that the token names"},
		{"another school's key", changed(func(m *pb.EnrollResponse) { m.SchoolKey = verifier.String() }), "the school's key is of"},
		{"no key for media", changed(func(m *pb.EnrollResponse) { m.MediaKey = nil }), "key for media"},
		{"a policy that nobody signed", changed(func(m *pb.EnrollResponse) { m.Policy = &pb.SignedDocument{Document: []byte("{}")} }), "take policy"},
		{"an assignment for another device", changed(func(m *pb.EnrollResponse) {
			m.Assignment = &pb.SignedDocument{Document: assignmentOf(t, school.Key, school.ID, "d0000000000")}
		}), "take assignment"},
		{"nothing", nil, "cannot be used"},
	}
	for _, b := range some(breaks(t, good), 131) {
		if !same(b.data, good) {
			table = append(table, answerOf{b.name, b.data, ""})
		}
	}
	f.hostile.Store(true)
	for _, c := range table {
		ended := make(chan error, 1)
		go func() { _, err := agentenroll.Enroll(t.Context(), options); ended <- err }()
		s := <-f.calls
		s.replyRaw(c.data)
		err := <-ended
		s.hangUp()
		if err == nil {
			// Only a name for people may be another, or the document be missing
			// that the collector gives on the next stream.
			d, err := agentenroll.Load(state, monday)
			must(t, err)
			if d.School != school.ID || d.Device != posture.DeviceID(good.GetDevice()) || d.Verifier.School != school.ID || c.want != "" {
				t.Errorf("%s: it is enrolled as %+v", c.name, d.Identity)
			}
			must(t, os.Remove(filepath.Join(state, "identity.json")))
			continue
		}
		if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%s: enrolling ended with %v, want words on %q", c.name, err, c.want)
		}
		if _, err := agentenroll.Load(state, monday); !errors.Is(err, agentenroll.ErrNotEnrolled) {
			t.Fatalf("%s: it is enrolled: %v", c.name, err)
		}
	}
	f.hostile.Store(false)
	d, err := agentenroll.Enroll(t.Context(), options)
	if err != nil || d.Device != posture.DeviceID(good.GetDevice()) {
		t.Errorf("enrolling at last: %v, %v", d, err)
	}
}
