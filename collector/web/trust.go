package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// trustsPage lists the trusts of whose baseline somebody has a say.
type trustsPage struct {
	Trusts  []trustLine
	Without []trustSchool // schools of no trust
	Wrong   []wrong
}

type trustLine struct {
	Name, Address string
	Schools       int
}

type trustSchool struct{ Name, Address string }

// trustPage is a trust's baseline, and each of its schools against it. The schools
// are in the order of their names: it is no league.
type trustPage struct {
	Trust, Address string
	Baseline       *baselineHead
	Drafts         []baselineHead
	Rows           []trustRow
	Behind         int // schools at which not the newest baseline is recorded
	Whole          bool
	Matrix, Table  string
	Next, First    string
	Done           string
	Records        []TrustRecord // what became of a baseline that was put in force just now
}

// baselineHead is a baseline or the draft of one.
type baselineHead struct {
	Number                     uint64
	Title, By, Drafter, Reason string
	Rules                      int
	At                         *moment
	Address                    string
}

// trustRow is one school against the baseline.
type trustRow struct {
	Name, Address, Home string
	Baseline            uint64
	Behind              bool // there is a newer one
	Policy              string
	Follows             bool
	Looser              int // not allowed
	Since               *moment
	Allowed             int
	Until               *moment // the first end of what is allowed
	Stricter            int
	Coverage            string
	Failing, Unproven   int // rules not met somewhere; met nowhere less and not proven everywhere
	Unknown             string
}

const mostTrustRows = 50

func trustAddress(trust string) string { return "/trusts/" + url.PathEscape(trust) }

func baselineAddress(school posture.SchoolID) string { return schoolAddress(school) + "/baseline" }

// kept are the schools of whose trusts an account has a say, by name.
func (s *site) keptSchools(ctx context.Context, v visit) ([]view.School, error) {
	all, err := s.Queries.Schools(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(o view.School) bool { return !v.account.May(o.ID, access.KeepBaseline) })
	slices.SortStableFunc(all, func(a, b view.School) int { return cmp.Compare(a.Name, b.Name) })
	if len(all) == 0 {
		return nil, errNoPage
	}
	return all, nil
}

// trusts leads to the one trust of an account, or lists them.
func (s *site) trusts(w http.ResponseWriter, r *http.Request, v visit) error {
	schools, err := s.keptSchools(r.Context(), v)
	if err != nil {
		return err
	}
	var page trustsPage
	for _, school := range schools {
		standing, err := s.Trusts.Standing(r.Context(), school.ID, v.now)
		if err != nil {
			return err
		}
		if standing.Trust == "" {
			page.Without = append(page.Without, trustSchool{school.Name, baselineAddress(school.ID)})
			continue
		}
		i := slices.IndexFunc(page.Trusts, func(t trustLine) bool { return t.Name == standing.Trust })
		if i < 0 {
			i, page.Trusts = len(page.Trusts), append(page.Trusts, trustLine{Name: standing.Trust, Address: trustAddress(standing.Trust)})
		}
		page.Trusts[i].Schools++
	}
	return s.write(w, http.StatusOK, "trusts", s.page(v, "Trusts", "trusts"), page)
}

// member is a school of a trust of which an account has a say.
type member struct {
	view.School
	TrustStanding
}

// members are the schools of a trust as an account may see it: ErrNotFound if it has
// a say at none. all says that it has one at each.
func (s *site) members(r *http.Request, v visit) (trust string, list []member, at []posture.SchoolID, all bool, err error) {
	schools, err := s.keptSchools(r.Context(), v)
	if err != nil {
		return "", nil, nil, false, err
	}
	trust, ids, err := s.Trusts.Members(r.Context(), r.PathValue("trust"))
	if err != nil {
		return "", nil, nil, false, err
	}
	for _, school := range schools {
		if !slices.Contains(ids, school.ID) {
			continue
		}
		standing, err := s.Trusts.Standing(r.Context(), school.ID, v.now)
		if err != nil {
			return "", nil, nil, false, err
		}
		list, at = append(list, member{school, standing}), append(at, school.ID)
	}
	if len(list) == 0 {
		return "", nil, nil, false, view.ErrNotFound
	}
	return trust, list, at, len(list) == len(ids), nil
}

func (s *site) trust(w http.ResponseWriter, r *http.Request, v visit) error {
	page := trustPage{}
	if r.URL.Query().Get("done") == "drafted" {
		page.Done = "Recorded as a draft at each school, for another account to put in force."
	}
	return s.showTrust(w, r, v, page)
}

func (s *site) showTrust(w http.ResponseWriter, r *http.Request, v visit, page trustPage) error {
	trust, list, _, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page.Trust, page.Address, page.Whole = trust, trustAddress(trust), all
	page.Matrix = "/rules?" + url.Values{"trust": {trust}}.Encode()
	page.Table = page.Address + "/schools.csv"
	c := s.clockwork(v)
	newest, last := newestBaseline(list)
	if newest != nil {
		page.Baseline = newBaselineHead(newest.Baseline.Number, newest.TrustStanding, c)
		page.Baseline.Address = page.Address + "/text"
	}
	page.Drafts = draftsOf(list, page.Address, c)
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("after"))
	from = min(max(from, 0), len(list))
	shown := list[from:]
	next := ""
	if len(shown) > mostTrustRows {
		shown, next = shown[:mostTrustRows], strconv.Itoa(from+mostTrustRows)
	}
	for _, m := range shown {
		row, err := s.newTrustRow(r.Context(), v, m, last)
		if err != nil {
			return err
		}
		page.Rows = append(page.Rows, row)
	}
	for _, m := range list {
		if last > 0 && (m.Baseline == nil || m.Baseline.Number < last) {
			page.Behind++
		}
	}
	page.Next, page.First = turn(page.Address, q, q.Get("after"), next)
	return s.write(w, http.StatusOK, "trust", s.page(v, trust, "trusts"), page)
}

// newestBaseline is a school at which the newest baseline is recorded, and its number.
func newestBaseline(list []member) (newest *member, number uint64) {
	for i, m := range list {
		if m.Baseline != nil && m.Baseline.Number > number {
			newest, number = &list[i], m.Baseline.Number
		}
	}
	return newest, number
}

func newBaselineHead(number uint64, t TrustStanding, c clockwork) *baselineHead {
	b := t.Baseline
	return &baselineHead{Number: number, Title: b.Title, By: b.By, Drafter: b.Drafter, Reason: b.Reason, Rules: b.Rules, At: c.moment(b.At)}
}

// draftsOf are the texts that were proposed at any school, each once.
func draftsOf(list []member, address string, c clockwork) (drafts []baselineHead) {
	var seen []string
	for _, m := range list {
		for _, d := range m.Drafts {
			if digest := digestOf(d.Source); d.Source != nil && !slices.Contains(seen, digest) {
				seen = append(seen, digest)
				drafts = append(drafts, baselineHead{Title: d.Title, By: d.By, Reason: d.Reason, Rules: d.Rules, At: c.moment(d.At), Address: address + "/text?draft=" + digest})
			}
		}
	}
	return drafts
}

func (s *site) newTrustRow(ctx context.Context, v visit, m member, last uint64) (trustRow, error) {
	c := s.clockwork(v)
	row := trustRow{Name: m.Name, Address: baselineAddress(m.ID), Home: schoolAddress(m.ID), Follows: m.Follows, Since: c.moment(m.Since), Stricter: stricterItems(m.Stricter), Unknown: m.Unknown, Policy: "the one that is shipped"}
	if m.Policy > 0 {
		row.Policy = "version " + number64(m.Policy)
	}
	if m.Baseline != nil {
		row.Baseline = m.Baseline.Number
	}
	row.Behind = row.Baseline < last
	var until time.Time
	for _, l := range m.Looser {
		if l.Allowed == nil {
			row.Looser++
			continue
		}
		row.Allowed++
		if until.IsZero() || l.Allowed.Ends().Before(until) {
			until = l.Allowed.Ends()
		}
	}
	row.Until = c.end(until)
	o, err := s.Queries.Overview(ctx, m.ID, v.now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return row, err
	}
	var counted schoolRow
	counted.take(o)
	row.Failing, row.Unproven = counted.Failing, counted.Unproven
	row.Coverage, err = s.coverage(ctx, m.ID, v.now)
	return row, err
}

// stricterItems counts the rules and parameters in which a school asks more.
func stricterItems(list []PolicyChange) int {
	items := map[[2]string]bool{}
	for _, c := range list {
		items[[2]string{c.Rule, c.Parameter}] = true
	}
	return len(items)
}

// trustTable gives the same for spreadsheets, with who loosened what.
func (s *site) trustTable(w http.ResponseWriter, r *http.Request, v visit) error {
	_, list, _, _, err := s.members(r, v)
	if err != nil {
		return err
	}
	_, last := newestBaseline(list)
	out, err := beginTable(w, "trust-"+v.now.In(s.Location).Format("2006-01-02")+".csv")
	if err != nil {
		return err
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(s.Location).Format("2006-01-02 15:04 MST")
	}
	out.row("School", "Trust’s baseline", "Newest baseline", "School’s policy", "Follows the baseline", "What", "In what", "Since", "By", "Allowed by", "Allowed until", "Why", "Coverage")
	for _, m := range list {
		coverage, err := s.coverage(r.Context(), m.ID, v.now)
		if err != nil {
			s.Logger.Error("a table of a trust ends early", "school", m.ID, "error", err)
			out.cut()
			break
		}
		baseline := ""
		if m.Baseline != nil {
			baseline = number64(m.Baseline.Number)
		}
		begin := []string{m.Name, baseline, number64(last), number64(m.Policy), yesNo(m.Follows)}
		write := func(cells ...string) { out.row(append(append(slices.Clone(begin), cells...), coverage)...) }
		for _, l := range m.Looser {
			what := "asks less, not allowed"
			by, until, why := "", "", ""
			if l.Allowed != nil {
				what, by, until, why = "asks less, allowed", l.Allowed.By, day(l.Allowed.Ends()), l.Allowed.Reason
			}
			write(what, itemWords(l.Item)+": "+l.Words, day(l.Since), l.By, by, until, why)
		}
		for _, c := range m.Stricter {
			write("asks more", changeItem(c)+": "+c.Words, "", "", "", "", "")
		}
		if m.Unknown != "" {
			write("not known", m.Unknown, "", "", "", "", "")
		}
		if len(m.Looser)+len(m.Stricter) == 0 && m.Unknown == "" {
			write("asks what the baseline asks", "", "", "", "", "", "")
		}
	}
	out.Flush()
	return out.Error()
}
