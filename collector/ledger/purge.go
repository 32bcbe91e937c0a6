package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// forgetReady takes the steps after the purge entry. Each may have been taken
// already. The caller sees to it that nobody reads bodies.
func (d disk) forgetReady(w drawer) (kept, error) {
	if err := d.readers.drop(w.bodies(), w.kept(), w.at()); err != nil {
		return kept{}, err
	}
	for _, old := range []string{w.bodies(), w.kept()} {
		if err := d.putAside(w, old); err != nil {
			return kept{}, err
		}
	}
	if err := d.files.Rename(d.path(w.ready()), d.path(w.kept())); err != nil {
		return kept{}, err
	}
	if err := errors.Join(d.removeIfThere(w.at()), d.files.SyncDir(d.path(w.dir()))); err != nil {
		return kept{}, err
	}
	if err := d.removeForgotten(w); err != nil {
		return kept{}, err
	}
	k, _, err := d.loadOneKept(w)
	return k, err
}

// putAside renames a file whose bodies are forgotten or copied, so that it can
// never be taken for a newer one.
func (d disk) putAside(w drawer, old string) error {
	if err := d.removeForgotten(w); err != nil {
		return err
	}
	if err := d.files.Rename(d.path(old), d.path(w.forgotten())); err != nil {
		if missing(err) {
			return nil
		}
		return err
	}
	return d.files.SyncDir(d.path(w.dir()))
}

func (d disk) removeForgotten(w drawer) error {
	return errors.Join(d.removeIfThere(w.forgotten()), d.files.SyncDir(d.path(w.dir())))
}

func (d disk) removeIfThere(name string) error {
	if err := d.files.Remove(d.path(name)); err != nil && !missing(err) {
		return err
	}
	return nil
}

// removeDraft removes what leads to no purge.
func (d disk) removeDraft(w drawer) error {
	if err := errors.Join(d.removeIfThere(w.draft()), d.removeIfThere(w.ready())); err != nil {
		return err
	}
	if err := d.files.SyncDir(d.path(w.dir())); err != nil && !missing(err) {
		return err
	}
	return nil
}

// endPurges ends what a crash interrupted.
func (l *Ledger) endPurges() error {
	begun, err := l.disk.drawers("draft", "ready", "forgotten")
	if err != nil {
		return err
	}
	for _, w := range begun {
		word, err := l.endPurge(w)
		if err != nil {
			return fmt.Errorf("end the interrupted purge of %s of %s: %w", w.class, w.month, err)
		}
		l.report.Purges = append(l.report.Purges, fmt.Sprintf("%s of %s: %s", w.class, w.month, word))
	}
	return nil
}

func (l *Ledger) endPurge(w drawer) (word string, err error) {
	f, err := l.disk.open(w.ready(), false)
	if missing(err) {
		// Either a draft, or all is done but removing the old file.
		return "what was left of it is removed", errors.Join(l.disk.removeDraft(w), l.disk.removeForgotten(w))
	}
	if err != nil {
		return "", err
	}
	k, err := readKept(f, w.ready())
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	recorded, err := l.recordedPurge(k)
	if err != nil {
		return "", err
	}
	if !recorded {
		return "it was not recorded, so nothing is forgotten", l.disk.removeDraft(w)
	}
	if k, err = l.disk.forgetReady(w); err != nil {
		return "", err
	}
	l.kept[w] = k
	delete(l.fold.ends, w)
	return "it was recorded, so it is done", nil
}

// recordedPurge looks for the purge entry among those that follow.
func (l *Ledger) recordedPurge(k kept) (bool, error) {
	for r, err := range l.Entries(context.Background(), k.before, Index(l.fold.tree.size)) {
		if err != nil {
			return false, err
		}
		if r.Envelope.Kind == proof.KindPurge && slices.ContainsFunc(r.Envelope.Sections,
			func(s proof.SectionRef) bool { return s.Digest == k.purge }) {
			return true, nil
		}
	}
	return false, nil
}
