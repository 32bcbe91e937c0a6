package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// giveEvery is how often it is looked whether a day's checkpoint was written.
const giveEvery = time.Hour

// giveAway writes a signed checkpoint of each school into a folder, one a day
// (UTC), until ctx ends. Whoever keeps a copy elsewhere can prove that nothing
// before it was rewritten, by whomever.
func (c *collector) giveAway(ctx context.Context, folder string) error {
	if folder == "" {
		return nil
	}
	for {
		for _, r := range c.all() {
			s := r.working()
			if s == nil {
				continue
			}
			if err := s.giveDay(ctx, folder, c.clock.Now()); err != nil && ctx.Err() == nil {
				c.log.Error("the day's checkpoint was not given away", "school", s.ID, "reason", err)
			}
		}
		hour, stop := c.clock.After(giveEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-hour:
		}
	}
}

// giveDay writes the day's checkpoint if there is none.
func (s *school) giveDay(ctx context.Context, folder string, now time.Time) error {
	name := filepath.Join(folder, fmt.Sprintf("%s-%s.checkpoint", s.ID, now.UTC().Format(time.DateOnly)))
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.ledger.Size() == 0 {
		return nil
	}
	note, err := s.ledger.Checkpoint(ctx)
	if err != nil {
		return err
	}
	return durable.WriteFile(name, note, 0o644)
}

// checkpoint signs what the ledger holds now.
func (c *collector) checkpoint(ctx context.Context, a LedgerArguments) (CheckpointAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return CheckpointAnswer{}, err
	}
	note, err := s.ledger.Checkpoint(ctx)
	return CheckpointAnswer{School: s.ID, Checkpoint: string(note)}, err
}

// CheckpointAnswer is a signed checkpoint.
type CheckpointAnswer struct {
	School     posture.SchoolID `json:"school"`
	Checkpoint string           `json:"checkpoint"` // a signed note
}

// begins says why the ledger, of which the root at a size is known, does not
// begin with what was signed in a checkpoint that was given away, or in every one
// of this school that a text holds, such as a mail; nil if it does.
func (s *school) begins(given []byte, size uint64, root proof.Digest) error {
	_, err := s.verifier.Checkpoint(given)
	if err == nil {
		return s.agrees(given, size, root)
	}
	notes, foundErr := proof.FindCheckpoints(given)
	if foundErr != nil {
		return foundErr
	}
	mine := false
	for _, note := range notes {
		c, err := proof.ReadCheckpoint(note)
		if err != nil || c.Origin != proof.Origin(string(s.ID)) {
			continue // a mail about several schools
		}
		if err := s.agrees(note, size, root); err != nil {
			return err
		}
		mine = true
	}
	switch {
	case mine:
		return nil
	case len(notes) > 0:
		return errors.New("it holds checkpoints of other schools only")
	}
	return fmt.Errorf("it is not a checkpoint signed by this school's key: %w", err)
}

// agrees says why the ledger, of which the root at a size is known, is not the
// one of which a checkpoint was given away; nil if it begins with that.
func (s *school) agrees(note []byte, size uint64, root proof.Digest) error {
	given, err := s.verifier.Checkpoint(note)
	switch {
	case err != nil:
		return fmt.Errorf("it is not a checkpoint signed by this school's key: %w", err)
	case given.Size > size:
		return fmt.Errorf("it is of %d entries, and there are %d: the end of the record is gone, or this is an old copy", given.Size, size)
	case given.Size == 0:
		return nil
	}
	p, err := s.ledger.ProveConsistency(given.Size, size)
	if err == nil {
		err = p.Verify(given.Root, root)
	}
	if err != nil {
		return fmt.Errorf("the first %d entries are not those of which it was signed: the record was rewritten: %w", given.Size, err)
	}
	return nil
}
