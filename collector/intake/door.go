package intake

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// door accepts connections and opens TLS on them before anything else may
// happen, so that ten thousand half-open ones cost little and never keep a
// device out: when there are too many, the oldest gives way. Then it shows
// devices and strangers to different lobbies.
type door struct {
	in        *Intake
	listener  net.Listener
	config    *tls.Config
	devices   *lobby // who brought a certificate
	strangers *lobby // who wants to enrol

	opening sync.WaitGroup // handshakes under way
	// Each is said once: whoever can connect could have it said again and again.
	unintroduced, unexpected sync.Once

	mu       sync.Mutex            // guards all below
	open     int                   // connections
	halfOpen *crowd                // whose peer is not known yet
	guests   *crowd                // strangers
	welcome  *crowd                // strangers with a good token
	arrived  *crowd                // devices that have not called yet
	known    map[holder][]*arrival // of devices, oldest first
}

// holder is a device of a school.
type holder struct {
	school posture.SchoolID
	device posture.DeviceID
}

func newDoor(in *Intake, l net.Listener) *door {
	find := func(id posture.SchoolID) (*identity.Authority, bool) {
		s, ok := in.find(id)
		if !ok {
			return nil, false
		}
		return s.Authority, true
	}
	most := in.o.Limits
	return &door{
		in: in, listener: l, config: identity.ServerConfig(find, in.o.Clock),
		devices: newLobby(l.Addr()), strangers: newLobby(l.Addr()),
		halfOpen: newCrowd(most.HalfOpen, (most.HalfOpen+1)/2), guests: newCrowd(most.Enrolling, (most.Enrolling+1)/2),
		welcome: newCrowd(most.Enrolling, most.Enrolling), arrived: newCrowd(most.Connections, most.Connections), known: map[holder][]*arrival{},
	}
}

// run accepts connections until ctx ends.
func (d *door) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.opening.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		d.listener.Close()
		d.devices.Close()
		d.strangers.Close()
	})
	defer stop()
	var jam jam
	for {
		conn, err := d.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept devices: %w", err)
			}
			d.refused(ctx, &jam, err)
			continue
		}
		d.accepted(&jam)
		a, ok := d.enter(conn)
		if !ok {
			conn.Close()
			continue
		}
		d.opening.Go(func() { d.receive(ctx, a) })
	}
}

// jam is a time in which connections could not be accepted.
type jam struct {
	since time.Time // zero while they can be
	said  error
}

// refused is called when a connection could not be accepted, such as when no
// file descriptor is left. It says so once, lets those go who are not known,
// and waits a moment. Devices that are connected notice nothing; others wait,
// or come again.
func (d *door) refused(ctx context.Context, j *jam, err error) {
	d.mu.Lock()
	open, none := d.open, errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
	if none {
		for range jamThins {
			if !d.halfOpen.thin() && !d.guests.thin() {
				break
			}
		}
	}
	d.mu.Unlock()
	now := d.in.o.Clock.Now()
	if j.since.IsZero() {
		j.since = now
	}
	if j.said == nil || j.said.Error() != err.Error() {
		j.said = err
		if none {
			d.in.o.Log.Error("no file descriptor is left for another connection: devices cannot connect until others go; let the collector have more (LimitNOFILE, ulimit -n)", "connections", open, "error", err)
		} else {
			d.in.o.Log.Error("connections cannot be accepted", "connections", open, "error", err)
		}
	}
	pause, stop := d.in.o.Clock.After(jamPause)
	defer stop()
	select {
	case <-pause:
	case <-ctx.Done():
	}
}

// How long the door waits, and how many it shows out, when no connection can
// be accepted.
const (
	jamPause = 100 * time.Millisecond
	jamThins = 16
)

func (d *door) accepted(j *jam) {
	if !j.since.IsZero() {
		d.in.o.Log.Info("connections are accepted again", "after", d.in.o.Clock.Now().Sub(j.since))
		*j = jam{}
	}
}

// arrival is one connection, from the moment it is accepted.
type arrival struct {
	*tls.Conn
	door  *door
	since time.Time
	who   identity.Peer

	address netip.Prefix
	in      *crowd        // in which it waits, or nil; guarded by door.mu
	place   *list.Element // in it; guarded by door.mu
	once    sync.Once
}

func (d *door) enter(conn net.Conn) (*arrival, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open >= d.in.o.Limits.Connections && !d.halfOpen.thin() && !d.guests.thin() {
		return nil, false
	}
	a := &arrival{Conn: tls.Server(conn, d.config), door: d, since: d.in.o.Clock.Now(), address: addressOf(conn.RemoteAddr())}
	d.halfOpen.add(a)
	d.open++
	return a, true
}

// showOut is called with door.mu held.
func (a *arrival) showOut() {
	a.waitNoMore()
	a.NetConn().Close()
}

// waitNoMore is called with door.mu held.
func (a *arrival) waitNoMore() {
	if a.in != nil {
		a.in.remove(a)
		a.in, a.place = nil, nil
	}
}

// mostOfOne is how many connections one device may have: its stream, one that
// it has not yet noticed to be broken, and renewals.
const mostOfOne = 4

// recognise counts a connection as one of a device. If it has too many the
// oldest gives way. It is called with mu held.
func (d *door) recognise(a *arrival) {
	p := holder{a.who.School, a.who.Device}
	all := d.known[p]
	if len(all) >= mostOfOne {
		all[0].NetConn().Close()
		all = all[1:]
	}
	d.known[p] = append(all, a)
}

// receive opens TLS and shows the peer to a lobby.
func (d *door) receive(ctx context.Context, a *arrival) {
	err := d.introduced(a)
	var who identity.Peer
	if err == nil {
		who, err = identity.Handshake(ctx, a.Conn)
	}
	if err != nil {
		if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && startsAsBalancer(record.RecordHeader) {
			d.unexpected.Do(func() {
				d.in.o.Log.Warn("a connection begins as those of a load balancer do that sends the PROXY protocol: if there is one, name it with --agents-balancer", "remote", a.RemoteAddr().String())
			})
		}
		d.in.o.Log.Debug("connection not opened", "remote", a.RemoteAddr(), "reason", err)
		a.Close()
		return
	}
	a.who = who
	to := d.devices
	d.mu.Lock()
	if who.Device == "" {
		to = d.strangers
		d.guests.add(a)
	} else {
		d.arrived.add(a)
		d.recognise(a)
	}
	d.mu.Unlock()
	if !to.show(ctx, a) {
		a.Close()
	}
}

// Close closes the connection and gives up its place.
func (a *arrival) Close() error {
	a.once.Do(func() {
		a.door.mu.Lock()
		defer a.door.mu.Unlock()
		a.door.open--
		a.waitNoMore()
		p := holder{a.who.School, a.who.Device}
		if left := slices.DeleteFunc(a.door.known[p], func(o *arrival) bool { return o == a }); len(left) > 0 {
			a.door.known[p] = left
		} else {
			delete(a.door.known, p)
		}
	})
	// Not tls.Conn's Close, which may wait for the peer to take a farewell.
	return a.NetConn().Close()
}

// closeLate closes connections whose peer was not known in time, or has not
// called in twice that, and those of strangers who have not enrolled in several
// times that.
func (d *door) closeLate(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	most := d.in.o.Limits.Handshake
	d.halfOpen.closeSince(now, most)
	d.arrived.closeSince(now, 2*most)
	d.guests.closeSince(now, 6*most)
	d.welcome.closeSince(now, 12*most)
}

// lobby hands connections whose peer is known to a gRPC server.
type lobby struct {
	addr  net.Addr
	queue chan *arrival
	shut  chan struct{}
	once  sync.Once
}

func newLobby(addr net.Addr) *lobby {
	return &lobby{addr: addr, queue: make(chan *arrival), shut: make(chan struct{})}
}

func (l *lobby) show(ctx context.Context, a *arrival) bool {
	select {
	case l.queue <- a:
		return true
	case <-l.shut:
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener.
func (l *lobby) Accept() (net.Conn, error) {
	select {
	case a := <-l.queue:
		return a, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *lobby) Close() error {
	l.once.Do(func() { close(l.shut) })
	return nil
}

// Addr implements net.Listener.
func (l *lobby) Addr() net.Addr { return l.addr }

// visitor is the gRPC name for who opened a connection.
type visitor struct {
	credentials.CommonAuthInfo
	who  identity.Peer
	conn *arrival
}

// AuthType implements credentials.AuthInfo.
func (*visitor) AuthType() string { return "tls" }

// Peer returns who opened the connection.
func (v *visitor) Peer() identity.Peer { return v.who }

// called is called when a device has made a call: its stream, or gRPC, closes
// the connection from now on.
func (v *visitor) called() {
	d := v.conn.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.conn.in == d.arrived {
		v.conn.waitNoMore()
	}
}

// Welcome is called when a stranger has shown a good token: it no longer gives
// way to others who have not.
func (v *visitor) Welcome() {
	d := v.conn.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.conn.in == d.guests {
		d.welcome.add(v.conn)
	}
}

// doorCredentials passes on what the door has found out.
type doorCredentials struct{}

var errDoor = errors.New("the connection did not come through the door")

// ServerHandshake implements credentials.TransportCredentials.
func (doorCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	a, ok := conn.(*arrival)
	if !ok {
		return nil, nil, errDoor
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return a, &visitor{CommonAuthInfo: level, who: a.who, conn: a}, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (doorCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errDoor
}

// Info implements credentials.TransportCredentials.
func (doorCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (c doorCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials.
func (doorCredentials) OverrideServerName(string) error { return errDoor }
