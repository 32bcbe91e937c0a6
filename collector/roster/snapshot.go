package roster

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// snapshot is the roster as it is saved between runs. It is worth nothing but
// time: one that does not fit the ledger is not used.
type snapshot struct {
	Format   int
	School   posture.SchoolID
	Next     uint64
	Leaf     proof.Digest // hash of the entry before Next
	Devices  map[posture.DeviceID]*record
	Tokens   map[string]*tokenUse
	Policy   uint64
	PolicyIn uint64
	Latest   uint64
	Purges   []Forgotten
	Window   int
	Sealed   []uint64
	Retained []uint64
	Restores []restore
}

const (
	snapshotFormat = 8
	maxSnapshot    = 1 << 30
)

// save writes a snapshot. That it fails costs only time at the next start.
func (r *Roster) save() {
	if r.o.Snapshot == "" {
		return
	}
	if err := r.write(context.Background()); err != nil {
		r.o.Log.Warn("snapshot of the roster not saved", "school", r.o.School, "error", err)
	}
}

func (r *Roster) write(ctx context.Context) error {
	r.folding.Lock()
	defer r.folding.Unlock()
	if r.next == 0 || r.next == r.saved {
		return nil
	}
	last, err := r.o.Ledger.Read(ctx, ledger.Index(r.next-1))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	r.mu.RLock()
	err = gob.NewEncoder(&b).Encode(snapshot{
		Format: snapshotFormat, School: r.o.School, Next: r.next, Leaf: proof.LeafHash(last.Encoded),
		Devices: r.devices, Tokens: r.tokens, Policy: r.policy, PolicyIn: r.policyIn, Latest: r.latest, Purges: r.purges, Window: r.window, Sealed: r.sealed,
		Retained: r.retained, Restores: r.restores,
	})
	r.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	if err := durable.WriteFile(r.o.Snapshot, durable.AppendFrame(nil, b.Bytes()), 0o600); err != nil {
		return err
	}
	r.mu.Lock()
	r.saved = r.next
	r.mu.Unlock()
	return nil
}

// load starts from the snapshot, if there is one that fits the ledger. After an
// error nothing of it is taken.
func (r *Roster) load(ctx context.Context) error {
	if r.o.Snapshot == "" {
		return nil
	}
	f, err := os.Open(r.o.Snapshot)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := durable.ReadFrame(f, 0, maxSnapshot)
	if err != nil {
		return err
	}
	var s snapshot
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&s); err != nil {
		return fmt.Errorf("decode snapshot: %w", err)
	}
	if s.Format != snapshotFormat || s.School != r.o.School || s.Next == 0 || s.Next > r.o.Ledger.Size() {
		return errors.New("it is of another ledger or of another version")
	}
	last, err := r.o.Ledger.Read(ctx, ledger.Index(s.Next-1))
	if err != nil {
		return err
	}
	if proof.LeafHash(last.Encoded) != s.Leaf {
		return errors.New("it is of another ledger")
	}
	r.policy, r.policyIn, r.next, r.latest, r.purges, r.window = s.Policy, s.PolicyIn, s.Next, s.Latest, s.Purges, s.Window
	r.sealed, r.retained, r.restores = s.Sealed, s.Retained, s.Restores
	if s.Devices != nil {
		r.devices = s.Devices
	}
	if s.Tokens != nil {
		r.tokens = s.Tokens
	}
	r.nextEnd()
	return nil
}
