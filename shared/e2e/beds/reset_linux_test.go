package beds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// resets returns how often a guest is reset in a test.
func resets(t *testing.T) int {
	t.Helper()
	if os.Getenv("CARETAKER_THOROUGH") != "" {
		return 10
	}
	return 1
}

// built builds a program of this tree and returns its path.
func built(t *testing.T, dir, what string) string {
	t.Helper()
	path := filepath.Join(dir, "caretaker-"+filepath.Base(what))
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./"+what)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", what, err, out)
	}
	return path
}

// machine is a guest that is reset: each boot finds the disk as the last left
// it. What the kernel of the guest had not yet written there is lost.
type machine struct {
	t       *testing.T
	dir     string // what is not the guest's
	disk    string
	options []string
	script  string
	random  *rand.Rand

	out   string // of this boot
	ended chan error
}

func newMachine(t *testing.T, script string, options ...string) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "reset") // a short path: a socket lies below it
	must(t, err)
	seed := rand.Uint64()
	t.Logf("the moments are those of seed %d", seed)
	m := &machine{t: t, dir: dir, disk: filepath.Join(dir, "disk"), script: script, options: options, random: rand.New(rand.NewPCG(seed, 0))}
	must(t, os.WriteFile(m.disk, nil, 0o600))
	must(t, os.Truncate(m.disk, 512<<20))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what is left is in %s", dir)
			return
		}
		must(t, os.RemoveAll(dir))
	})
	return m
}

// boot boots it, with a folder of its own to give the host something.
func (m *machine) boot(n int) {
	m.t.Helper()
	dir := filepath.Join(m.dir, "boot"+strconv.Itoa(n))
	m.out = filepath.Join(dir, "out")
	must(m.t, os.MkdirAll(m.out, 0o755))
	args := append(m.options, "-t", "600", "-d", m.disk, "-o", dir, filepath.Join("scripts", m.script))
	cmd := exec.Command("./qemu-bed.sh", args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	must(m.t, cmd.Start())
	ended := make(chan error, 1)
	m.ended = ended
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, said.String())
		}
		ended <- err
	}()
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it has ended, unless the test failed
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
	})
}

// reset ends the guest as a power cut would.
func (m *machine) reset() error {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(m.out), "qemu.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	qemu, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return qemu.Kill()
}

// gone waits until the guest that was reset has ended.
func (m *machine) gone() {
	m.t.Helper()
	var exit *exec.ExitError
	if err := <-m.ended; !errors.As(err, &exit) || exit.ExitCode() != 125 {
		m.t.Fatalf("the guest that was reset ended with: %v", err)
	}
}

// until waits for something that the guest brings about.
func (m *machine) until(what string, so func() bool) {
	m.t.Helper()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case err := <-m.ended:
			m.t.Fatalf("the guest ended before %s: %v\n%s%s", what, err, m.log("agent.log"), m.log("collector.log"))
		}
	}
}

func (m *machine) log(name string) string {
	data, _ := os.ReadFile(filepath.Join(m.out, name)) // it may not be there
	return string(data)
}

func (m *machine) has(name string) bool {
	_, err := os.Stat(filepath.Join(m.out, name))
	return err == nil
}

// awaits waits until the guest has left a file, and returns it.
func (m *machine) awaits(name string) []byte {
	m.t.Helper()
	m.until(name, func() bool { return m.has(name) })
	data, err := os.ReadFile(filepath.Join(m.out, name))
	must(m.t, err)
	return data
}

func (m *machine) tell(word string) {
	m.t.Helper()
	must(m.t, os.WriteFile(filepath.Join(m.out, word), nil, 0o644))
}

// good looks for what is wrong with a record.
func good(t *testing.T, look func(context.Context, map[string]uint64) ([]string, error), acknowledged map[string]uint64) {
	t.Helper()
	wrong, err := look(t.Context(), acknowledged)
	must(t, err)
	for _, w := range wrong {
		t.Error(w)
	}
	if len(wrong) > 0 {
		t.FailNow()
	}
}

// unpack unpacks a folder that the guest gave.
func (m *machine) unpack(name string, n int) (data string) {
	m.t.Helper()
	m.awaits(name)
	dir := filepath.Join(m.dir, strings.TrimSuffix(name, ".tar")+strconv.Itoa(n))
	must(m.t, os.Mkdir(dir, 0o755))
	if out, err := exec.Command("tar", "-x", "-f", filepath.Join(m.out, name), "-C", dir).CombinedOutput(); err != nil {
		m.t.Fatalf("unpack %s: %v\n%s", name, err, out)
	}
	return filepath.Join(dir, "data")
}

// freePort returns a port that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// serve runs the collector on the host until what it returns is called.
func serve(t *testing.T, collector, data string, road *exchange.Link) (stop func()) {
	t.Helper()
	p, err := exchange.Start(io.Discard, collector, "serve", "--data", data, "--agents", "127.0.0.1:0", "--web", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, p.Kill()) })
	address, err := p.Says(t.Context(), "agents ")
	must(t, err)
	_, err = p.Says(t.Context(), "web ")
	must(t, err)
	road.Mend(address)
	return func() { must(t, p.Terminate()) }
}

func newRoad(t *testing.T) *exchange.Link {
	t.Helper()
	road, err := exchange.NewLink(t.Context(), "")
	must(t, err)
	t.Cleanup(func() { must(t, road.Close()) })
	return road
}

// laptops is the simulated laptops of a school, on the host.
type laptops struct {
	t            *testing.T
	program, dir string
	number       int
}

func (l laptops) command(args ...string) *exec.Cmd {
	args = append(args, "--dir", l.dir, "--agents", strconv.Itoa(l.number), "--machines", "../testdata/machines")
	cmd := exec.Command(l.program, args...)
	return cmd
}

// acknowledged returns, by device, the last report that was acknowledged to it.
func (l laptops) acknowledged() map[string]uint64 {
	l.t.Helper()
	all := map[string]uint64{}
	folders, err := filepath.Glob(filepath.Join(l.dir, "[0-9]*"))
	must(l.t, err)
	for _, folder := range folders {
		device, err := enroll.Load(folder, time.Time{})
		must(l.t, err)
		data, err := os.ReadFile(filepath.Join(folder, "fleet.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(l.t, err)
		var memory struct {
			Acked uint64 `json:"acked"`
		}
		must(l.t, json.Unmarshal(data, &memory))
		all[string(device.Device)] = memory.Acked
	}
	return all
}

// burst is how many reports each laptop sends at once, and answers how often it
// is told at least how many are recorded.
const (
	burst   = 60
	answers = burst / 16
)

// moment chooses how many bytes go to the laptops before a reset: what they are
// answered when they connect, and then as much as they are told in a burst.
// What they send themselves says little: the network takes it all at once.
func (l laptops) moment(random *rand.Rand) int64 {
	return int64(l.number) * (2850 + random.Int64N(answers*60))
}

// TestAResetOfTheCollectorsMachineLosesAndRepeatsNothing: what a collector has
// acknowledged to the laptops of a school is on its disk when its machine is
// reset in the middle of it.
func TestAResetOfTheCollectorsMachineLosesAndRepeatsNothing(t *testing.T) {
	needBeds(t)
	cannot(t, "what a disk does that says it has written and has not")
	port := freePort(t)
	m := newMachine(t, "collector.sh")
	collector, fleet := built(t, m.dir, "collector"), built(t, m.dir, "shared/tools/fleet")
	record := &exchange.Record{Collector: collector, Data: filepath.Join(m.dir, "data")}
	l := laptops{t: t, program: fleet, dir: filepath.Join(m.dir, "fleet"), number: 24}
	road := newRoad(t)
	l.join(collector, record.Data, road)
	m.options = []string{"-u", "-m", "768", "-b", collector, "-f", record.Data, "-P", port + ":7443"}

	for n := range resets(t) {
		began := time.Now()
		m.boot(n)
		left := &exchange.Record{Collector: collector, Data: m.unpack("found.tar", n)}
		good(t, left.Grown, l.acknowledged())
		m.until("the collector is ready", func() bool { return strings.Contains(m.log("ready"), "web ") })
		road.Mend("127.0.0.1:" + port)
		cmd := l.command("burst", "--reports", strconv.Itoa(burst))
		happened, sent := make(chan error, 1), make(chan error, 1)
		road.After(exchange.Down, l.moment(m.random), func() { happened <- m.reset() })
		must(t, cmd.Start())
		go func() { sent <- cmd.Wait() }()
		select {
		case err := <-happened:
			must(t, err)
			must(t, cmd.Process.Signal(os.Interrupt))
			<-sent // interrupted is how it ends
		case err := <-sent: // all is acknowledged before the moment came
			road.After(exchange.Down, 0, nil)
			must(t, err)
			must(t, m.reset())
		}
		m.gone()
		t.Logf("reset %d, with %d reports acknowledged, %.0f s after the guest began to boot", n+1, sum(l.acknowledged()), time.Since(began).Seconds())
	}
	m.boot(resets(t))
	good(t, (&exchange.Record{Collector: collector, Data: m.unpack("found.tar", resets(t))}).Whole, l.acknowledged())
	m.until("the collector is ready", func() bool { return strings.Contains(m.log("ready"), "web ") })
	if out, err := l.command("burst", "--reports", "1").CombinedOutput(); err != nil {
		t.Fatalf("the laptops cannot report: %v\n%s", err, out)
	}
	m.tell("stop")
	record.Data = m.unpack("last.tar", 0)
	good(t, record.Whole, l.acknowledged())
	must(t, <-m.ended)
	if got, want := sum(record.Last()), sum(l.acknowledged()); got != want {
		t.Errorf("the ledger has %d reports, and %d were acknowledged", got, want)
	}
}

// join makes a school and the laptops its devices.
func (l laptops) join(collector, data string, road *exchange.Link) {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := exchange.Good(ctx, collector, "init", "--data", data, "--school", exchange.School)
	must(l.t, err)
	stop := serve(l.t, collector, data, road)
	token, err := exchange.Good(ctx, collector, "token", "create", "--data", data, "--uses", strconv.Itoa(l.number), "--address", road.Address())
	must(l.t, err)
	if out, err := l.command("enroll", "--token", strings.TrimSpace(token)).CombinedOutput(); err != nil {
		l.t.Fatalf("enrol the laptops: %v\n%s", err, out)
	}
	stop()
}

func sum(all map[string]uint64) (n uint64) {
	for _, one := range all {
		n += one
	}
	return n
}
