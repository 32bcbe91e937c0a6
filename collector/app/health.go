package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
)

// verifiedFile is when a school's record was last verified, beside its ledger. It
// is no part of the record: whoever doubts it verifies again.
const verifiedFile = "verified.json"

// Health implements web.HealthDesk and api.Physician.
func (c *collector) Health(ctx context.Context, id posture.SchoolID) (health.Report, error) {
	record := c.byID(id)
	if record == nil {
		return health.Report{}, fmt.Errorf("there is no school %q", id)
	}
	standing, err := c.statusOf(ctx, record)
	if err != nil {
		return health.Report{}, err
	}
	w := c.Record(id)
	r := health.Report{
		At: c.clock.Now(), Version: release.Version(), Free: c.free(), Recording: standing.Recording, Entries: standing.Entries, Shown: standing.Shown,
		Behind: standing.Behind, ClockBack: standing.ClockBack, Trouble: []string{},
	}
	for _, why := range []string{w.Reason, w.RefusedFor, w.Failing} {
		if why != "" {
			r.Trouble = append(r.Trouble, why)
		}
	}
	if standing.Damage != nil {
		r.Trouble = append(r.Trouble, "a part of the record cannot be read: "+standing.Damage.String())
	}
	for _, err := range c.unreadable() {
		r.Trouble = append(r.Trouble, plainly(err))
	}
	if r.Verified, err = readVerified(record); err != nil {
		return r, err
	}
	if r.Given, err = c.lastGiven(id); err != nil {
		return r, err
	}
	if r.Backup, err = c.lastBackup(id); err != nil {
		return r, err
	}
	if s := record.present(); s != nil {
		if last, ok := s.roster.LastRestored(); ok {
			r.Restored = &health.Restored{At: last.At, Backup: last.Taken}
		}
	}
	for _, one := range c.notices.Status() {
		if one.School == id || one.School == access.EverySchool {
			r.Ways++
			if one.Attempts > 0 {
				r.Failing++
			}
		}
	}
	if s := standing.Certificate; s != nil {
		r.Certificate = &health.Certificate{Ends: s.Ends, Trouble: s.Trouble}
	}
	if c.door != nil {
		r.Connected = c.door.Connections(id)
	}
	return r, nil
}

// HealthAnswer is how well the collector keeps a school, in words as well.
type HealthAnswer struct {
	School posture.SchoolID `json:"school"`
	health.Report
	Lines []health.Line `json:"lines"`
}

func (c *collector) health(ctx context.Context, a ListArguments) (HealthAnswer, error) {
	record, err := c.record(a.School)
	if err != nil {
		return HealthAnswer{}, err
	}
	r, err := c.Health(ctx, record.id)
	return HealthAnswer{School: record.id, Report: r, Lines: r.Lines()}, err
}

// readVerified reads when the record was last verified; nil if it never was.
func readVerified(r *record) (*health.Check, error) {
	if r.found == nil {
		return nil, nil //nolint:nilnil // of what cannot be read nothing is known
	}
	data, err := os.ReadFile(filepath.Join(r.found.Dir, verifiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it never was
	}
	var check health.Check
	if err == nil {
		err = json.Unmarshal(data, &check)
	}
	if err != nil {
		return nil, fmt.Errorf("read when the record was verified: %w", err)
	}
	return &check, nil
}

// verified remembers what came of verifying a record. That this cannot be written
// changes nothing about what was found.
func (c *collector) verified(r *record, report LedgerReport) {
	if c.aside || r.found == nil {
		return
	}
	data, err := json.Marshal(health.Check{At: c.clock.Now(), Entries: report.Entries, Trouble: report.Trouble})
	if err == nil {
		err = durable.WriteFile(filepath.Join(r.found.Dir, verifiedFile), data, 0o600)
	}
	if err != nil {
		c.log.Warn("when the record was verified could not be remembered", "school", r.id, "error", err)
	}
}

// lastGiven finds the last checkpoint that was given away; nil if none is.
func (c *collector) lastGiven(id posture.SchoolID) (*health.Given, error) {
	if c.givenTo == "" {
		return nil, nil //nolint:nilnil // none is
	}
	given := &health.Given{To: c.givenTo}
	list, err := os.ReadDir(c.givenTo)
	if errors.Is(err, fs.ErrNotExist) {
		return given, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the checkpoints that were given away: %w", err)
	}
	for _, file := range list {
		day, ok := strings.CutPrefix(file.Name(), string(id)+"-")
		at, err := time.Parse(time.DateOnly+".checkpoint", day)
		if ok && err == nil && at.After(given.Last) {
			given.Last = at
		}
	}
	return given, nil
}
