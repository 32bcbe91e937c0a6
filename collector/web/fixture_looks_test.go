package web

import (
	"context"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Look implements Looks.
func (s *school) Look(ctx context.Context, id posture.SchoolID, l viewing.Look) error {
	return s.looks.Look(ctx, id, l)
}

// Looks implements Looks: some of every sort, two pages of them.
func (s *school) Looks(_ context.Context, school posture.SchoolID, q view.LookQuery, now time.Time) (view.LookPage, error) {
	if school != hollybank || q.By == "nobody" {
		return view.LookPage{}, nil
	}
	by := "Morgan Ellis"
	if s.hostile != "" {
		by = s.hostile
	}
	laptop := view.LookedAt{Device: "d-014", Hostname: "hb-lt-014", AssetTag: "HB-014", Role: "Year 4 class teacher", Person: "Alex Fern"}
	page := view.LookPage{}
	for i, what := range viewing.All() {
		l := view.Looked{Seen: viewing.Seen{Look: viewing.Look{By: by, Way: viewing.Page, What: what}, At: now.Add(-time.Duration(i) * 97 * time.Minute), Entry: uint64(400 - i)}}
		switch what {
		case viewing.Device, viewing.Evidence:
			l.Name, l.Showed = "d-014", []view.LookedAt{laptop}
		case viewing.Incident:
			l.Name, l.Showed = "2026-03", []view.LookedAt{laptop, {Device: "d-015", Hostname: "hb-lt-015"}}
		case viewing.Asset, viewing.Medium, viewing.Person:
			l.Name = "M-" + strconv.Itoa(i)
		case viewing.Devices:
			l.By, l.Way, l.Key = "Priya Anand", viewing.Program, "abcd2345"
		case viewing.Record:
			l.By, l.Way = "console:caretaker", viewing.Command
		}
		if q.What == "" || q.What == what {
			page.Looks = append(page.Looks, l)
		}
	}
	if q.After == "" && q.Limit == 0 {
		page.Next = "older"
	}
	return page, nil
}
