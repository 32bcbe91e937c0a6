package update

import (
	"context"
	"errors"
	"log/slog"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// Stayer is the installed program on a system where a process cannot become
// another program: it stays what the service manager knows, and runs the version
// that is to run in its place. All fields are required.
type Stayer struct {
	Folder    Folder
	Installed Installed
	Clock     clock.Clock
	Log       *slog.Logger
	// Here runs the installed program itself, in this process.
	Here func(ctx context.Context) error
	// Placed runs the program at a path until that has ended. It returns ErrPlaced
	// or ErrBack if that ended so that another starts.
	Placed func(ctx context.Context, path string) error
}

// Run runs what is to run, and what follows it, until ctx ends or something fails:
// whoever started this process is then to start it again, after a while.
func (s Stayer) Run(ctx context.Context) error {
	for {
		path, err := s.Folder.Choose(s.Installed, s.Clock.Now(), s.Log)
		if err != nil && path == "" {
			s.Log.Error("a newer version is not started; the installed one is", "reason", err)
		}
		if path == "" {
			err = s.Here(ctx)
		} else {
			err = s.Placed(ctx, path)
		}
		if another := errors.Is(err, ErrPlaced) || errors.Is(err, ErrBack); !another || ctx.Err() != nil {
			return err
		}
	}
}
