package api

import (
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func lookRoutes() []route {
	var sorts []string
	for _, what := range viewing.All() {
		sorts = append(sorts, string(what))
	}
	return []route{{
		method: http.MethodGet, path: "/schools/{school}/views", right: access.ReadLooks, shows: viewing.Looks,
		words: "A page of who looked at what, the newest first. Looks at the same within an hour, or by a program within a day, are one.",
		gives: view.LookPage{}, serve: (*door).views,
		params: []param{
			{name: "device", words: "only looks at this laptop, at evidence of it, and at single things that name it"},
			{name: "person", words: "only looks at laptops that this person had at the time, as the register calls them"},
			{name: "by", words: "only looks by this account; by an operator of the console, console:NAME"},
			{name: "what", words: "only looks at this", one: sorts},
			{name: "from", words: "only looks from then on, such as 2026-11-09T07:40:00Z"},
			{name: "to", words: "only looks before then"},
			afterParam, limitParam,
		},
	}}
}

func (d *door) views(r *http.Request, v visit) (any, error) {
	q := view.LookQuery{
		Device: posture.DeviceID(v.params.first("device")), Person: v.params.first("person"), By: v.params.first("by"),
		What: viewing.What(v.params.first("what")), After: v.params.first("after"), Limit: v.params.limit(),
	}
	for name, at := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if said := v.params.first(name); said != "" {
			var err error
			if *at, err = time.Parse(time.RFC3339, said); err != nil {
				return nil, bad("%s is a time such as 2026-11-09T07:40:00Z", name)
			}
		}
	}
	return d.Looks.Looks(r.Context(), v.school.ID, q, v.now)
}
