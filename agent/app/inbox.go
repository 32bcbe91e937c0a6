package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/update"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// inbox holds what the collector has said until the agent's loop comes by, and
// stores what must not be lost at once. It implements uplink.Handler.
type inbox struct {
	state  state
	device *enroll.Device
	log    *slog.Logger
	now    func() time.Time
	// waiting returns how many statements wait in the spool.
	waiting func() int
	boot    func() (id string, uptime time.Duration, err error)
	// way says by which way the collector was reached last.
	way     func() string
	wake    chan struct{}     // holds a token when something has come
	twice   chan struct{}     // holds a token when two machines answer to this name
	offered chan update.Offer // holds what was last said of a release
	// reported holds a token when something that this process made was acknowledged.
	reported chan struct{}

	mu    sync.Mutex // guards all below
	terms terms
	judge bool // the terms changed: judge again
	full  bool // the next report must carry everything
	hurry bool // assess everything at once
	acked spool.Position
	// recorded is up to which number the collector says that it has reports.
	recorded uint64
	witness  witness
	run      running
	said     spool.Position // the first statement that this process made; zero: none yet
	began    time.Time      // of this boot, by the clock when it was last looked at; zero: not since the start
}

// taken is what the loop takes out of the inbox.
type taken struct {
	judge, full, assessNow bool
	acked                  spool.Position
	recorded               uint64
}

func (b *inbox) take() taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := taken{b.judge, b.full, b.hurry, b.acked, b.recorded}
	b.judge, b.full, b.hurry = false, false, false
	return t
}

// put changes the inbox and wakes the loop.
func (b *inbox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) currentTerms() terms {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms
}

// judgedBy keeps the policy in force, if it is the one that judged, for the
// time when one follows that this program cannot read.
func (b *inbox) judgedBy(number uint64) {
	b.mu.Lock()
	kept := number == 0 || b.terms.number != number || b.terms.used == number
	b.mu.Unlock()
	if kept {
		return
	}
	if err := b.device.KeepUsed(enroll.Policy, number); err != nil {
		b.log.Warn("the policy that judged is not kept beside the next", "reason", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.terms.number == number {
		b.terms.before, b.terms.used = nil, number
	}
}

func (b *inbox) lastWitness() proof.Witness {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.witness.Witness
}

// report changes what the service says of itself and writes it for
// ReadStatus, where everybody on this machine may read it. That it cannot be
// written is no reason to stop.
func (b *inbox) report(change func(*running)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.run)
	b.publish()
}

// publish writes what the service says of itself. Whoever calls it holds the
// lock.
func (b *inbox) publish() {
	b.run.WrittenAt = b.now()
	b.run.School, b.run.SchoolName = string(b.device.School), b.device.SchoolName
	b.run.Device, b.run.Collector, b.run.Key = string(b.device.Device), b.device.Addresses, string(b.device.Key.Place())
	if err := b.state.publish(b.run); err != nil {
		b.log.Warn("status not written", "reason", err)
	}
}

// Welcomed implements uplink.Handler.
func (b *inbox) Welcomed(collector time.Time, skew time.Duration) error {
	if err := b.device.Heard(collector, b.now()); err != nil {
		// It only makes certificates hold longer.
		b.log.Warn("the collector's time is not remembered", "reason", err)
	}
	if skew.Abs() > clockTolerance {
		b.log.Warn("the clocks of this device and of the collector differ", "by", skew.Round(time.Second))
	}
	began := time.Time{}
	if _, uptime, err := b.boot(); err == nil {
		began = b.now().Round(0).Add(-uptime)
	}
	way := ""
	if b.way != nil {
		way = b.way()
	}
	b.report(func(r *running) {
		r.Connected, r.Trouble, r.Obstacles, r.Way, r.Skew, b.began = true, "", nil, way, skew, began
	})
	return nil
}

// clockSeen is told when this boot began by the clock of the moment. If that
// has moved since the collector was heard, the clock was set.
func (b *inbox) clockSeen(began time.Time) {
	b.mu.Lock()
	moved := began.Sub(b.began)
	set := !b.began.IsZero() && moved.Abs() > clockTolerance
	if set {
		b.began = began
	}
	b.mu.Unlock()
	if set {
		b.log.Warn("the clock of this device was set", "by", moved.Round(time.Second))
		b.report(func(r *running) { r.Skew += moved })
	}
}

// Ended implements uplink.Handler.
func (b *inbox) Ended(reason error) {
	if refused, ok := errors.AsType[*uplink.RefusedError](reason); ok && refused.Code == "twice" {
		signal(b.twice)
	}
	b.report(func(r *running) { r.Connected, r.Trouble, r.Obstacles = false, reason.Error(), obstacles(reason) })
}

// sayAgain is how often at most it is written that something was acknowledged,
// as long as more waits: a full spool empties faster than a disk can follow.
const sayAgain = time.Second

// Acknowledged implements uplink.Handler.
func (b *inbox) Acknowledged(p spool.Position) error {
	b.acknowledged(p)
	b.mu.Lock()
	own := b.said != (spool.Position{}) && !p.Before(b.said)
	b.mu.Unlock()
	if own {
		signal(b.reported)
	}
	b.put(func() {
		if b.acked.Before(p) {
			b.acked = p
		}
	})
	return nil
}

// acknowledged says of the service what was acknowledged.
func (b *inbox) acknowledged(p spool.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.run.ReportedAt, b.run.Acknowledged, b.run.Waiting = now, max(b.run.Acknowledged, p.Sequence), b.waiting()
	if lately := now.Sub(b.run.WrittenAt); b.run.Waiting == 0 || lately < 0 || lately >= sayAgain {
		b.publish()
	}
}

// Recorded implements uplink.Handler.
func (b *inbox) Recorded(sequence uint64) error {
	b.mu.Lock()
	newer := sequence > b.recorded
	b.recorded = max(b.recorded, sequence)
	b.mu.Unlock()
	if newer {
		b.put(func() {})
	}
	return nil
}

// Policy implements uplink.Handler.
func (b *inbox) Policy(document []byte) error { return b.document(enroll.Policy, document) }

// Assignment implements uplink.Handler.
func (b *inbox) Assignment(document []byte) error { return b.document(enroll.Assignment, document) }

// document puts what the school has signed in force: its signature is checked,
// and its number must rise.
func (b *inbox) document(kind string, document []byte) error {
	switch _, err := b.device.Take(kind, document); {
	case errors.Is(err, enroll.ErrNotNewer):
		b.log.Warn("document passed over", "reason", err)
		return nil
	case notStored(err):
		// The collector gives it again on the next stream, and what waits in
		// the spool is to get through meanwhile.
		b.log.Error("document not taken", "reason", err)
		b.report(func(r *running) { r.Fault = err.Error() })
		return nil
	case err != nil:
		return err
	}
	terms := loadTerms(b.device)
	b.log.Info("document taken", "kind", kind, "policy", terms.number, "assignment", terms.assignment.Number)
	b.put(func() { b.terms, b.judge = terms, true })
	b.report(func(r *running) { r.Policy = terms.number })
	return nil
}

// notStored reports whether a file could not be read or written, which says
// nothing about what was to be stored.
func notStored(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// Checkpoint implements uplink.Handler. A checkpoint that contradicts the last
// one is passed over: this device remembers. The first such pair is kept, since
// the school has signed both.
func (b *inbox) Checkpoint(c proof.Checkpoint, note []byte) error {
	b.mu.Lock()
	last := b.witness
	b.mu.Unlock()
	given := witness{Witness: proof.Witness{Size: c.Size, Root: c.Root}, Note: string(note)}
	if c.Size < last.Size || c.Size == last.Size && !last.Root.IsZero() && c.Root != last.Root {
		b.contradicted(last, given)
		return nil
	}
	if given.Witness == last.Witness {
		return nil
	}
	if err := b.state.save(witnessFile, given); err != nil {
		b.log.Error("checkpoint not remembered", "reason", err)
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.witness = given
	return nil
}

// contradicted keeps two checkpoints of which the later given one is of a
// smaller ledger, or of another one of the same size.
func (b *inbox) contradicted(last, given witness) {
	b.log.Error("checkpoint passed over: it contradicts an earlier one", "size", given.Size, "earlier", last.Size)
	var kept contradiction
	if found, err := b.state.load(contradictionFile, &kept); found || err != nil {
		return // what is there says it already
	}
	if err := b.state.save(contradictionFile, contradiction{First: last.Note, Then: given.Note, At: b.now().UTC()}); err != nil {
		b.log.Error("the contradiction is not kept", "reason", err)
	}
}

// SendFull implements uplink.Handler.
func (b *inbox) SendFull(reason string) error {
	b.log.Info("the collector asks for everything", "reason", reason)
	b.put(func() { b.full = true })
	return nil
}

// AssessNow implements uplink.Handler.
func (b *inbox) AssessNow(request string) error {
	b.log.Info("the collector asks for an assessment", "request", request)
	b.put(func() { b.hurry = true })
	return nil
}

// ReleaseOffered implements uplink.Handler. What was said last counts.
func (b *inbox) ReleaseOffered(version string, within time.Duration) error {
	o := update.Offer{Version: version, Within: within}
	for {
		select {
		case b.offered <- o:
			return nil
		default:
		}
		select {
		case <-b.offered:
		default:
		}
	}
}

// firstSaid notes the first statement that this process made.
func (b *inbox) firstSaid(p spool.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said == (spool.Position{}) {
		b.said = p
	}
}
