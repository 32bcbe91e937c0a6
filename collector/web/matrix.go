package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// matrixPage is schools by rules. The schools are in the order of their names, a few
// on a page; no school is ranked, and nothing that is not proven is counted as met.
type matrixPage struct {
	Columns     []matrixSchool
	Rows        []matrixRow
	Trusts      []choice
	Severities  []choice
	Stands      []choice
	Search      string
	Table       string
	Next, First string
	Schools     int
}

type matrixSchool struct{ Name, Address, Coverage string }

// matrixRow is one rule at the schools of a page, with what they come to.
type matrixRow struct {
	ruleName
	NotMet, NotProven int
	Cells             []schoolCell
}

// mostColumns is how many schools stand beside each other: a page of more is too
// wide to read, and heavy.
const mostColumns = 8

// matrixSchools are the schools that an address asks for.
func (s *site) matrixSchools(ctx context.Context, v visit, trust string) (schools []view.School, trusts []string, err error) {
	all, err := s.Queries.Schools(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, school := range all {
		if !v.account.May(school.ID, access.ReadDevices) {
			continue
		}
		standing, err := s.Trusts.Standing(ctx, school.ID, v.now)
		if err != nil {
			return nil, nil, err
		}
		if standing.Trust != "" && !slices.Contains(trusts, standing.Trust) {
			trusts = append(trusts, standing.Trust)
		}
		if trust == "" || strings.EqualFold(trust, standing.Trust) {
			schools = append(schools, school)
		}
	}
	slices.SortStableFunc(schools, func(a, b view.School) int { return strings.Compare(a.Name, b.Name) })
	return schools, trusts, nil
}

// matrixFilter is what an address asks for.
type matrixFilter struct {
	trust, search string
	severity      string
	standing      view.Standing
}

func readMatrix(q url.Values) matrixFilter {
	return matrixFilter{bounded(q.Get("trust")), bounded(q.Get("q")), q.Get("severity"), standingOf(q.Get("standing"))}
}

// wants reports whether a rule is asked for.
func (f matrixFilter) wants(c view.RuleCount) bool {
	if f.severity != "" && c.Severity.String() != f.severity || !strings.Contains(strings.ToLower(c.Rule+" "+c.Title), strings.ToLower(f.search)) {
		return false
	}
	switch f.standing {
	case view.NotMet:
		return c.NotMet > 0
	case view.NotProven:
		return c.NotProven > 0
	case view.Exempt:
		return c.Exempt > 0
	case view.Met:
		return c.NotMet+c.NotProven+c.Exempt == 0 && c.Met > 0
	default:
		return true
	}
}

func (s *site) matrix(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	f := readMatrix(q)
	schools, trusts, err := s.matrixSchools(r.Context(), v, f.trust)
	if err != nil {
		return err
	}
	page := matrixPage{Search: f.search, Schools: len(schools), Table: "/rules.csv"}
	if kept := keptQuery(q); len(kept) > 0 {
		page.Table += "?" + kept.Encode()
	}
	page.Trusts = append(page.Trusts, choice{"", "Any trust, or none", f.trust == ""})
	for _, t := range trusts {
		page.Trusts = append(page.Trusts, choice{t, t, strings.EqualFold(t, f.trust)})
	}
	page.Severities = append(page.Severities, choice{"", "Any severity", f.severity == ""})
	for sev := posture.Critical; sev >= posture.Low; sev-- {
		page.Severities = append(page.Severities, choice{sev.String(), capital(sev.String()), sev.String() == f.severity})
	}
	page.Stands = standingChoices(f.standing)
	from, _ := strconv.Atoi(q.Get("after"))
	from = min(max(from, 0), len(schools))
	shown, next := schools[from:], ""
	if len(shown) > mostColumns {
		shown, next = shown[:mostColumns], strconv.Itoa(from+mostColumns)
	}
	if err := s.fillMatrix(r.Context(), v, &page, shown, f); err != nil {
		return err
	}
	page.Next, page.First = turn("/rules", q, q.Get("after"), next)
	return s.write(w, http.StatusOK, "matrix", s.page(v, "Schools by rules", "rules"), page)
}

// fillMatrix puts schools and the rules that are asked for on the page.
func (s *site) fillMatrix(ctx context.Context, v visit, page *matrixPage, schools []view.School, f matrixFilter) error {
	var names schoolsPage
	counts := make([][]view.RuleCount, len(schools))
	for i, school := range schools {
		o, err := s.Queries.Overview(ctx, school.ID, v.now)
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return err
		}
		column := matrixSchool{Name: school.Name, Address: schoolAddress(school.ID)}
		if column.Coverage, err = s.coverage(ctx, school.ID, v.now); err != nil {
			return err
		}
		page.Columns, counts[i] = append(page.Columns, column), o.Rules
		names.learn(slices.DeleteFunc(slices.Clone(o.Rules), func(c view.RuleCount) bool { return !f.wants(c) }))
	}
	for _, name := range names.Rules {
		page.Rows = append(page.Rows, matrixRow{ruleName: name})
	}
	for i, school := range schools {
		for n, cell := range cellsOf(school.ID, names.Rules, counts[i]) {
			row := &page.Rows[n]
			row.Cells = append(row.Cells, cell)
			row.NotMet, row.NotProven = row.NotMet+cell.NotMet, row.NotProven+cell.NotProven
		}
	}
	return nil
}

// matrixTable gives all of it for spreadsheets, a line for each rule of each school.
func (s *site) matrixTable(w http.ResponseWriter, r *http.Request, v visit) error {
	f := readMatrix(r.URL.Query())
	schools, _, err := s.matrixSchools(r.Context(), v, f.trust)
	if err != nil {
		return err
	}
	out, err := beginTable(w, "schools-by-rules-"+v.now.In(s.Location).Format("2006-01-02")+".csv")
	if err != nil {
		return err
	}
	out.row("School", "Rule", "Title", "Severity", "Devices not met", "Devices not proven", "Devices exempt", "Devices met", "Devices not covered", "Coverage")
	for _, school := range schools {
		o, err := s.Queries.Overview(r.Context(), school.ID, v.now)
		coverage, err2 := s.coverage(r.Context(), school.ID, v.now)
		if err = errors.Join(err, err2); err != nil && !errors.Is(err, view.ErrNotFound) {
			s.Logger.Error("a table of schools by rules ends early", "school", school.ID, "error", err)
			out.cut()
			break
		}
		for _, c := range o.Rules {
			if f.wants(c) {
				out.row(school.Name, c.Rule, c.Title, c.Severity.String(), strconv.Itoa(c.NotMet), strconv.Itoa(c.NotProven), strconv.Itoa(c.Exempt), strconv.Itoa(c.Met), strconv.Itoa(c.NotFor), coverage)
			}
		}
		out.Flush()
	}
	out.Flush()
	return out.Error()
}
