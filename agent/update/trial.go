package update

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// ErrBack means that this version has gone back: whoever runs this program is to
// end it, and the service manager starts the one before.
var ErrBack = errors.New("this version has not reported to the collector; the one before starts when this one has ended")

// Watch sees a version through its trial: reported receives once something that
// it made was acknowledged. Of one that is on no trial it notes that it lasts.
func Watch(ctx context.Context, f Folder, version string, reported <-chan struct{}, c clock.Clock, log *slog.Logger) error {
	if !f.OnTrial(version) {
		lasts(ctx, f, version, reported, c, log)
		return nil
	}
	late, stop := c.After(MostSilent)
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case <-reported:
		if err := f.Accept(version); err != nil {
			// It is on trial still, and has its next starts for this.
			log.Error("that this version has reported is not remembered", "version", version, "reason", err)
			return nil
		}
		log.Info("this version has reported, and stays", "version", version)
		return nil
	case <-late:
	}
	reason := fmt.Sprintf("it ran for %s and did not report to the collector", MostSilent)
	if err := f.GoBack(version, reason, c.Now()); err != nil {
		log.Error("that this version goes back is not remembered; its starts are counted", "version", version, "reason", err)
	}
	return ErrBack
}

// lasts waits until a version has lasted.
func lasts(ctx context.Context, f Folder, version string, reported <-chan struct{}, c clock.Clock, log *slog.Logger) {
	long, stop := c.After(Lasting)
	defer stop()
	select {
	case <-ctx.Done():
		return // why it ends is known to whoever runs it
	case <-reported:
	case <-long:
	}
	if err := f.Lasts(version); err != nil {
		log.Error("that this version has lasted is not remembered", "version", version, "reason", err)
	}
}
