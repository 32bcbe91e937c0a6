package ledger

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// bodyCursor reads the bodies of one class and month along with the envelopes,
// each file once from its beginning to its end.
type bodyCursor struct {
	drawer drawer
	head   kept
	forgot uint64    // sections found forgotten
	kept   *bodyScan // nil if nothing of it was forgotten
	rows   file
	row    int64
	later  *bodyScan // bodies of entries that head does not cover; nil if there are none
}

// bodyScan is one file of bodies being read.
type bodyScan struct {
	name    string
	file    file
	scanner *durable.Scanner
	body    bodyRecord // the next, if has
	has     bool
	damage  *CorruptError // why there is no next; the entry that asks for it is the one concerned
}

func (l *Ledger) openCursor(w drawer, end int64) (_ *bodyCursor, err error) {
	l.bodies.RLock()
	head, known := l.kept[w]
	l.bodies.RUnlock()
	c := &bodyCursor{drawer: w, head: head}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if known {
		if c.kept, err = l.disk.openScan(w.kept(), keptHeader, -1); err != nil {
			return nil, err
		}
		if onDisk, err := readKept(c.kept.file, w.kept()); err != nil || onDisk != head {
			return nil, errors.Join(err, &CorruptError{File: w.kept(), Err: errors.New("its head was changed")})
		}
		if c.rows, err = l.disk.open(w.at(), false); err != nil {
			return nil, fmt.Errorf("open %s: %w", w.at(), err)
		}
	}
	if end > 0 {
		c.later, err = l.disk.openScan(w.bodies(), 0, end)
		if missing(err) {
			err = &CorruptError{File: w.bodies(), Err: errors.New("the file is missing, and nothing says that it was forgotten")}
		}
	}
	return c, err
}

// openScan opens a file of bodies to be read from an offset to an end; -1 is
// the end of the file.
func (d disk) openScan(name string, offset, end int64) (*bodyScan, error) {
	f, err := d.open(name, false)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measure %s: %w", name, err), f.Close())
	}
	if end < 0 {
		end = size
	}
	if size < end {
		return nil, errors.Join(&CorruptError{File: name, Offset: size, Err: fmt.Errorf("it has %d bytes, but had %d", size, end)}, f.Close())
	}
	s := &bodyScan{name: name, file: f, scanner: durable.NewScanner(f, offset, end, maxBodyPayload)}
	s.next()
	return s, nil
}

// next reads the next body.
func (s *bodyScan) next() {
	s.has = s.scanner.Scan()
	if err := s.scanner.Err(); err != nil {
		s.damage = &CorruptError{File: s.name, Offset: s.scanner.Next(), Err: err}
		return
	}
	if !s.has {
		return
	}
	var err error
	if s.body, err = readBody(s.scanner.Payload()); err != nil {
		s.has, s.damage = false, &CorruptError{File: s.name, Offset: s.scanner.Offset(), Err: err}
	}
}

// damaged returns what is wrong with the next body, which belongs to an entry.
func (s *bodyScan) damaged(i Index) error {
	if s == nil || s.damage == nil {
		return nil
	}
	found := *s.damage
	found.Entry, found.Known = i, true
	return &found
}

// at reports whether the next body is the one of an entry's section.
func (s *bodyScan) at(i Index, n int) bool {
	return s.has && s.body.entry == i && s.body.number == n
}

func (s *bodyScan) place() place {
	return place{s.scanner.Offset(), uint32(s.scanner.Next() - s.scanner.Offset())}
}

// check checks the body of a section. there is false if it was forgotten.
func (c *bodyCursor) check(r Record, n int) (there bool, err error) {
	scan := c.later
	if c.kept != nil && r.Index < c.head.before {
		if err := c.kept.damaged(r.Index); err != nil {
			return false, err
		}
		if !c.kept.at(r.Index, n) {
			c.forgot++
			return false, nil
		}
		scan = c.kept
		if err := c.checkRow(r.Index, n); err != nil {
			return false, err
		}
	}
	corrupt := func(name string, offset int64, err error) error {
		return &CorruptError{File: name, Offset: offset, Entry: r.Index, Known: true, Err: err}
	}
	if err := scan.damaged(r.Index); err != nil {
		return false, err
	}
	switch {
	case scan == nil:
		return false, corrupt(c.drawer.bodies(), 0, errors.New("the ledger has no bodies of that class and month, and nothing says that they were forgotten"))
	case !scan.at(r.Index, n), scan == c.later && scan.place() != r.places[n]:
		return false, corrupt(scan.name, scan.scanner.Next(), fmt.Errorf("the body of section %d of entry %d is not where its entry says", n, r.Index))
	}
	if _, err := scan.body.section(r.Envelope.Sections[n]); err != nil {
		return false, corrupt(scan.name, scan.scanner.Offset(), err)
	}
	scan.next()
	return true, nil
}

// checkRow compares the row of a kept body with where it lies.
func (c *bodyCursor) checkRow(i Index, n int) error {
	row, err := readKeptRow(c.rows, c.drawer.at(), c.row)
	if err != nil {
		return err
	}
	if row != (keptRow{i, n, c.kept.place()}) {
		return &CorruptError{
			File: c.drawer.at(), Offset: c.row * keptRowSize, Entry: i, Known: true,
			Err: errors.New("its row does not say where a kept body lies; delete the file, and it is made again"),
		}
	}
	c.row++
	return nil
}

// atEnd checks that nothing is left that no entry names.
func (c *bodyCursor) atEnd() error {
	for _, s := range []*bodyScan{c.kept, c.later} {
		if s != nil && s.damage != nil {
			return s.damage
		}
	}
	if c.kept != nil {
		switch {
		case c.kept.has:
			return &CorruptError{
				File: c.kept.name, Offset: c.kept.scanner.Offset(), Entry: c.kept.body.entry, Known: true,
				Err: errors.New("no entry names the body there"),
			}
		case uint64(c.row) != c.head.count || c.forgot != c.head.forgotten:
			return &CorruptError{
				File: c.kept.name,
				Err:  fmt.Errorf("it holds %d bodies and %d are forgotten, but its head says %d and %d", c.row, c.forgot, c.head.count, c.head.forgotten),
			}
		}
	}
	if c.later != nil && c.later.has {
		return &CorruptError{
			File: c.later.name, Offset: c.later.scanner.Offset(), Entry: c.later.body.entry, Known: true,
			Err: errors.New("no entry names the body there"),
		}
	}
	return nil
}

func (c *bodyCursor) close() error {
	var errs []error
	for _, s := range []*bodyScan{c.kept, c.later} {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	if c.rows != nil {
		errs = append(errs, c.rows.Close())
	}
	return errors.Join(errs...)
}
