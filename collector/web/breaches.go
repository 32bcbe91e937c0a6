package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// breachesPage lists a school's policy breaches.
type breachesPage struct {
	Rows     []breachRow
	Words    string
	Statuses []choice
	Severity []choice
	Rules    []choice
	All      string // address without any filter
	Next     string // address of the next page
	First    string // address of the first page, if this is not it
}

// choice is one option of a form.
type choice struct {
	Key, Words string
	Chosen     bool
}

// breachRow is a policy breach as lists show it.
type breachRow struct {
	view.BreachGroup
	Name        string  // of the device: its asset tag if there is one
	Second      string  // its hostname beside that
	Label       string  // the subject's, unless that is the device itself; of several, how many
	Things      []thing // if there are several, newest first
	More        int     // things beyond these
	Others      string  // how many have which status, where they differ
	StatusWords string
	StatusClass string
	Device      string // address
	RuleAddress string
	Matter      string // address of the rule on the device
	First       *moment
	Ends        *moment // of its grace, while that runs
	Ended       *moment // when it was resolved
	Notes       []note
}

// note is something more to know about a breach, with its time.
type note struct {
	Words string
	At    *moment // nil if there is no time to it
}

func statusWords(s breach.Status) string {
	switch s {
	case breach.Open:
		return "Open"
	case breach.Pending:
		return "In grace"
	case breach.Acknowledged:
		return "Acknowledged"
	case breach.Exempt:
		return "Exempt"
	case breach.Resolved:
		return "Resolved"
	default:
		return "Not yet"
	}
}

// statusKey is a status in an address.
func statusKey(s breach.Status) string { return strings.ReplaceAll(s.String(), " ", "-") }

func (s *site) breaches(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	query := view.BreachQuery{After: q.Get("after"), Rule: bounded(q.Get("rule"))}
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	body := breachesPage{
		Rules: ruleChoices(o, query.Rule), All: schoolAddress(v.school.ID) + "/breaches",
		Words:    "Newest first, those still in grace among them. What one rule finds on one device is one entry. Resolved ones are left out unless you ask for them.",
		Statuses: []choice{{Key: "", Words: "All that stand"}}, Severity: []choice{{Key: "", Words: "All"}},
	}
	for _, status := range breach.Statuses() {
		chosen := q.Get("status") == statusKey(status)
		body.Statuses = append(body.Statuses, choice{statusKey(status), statusWords(status), chosen})
		if chosen {
			query.Statuses = []breach.Status{status}
		}
	}
	for severity := posture.Info; severity <= posture.Critical; severity++ {
		chosen := q.Get("severity") == severity.String()
		body.Severity = append(body.Severity, choice{severity.String(), capital(severity.String()), chosen})
		if chosen {
			query.Severities = []posture.Severity{severity}
		}
	}
	found, err := s.Queries.BreachGroups(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	for _, g := range found.Groups {
		body.Rows = append(body.Rows, newBreachRow(v.school.ID, g, c))
	}
	body.Next, body.First = turn(body.All, q, query.After, found.Next)
	return s.writeLive(w, "breaches", s.page(v, "Policy breaches", "breaches"), "", body)
}

// ruleChoices lists the rules of the policy for a form. One that the policy
// does not have, such as one that was withdrawn, is listed if it is chosen.
func ruleChoices(o view.Overview, chosen string) []choice {
	list := []choice{{Words: "Any rule"}}
	known := chosen == ""
	for _, r := range o.Rules {
		list = append(list, choice{r.Rule, r.Rule + " " + r.Title, r.Rule == chosen})
		known = known || r.Rule == chosen
	}
	if !known {
		list = append(list, choice{chosen, chosen, true})
	}
	return list
}

func newBreachRow(school posture.SchoolID, g view.BreachGroup, c clockwork) breachRow {
	row := breachRow{
		BreachGroup: g, StatusWords: statusWords(g.Status), StatusClass: statusKey(g.Status),
		Device: deviceAddress(school, g.Device), RuleAddress: ruleAddress(school, g.Rule), Matter: matterAddress(school, g.Device, g.Rule),
		First: c.moment(g.FirstFailed), Ended: c.moment(g.ResolvedAt), Label: subjectLabel(g.Subject, g.Message),
	}
	row.Name, row.Second = names(g.Hostname, g.AssetTag, g.Device)
	if g.Count > 1 {
		row.several(g, c)
		return row
	}
	if g.Status == breach.Pending {
		row.Ends = c.moment(g.GraceEnds)
	}
	row.Notes = breachNotes(g.Breach, c)
	return row
}

// several makes the row one of many things.
func (row *breachRow) several(g view.BreachGroup, c clockwork) {
	row.Label, row.Message = things(g.Count, g.Subject.Kind), ""
	shown := g.Things[:min(len(g.Things), mostThings)]
	row.More = g.Count - len(shown)
	if len(g.Statuses) > 1 {
		var words []string
		for _, s := range g.Statuses {
			words = append(words, number(s.Count)+" "+strings.ToLower(statusWords(s.Status)))
		}
		row.Others = strings.Join(words, ", ")
	}
	var ends time.Time
	late := false
	for _, b := range g.Things {
		if b.Status == breach.Pending && !b.GraceEnds.IsZero() && (ends.IsZero() || b.GraceEnds.Before(ends)) {
			ends = b.GraceEnds
		}
		late = late || b.ReceivedAt.Sub(b.FirstFailed) >= reportedLate
	}
	if len(g.Statuses) == 1 {
		row.Ends = c.moment(ends)
	}
	for _, b := range shown {
		t := newThing(b.Subject)
		t.Since = c.moment(b.FirstFailed)
		if len(g.Statuses) > 1 {
			t.Note = statusWords(b.Status)
		}
		row.Things = append(row.Things, t)
	}
	if late {
		row.Notes = append(row.Notes, note{"some were reported late", nil})
	}
}

// reportedLate is how long after it began a breach may be heard of before the
// page says so.
const reportedLate = 6 * time.Hour

func breachNotes(b view.Breach, c clockwork) []note {
	var notes []note
	if left := b.GraceLeft; left > 0 && b.Status == breach.Pending {
		hours := (left + time.Hour - 1).Truncate(time.Hour) / time.Hour
		notes = append(notes, note{"grace ends after " + count(int(hours), "more hour") + " online", nil})
	}
	if !b.AcknowledgedAt.IsZero() {
		notes = append(notes, note{"acknowledged by " + b.AcknowledgedBy, c.moment(b.AcknowledgedAt)})
	}
	if !b.ExemptUntil.IsZero() {
		notes = append(notes, note{"exempt until", c.end(b.ExemptUntil)})
	}
	if b.ReceivedAt.Sub(b.FirstFailed) >= reportedLate {
		notes = append(notes, note{"reported late,", c.moment(b.ReceivedAt)})
	}
	if b.Reopened > 0 {
		notes = append(notes, note{"came back " + count(b.Reopened, "time"), nil})
	}
	return notes
}

// turn returns the addresses of the next and, unless this is it, the first
// page of a list, with everything else that was asked for kept.
func turn(address string, q url.Values, after, next string) (nextPage, firstPage string) {
	keep := keptQuery(q)
	to := func() string {
		if len(keep) == 0 {
			return address
		}
		return address + "?" + keep.Encode()
	}
	if after != "" {
		firstPage = to()
	}
	if next != "" {
		keep.Set("after", next)
		nextPage = to()
	}
	return nextPage, firstPage
}

// keptQuery is what an address asks for, without its place in a list.
func keptQuery(q url.Values) url.Values {
	keep := url.Values{}
	for k, values := range q {
		if k != "after" && len(values) == 1 && values[0] != "" && len(values[0]) <= 256 {
			keep[k] = values
		}
	}
	return keep
}

// maxTyped is the most that is taken of a search or a name, in characters.
const maxTyped = 64

// bounded cuts what a person typed to a length that no honest search has.
func bounded(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > maxTyped {
		return string(r[:maxTyped])
	}
	return s
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
