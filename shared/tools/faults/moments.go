package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// glance is how often what lies on a disk is looked at.
const glance = 500 * time.Microsecond

// await has do called at a moment. What it returns gives the wait up; do may
// have been called then, and is not called after.
func (r *run) await(m moment, do func()) (leave func()) {
	if m.bytes {
		r.x.Network.After(m.direction, m.n, do)
		return func() { r.x.Network.After(m.direction, 0, nil) }
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		look := time.NewTicker(glance)
		defer look.Stop()
		last, left := r.look(m.step), m.n
		for {
			select {
			case <-stop:
				return
			case <-look.C:
			}
			if now := r.look(m.step); now != last {
				last = now
				if left--; left == 0 {
					do()
					return
				}
			}
		}
	})
	return func() {
		close(stop)
		wait.Wait()
	}
}

// look returns something that differs when a step changes.
func (r *run) look(s step) string {
	switch s {
	case stateStep:
		return listing(filepath.Join(r.x.State, "*"))
	case spoolStep:
		return listing(filepath.Join(r.x.State, "spool", "*"))
	case ledgerStep:
		return listing(filepath.Join(r.x.Data, "schools", "*", "ledger", "*")) +
			listing(filepath.Join(r.x.Data, "schools", "*", "ledger", "*", "*"))
	default:
		return listing(filepath.Join(r.x.Data, "view", "*"))
	}
}

// listing names files with their sizes and times. What goes away meanwhile is
// left out.
func listing(pattern string) string {
	names, _ := filepath.Glob(pattern) // the pattern is good
	text := ""
	for _, n := range names {
		if info, err := os.Lstat(n); err == nil {
			text += fmt.Sprintln(n, info.Size(), info.ModTime().UnixNano())
		}
	}
	return text
}
