package api

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func (d *decided) Coverage(_ context.Context, school posture.SchoolID, now time.Time) (view.Coverage, error) {
	return view.Coverage{School: school, At: now, Counts: []view.CoverCount{}}, nil
}

func (d *decided) CoverageCounts(ctx context.Context, school posture.SchoolID, now time.Time) (view.Coverage, error) {
	return d.Coverage(ctx, school, now)
}
