package intake

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

const handedFor = "windows-amd64"

// handed is releases as a collector keeps them, offered to whom a test says.
type handed struct {
	*release.Store

	mu      sync.Mutex // guards all below
	version string     // that is offered; "" is the stop
	to      map[posture.DeviceID]bool
	hold    chan struct{} // if it is there, a part waits for it
	under   int           // parts that are under way
	most    int
}

func (h *handed) Heard(posture.SchoolID, posture.DeviceID, Runs) {}

func (h *handed) Offered(_ context.Context, _ posture.SchoolID, device posture.DeviceID) (string, time.Duration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.to[device] {
		return "", 0, nil
	}
	return h.version, time.Minute, nil
}

func (h *handed) offer(version string, to ...*laptop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version, h.to = version, map[posture.DeviceID]bool{}
	for _, l := range to {
		h.to[l.id] = true
	}
}

// Part counts how many are under way.
func (h *handed) Part(ctx context.Context, version, system string, offset uint64) ([]byte, error) {
	h.mu.Lock()
	hold := h.hold
	h.under++
	h.most = max(h.most, h.under)
	h.mu.Unlock()
	if hold != nil {
		hold <- struct{}{}
	}
	data, err := h.Store.Part(ctx, version, system, offset)
	h.mu.Lock()
	h.under--
	h.mu.Unlock()
	if errors.Is(err, release.ErrUnknown) {
		err = ErrNoPart
	}
	return data, err
}

// handsOn is a world whose collector has a release, of which it returns the program.
func handsOn(t *testing.T) (*world, *handed, *publishertest.Press, []byte) {
	t.Helper()
	w := newWorld(t, Limits{})
	press := publishertest.New(t, monday)
	program := bytes.Repeat([]byte("a program of some length. "), 25<<10) // three parts
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	press.Publish("v1.2.0", map[string]string{handedFor: path})
	store, bad, err := release.Open(release.Options{Folder: filepath.Join(t.TempDir(), "releases"), Root: press.Trusted(), Clock: w.clock, Rate: 1 << 30})
	if err == nil && bad == nil {
		_, err = store.Add(string(press.Dir))
	}
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	h := &handed{Store: store}
	w.stop()
	w.releases = h
	w.start(Limits{})
	return w, h, press, program
}

// uplink is a connection of a laptop, for calls beside the stream.
func (l *laptop) uplink() pb.UplinkClient {
	l.t.Helper()
	return pb.NewUplinkClient(dial(l.t, l.w, l.config(l.school)))
}

func part(t *testing.T, c pb.UplinkClient, version, system string, offset uint64) ([]byte, codes.Code) {
	t.Helper()
	m, err := c.ReleasePart(t.Context(), &pb.ReleasePartRequest{Version: version, System: system, Offset: offset})
	return m.GetData(), status.Code(err)
}

// offered is which version a laptop is told that it may have.
func offered(t *testing.T, c pb.UplinkClient) (string, codes.Code) {
	t.Helper()
	m, err := c.Release(t.Context(), &pb.ReleaseRequest{})
	return m.GetVersion(), status.Code(err)
}

func TestAReleaseIsHandedToWhomItIsOffered(t *testing.T) {
	w, h, press, program := handsOn(t)
	school := w.schools[0]
	l, other, elsewhere := w.enrol(school), w.enrol(school), w.enrol(w.schools[1])
	h.offer("v1.2.0", l)
	c := l.uplink()
	m, err := c.Release(t.Context(), &pb.ReleaseRequest{})
	if err != nil || m.GetVersion() != "v1.2.0" {
		t.Fatalf("got %v, %v", m, err)
	}
	given := publisher.Metadata{Roots: m.GetRoots(), Timestamp: m.GetTimestamp(), Snapshot: m.GetSnapshot(), Targets: m.GetTargets()}
	r, _, err := publisher.Check(press.Trusted(), publisher.Metadata{}, given, monday)
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := r.Program(handedFor)
	var whole []byte
	for len(whole) < len(program) {
		data, code := part(t, c, "v1.2.0", handedFor, uint64(len(whole)))
		if code != codes.OK || len(data) == 0 || len(data) > release.MaxPart {
			t.Fatalf("at %d: %d bytes, %v", len(whole), len(data), code)
		}
		whole = append(whole, data...)
	}
	if err := signed.Check(bytes.NewReader(whole)); err != nil {
		t.Error(err)
	}
	if m, err := c.Release(t.Context(), &pb.ReleaseRequest{Root: 1}); err != nil || len(m.GetRoots()) != 0 {
		t.Errorf("roots that it has: got %d of them, %v", len(m.GetRoots()), err)
	}

	// What there is not.
	for what, ask := range map[string]struct {
		version, system string
		offset          uint64
		want            codes.Code
	}{
		"the end":                     {"v1.2.0", handedFor, uint64(len(program)), codes.OutOfRange},
		"far beyond it":               {"v1.2.0", handedFor, 1<<64 - 1, codes.OutOfRange},
		"another system":              {"v1.2.0", "plan9-mips", 0, codes.OutOfRange},
		"a name that leads elsewhere": {"v1.2.0", "../../../etc/passwd", 0, codes.OutOfRange},
		"another version":             {"v1.1.0", handedFor, 0, codes.FailedPrecondition},
		"none":                        {"", handedFor, 0, codes.FailedPrecondition},
		"a folder":                    {"..", handedFor, 0, codes.FailedPrecondition},
	} {
		if data, code := part(t, c, ask.version, ask.system, ask.offset); code != ask.want || len(data) > 0 {
			t.Errorf("%s: got %d bytes, %v, want %v", what, len(data), code, ask.want)
		}
	}

	// Whom it is not offered to, of this school and of another.
	for _, l := range []*laptop{other, elsewhere} {
		c := l.uplink()
		if version, code := offered(t, c); version != "" || code != codes.OK {
			t.Errorf("not offered to it: got %q, %v", version, code)
		}
		if data, code := part(t, c, "v1.2.0", handedFor, 0); code != codes.FailedPrecondition || len(data) > 0 {
			t.Errorf("not offered to it: got %d bytes, %v", len(data), code)
		}
	}
	// Somebody without a certificate, as those have who enrol.
	token := school.token(t, w, enroll.NewToken{})
	stranger := pb.NewUplinkClient(dial(t, w, identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(monday))))
	if version, code := offered(t, stranger); version != "" || code == codes.OK {
		t.Errorf("a stranger: got %q, %v", version, code)
	}
	if data, code := part(t, stranger, "v1.2.0", handedFor, 0); code == codes.OK || len(data) > 0 {
		t.Errorf("a stranger: got %d bytes, %v", len(data), code)
	}

	// The stop counts at once, in the middle of a program and on the same connection.
	h.offer("", l)
	if version, code := offered(t, c); version != "" || code != codes.OK {
		t.Errorf("stopped: got %q, %v", version, code)
	}
	if data, code := part(t, c, "v1.2.0", handedFor, release.MaxPart); code != codes.FailedPrecondition || len(data) > 0 {
		t.Errorf("stopped: got %d bytes, %v", len(data), code)
	}
}

// TestNoReleaseForWhoIsRevokedOrLost: also on a connection that is open.
func TestNoReleaseForWhoIsRevokedOrLost(t *testing.T) {
	w, h, _, _ := handsOn(t)
	school := w.schools[0]
	lost, revoked := w.enrol(school), w.enrol(school)
	h.offer("v1.2.0", lost, revoked)
	c, d := lost.uplink(), revoked.uplink()
	for _, c := range []pb.UplinkClient{c, d} {
		if version, code := offered(t, c); version != "v1.2.0" || code != codes.OK {
			t.Fatalf("before: got %q, %v", version, code)
		}
	}
	school.lose(t, w, incident.Open, lost.id)
	if version, code := offered(t, c); version != "" || code != codes.OK {
		t.Errorf("lost: got %q, %v", version, code)
	}
	if data, code := part(t, c, "v1.2.0", handedFor, 0); code != codes.FailedPrecondition || len(data) > 0 {
		t.Errorf("lost: got %d bytes, %v", len(data), code)
	}
	entry, err := roster.Maker{School: school.ID}.Revocation(roster.Revocation{Device: revoked.id, Reason: "its key was copied"}, monday)
	if err == nil {
		_, err = school.ledger.Append(t.Context(), entry)
	}
	if err == nil {
		err = school.roster.CatchUp(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if version, code := offered(t, d); version != "" || code == codes.OK {
		t.Errorf("revoked: got %q, %v", version, code)
	}
	if data, code := part(t, d, "v1.2.0", handedFor, 0); code == codes.OK || len(data) > 0 {
		t.Errorf("revoked: got %d bytes, %v", len(data), code)
	}
}

// TestALaptopThatAsksForEverythingAtOnce: of one connection four parts are held at a
// time and no more, however many it asks for, and all are given in the end.
func TestALaptopThatAsksForEverythingAtOnce(t *testing.T) {
	w, h, _, _ := handsOn(t)
	l := w.enrol(w.schools[0])
	h.offer("v1.2.0", l)
	h.hold = make(chan struct{})
	c := l.uplink()
	const asks = 40
	var asking sync.WaitGroup
	failed := make(chan error, asks)
	for range asks {
		asking.Go(func() {
			if _, err := c.ReleasePart(t.Context(), &pb.ReleasePartRequest{Version: "v1.2.0", System: handedFor}); err != nil {
				failed <- err
			}
		})
	}
	for range asks {
		<-h.hold
	}
	asking.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if h.most > 4 {
		t.Errorf("%d parts were under way at once", h.most)
	}
}

// TestACollectorThatCannotReadARelease says that to its log, and to a laptop only
// that it may ask again.
func TestACollectorThatCannotReadARelease(t *testing.T) {
	w, h, _, _ := handsOn(t)
	l := w.enrol(w.schools[0])
	h.offer("v9.9.9", l)
	if _, code := offered(t, l.uplink()); code != codes.Unavailable {
		t.Errorf("got %v", code)
	}
	_, err := l.uplink().Release(t.Context(), &pb.ReleaseRequest{})
	if err == nil || strings.Contains(err.Error(), t.TempDir()) || strings.Contains(err.Error(), release.ErrUnknown.Error()) {
		t.Errorf("got %v", err)
	}
	w.releases = nil
	w.stop()
	w.start(Limits{})
	if _, code := offered(t, l.uplink()); code != codes.Unavailable {
		t.Errorf("of a collector that hands on none: got %v", code)
	}
}
