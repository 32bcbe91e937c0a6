package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// condition is what a laptop is like at a moment.
type condition int

const (
	asFound   condition = iota // as it was recorded
	withStick                  // a stick is in
	stickGone                  // the stick was pulled out
	conditions
)

// machine is a recorded machine in each condition: the bodies of the sections
// that the agent's own assessment gives.
type machine struct {
	bodies [conditions][]wire.Body
	facts  posture.Facts // of its system, to give each laptop a name of its own
}

// terms are what the school's laptops are judged by, beside the baseline.
type terms struct {
	assignment policy.Assignment
	mediaKey   []byte
}

// stickRecording is the recording whose stick is put into every machine.
const stickRecording = "plain-laptop-with-stick"

// recorded assesses each of the Linux machines recorded in a folder, but for the
// one that only lends its stick. Machines of other systems, which stories need,
// are none of a fleet's: what it sends would no longer compare.
func recorded(ctx context.Context, folder string, t terms, now time.Time) ([]*machine, error) {
	names, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("find recorded machines: %w", err)
	}
	stick, err := system.OpenReplay(filepath.Join(folder, stickRecording))
	if err != nil {
		return nil, fmt.Errorf("read the recorded machine with a stick: %w", err)
	}
	var machines []*machine
	for _, n := range names {
		if n.Name() == stickRecording {
			continue
		}
		reader, err := system.OpenReplay(filepath.Join(folder, n.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the recorded machine %s: %w", n.Name(), err)
		}
		if reader.Platform() != posture.Linux {
			continue
		}
		m, err := assessed(ctx, reader, stick, t, now)
		if err != nil {
			return nil, fmt.Errorf("assess the recorded machine %s: %w", n.Name(), err)
		}
		machines = append(machines, m)
	}
	if len(machines) == 0 {
		return nil, errors.New("find recorded machines: there is none in " + folder)
	}
	return machines, nil
}

func assessed(ctx context.Context, reader, stick system.Reader, t terms, now time.Time) (*machine, error) {
	folders, err := assess.Walk(ctx, reader, probe.Question{Now: now})
	if err != nil {
		return nil, err
	}
	m := new(machine)
	r := assess.Request{
		Now: now, MediaKey: t.mediaKey, Assignment: t.assignment, Due: assess.Sections(),
		Folders: folders, FoldersAbsent: posture.None, Began: true,
	}
	for c, from := range []system.Reader{asFound: reader, withStick: stick, stickGone: reader} {
		o, err := assess.Assess(ctx, from, r)
		if err != nil {
			return nil, err
		}
		m.bodies[c] = o.Bodies
		r = assess.Request{
			Now: now, MediaKey: t.mediaKey, Assignment: t.assignment, Due: []string{wire.Media}, FoldersAbsent: posture.None,
			Before: o.Bodies, MediaLog: o.MediaLog, EventsAfter: o.LastEvent, EventsDone: o.LastEvent,
		}
	}
	for _, b := range m.bodies[asFound] {
		if b.Name == wire.System {
			if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &m.facts, nil); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// as returns the bodies of a laptop of that name, read at a moment.
func (m *machine) as(c condition, hostname string, at time.Time) ([]wire.Body, error) {
	named := m.facts
	named.System.Items = slices.Clone(named.System.Items)
	for i := range named.System.Items {
		named.System.Items[i].Hostname = hostname
	}
	own, err := wire.EncodeFacts(named, nil)
	if err != nil {
		return nil, err
	}
	bodies := slices.Clone(m.bodies[c])
	for i := range bodies {
		bodies[i].ReadAt = at
		if bodies[i].Name == wire.System {
			bodies[i].Data = own[slices.IndexFunc(own, func(b wire.Body) bool { return b.Name == wire.System })].Data
		}
	}
	return bodies, nil
}
