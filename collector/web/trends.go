package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Trender tells how a school came to stand where it does.
type Trender interface {
	Trend(ctx context.Context, school posture.SchoolID, from, to calendar.Date, now time.Time) (view.Trend, error)
	Changed(ctx context.Context, school posture.SchoolID, query view.ChangedQuery, now time.Time) (view.Changed, error)
	// Month sums up a month. Of one that is not over it is a decision.RefusedError.
	Month(ctx context.Context, school posture.SchoolID, month, now time.Time) (summary.Month, error)
}

// trendsPage is where a school stood over a time.
type trendsPage struct {
	Address    string
	Periods    []choice
	Period     string
	Encryption trend
	Ages       trend
	Rules      []ruleTrend
	Legend     []standingWords
	Changes    string // address; "" if the account may not see devices
	Terms      []string
	Nothing    bool
	Months     []monthLink
}

// ruleTrend is a rule's small drawing.
type ruleTrend struct {
	Rule, Address string
	Trend         trend
}

// ruleTrendPage is the drawing of one rule, with its table.
type ruleTrendPage struct {
	Back    string
	Rule    string
	Address string // of the rule's own page; "" if the account may not see devices
	Periods []choice
	Here    string
	Period  string
	Trend   trend
	Legend  []standingWords
}

// aYear is how far back is drawn unless something else is asked for.
const aYear = 52 * 7

// period is a time that can be asked for.
type period struct {
	key, words string
	from, to   calendar.Date
}

// periods lists what can be asked for: the last year, each school year and each
// term that has begun.
func periods(t view.Trend) []period {
	today := t.Now.Date
	list := []period{{"", "The last 52 weeks", today - aYear + 1, today}}
	for n := len(t.Terms) - 1; n >= 0; n-- {
		s := t.Terms[n]
		if s.From > today {
			continue
		}
		list = append(list, period{s.From.String(), s.Name + ", " + s.From.Time().Format("January 2006"), s.From, s.To})
		year := schoolYear(s.From)
		if n == 0 || schoolYear(t.Terms[n-1].From) != year {
			from := calendar.DateOf(time.Date(year, time.September, 1, 0, 0, 0, 0, time.UTC))
			to := calendar.DateOf(time.Date(year+1, time.August, 31, 0, 0, 0, 0, time.UTC))
			list = append(list, period{strconv.Itoa(year), "School year " + strconv.Itoa(year) + " to " + strconv.Itoa(year+1), from, to})
		}
	}
	return list
}

// schoolYear is the year in whose September the school year of a day began.
func schoolYear(d calendar.Date) int {
	t := d.Time()
	if t.Month() < time.August {
		return t.Year() - 1
	}
	return t.Year()
}

// trendOf asks for the time that an address names.
func (s *site) trendOf(r *http.Request, v visit) (t view.Trend, chosen period, choices []choice, err error) {
	wanted := r.URL.Query().Get("of")
	today := calendar.DateOf(v.now.UTC())
	if t, err = s.Trends.Trend(r.Context(), v.school.ID, today, today, v.now); err != nil {
		return t, chosen, nil, err
	}
	for n, p := range periods(t) {
		if n == 0 || p.key == wanted {
			chosen = p
		}
	}
	for _, p := range periods(t) {
		choices = append(choices, choice{p.key, p.words, p.key == chosen.key})
	}
	if chosen.key != wanted {
		return t, chosen, nil, view.ErrNotFound
	}
	t, err = s.Trends.Trend(r.Context(), v.school.ID, chosen.from, chosen.to, v.now)
	return t, chosen, choices, err
}

func (s *site) trends(w http.ResponseWriter, r *http.Request, v visit) error {
	t, chosen, choices, err := s.trendOf(r, v)
	if err != nil {
		return err
	}
	address := schoolAddress(v.school.ID) + "/trends"
	everyone := func(d view.CountedDay) bool { return d.Devices > 0 }
	body := trendsPage{
		Address: address, Periods: choices, Period: chosen.words, Legend: legend(), Terms: termMarks(t, chosen), Nothing: len(t.Days) == 0, Months: monthsOf(address, t),
		Encryption: newTrend(t, "Encryption", encryptionLayers(), everyone, wideTrend, tallTrend),
		Ages:       newTrend(t, "Age of antivirus definitions", definitionLayers(), everyone, wideTrend, tallTrend),
	}
	if v.account.May(v.school.ID, access.ReadDevices) {
		body.Changes = address + "/changes"
	}
	for _, rule := range t.Now.Rules {
		at := address + "/rules/" + url.PathEscape(rule.Rule)
		if chosen.key != "" {
			at += "?of=" + chosen.key
		}
		body.Rules = append(body.Rules, ruleTrend{rule.Rule, at, newTrend(t, t.Titles[rule.Rule], ruleLayers(rule.Rule), counts(rule.Rule), smallTrend, shortTrend)})
	}
	return s.write(w, http.StatusOK, "trends", s.page(v, "Trends", "trends"), body)
}

// counts reports of a day whether a rule was in the policy.
func counts(rule string) func(view.CountedDay) bool {
	return func(d view.CountedDay) bool { _, ok := d.On(rule); return ok }
}

// termMarks says when the terms were that a time holds.
func termMarks(t view.Trend, p period) (list []string) {
	for _, s := range t.Terms {
		if s.To >= p.from && s.From <= p.to && s.From <= t.Now.Date {
			list = append(list, s.Name+": "+s.From.Words()+" to "+s.To.Words())
		}
	}
	return list
}

func (s *site) ruleTrend(w http.ResponseWriter, r *http.Request, v visit) error {
	t, chosen, choices, err := s.trendOf(r, v)
	if err != nil {
		return err
	}
	rule := r.PathValue("rule")
	title, known := t.Titles[rule]
	if !known {
		return view.ErrNotFound
	}
	back := schoolAddress(v.school.ID) + "/trends"
	body := ruleTrendPage{
		Back: back, Here: back + "/rules/" + url.PathEscape(rule), Rule: rule, Periods: choices, Period: chosen.words, Legend: legend(),
		Trend: newTrend(t, title, ruleLayers(rule), counts(rule), wideTrend, tallTrend),
	}
	if chosen.key != "" {
		body.Back += "?of=" + chosen.key
	}
	if v.account.May(v.school.ID, access.ReadDevices) {
		body.Address = ruleAddress(v.school.ID, rule)
	}
	return s.write(w, http.StatusOK, "rule-trend", s.page(v, visible(title)+" – trend", "trends"), body)
}

// changedPage is what changed at a school since a day.
type changedPage struct {
	Address string
	Since   *moment
	Day     string // as a form has it
	Counts  []changedCount
	Causes  []causeRow
	Kinds   []choice
	Rules   []choice
	Rows    []changedRow
	Found   int
	Cut     bool
	Next    string
	First   string
	Wrong   []wrong
}

// changedCount is how many changes of one sort there are.
type changedCount struct {
	Words   string
	Count   int
	Address string
}

// causeRow is what changed about one rule.
type causeRow struct {
	view.Cause
	Address, OpenedAt, ClosedAt string
	At                          *moment
}

// changedRow is one change.
type changedRow struct {
	view.Change
	When          *moment
	Words         string
	Name, Second  string
	DeviceAddress string
	RuleAddress   string
	Note          string
}

// changesOnPage is how many changes a page lists.
const changesOnPage = 100

func (s *site) changedSince(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	c := s.clockwork(v)
	since := lastWeek(v.now, s.Location)
	page := changedPage{Address: schoolAddress(v.school.ID) + "/trends/changes", Day: q.Get("since")}
	if page.Day != "" {
		day, err := time.ParseInLocation(time.DateOnly, page.Day, s.Location)
		if err != nil || day.After(v.now) {
			page.Wrong = []wrong{{"since", "Give a day that has begun, such as " + since.Format(time.DateOnly) + "."}}
		} else {
			since = day
		}
	} else {
		page.Day = since.Format(time.DateOnly)
	}
	from, _ := strconv.Atoi(q.Get("from"))
	query := view.ChangedQuery{Since: since, What: view.ChangeKind(q.Get("what")), Rule: q.Get("rule"), From: from, Limit: changesOnPage}
	found, err := s.Trends.Changed(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	page.Since, page.Found, page.Cut = c.moment(since), found.Found, found.Cut
	page.fill(v, c, found, q)
	status := http.StatusOK
	title := "Changed since " + since.Format("2 January 2006")
	if len(page.Wrong) > 0 {
		status, title = http.StatusUnprocessableEntity, "Error: "+title
	}
	if from > 0 {
		page.First = page.with(q, "from", "")
	}
	if next := from + changesOnPage; next < found.Found {
		page.Next = page.with(q, "from", strconv.Itoa(next))
	}
	return s.write(w, status, "changed", s.page(v, title, "trends"), page)
}

// lastWeek is the beginning of the day a week ago.
func lastWeek(now time.Time, zone *time.Location) time.Time {
	t := now.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day()-7, 0, 0, 0, 0, zone)
}

// with is the address of the page with one thing of its question changed.
func (p changedPage) with(q url.Values, name, value string) string {
	next := url.Values{}
	for _, k := range []string{"since", "what", "rule"} {
		if v := q.Get(k); v != "" {
			next.Set(k, v)
		}
	}
	next.Set(name, value)
	if value == "" {
		next.Del(name)
	}
	if len(next) == 0 {
		return p.Address
	}
	return p.Address + "?" + next.Encode()
}

func (p *changedPage) fill(v visit, c clockwork, found view.Changed, q url.Values) {
	p.Kinds = []choice{{"", "Everything", q.Get("what") == ""}}
	for _, k := range view.ChangeKinds() {
		p.Counts = append(p.Counts, changedCount{changedWords(k), found.Counts[k], p.with(url.Values{"since": q["since"]}, "what", string(k))})
		p.Kinds = append(p.Kinds, choice{string(k), changedWords(k), q.Get("what") == string(k)})
	}
	p.Rules = []choice{{"", "Every rule", q.Get("rule") == ""}}
	for _, k := range found.Causes {
		of := func(what view.ChangeKind) string {
			return p.with(url.Values{"since": q["since"], "rule": {k.Rule}}, "what", string(what))
		}
		p.Causes = append(p.Causes, causeRow{k, ruleAddress(v.school.ID, k.Rule), of(view.Opened), of(view.Closed), c.moment(k.Last)})
		p.Rules = append(p.Rules, choice{k.Rule, k.Rule + " " + k.Title, q.Get("rule") == k.Rule})
	}
	for _, one := range found.Changes {
		p.Rows = append(p.Rows, newChangedRow(v.school.ID, c, one))
	}
}

func newChangedRow(school posture.SchoolID, c clockwork, one view.Change) changedRow {
	row := changedRow{Change: one, When: c.moment(one.At), Words: changedWords(one.What), Note: changeNote(one)}
	row.Name, row.Second = names(one.Hostname, one.AssetTag, one.Device)
	if one.Device != "" {
		row.DeviceAddress = schoolAddress(school) + "/devices/" + url.PathEscape(string(one.Device))
	}
	if one.Rule != "" {
		row.RuleAddress = ruleAddress(school, one.Rule)
	}
	return row
}

func changedWords(k view.ChangeKind) string {
	switch k {
	case view.Opened: // "opened" would be said of what is still in grace
		return "Began"
	case view.Closed:
		return "Closed"
	case view.Silenced:
		return "Went silent"
	case view.Exempted:
		return "Exempted"
	case view.Enrolled:
		return "New"
	}
	return "Changed"
}

func changeNote(c view.Change) string {
	switch {
	case c.Late:
		return "it began before, and was heard of only then"
	case c.Closed == breach.Decided:
		return "somebody decided so"
	case c.Closed == breach.Gone:
		return "it is there no more"
	case c.Closed == breach.Withdrawn:
		return "the rule was withdrawn"
	case c.What == view.Exempted && c.Device == "":
		return "for a group, or the whole school"
	}
	return ""
}
