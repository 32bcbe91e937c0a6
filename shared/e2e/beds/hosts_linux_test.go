package beds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needHosts skips a test where this machine cannot have hosts of its own:
// network namespaces, and cables between them.
func needHosts(t *testing.T) {
	t.Helper()
	needBeds(t)
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip (iproute2): hosts with networks of their own are left out")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("this kernel makes no cables of our own: %v", err)
	}
	probe := netHost{name: fmt.Sprintf("ctprobe%d", os.Getpid())}
	if out, err := probe.make(); err != nil {
		t.Skipf("this kernel has no network namespaces: %v: %s", err, out)
	}
	must(t, probe.remove())
}

// netHost is a host: a network namespace.
type netHost struct{ name string }

// newHost makes a host that lives as long as the test.
func newHost(t *testing.T, name string) netHost {
	t.Helper()
	h := netHost{fmt.Sprintf("ct%d%s", os.Getpid(), name)}
	out, err := h.make()
	if err != nil {
		t.Fatalf("make the host %s: %v: %s", name, err, out)
	}
	t.Cleanup(func() { must(t, h.remove()) })
	h.ip(t, "link", "set", "lo", "up")
	return h
}

func (h netHost) make() (string, error) {
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "add", h.name).CombinedOutput()
	return string(out), err
}

func (h netHost) remove() error {
	return exec.CommandContext(context.Background(), "ip", "netns", "del", h.name).Run()
}

// run is what goes before a command to run it on the host.
func (h netHost) run() []string { return []string{"ip", "netns", "exec", h.name} }

// ip sets the host's network.
func (h netHost) ip(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", append([]string{"-n", h.name}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s on %s: %v: %s", strings.Join(args, " "), h.name, err, out)
	}
}

// leads sets whether the host passes on what is meant for others.
func (h netHost) leads(t *testing.T, does bool) {
	t.Helper()
	must(t, h.inside(func() error {
		word := "0"
		if does {
			word = "1"
		}
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(word), 0)
	}))
}

// inside does something on the host: what it opens stays there.
func (h netHost) inside(do func() error) error {
	ended := make(chan error, 1)
	go func() {
		// The thread ends with this goroutine, since nothing unlocks it.
		runtime.LockOSThread()
		ended <- func() error {
			f, err := os.Open(filepath.Join("/run/netns", h.name))
			if err != nil {
				return err
			}
			defer f.Close()
			if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("go to the host %s: %w", h.name, err)
			}
			return do()
		}()
	}()
	return <-ended
}

// listen answers connections to an address of the host until the test ends, or
// until what it returns is called.
func (h netHost) listen(t *testing.T, address string, answer func(net.Conn)) (stop func()) {
	t.Helper()
	var l net.Listener
	must(t, h.inside(func() (err error) {
		l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		return err
	}))
	var open sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			open.Go(func() {
				answer(c)
				c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	stop = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// dial connects from the host.
func (h netHost) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	err = h.inside(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

// cable joins two hosts. What passes can be delayed, lost or stopped without a
// word, each packet by itself. It is a cable rather than two ends of a veth with
// netem because not every kernel has netem.
type cable struct {
	ends [2]*os.File
	wait sync.WaitGroup

	mu     sync.Mutex // guards all below
	delay  time.Duration
	loss   float64
	cut    bool
	after  int // bytes from the first end until it is cut; 0: not planned
	random *rand.Rand
}

// mtu is how long a packet is at most, in bytes: the least that a host takes
// whole, so that a report has several.
const mtu = 576

// newCable joins two hosts, whose ends have these addresses.
func newCable(t *testing.T, a netHost, addressA string, b netHost, addressB string) *cable {
	t.Helper()
	c := &cable{random: rand.New(rand.NewPCG(7, 7))} //nolint:gosec // which packet is lost is no secret
	for i, end := range []struct {
		host          netHost
		address, peer string
	}{{a, addressA, addressB}, {b, addressB, addressA}} {
		name := "tun" + strings.ReplaceAll(end.peer, ".", "")
		must(t, end.host.inside(func() (err error) { c.ends[i], err = openEnd(name[:min(len(name), 15)]); return err }))
		end.host.ip(t, "addr", "add", end.address, "peer", end.peer, "dev", name[:min(len(name), 15)])
		end.host.ip(t, "link", "set", name[:min(len(name), 15)], "up", "mtu", fmt.Sprint(mtu))
	}
	c.wait.Go(func() { c.carry(0, 1) })
	c.wait.Go(func() { c.carry(1, 0) })
	t.Cleanup(func() {
		for _, f := range c.ends {
			f.Close()
		}
		c.wait.Wait()
	})
	return c
}

// openEnd makes one end of a cable on the host that this thread is on.
func openEnd(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the end of a cable: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// packet is on its way.
type packet struct {
	due  time.Time
	data []byte
}

// carry moves packets from one end to the other until the ends are closed.
func (c *cable) carry(from, to int) {
	way := make(chan packet, 4096)
	var deliver sync.WaitGroup
	deliver.Go(func() {
		for p := range way {
			if d := time.Until(p.due); d > 0 {
				<-time.NewTimer(d).C
			}
			_, _ = c.ends[to].Write(p.data) // a host may be gone, or take no more: it is lost, as on any cable
		}
	})
	for data := make([]byte, mtu); ; {
		n, err := c.ends[from].Read(data)
		if err != nil {
			break
		}
		if delay, ok := c.takes(from, n); ok {
			select {
			case way <- packet{time.Now().Add(delay), append([]byte(nil), data[:n]...)}:
			default: // it is full, and the packet lost
			}
		}
	}
	close(way)
	deliver.Wait()
}

// takes reports whether a packet passes, and how long that takes.
func (c *cable) takes(from, n int) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after > 0 && from == 0 {
		if c.after -= n; c.after <= 0 {
			c.after, c.cut = 0, true
		}
	}
	return c.delay, !c.cut && c.random.Float64() >= c.loss
}

// is changes the cable.
func (c *cable) is(change func(c *cable)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

// isCut reports whether nothing passes.
func (c *cable) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}
