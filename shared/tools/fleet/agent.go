package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// counts is what the whole fleet has done.
type counts struct {
	Reports   atomic.Int64 // put into spools
	Contacts  atomic.Int64
	Bytes     atomic.Int64 // of the two, as the stream carries them
	Welcomes  atomic.Int64 // streams that the collector answered
	Ended     atomic.Int64 // streams that ended otherwise than by the laptop
	SendFulls atomic.Int64 // times that the collector asked for everything
}

// agent is one simulated laptop: the real key, certificate, chain, spool and
// uplink of an agent, and a recorded machine in place of its own.
type agent struct {
	fleet    *fleet
	dir      string
	hostname string
	device   *enroll.Device
	machine  *machine
	spool    *spool.Spool
	sends    uplink.Spool // what its uplink sends: spool, or what was read of it
	assigned uint64       // number of its assignment
	began    time.Time
	drained  chan struct{} // holds a token when the spool has become empty
	gate     chan struct{} // if not nil, a stream sends nothing before it is closed

	mu     sync.Mutex // guards all below
	memory memory
	wit    proof.Witness

	hangUp func() error // ends the stream and waits for it; nil while there is none
}

// memory is what a laptop must remember from one run of the fleet to the next.
type memory struct {
	Chain assess.Chain `json:"chain"`
	Acked uint64       `json:"acked"` // number of the last report that was acknowledged
	State condition    `json:"state"`
}

const (
	memoryFile  = "fleet.json"
	spoolFolder = "spool"
)

func (f *fleet) agentDir(number int) string { return filepath.Join(f.dir, fmt.Sprintf("%05d", number)) }

func hostname(number int) string { return fmt.Sprintf("hb-lt-%05d", number) }

// open loads a laptop that is enrolled.
func (f *fleet) open(number int) (*agent, error) {
	a := &agent{fleet: f, dir: f.agentDir(number), hostname: hostname(number), began: f.clock.Now(), drained: make(chan struct{}, 1)}
	var err error
	if a.device, err = enroll.Load(a.dir, time.Time{}); err != nil {
		return nil, err
	}
	if a.spool, err = spool.Open(filepath.Join(a.dir, spoolFolder), spool.Options{}); err != nil {
		return nil, err
	}
	a.sends = a.spool
	if _, a.assigned, err = a.device.Document(enroll.Assignment); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(a.dir, memoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &a.memory)
	}
	if err != nil {
		return nil, fmt.Errorf("read what laptop %s remembers: %w", a.hostname, err)
	}
	return a, nil
}

// close ends the laptop's stream and keeps what it must remember.
func (a *agent) close() error {
	err := a.disconnect()
	if read, ok := a.sends.(*ahead); ok {
		err = errors.Join(err, read.forget())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	data, e := json.Marshal(a.memory)
	if e == nil {
		e = os.WriteFile(filepath.Join(a.dir, memoryFile), data, 0o600)
	}
	return errors.Join(err, e)
}

// do lets the laptop do something.
func (a *agent) do(ctx context.Context, d deed) error {
	switch d {
	case open:
		return a.connect(ctx)
	case shut:
		return a.disconnect()
	case stickIn:
		a.change(withStick)
	case stickOut:
		a.change(stickGone)
	case buffer, found:
		a.change(a.other())
	case nothing:
	}
	return a.say()
}

func (a *agent) change(to condition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.State = to
}

// other returns a condition that differs from the present one.
func (a *agent) other() condition {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.memory.State == withStick {
		return stickGone
	}
	return withStick
}

// say makes the next statement of the laptop's chain and puts it into the
// spool.
func (a *agent) say() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.fleet.clock.Now()
	bodies, err := a.machine.as(a.memory.State, a.hostname, now)
	if err != nil {
		return err
	}
	moment := assess.Moment{
		School: a.device.School, Device: a.device.Device, Assignment: a.assigned,
		MadeAt: now, Boot: "fleet", Uptime: now.Sub(a.began), Witness: a.wit,
	}
	draft, chain, err := a.memory.Chain.Next(bodies, moment, salt)
	if err != nil {
		return err
	}
	signature, err := a.device.Key.Sign(draft.Hash)
	if err != nil {
		return fmt.Errorf("sign report %d: %w", draft.Sequence, err)
	}
	item := spool.Item{Position: spool.Position{Sequence: draft.Sequence}}
	if draft.Contact {
		item.Contact = chain.Contacts
		item.Message, err = uplink.EncodeContact(draft.Statement, signature)
		a.fleet.counts.Contacts.Add(1)
	} else {
		item.Message, err = uplink.EncodeReport(draft.Statement, signature, draft.Sections)
		a.fleet.counts.Reports.Add(1)
	}
	if err != nil {
		return err
	}
	if _, err := a.spool.Put(item); err != nil {
		return err
	}
	a.fleet.counts.Bytes.Add(int64(len(item.Message)))
	a.memory.Chain = chain
	return nil
}

func salt() [proof.SaltSize]byte {
	var b [proof.SaltSize]byte
	_, _ = rand.Read(b[:]) // it never fails: it ends the program if the system gives no randomness
	return b
}

// connect opens the laptop's stream and keeps it open until disconnect.
func (a *agent) connect(ctx context.Context) error {
	if a.hangUp != nil {
		return nil
	}
	config, err := a.device.TLS()
	if err != nil {
		return err
	}
	u := uplink.New(uplink.Config{
		Addresses: a.device.Addresses, TLS: config, School: a.device.Verifier, Spool: a.sends,
		Hello: a.hello, Handler: a, Clock: a.fleet.clock, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	a.hangUp = func() error {
		cancel()
		return <-ended
	}
	return nil
}

func (a *agent) disconnect() error {
	if a.hangUp == nil {
		return nil
	}
	err := a.hangUp()
	a.hangUp = nil
	return err
}

func (a *agent) hello() uplink.Hello {
	a.mu.Lock()
	defer a.mu.Unlock()
	return uplink.Hello{Version: "fleet", Assignment: a.assigned, Boot: "fleet", Acknowledged: a.memory.Acked}
}

// Welcomed implements uplink.Handler.
func (a *agent) Welcomed(collector time.Time, _ time.Duration) error {
	if err := a.device.Heard(collector, a.fleet.clock.Now()); err != nil {
		return err
	}
	a.fleet.counts.Welcomes.Add(1)
	a.fleet.signal()
	if a.gate != nil {
		<-a.gate
	}
	return nil
}

// Acknowledged implements uplink.Handler.
func (a *agent) Acknowledged(p spool.Position) error {
	a.mu.Lock()
	a.memory.Acked = max(a.memory.Acked, p.Sequence)
	a.mu.Unlock()
	if a.sends.Stats().Waiting == 0 {
		select {
		case a.drained <- struct{}{}:
		default:
		}
	}
	return nil
}

// Recorded implements uplink.Handler.
func (a *agent) Recorded(uint64) error { return nil }

// Checkpoint implements uplink.Handler.
func (a *agent) Checkpoint(c proof.Checkpoint, _ []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wit = proof.Witness{Size: c.Size, Root: c.Root}
	return nil
}

// SendFull implements uplink.Handler.
func (a *agent) SendFull(string) error {
	a.fleet.counts.SendFulls.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.Chain.Full = true
	return nil
}

// Policy implements uplink.Handler. The fleet is judged by the baseline that
// it is built with.
func (a *agent) Policy([]byte) error { return nil }

// Assignment implements uplink.Handler.
func (a *agent) Assignment([]byte) error { return nil }

// ReleaseOffered implements uplink.Handler: a laptop of the fleet runs what it runs.
func (a *agent) ReleaseOffered(string, time.Duration) error { return nil }

// ReportPage implements uplink.Handler. Nobody reads a simulated laptop's status.
func (a *agent) ReportPage(string) error { return nil }

// AssessNow implements uplink.Handler.
func (a *agent) AssessNow(string) error { return a.say() }

// Ended implements uplink.Handler.
func (a *agent) Ended(reason error) {
	a.fleet.counts.Ended.Add(1)
	a.fleet.log.Warn("stream ended", "laptop", a.hostname, "reason", reason)
}
