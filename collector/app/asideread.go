package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// aside opens a page of what is kept aside for an incident, and says whether
// there is more. What an interrupted purge left twice is there once. No more than
// the page and one file is held at a time.
func (r *openCase) aside(after, limit int) (list []api.HeldBody, more bool, err error) {
	files, err := r.school.asideOf(r.id)
	if err != nil {
		return nil, false, err
	}
	type place struct {
		entry  uint64
		number int
	}
	in := map[place]string{} // the file of each
	for _, path := range files {
		bodies, err := r.opened(path)
		if err != nil {
			return nil, false, err
		}
		for _, b := range bodies {
			in[place{b.Entry, b.Number}] = path
		}
	}
	order := slices.SortedFunc(maps.Keys(in), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.entry, b.entry), cmp.Compare(a.number, b.number))
	})
	order = order[min(after, len(order)):]
	page := map[place]string{}
	for _, at := range order[:min(limit, len(order))] {
		page[at] = in[at]
	}
	for _, path := range slices.Compact(slices.Sorted(maps.Values(page))) {
		bodies, err := r.opened(path)
		if err != nil {
			return nil, false, err
		}
		for _, b := range bodies {
			if at := (place{b.Entry, b.Number}); page[at] == path {
				list = append(list, b)
				delete(page, at)
			}
		}
	}
	slices.SortFunc(list, func(a, b api.HeldBody) int {
		return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Number, b.Number))
	})
	return list, len(order) > limit, nil
}

// opened reads one file of what is kept aside.
func (r *openCase) opened(path string) ([]api.HeldBody, error) {
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what is kept aside: %w", err)
	}
	text, err := r.ring.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	bodies, err := parseAside(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return bodies, nil
}

// parseAside reads the lines of a file of what is kept aside.
func parseAside(text []byte) ([]api.HeldBody, error) {
	var list []api.HeldBody
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var b api.HeldBody
		if err := json.Unmarshal(lines.Bytes(), &b); err != nil {
			return nil, err
		}
		if len(b.Salt) != proof.SaltSize || b.Number < 0 {
			return nil, errors.New("a body is not whole")
		}
		b.Proven = false
		list = append(list, b)
	}
	return list, lines.Err()
}

// prove finds out whether the record's entry has the digest of a body that was
// kept aside.
func (r *openCase) prove(ctx context.Context, b *api.HeldBody) error {
	if b.Entry >= r.school.ledger.Size() {
		return nil
	}
	record, err := r.school.ledger.Read(ctx, ledger.Index(b.Entry))
	if err != nil {
		return err
	}
	if b.Number >= len(record.Envelope.Sections) {
		return nil
	}
	ref := record.Envelope.Sections[b.Number]
	section := proof.Section{Name: ref.Name, Class: ref.Class, Salt: [proof.SaltSize]byte(b.Salt), Body: b.Body}
	b.Proven = section.Digest() == ref.Digest && ref.Digest.String() == b.Digest
	return nil
}

// RestrictedHeld implements api.Restricted.
func (c *collector) RestrictedHeld(ctx context.Context, id posture.SchoolID, who api.Unlock, q api.RestrictedQuestion) (page api.HeldPage, err error) {
	page.Bodies = []api.HeldBody{}
	if q.Limit < 0 || q.Limit > 500 || q.After < 0 {
		return page, refuse("a page holds 1 to 500 bodies")
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	err = c.restricts(ctx, id, who, func(s *school, b *restricted.Book, senior unlocked) error {
		r, err := c.read(s, b, senior, q.Incident)
		if err != nil {
			return err
		}
		if _, err := c.act(ctx, r, restricted.Head{What: restricted.View}, restricted.Content{Looked: "held"}); err != nil {
			return err
		}
		list, more, err := r.aside(q.After, q.Limit)
		if err != nil {
			return err
		}
		for _, held := range list {
			if err := r.prove(ctx, &held); err != nil {
				return err
			}
			page.Bodies = append(page.Bodies, held)
		}
		if more {
			page.Next = q.After + q.Limit
		}
		return nil
	})
	return page, err
}
