package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What is held is not kept back in the record: a count, a listing or a sheet
// would tell of it. Before the record forgets a body that is about something that
// is held, the body is kept aside, sealed to those who are named for the
// incident, and then forgotten as any other. With its salt, what is kept aside is
// proven by the entry that stays.

// asideFolder holds, below a school's folder, what is kept aside: files of
// bodies, each sealed, named after their incident.
const asideFolder = "aside"

// mostAside is about how many bytes of bodies one such file holds.
const mostAside = 4 << 20

// sparing has something forgotten, and sees to it that what is held is kept aside
// before and that acts of restricted incidents are not forgotten early. Neither
// changes a count. Nothing becomes held meanwhile.
func (c *collector) sparing(ctx context.Context, s *school, p purging, forget func(purging) (roster.Purge, error)) (made roster.Purge, err error) {
	err = s.cases(ctx, func(b *restricted.Book) error {
		if s.casebook.broken != nil {
			return fmt.Errorf("nothing is forgotten while a part of the record cannot be read: %w", s.casebook.broken)
		}
		if err := c.keepSealed(ctx, s, b, &p); err != nil {
			return err
		}
		if held := b.Held(); len(held) > 0 && !p.dry {
			if err := c.keepAside(ctx, s, held, p); err != nil {
				return fmt.Errorf("forget %s of %s: %w", p.class, p.month, unnoticed(err))
			}
		}
		made, err = forget(p)
		if err == nil && !p.dry && len(s.casebook.acts) > 0 {
			err = s.clearAside(ctx, b) // of what may be gone now
		}
		return err
	})
	return made, err
}

// unnoticed is why something could not be kept aside, in words that could be
// said where nothing is held: no file, and no incident.
func unnoticed(err error) error {
	if corrupt, ok := errors.AsType[*ledger.CorruptError](err); ok {
		return corrupt
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	return errors.New("it could not be done")
}

// clearAside removes what was kept aside for incidents that were forgotten since
// the book was read: nothing opens it any more. It is called within cases.
func (s *school) clearAside(ctx context.Context, before *restricted.Book) error {
	ids := map[string]bool{}
	for _, id := range s.casebook.acts {
		if _, known := before.Case(id); known {
			ids[id] = true
		}
	}
	s.casebook.forget()
	if err := s.readCases(ctx); err != nil {
		return err
	}
	for id := range ids {
		if _, known := s.casebook.book.Case(id); known || s.casebook.broken != nil {
			continue
		}
		files, err := s.asideOf(id)
		if err != nil {
			return unnoticed(err)
		}
		for _, path := range files {
			if err := os.Remove(path); err != nil {
				return unnoticed(err)
			}
		}
	}
	return nil
}

// asideOf lists the files of what is kept aside for an incident.
func (s *school) asideOf(id string) (list []string, err error) {
	dir := filepath.Join(s.Dir, asideFolder)
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what is kept aside: %w", err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), id+"-") {
			list = append(list, filepath.Join(dir, f.Name()))
		}
	}
	return list, nil
}

// keepSealed keeps the acts of restricted incidents until their time is over, and
// counts none of what it keeps.
func (c *collector) keepSealed(ctx context.Context, s *school, b *restricted.Book, p *purging) error {
	acts := s.casebook.acts
	p.quiet = func(stored ledger.Stored) bool { _, ok := acts[stored.Record.Index]; return ok }
	if len(acts) == 0 {
		return nil
	}
	times, _, err := s.keeping(ctx)
	if err != nil {
		return err
	}
	keep, now := p.keep, c.clock.Now()
	p.keep = func(stored ledger.Stored) bool {
		id, sealed := acts[stored.Record.Index]
		if !sealed {
			return keep(stored)
		}
		return !settledLongAgo(b, id, stored.Record.Envelope, times[itemOf(p.class)], now)
	}
	return nil
}

// itemOf is the time for which acts of a class are kept: views as long as
// decisions, everything else as long as incidents.
func itemOf(class proof.Class) retention.Item {
	if class == proof.People {
		return retention.Decisions
	}
	return retention.Incidents
}

// settledLongAgo reports whether an incident that an act is about was closed, or
// not opened, longer ago than a span. While it is neither nothing of it is
// forgotten. Of one that is not known, because the month in which it began was
// forgotten when its time was over, the rest goes with it.
func settledLongAgo(b *restricted.Book, id string, act proof.Envelope, span retention.Span, now time.Time) bool {
	if id == "" {
		return false // an act of a later version
	}
	since := time.UnixMilli(int64(act.ReceivedAt))
	if one, known := b.Case(id); known {
		since = one.Settled
	}
	return !since.IsZero() && !now.Before(span.After(since))
}

// sealedSteps are the months of which acts of restricted incidents are to be
// forgotten.
func (c *collector) sealedSteps(ctx context.Context, s *school, survey *retention.Survey, now time.Time) (steps []retention.Step, err error) {
	err = s.cases(ctx, func(b *restricted.Book) error {
		for _, i := range slices.Sorted(maps.Keys(s.casebook.acts)) {
			r, err := s.ledger.Read(ctx, i)
			if err != nil {
				return err
			}
			class, at := r.Envelope.Sections[0].Class, time.UnixMilli(int64(r.Envelope.ReceivedAt)).UTC()
			span := survey.Times[itemOf(class)]
			step := retention.Nothing(itemOf(class), class, ledger.Month{Year: at.Year(), Month: at.Month()}, span)
			if !settledLongAgo(b, s.casebook.acts[i], r.Envelope, span, now) ||
				slices.ContainsFunc(steps, func(o retention.Step) bool { return o.Class == step.Class && o.Month == step.Month }) {
				continue
			}
			steps = append(steps, step)
		}
		return nil
	})
	return steps, err
}

// keepAside keeps aside what is about to be forgotten of what is held, for each
// incident for which it is.
func (c *collector) keepAside(ctx context.Context, s *school, held []restricted.Kept, p purging) error {
	list, err := s.keepings(ctx, held)
	if err != nil {
		return err
	}
	write := func(k *keeping) error {
		if k.text.Len() == 0 {
			return nil
		}
		err := s.writeAside(k, p)
		k.text.Reset()
		k.salts.Reset()
		return err
	}
	for stored, err := range s.ledger.Bodies(ctx, p.class, p.month) {
		if err != nil {
			return err
		}
		if p.keep(stored) {
			continue
		}
		for _, k := range list {
			about, err := k.held.About(ctx, s.ledger, stored)
			if err != nil {
				return err
			}
			if !about {
				continue
			}
			if err := json.NewEncoder(&k.text).Encode(bodyOf(stored)); err != nil {
				return err
			}
			k.salts.Write(stored.Section.Salt[:])
			if k.text.Len() >= mostAside {
				if err := write(k); err != nil {
					return err
				}
			}
		}
	}
	for _, k := range list {
		if err := write(k); err != nil {
			return err
		}
	}
	return nil
}

// keeping is what is held for one incident, and what is kept aside of it.
type keeping struct {
	id, to string
	held   retention.Held
	text   bytes.Buffer
	salts  hash.Hash // of the bodies in it
}

// keepings are what is held for each incident.
func (s *school) keepings(ctx context.Context, held []restricted.Kept) ([]*keeping, error) {
	survey, err := retention.Read(ctx, s.ledger)
	if err != nil {
		return nil, err
	}
	var list []*keeping
	for len(held) > 0 { // in the order of incidents
		k := &keeping{id: held[0].Case, to: held[0].To, salts: sha256.New()}
		var devices []posture.DeviceID
		var media []string
		for len(held) > 0 && held[0].Case == k.id {
			if on := held[0].On; on.Device != "" {
				devices = append(devices, on.Device)
			} else {
				media = append(media, on.Medium)
			}
			held = held[1:]
		}
		if k.held, err = survey.Hold(ctx, s.ledger, devices, media); err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

func bodyOf(s ledger.Stored) api.HeldBody {
	e := s.Record.Envelope
	return api.HeldBody{
		Entry: uint64(s.Record.Index), Received: time.UnixMilli(int64(e.ReceivedAt)).UTC(), Subject: e.Subject, Number: s.Number,
		Section: s.Section.Name, Class: s.Section.Class.String(), Digest: e.Sections[s.Number].Digest.String(),
		Salt: s.Section.Salt[:], Body: s.Section.Body,
	}
}

// writeAside writes one file of what is kept aside. It is on disk when this
// returns. The same bodies are written to the same file, so that a purge that
// fails again and again does not fill the disk; who has no more than its name
// learns nothing, for the salts are forgotten.
func (s *school) writeAside(k *keeping, p purging) error {
	sealed, err := restricted.Seal(k.text.Bytes(), k.to)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.Dir, asideFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.SyncDir(s.Dir); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%s-%x.age", k.id, p.class, p.month, k.salts.Sum(nil)[:8])
	return durable.WriteFile(filepath.Join(dir, name), sealed, 0o600)
}
