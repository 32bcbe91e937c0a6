// Package update takes releases of the agent that the publisher signed: it asks
// the collector for what is offered, believes the publisher's signatures alone,
// places the program beside those that are there, and has it tried. A version
// that does not report goes back to the one before by itself.
//
// It runs nothing that the publisher has not signed, whoever sent it, and never
// changes the program that an installer put there.
package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Folder is where programs lie that came as releases:
//
//	record.json                which is to run, which is on trial, which failed
//	held.json                  the publisher's word as it was last taken
//	<version>/caretaker-agent  a program; on Windows its name ends in .exe
//	<version>/signed.json      what the publisher signed of it
//	<SHA-256>.part             one that is being fetched
type Folder string

// Where is the folder in an agent's state folder.
func Where(state string) Folder { return Folder(filepath.Join(state, "programs")) }

const (
	recordFile = "record.json"
	heldFile   = "held.json"
	signedFile = "signed.json"

	maxFile = 8 << 20 // of the JSON files, in bytes
)

// On trial a version may be started this often, and run for this long at a time,
// without having reported to the collector.
const (
	MostStarts = 3
	MostSilent = 30 * time.Minute
)

// After its trial a version may end this often in a row without having lasted: that
// is to report, to run for Lasting, or to end because it was told to. Then the one
// that ran before it takes its place.
const (
	MostFalls = 5
	Lasting   = 10 * time.Minute
)

// A version that failed is tried again after tryAgain, and mostTries times at
// most: a laptop may just have left the building.
const (
	tryAgain  = 24 * time.Hour
	mostTries = 3
)

// mostFailed bounds how many versions that failed are remembered: the last.
const mostFailed = 8

// changing is held while the record is read, changed and written: a version's
// trial and the taking of the next go on beside one another.
var changing sync.Mutex

// record is what is remembered of programs. Its form stays readable: the installed
// program reads what later versions wrote.
type record struct {
	Current string   `json:"current,omitempty"` // runs in place of the installed program
	Before  string   `json:"before,omitempty"`  // ran, and reported, before it; "" for the installed program
	Starts  int      `json:"starts,omitempty"`  // of the current one, in a row, that did not last
	Trial   *trial   `json:"trial,omitempty"`
	Failed  []Failed `json:"failed,omitempty"` // the last at the end; each version once
}

type trial struct {
	Version string `json:"version"`
	Starts  int    `json:"starts"`
}

// Failed says which version was tried and went back, and why.
type Failed struct {
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"` // the last time
	Times   int       `json:"times"`
}

func (f Folder) path(name ...string) string {
	return filepath.Join(append([]string{string(f)}, name...)...)
}

// make makes the folder. Children of the agent that are other users start its
// program, so that they may pass; what lies there is nobody else's to change.
func (f Folder) make(name ...string) error {
	path := f.path(name...)
	if err := durable.MakePrivate(path); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return fmt.Errorf("open %s to the agent's children: %w", path, err)
	}
	return nil
}

// load reads one of the JSON files; found is false if there is none.
func (f Folder) load(v any, name ...string) (found bool, err error) {
	path := f.path(name...)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("read what is kept of releases: %s: %w", path, err)
	}
	return true, nil
}

func (f Folder) save(v any, name ...string) error {
	data, err := json.Marshal(v)
	if err == nil {
		err = durable.WriteFile(f.path(name...), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep what is known of releases: %w", err)
	}
	return nil
}

func (f Folder) record() (r record, err error) {
	_, err = f.load(&r, recordFile)
	return r, err
}

// change changes the record, if the function says that it did.
func (f Folder) change(do func(r *record) bool) error {
	changing.Lock()
	defer changing.Unlock()
	r, err := f.record()
	if err != nil || !do(&r) {
		return err
	}
	return f.save(r, recordFile)
}

// LastFailed returns the version that went back last; nil if none did, or it or a
// later one runs since.
func (f Folder) LastFailed() *Failed {
	r, err := f.record()
	if err != nil || len(r.Failed) == 0 {
		return nil
	}
	last := r.Failed[len(r.Failed)-1]
	if last.Version == r.Current || publisher.Newer(r.Current, last.Version) {
		return nil
	}
	return &last
}

// OnTrial reports whether a version is on trial.
func (f Folder) OnTrial(version string) bool {
	r, err := f.record()
	return err == nil && r.Trial != nil && r.Trial.Version == version
}

// Accept ends a version's trial well: it runs from now on, and what it replaced is
// kept as what to go back to. How often it has failed is not forgotten: one that
// reports and then does not last is not tried for ever.
func (f Folder) Accept(version string) error {
	return f.change(func(r *record) bool {
		if r.Trial == nil || r.Trial.Version != version {
			return false
		}
		r.Before, r.Current, r.Starts, r.Trial = r.Current, version, 0, nil
		r.Failed = slices.DeleteFunc(r.Failed, func(one Failed) bool { return publisher.Newer(version, one.Version) })
		return true
	})
}

// Lasts notes that a version has lasted since it was started.
func (f Folder) Lasts(version string) error {
	return f.change(func(r *record) bool {
		if r.Current != version || r.Starts == 0 {
			return false
		}
		r.Starts = 0
		return true
	})
}

// GoBack ends a version's trial badly: it is not started again for a day.
func (f Folder) GoBack(version, reason string, now time.Time) error {
	return f.change(func(r *record) bool {
		r.fail(version, reason, now)
		return true
	})
}

// fail has the one before a version run in its place.
func (r *record) fail(version, reason string, now time.Time) {
	one := Failed{Version: version, Reason: reason, At: now.UTC().Truncate(time.Second), Times: 1}
	r.Failed = slices.DeleteFunc(r.Failed, func(earlier Failed) bool {
		same := earlier.Version == version
		if same {
			one.Times += earlier.Times
		}
		return same
	})
	r.Failed = append(r.Failed, one)
	r.Failed = r.Failed[max(len(r.Failed)-mostFailed, 0):]
	if r.Trial != nil && r.Trial.Version == version {
		r.Trial = nil
	}
	if r.Current == version {
		r.Current, r.Before, r.Starts = r.Before, "", 0
	}
}

// mayTry says why a version is not tried now; "" if it may be.
func (r record) mayTry(version string, now time.Time) string {
	i := slices.IndexFunc(r.Failed, func(one Failed) bool { return one.Version == version })
	if i < 0 {
		return ""
	}
	failed := r.Failed[i]
	if failed.Times >= mostTries {
		return fmt.Sprintf("%s was tried %d times and is not tried again: %s", version, failed.Times, failed.Reason)
	}
	if again := failed.At.Add(tryAgain); now.Before(again) && !now.Before(failed.At) {
		return fmt.Sprintf("%s is tried again after %s: %s", version, again.Format(time.RFC3339), failed.Reason)
	}
	return ""
}

// clean removes programs that are neither current, nor what ran before, nor on
// trial. What another program holds is removed at the next start.
func (f Folder) clean(r record) error {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for programs that are not needed any more: %w", err)
	}
	for _, e := range entries {
		keep := e.Name() == r.Current || e.Name() == r.Before || r.Trial != nil && e.Name() == r.Trial.Version
		if !e.IsDir() || keep || !publisher.IsVersion(e.Name()) {
			continue
		}
		if err := durable.RemoveAll(f.path(e.Name())); err != nil {
			return fmt.Errorf("remove a program that is not needed any more: %w", err)
		}
	}
	return nil
}

// Forget removes all programs that came as releases, once nothing runs that would
// start them. What the publisher said last stays: nothing older is taken.
func (f Folder) Forget() error {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != heldFile {
			err = errors.Join(err, durable.RemoveAll(f.path(e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("remove the programs that came as releases: %w", err)
	}
	return nil
}

// verified returns the path of a version's program, once everything about it is as
// the publisher signed it: nothing is started by its name alone.
func (f Folder) verified(version, system string, root []byte) (string, error) {
	if !publisher.IsVersion(version) || version != filepath.Base(version) {
		return "", fmt.Errorf("start a release: %.60q is no version", version)
	}
	var signed publisher.Metadata
	if found, err := f.load(&signed, version, signedFile); err != nil {
		return "", err
	} else if !found {
		return "", fmt.Errorf("start %s: what the publisher signed of it is gone", version)
	}
	// It was taken in time: that the publisher's word has expired since, as over a
	// summer, stops nothing.
	r, _, err := publisher.Check(root, publisher.Metadata{}, signed, time.Time{})
	if err != nil {
		return "", fmt.Errorf("start %s: %w", version, err)
	}
	p, ok := r.Program(system)
	if !ok || r.Version != version {
		return "", fmt.Errorf("start %s: the publisher signed %s, which is another or for another system", version, r.Version)
	}
	path := f.path(version, programFile)
	for _, one := range []string{filepath.Dir(string(f)), string(f), f.path(version), path} {
		if err := durable.CheckWriters(one); err != nil {
			return "", fmt.Errorf("start %s: %w", version, err)
		}
	}
	program, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", version, err)
	}
	if err := errors.Join(p.Check(program), program.Close()); err != nil {
		return "", fmt.Errorf("start %s: %w", version, err)
	}
	return path, nil
}
