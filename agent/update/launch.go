package update

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Installed is the program that an installer put there.
type Installed struct {
	Version string
	System  string // that it was built for
	Root    []byte // the publisher's; nil: it takes no releases
}

// Choose returns the path of the program that is to run in place of the installed
// one; "" for the installed one. A version on trial is counted as started before
// it is, so that one that does not even begin goes back too.
func (f Folder) Choose(i Installed, now time.Time, log *slog.Logger) (path string, err error) {
	if i.Root == nil || !publisher.IsVersion(i.Version) {
		return "", nil
	}
	var r record
	if found, err := f.load(&r, recordFile); err != nil || !found {
		return "", err
	}
	was := r
	if r.Trial != nil {
		path = f.try(&r, i, now, log)
	}
	if path == "" && r.Current != "" {
		path = f.keep(&r, i, now, log)
	}
	if was != r || path != "" && r.Trial != nil {
		if err := f.save(r, recordFile); err != nil {
			return "", err
		}
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
		r.fail(version, "it is not as the publisher signed it", now)
		return ""
	}
	r.Trial = &trial{Version: version, Starts: r.Trial.Starts + 1}
	return path
}

// keep starts the version that has taken the installed one's place.
func (f Folder) keep(r *record, i Installed, now time.Time, log *slog.Logger) string {
	version := r.Current
	if !publisher.Newer(version, i.Version) {
		r.Current = "" // an installer put a newer one there
		return ""
	}
	path, err := f.verified(version, i.System, i.Root)
	if err != nil {
		log.Error("the version that ran is not started any more; the installed one is", "version", version, "reason", err)
		r.fail(version, "it is not as the publisher signed it", now)
		return ""
	}
	return path
}

// Launched reports whether this process runs a program of the folder.
func (f Folder) Launched() (bool, error) {
	self, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	folder, err := filepath.EvalSymlinks(string(f))
	if err != nil {
		folder = string(f) // there is none yet
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	return strings.HasPrefix(self, folder+string(filepath.Separator)), nil
}

// Launch becomes the program that is to run in place of the installed one, if
// there is one: then it does not return. What fails leaves the installed one
// running, which is why it is told and not returned.
func (f Folder) Launch(i Installed, now time.Time, log *slog.Logger) {
	if !able {
		return
	}
	launched, err := f.Launched()
	if launched {
		return
	}
	path := ""
	if err == nil {
		path, err = f.Choose(i, now, log)
	}
	if path != "" {
		err = become(path, os.Args)
	}
	if err != nil {
		log.Error("a newer version is not started; the installed one is", "reason", err)
	}
}
