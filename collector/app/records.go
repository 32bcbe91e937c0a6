package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// all returns the records of all schools, by identifier.
func (c *collector) all() []*record {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.records)
}

// record returns the record of the school of a name or identifier; the only one
// if none is named.
func (c *collector) record(name string) (*record, error) {
	all := c.all()
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	name = strings.Join(strings.Fields(name), " ")
	for _, r := range all {
		if strings.EqualFold(r.name, name) || string(r.id) == name {
			return r, nil
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("there is no school in %s yet: make one with init --school NAME", c.data)
	case name == "":
		return nil, fmt.Errorf("there are %d schools: say which with --school", len(all))
	}
	return nil, fmt.Errorf("there is no school %q", name)
}

// school returns the school of a name or identifier, which must be at work.
func (c *collector) school(name string) (*school, error) {
	r, err := c.record(name)
	if err != nil {
		return nil, err
	}
	if s := r.working(); s != nil {
		return s, nil
	}
	return nil, r.refusal()
}

// readable is school for what only reads: its record must be open.
func (c *collector) readable(name string) (*school, error) {
	r, err := c.record(name)
	if err != nil {
		return nil, err
	}
	if s := r.present(); s != nil {
		return s, nil
	}
	return nil, r.refusal()
}

func (c *collector) byID(id posture.SchoolID) *record {
	for _, r := range c.all() {
		if r.id == id {
			return r
		}
	}
	return nil
}

// Facts implements view.FactSource. What cannot be read back is not asked: the
// pages say that a part of the record cannot be read.
func (c *collector) Facts(ctx context.Context, id posture.SchoolID, places []view.Place) (posture.Facts, []posture.Finding, error) {
	r := c.byID(id)
	if r == nil {
		return posture.Facts{}, nil, nil
	}
	s := r.present()
	if s == nil {
		return posture.Facts{}, nil, nil
	}
	facts, findings, err := projection.NewFacts([]projection.School{{ID: s.ID, Ledger: s.ledger}}).Facts(ctx, id, places)
	_, damaged := errors.AsType[*ledger.CorruptError](err)
	if damaged {
		r.hurt(err)
		c.log.Error("a part of a school's record cannot be read", "school", id, "error", err)
	}
	if damaged || err != nil && r.working() == nil {
		return posture.Facts{}, nil, nil
	}
	return facts, findings, err
}
