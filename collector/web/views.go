package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// viewsPage lists who looked at what.
type viewsPage struct {
	Rows        []viewRow
	Waiting     int    // looks that are not recorded yet
	By, Laptop  string // as typed
	Person      string // the same
	Names       []string
	What        []choice
	From, To    string // days, as typed
	Wrong       []wrong
	All         string
	Filtered    bool
	Table       string
	Next, First string
}

// viewRow is one look as the page shows it.
type viewRow struct {
	At      *moment
	By      string
	How     string
	What    string
	Laptops []viewedLaptop
}

// viewedLaptop is a laptop that somebody looked at, and who had it then.
type viewedLaptop struct{ Name, Second, Address, Had string }

func viewsAddress(v visit) string { return schoolAddress(v.school.ID) + "/privacy/views" }

// views shows who looked at what.
func (s *site) views(w http.ResponseWriter, r *http.Request, v visit) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page := viewsPage{All: viewsAddress(v), Names: s.namesAt(v), Waiting: s.Records.Record(v.school.ID).LooksWaiting}
	query, err := s.lookQuery(r.Context(), v, q, &page)
	if err != nil {
		return err
	}
	title, status := "Who looked at what", http.StatusOK
	if len(page.Wrong) > 0 {
		v.look.What = viewing.Nobody // the form alone
		return s.write(w, http.StatusUnprocessableEntity, "views", s.page(v, "Error: "+title, "privacy"), page)
	}
	query.After = q.Get("after")
	found, err := s.Looks.Looks(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	for _, l := range found.Looks {
		row := viewRow{At: c.moment(l.At), By: l.By, How: l.How(), What: l.Shown()}
		for _, at := range l.Showed {
			one := viewedLaptop{Address: deviceAddress(v.school.ID, at.Device), Had: at.Had()}
			one.Name, one.Second = names(at.Hostname, at.AssetTag, at.Device)
			row.Laptops = append(row.Laptops, one)
		}
		page.Rows = append(page.Rows, row)
	}
	page.Next, page.First = turn(page.All, q, query.After, found.Next)
	page.Table = page.All + ".csv"
	if keep := keptQuery(q); len(keep) > 0 {
		page.Table, page.Filtered = page.Table+"?"+keep.Encode(), true
	}
	return s.write(w, status, "views", s.page(v, title, "privacy"), page)
}

// lookQuery reads what an address asks for, and notes what of it cannot be.
func (s *site) lookQuery(ctx context.Context, v visit, q url.Values, page *viewsPage) (view.LookQuery, error) {
	page.By, page.Laptop, page.Person = bounded(q.Get("by")), bounded(q.Get("laptop")), bounded(q.Get("person"))
	page.From, page.To = bounded(q.Get("from")), bounded(q.Get("to"))
	query := view.LookQuery{By: page.By, Person: page.Person}
	page.What = []choice{{Words: "Anything"}}
	for _, what := range viewing.All() {
		chosen := q.Get("what") == string(what)
		page.What = append(page.What, choice{string(what), what.Words(), chosen})
		if chosen {
			query.What = what
		}
	}
	day := func(field, typed string) time.Time {
		if typed == "" {
			return time.Time{}
		}
		t, err := time.ParseInLocation(time.DateOnly, typed, s.Location)
		if err != nil {
			page.Wrong = append(page.Wrong, wrong{field, "Enter a day, such as 3 November 2026, or leave it empty."})
		}
		return t
	}
	query.From = day("from", page.From)
	if query.To = day("to", page.To); !query.To.IsZero() {
		query.To = query.To.AddDate(0, 0, 1) // that day too
	}
	if page.Laptop == "" {
		return query, nil
	}
	one, err := s.Queries.Device(ctx, v.school.ID, posture.DeviceID(page.Laptop), v.now)
	if !errors.Is(err, view.ErrNotFound) {
		query.Device = one.ID // by the link on its page
		return query, err
	}
	meant, _, err := s.called(ctx, v, page.Laptop)
	switch {
	case err != nil:
		return query, err
	case len(meant) == 0:
		page.Wrong = append(page.Wrong, wrong{"laptop", "No laptop of this school has that tag or name. Enter the whole of it."})
	case len(meant) > 1:
		page.Wrong = append(page.Wrong, wrong{"laptop", "Several laptops have that name. Enter the asset tag of one."})
	default:
		query.Device = meant[0].ID
	}
	return query, nil
}

// namesAt are the names of the accounts of a school, to choose from.
func (s *site) namesAt(v visit) (names []string) {
	for _, a := range s.Access.Accounts() {
		if a.Belongs(v.school.ID) {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return names
}

// viewTable gives what the page lists as a table for spreadsheets.
func (s *site) viewTable(w http.ResponseWriter, r *http.Request, v visit) error {
	var page viewsPage
	query, err := s.lookQuery(r.Context(), v, r.URL.Query(), &page)
	if err != nil {
		return err
	}
	if len(page.Wrong) > 0 {
		http.Redirect(w, r, viewsAddress(v)+"?"+keptQuery(r.URL.Query()).Encode(), http.StatusSeeOther)
		return nil
	}
	query.Limit = tablePage
	found, err := s.Looks.Looks(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	out, err := beginTable(w, fmt.Sprintf("who-looked-%s-%s.csv", v.school.ID, v.now.In(s.Location).Format(time.DateOnly)))
	if err != nil {
		return err
	}
	out.row("When", "Who looked", "How", "At what", "Asset tag", "Host name", "Who had it then", "Entry of the record")
	for {
		for _, l := range found.Looks {
			out.look(l, s.Location)
		}
		out.Flush()
		if err := out.Error(); err != nil || found.Next == "" {
			return err
		}
		query.After = found.Next
		if found, err = s.Looks.Looks(r.Context(), v.school.ID, query, v.now); err != nil {
			s.Logger.Error("a table of who looked ends early", "school", v.school.ID, "error", err)
			out.cut()
			return out.Error()
		}
	}
}

// look writes a row for each laptop that a look showed, or one.
func (t table) look(l view.Looked, zone *time.Location) {
	shown := l.Showed
	if len(shown) == 0 {
		shown = []view.LookedAt{{}}
	}
	for _, at := range shown {
		t.row(l.At.In(zone).Format("2006-01-02 15:04 MST"), l.By, l.How(), l.Shown(), at.AssetTag, at.Hostname, at.Had(), strconv.FormatUint(l.Entry, 10))
	}
}
