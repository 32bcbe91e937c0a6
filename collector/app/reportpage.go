package app

import (
	"context"
	"errors"
	"strings"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// reportPage is where people of a school report a loss without signing in, for
// laptops to show. It is known once somebody has said where the pages are: notice set
// --pages.
func (c *collector) reportPage(ctx context.Context, school posture.SchoolID) string {
	if c.notices == nil {
		return ""
	}
	pages := c.notices.Settings().Pages
	if pages == "" {
		return ""
	}
	a, err := c.view.Queries().ConcernAddress(ctx, school, c.clock.Now())
	if err != nil {
		if !errors.Is(err, view.ErrNotFound) && ctx.Err() == nil {
			c.log.Warn("laptops are not told where people report", "school", school, "reason", err)
		}
		return ""
	}
	return strings.TrimSuffix(pages, "/") + "/report/" + a.Address
}
