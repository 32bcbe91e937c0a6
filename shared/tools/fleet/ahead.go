package main

import (
	"slices"
	"sync"

	"github.com/caretaker-school/caretaker/agent/spool"
)

// ahead is a spool whose statements were read into memory before they are
// sent, and which forgets on disk only at the end: in a burst the disks of a
// thousand laptops would otherwise work on the processor of the collector.
type ahead struct {
	disk *spool.Spool

	mu    sync.Mutex   // guards all below
	items []spool.Item // in order
	bytes int64        // of these
	acked spool.Position
}

func readAhead(disk *spool.Spool) (*ahead, error) {
	a := &ahead{disk: disk}
	for {
		item, ok, err := disk.After(a.acked)
		if err != nil || !ok {
			a.acked = spool.Position{}
			return a, err
		}
		a.items, a.acked = append(a.items, item), item.Position
		a.bytes += int64(len(item.Message))
	}
}

// After implements uplink.Spool.
func (a *ahead) After(p spool.Position) (spool.Item, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, found := slices.BinarySearchFunc(a.items, p, func(i spool.Item, p spool.Position) int {
		switch {
		case i.Before(p):
			return -1
		case p.Before(i.Position):
			return 1
		}
		return 0
	})
	if found {
		n++
	}
	if n == len(a.items) {
		return spool.Item{}, false, nil
	}
	return a.items[n], true, nil
}

// Acknowledge implements uplink.Spool.
func (a *ahead) Acknowledge(p spool.Position) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.items) > 0 && !p.Before(a.items[0].Position) {
		a.acked = a.items[0].Position
		a.bytes -= int64(len(a.items[0].Message))
		a.items = a.items[1:]
	}
	return nil
}

// Wake implements uplink.Spool: nothing is put while this one is used.
func (a *ahead) Wake() <-chan struct{} { return nil }

// Stats implements uplink.Spool.
func (a *ahead) Stats() spool.Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := spool.Stats{Waiting: len(a.items), Bytes: a.bytes}
	if n := len(a.items); n > 0 {
		s.Last = a.items[n-1].Position
	}
	return s
}

// forget forgets on disk what was acknowledged.
func (a *ahead) forget() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.disk.Acknowledge(a.acked)
}
