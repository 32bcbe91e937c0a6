package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/saved"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Saver keeps what an account has saved for itself of the list of devices.
type Saver interface {
	Of(account string, school posture.SchoolID) (saved.List, error)
	Change(account string, school posture.SchoolID, change func(*saved.List) error) error
}

// shownColumn is a column that the list of devices may have, beside the device itself.
type shownColumn struct {
	Key, Words string
	Usual      bool
}

// deviceColumns are all of them, in the order in which they are shown.
var deviceColumns = [...]shownColumn{
	{"rules", "Rules", true},
	{"breaches", "Breaches to act on", true},
	{"heard", "Last heard from", true},
	{"whose", "Whose", false},
	{"system", "System", false},
	{"enrolled", "Enrolled", false},
	{"agent", "Agent", false},
	{"policy", "Policy", false},
}

// shownColumns reads columns in an address: their keys with commas between, or one by
// one as a form sends them. Without any it is none.
func shownColumns(values []string) (chosen []string) {
	asked := strings.Split(strings.Join(values, ","), ",")
	for _, c := range deviceColumns {
		if slices.Contains(asked, c.Key) {
			chosen = append(chosen, c.Key)
		}
	}
	return chosen
}

func usualColumns() (usual []string) {
	for _, c := range deviceColumns {
		if c.Usual {
			usual = append(usual, c.Key)
		}
	}
	return usual
}

// chooseColumns is what a list is shown with: the columns of its address, or those
// that the account has kept, or the usual ones.
func chooseColumns(q url.Values, kept []string) []string {
	for _, columns := range [][]string{shownColumns(q["columns"]), shownColumns(kept)} {
		if len(columns) > 0 {
			return columns
		}
	}
	return usualColumns()
}

// choosing is what the list of devices shows beside the devices: its columns, and the
// views that the account has saved.
type choosing struct {
	Columns []shownColumn
	Choose  []choice // of columns
	Shown   string   // the columns, as an address has them
	Views   []savedView
	Query   string     // what is asked for, as an address has it
	Asks    url.Values // the same without the columns
	Sheet   string     // address of the sheet to take along
	Unread  bool       // what the account has saved cannot be read
	Done    string
	Wrong   []wrong
	Name    string // of a view, as typed
}

// savedView is a view that the account has saved.
type savedView struct {
	Name, Address string
	Current       bool
}

// Has reports whether a column is shown.
func (l choosing) Has(key string) bool {
	return slices.ContainsFunc(l.Columns, func(c shownColumn) bool { return c.Key == key })
}

// newChoosing reads what an account has saved, and what an address asks for.
func (s *site) newChoosing(v visit, q url.Values) choosing {
	devices := schoolAddress(v.school.ID) + "/devices"
	kept, err := s.Saver.Of(v.account.ID, v.school.ID)
	l := choosing{Unread: err != nil, Done: savedWords(q.Get("done"))}
	if err != nil {
		s.Logger.Error("what an account has saved cannot be read", "account", v.account.ID, "error", err)
	}
	asked := viewQuery(q)
	chosen := chooseColumns(q, kept.Columns)
	for _, c := range deviceColumns {
		shown := slices.Contains(chosen, c.Key)
		if l.Choose = append(l.Choose, choice{c.Key, c.Words, shown}); shown {
			l.Columns = append(l.Columns, c)
		}
	}
	l.Shown, l.Query, l.Sheet = strings.Join(chosen, ","), asked.Encode(), devices+"/sheet"
	l.Asks = viewQuery(q)
	if l.Asks.Del("columns"); len(l.Asks) > 0 {
		l.Sheet += "?" + l.Asks.Encode()
	}
	for _, one := range kept.Views {
		l.Views = append(l.Views, savedView{Name: one.Name, Address: devices + "?" + one.Query, Current: one.Query == l.Query && l.Query != ""})
	}
	return l
}

// viewQuery is what an address asks of the list, without its place in it and what
// was said there.
func viewQuery(q url.Values) url.Values {
	keep := url.Values{}
	for _, k := range []string{"q", "rule", "standing", "heard", "policy", "group"} {
		if value := bounded(q.Get(k)); value != "" {
			keep.Set(k, value)
		}
	}
	if columns := shownColumns(q["columns"]); len(columns) > 0 {
		keep.Set("columns", strings.Join(columns, ","))
	}
	return keep
}

// keepColumns keeps for an account which columns the list has, and shows it with
// them.
func (s *site) keepColumns(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	columns := shownColumns(f["columns"])
	err = s.Saver.Change(v.account.ID, v.school.ID, func(l *saved.List) error {
		if l.Columns = columns; slices.Equal(columns, usualColumns()) {
			l.Columns = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	asked := viewQuery(f)
	asked.Del("columns") // those that were kept
	s.toDevices(w, r, v, asked, "columns")
	return nil
}

// saveView saves what the list is asked for under a name.
func (s *site) saveView(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	asked, name := queryOf(f.Get("query")), strings.TrimSpace(f.Get("name"))
	err = s.Saver.Change(v.account.ID, v.school.ID, func(l *saved.List) error {
		return l.Add(saved.View{Name: name, Query: asked.Encode()})
	})
	if bad, is := errors.AsType[*saved.WrongError](err); is {
		return s.showDevices(w, r, v, http.StatusUnprocessableEntity, asked, bounded(name), []wrong{{"name", sentence(bad.Why)}})
	}
	if err != nil {
		return err
	}
	s.toDevices(w, r, v, asked, "view")
	return nil
}

// removeView removes a saved view.
func (s *site) removeView(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	err = s.Saver.Change(v.account.ID, v.school.ID, func(l *saved.List) error {
		l.Remove(f.Get("name"))
		return nil
	})
	if err != nil {
		return err
	}
	s.toDevices(w, r, v, url.Values{}, "view-removed")
	return nil
}

// queryOf is what a form says that the list was asked for.
func queryOf(s string) url.Values {
	q, err := url.ParseQuery(s)
	if err != nil || len(s) > 4*maxTyped*len(deviceColumns) {
		return url.Values{}
	}
	return viewQuery(q)
}

// toDevices leads back to the list as it was.
func (s *site) toDevices(w http.ResponseWriter, r *http.Request, v visit, asked url.Values, done string) {
	asked.Set("done", done)
	http.Redirect(w, r, schoolAddress(v.school.ID)+"/devices?"+asked.Encode(), http.StatusSeeOther)
}

// savedWords says what was saved by the form that led to the list; "" for nothing.
func savedWords(done string) string {
	return map[string]string{
		"columns": "Kept: the list has these columns whenever you open it.", "view": "Saved. It is above the list.", "view-removed": "Removed.",
	}[done]
}
