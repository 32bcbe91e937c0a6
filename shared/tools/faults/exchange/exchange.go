// Package exchange runs both programs as processes of their own, with a
// network between them that can be cut, and checks afterwards that nothing of
// what they said to each other was lost or repeated. Tests and the fault
// runner share it.
//
// It needs nothing of a build but its command line, so that it can be pointed
// at any. It never decides what goes wrong when: that is its caller's.
package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
)

// School is the name of the school whose laptop it is.
const School = "Hollybank Primary School"

// Options say with what to run an exchange. All fields are required but Log and
// Apart.
type Options struct {
	Dir       string // an empty folder with a short path: sockets lie below it
	Collector string // path of the program
	Agent     string // path of the program that enrols and tells its status
	Laptop    Laptop
	Log       func(program string) io.Writer // of what the programs say of themselves
	// Apart are two hosts for the two programs, instead of a Link between them.
	Apart *Apart
}

// Apart are two hosts with a network of their caller's between.
type Apart struct {
	Collector, Agent []string // what goes before a command to run it there
	// Address is where laptops reach the collector, and Listen where it listens.
	Address, Listen string
	// Unconnected is how long an agent may be without its collector until it is
	// started again.
	Unconnected time.Duration
}

// Laptop is how an agent runs so that it has something new to report.
type Laptop interface {
	// Command is what runs its agent on a state folder.
	Command(state string) []string
	// Change makes it another laptop than it was; turn counts from 0.
	Change(turn int) error
	// Asks is how often an agent that runs does at once what it is asked.
	Asks() int
}

// Exchange is both programs with a network between, talking.
type Exchange struct {
	Data, State string // folders
	Network     *Link  // nil on hosts apart
	Device      string
	Web         string // address of the pages

	mu               sync.Mutex // guards the two programs
	collector, agent *Process   // nil before their first start

	o        Options
	turn     int
	asked    int       // times that the agent that runs was asked
	talked   time.Time // when the laptop was last made to report
	before   uint64    // how many reports were acknowledged then
	restarts int
	record   Record
}

// patience bounds how long is waited for something that does not come. It says
// nothing about how fast anything is.
const patience = 4 * time.Minute

// New makes a school with one laptop and returns when its first report is
// acknowledged.
func New(ctx context.Context, o Options) (x *Exchange, err error) {
	x = &Exchange{Data: filepath.Join(o.Dir, "data"), State: filepath.Join(o.Dir, "state"), o: o}
	x.record = Record{Collector: o.Collector, Data: x.Data}
	if x.o.Log == nil {
		x.o.Log = func(string) io.Writer { return io.Discard }
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.Close())
		}
	}()
	if _, err := x.record.ask(ctx, "init", "--school", School); err != nil {
		return x, err
	}
	if o.Apart == nil {
		if x.Network, err = NewLink(ctx, ""); err != nil {
			return x, err
		}
	}
	if err := x.StartCollector(ctx); err != nil {
		return x, err
	}
	token, err := x.record.ask(ctx, "token", "create", "--address", x.address())
	if err != nil {
		return x, err
	}
	enrol := x.onAgent(o.Agent, "enroll", "--state", x.State, "--token", strings.TrimSpace(token))
	if _, err := Good(ctx, enrol[0], enrol[1:]...); err != nil {
		return x, err
	}
	if err := x.Talk(ctx); err != nil {
		return x, err
	}
	_, err = x.Settle(ctx)
	if err != nil {
		return x, err
	}
	s, err := x.Status(ctx)
	x.Device = s.Device
	return x, err
}

// address is where laptops reach the collector.
func (x *Exchange) address() string {
	if x.o.Apart != nil {
		return x.o.Apart.Address
	}
	return x.Network.Address()
}

// onAgent is a command as it runs on the laptop.
func (x *Exchange) onAgent(command ...string) []string {
	if x.o.Apart == nil {
		return command
	}
	return append(append([]string{}, x.o.Apart.Agent...), command...)
}

// Close ends the programs and the network; the folders stay.
func (x *Exchange) Close() error {
	var all []error
	for _, p := range []*Process{x.Agent(), x.Collector()} {
		if p != nil {
			all = append(all, p.Kill())
		}
	}
	if x.Network != nil {
		all = append(all, x.Network.Close())
	}
	return errors.Join(all...)
}

// Agent is the agent that runs, or ran last.
func (x *Exchange) Agent() *Process {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.agent
}

// Collector is the collector that runs, or ran last.
func (x *Exchange) Collector() *Process {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.collector
}

// StartAgent starts the agent.
func (x *Exchange) StartAgent() (err error) {
	command := x.onAgent(x.o.Laptop.Command(x.State)...)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked = 0
	x.agent, err = Start(x.o.Log("agent"), command[0], command[1:]...)
	return err
}

// StartCollector starts the collector, has the network lead to it and returns
// when it is ready.
func (x *Exchange) StartCollector(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	serve, listen := []string{x.o.Collector}, "127.0.0.1:0"
	if a := x.o.Apart; a != nil {
		serve, listen = append(append([]string{}, a.Collector...), x.o.Collector), a.Listen
	}
	serve = append(serve, "serve", "--data", x.Data, "--agents", listen, "--web", "127.0.0.1:0")
	p, err := Start(x.o.Log("collector"), serve[0], serve[1:]...)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.collector = p
	x.mu.Unlock()
	address, err := p.Says(ctx, "agents ")
	if err != nil {
		return err
	}
	if x.Web, err = p.Says(ctx, "web "); err != nil {
		return err
	}
	if x.Network != nil {
		x.Network.lead(address)
	}
	return nil
}

// Repair starts whichever of the two has ended. The child of an agent that was
// just killed may hold the state folder for a moment longer: then the agent
// ends and is started again, as a system's service manager would.
func (x *Exchange) Repair(ctx context.Context) error {
	if x.Collector().isGone() {
		if err := x.StartCollector(ctx); err != nil {
			return err
		}
	}
	if x.Agent().isGone() {
		return x.StartAgent()
	}
	return nil
}

// Status is what the agent says of itself, by its own command.
func (x *Exchange) Status(ctx context.Context) (agentapp.Status, error) {
	var s agentapp.Status
	out, err := Good(ctx, x.o.Agent, "status", "--json", "--state", x.State)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		return s, fmt.Errorf("ask the agent for its status: %w", err)
	}
	return s, nil
}

// Restarts returns how often the agent was asked to end and started again
// because it waited longer for the network, or before it assesses what it is
// asked to, than this does.
func (x *Exchange) Restarts() int { return x.restarts }

// Restart has a new agent, which assesses everything and connects at once.
func (x *Exchange) Restart() error { return x.restart() }

// restart has a new agent, which assesses everything and connects at once.
func (x *Exchange) restart() error {
	if p := x.Agent(); !p.isGone() {
		x.restarts++
		if err := p.Terminate(); err != nil {
			return err
		}
	}
	return x.StartAgent()
}

// Talk changes the laptop and has it report: it is asked to assess itself, or
// its agent is started, which does so of itself.
func (x *Exchange) Talk(ctx context.Context) error {
	s, err := x.Status(ctx)
	if err != nil {
		return err
	}
	x.before = s.Acknowledged
	if err := x.o.Laptop.Change(x.turn); err != nil {
		return fmt.Errorf("make the laptop another one: %w", err)
	}
	x.turn++
	x.talked = time.Now()
	if x.Agent().isGone() || x.asked >= x.o.Laptop.Asks() {
		return x.restart()
	}
	soon, cancel := context.WithTimeout(ctx, x.alone())
	defer cancel()
	o, err := Command(soon, x.o.Collector, "device", "assess", x.Device, "--data", x.Data)
	if x.asked++; err == nil && o.Status == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	return x.restart() // it is not connected, and waits longer than we do; or nobody answers
}

// Hoard has the laptop make reports that it cannot send, each after a change of
// its own, and ends its agent. The network is mended then.
func (x *Exchange) Hoard(ctx context.Context, reports int) error {
	x.Network.Cut()
	defer x.Network.Mend("")
	for range reports {
		if err := x.Agent().Terminate(); err != nil {
			return err
		}
		if err := x.Talk(ctx); err != nil {
			return err
		}
		if err := Until(ctx, "a report waits", func() (bool, error) {
			if err := x.Repair(ctx); err != nil {
				return false, err
			}
			s, err := x.Status(ctx)
			return s.AssessedAt.After(x.Agent().began) && s.Waiting > 0, err
		}); err != nil {
			return err
		}
	}
	return x.Agent().Terminate()
}

// alone is how long an agent may be without its collector here.
func (x *Exchange) alone() time.Duration {
	if x.o.Apart != nil && x.o.Apart.Unconnected > 0 {
		return x.o.Apart.Unconnected
	}
	return unconnected
}

// unconnected is how long an agent may be without its collector until it is
// started again: after many a broken stream it waits minutes.
const unconnected = 4 * time.Second

// Settled reports whether what the laptop was last made to report is
// acknowledged, and how many reports were.
func (x *Exchange) Settled(ctx context.Context) (acknowledged uint64, ok bool, err error) {
	s, err := x.Status(ctx)
	return s.Acknowledged, err == nil && x.settled(s), err
}

// settled wants a report more than there was: of itself an agent assesses only
// what may have changed, such as disks, and confirms what it said before.
func (x *Exchange) settled(s agentapp.Status) bool {
	asked := x.talked
	if p := x.Agent(); p.began.After(asked) {
		asked = p.began // what it did before is not told from what it does
	}
	return s.Connected && s.AssessedAt.After(asked) && s.ReportedAt.After(asked) && s.Waiting == 0 && s.Acknowledged > x.before
}

// unasked is how long a connected agent may be without an assessment until it is
// started again: a cut can take the collector's question with it, and nothing
// asks again before the hour is over.
const unasked = 30 * time.Second

// Settle waits until it is settled, and returns how many reports were
// acknowledged. What has ended meanwhile it starts again.
func (x *Exchange) Settle(ctx context.Context) (acknowledged uint64, err error) {
	apart, began := time.Now(), time.Now()
	var last agentapp.Status
	err = Until(ctx, "the laptop has assessed itself and all is acknowledged", func() (bool, error) {
		err := x.Repair(ctx)
		if err == nil {
			last, err = x.Status(ctx)
		}
		if err != nil {
			return false, err
		}
		if last.Connected {
			apart = time.Now()
		} else if time.Since(apart) > x.alone() {
			apart = time.Now()
			return false, x.restart()
		}
		if !x.settled(last) && time.Since(began) > unasked {
			began = time.Now()
			return false, x.restart()
		}
		return x.settled(last), nil
	})
	if err != nil {
		err = fmt.Errorf("%w; the agent says: %+v", err, last)
	}
	return last.Acknowledged, err
}

// Until asks again and again whether something is so.
func Until(ctx context.Context, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		ok, err := so()
		if err != nil && ctx.Err() == nil || ok {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
}

// replace writes a file whole or not at all.
func replace(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
