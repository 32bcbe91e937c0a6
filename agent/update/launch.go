package update

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Installed is the program that an installer put there.
type Installed struct {
	Version string
	System  string // that it was built for
	Root    []byte // the publisher's; nil: it takes no releases
}

// Choose returns the path of the program that is to run in place of the installed
// one; "" for the installed one. Each start is counted before it is made, so that
// a version that does not even begin goes back too.
func (f Folder) Choose(i Installed, now time.Time, log *slog.Logger) (path string, err error) {
	if i.Root == nil || !publisher.IsVersion(i.Version) {
		return "", nil
	}
	changing.Lock()
	defer changing.Unlock()
	var r record
	if found, err := f.load(&r, recordFile); err != nil || !found {
		return "", err
	}
	// Whoever else can write here names what is removed below.
	for _, one := range []string{filepath.Dir(string(f)), string(f)} {
		if err := durable.CheckWriters(one); err != nil {
			return "", fmt.Errorf("trust the folder of releases: %w", err)
		}
	}
	if r.Trial == nil && r.Current == "" {
		return "", f.clean(r)
	}
	if r.Trial != nil {
		path = f.try(&r, i, now, log)
	}
	// What ran before the current one takes its place if that is not to be started.
	for path == "" && r.Current != "" {
		path = f.keep(&r, i, now, log)
	}
	if err := f.save(r, recordFile); err != nil {
		return "", err
	}
	return path, f.clean(r)
}

// try starts the version on trial, or ends its trial.
func (f Folder) try(r *record, i Installed, now time.Time, log *slog.Logger) string {
	version := r.Trial.Version
	if !publisher.Newer(version, i.Version) {
		r.Trial = nil // an installer was quicker
		return ""
	}
	if r.Trial.Starts >= MostStarts {
		log.Error("a new version goes back: it does not report", "version", version, "starts", r.Trial.Starts)
		r.fail(version, fmt.Sprintf("it was started %d times and did not report to the collector", r.Trial.Starts), now)
		return ""
	}
	path, err := f.verified(version, i.System, i.Root)
	if err != nil {
		log.Error("a new version is not started", "version", version, "reason", err)
		r.fail(version, notAsSigned, now)
		return ""
	}
	r.Trial = &trial{Version: version, Starts: r.Trial.Starts + 1}
	return path
}

// notAsSigned is why a version is not started whose program or signatures are
// others than those that were taken.
const notAsSigned = "it is not as the publisher signed it"

// keep starts the version that has taken the installed one's place, or gives its
// place to what ran before it.
func (f Folder) keep(r *record, i Installed, now time.Time, log *slog.Logger) string {
	version := r.Current
	if !publisher.Newer(version, i.Version) {
		r.Current, r.Before, r.Starts = "", "", 0 // an installer put a newer one there
		return ""
	}
	if r.Starts >= MostFalls {
		log.Error("the version that ran goes back: it ends soon after each start", "version", version, "starts", r.Starts)
		r.fail(version, fmt.Sprintf("it had reported, and then ended %d times in a row soon after its start", r.Starts), now)
		return ""
	}
	path, err := f.verified(version, i.System, i.Root)
	if err != nil {
		log.Error("the version that ran is not started any more; the one before is", "version", version, "reason", err)
		r.fail(version, notAsSigned, now)
		return ""
	}
	r.Starts++
	return path
}
