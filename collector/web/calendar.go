package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// CalendarDesk knows a school's term calendars, and records new ones.
type CalendarDesk interface {
	Calendar(ctx context.Context, school posture.SchoolID, now time.Time) (view.Calendar, error)
	// SetCalendar records a calendar. What is wrong with its text is a
	// fault.ListError.
	SetCalendar(ctx context.Context, school posture.SchoolID, d decision.Decision, file string, source []byte) (entry uint64, err error)
}

// calendarPage is what is known of a school's days, and where they are set.
type calendarPage struct {
	Address        string
	Today, Warning string
	Year           *drawnYear
	History        []calendarRow
	MaySet         bool
	Source, Reason string // as they were typed
	Day, Name      string // of a closed day, as they were typed
	Checked        string // what was found right with a text that is not set
	Wrong          []wrong
	Done           string
}

// calendarRow is a calendar that was set.
type calendarRow struct {
	view.CalendarRow
	SetAt   *moment
	Address string // of the page with its text to start from
}

// example is where a school begins that has set none.
const exampleCalendar = `# Term dates. A date is a year, a month and a day; the last day belongs to it.
name: %s, 2026/27
zone: Europe/London
from: 2026-09-01
to: 2027-08-31
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
  - {name: Summer term, from: 2027-04-12, to: 2027-07-21}
holidays:
  - {name: October half-term, from: 2026-10-26, to: 2026-10-30}
  - {name: February half-term, from: 2027-02-15, to: 2027-02-19}
  - {name: May half-term, from: 2027-05-31, to: 2027-06-04}
closed:
  - {name: Training day, on: 2026-11-02}
`

func (s *site) calendar(w http.ResponseWriter, r *http.Request, v visit) error {
	page := calendarPage{}
	switch r.URL.Query().Get("done") {
	case "set":
		page.Done = "The calendar is set, and counts from now on."
	case "closed":
		page.Done = "The day is recorded as closed."
	}
	return s.showCalendar(w, r, v, page, nil)
}

// showCalendar shows what is known of the school's days; with a calendar that is
// only being looked at, as if it were set.
func (s *site) showCalendar(w http.ResponseWriter, r *http.Request, v visit, page calendarPage, looked *calendar.Calendar) error {
	known, err := s.Desk.Calendar(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	days, err := joined(known)
	if err != nil {
		return err
	}
	days = calendar.Join(days, looked)
	c := s.clockwork(v)
	page.Address, page.MaySet = settingsAddress(v, "/calendar"), v.account.May(v.school.ID, access.SetCalendar)
	page.Warning, page.Today = calendarWarning(known), todayWords(known.Today)
	page.Year = drawYear(days, v.now, r.URL.Query().Get("year"), page.Address)
	for _, row := range known.History {
		page.History = append(page.History, calendarRow{row, c.moment(row.At), page.Address + "?of=" + strconv.Itoa(row.Number) + "#source"})
	}
	if page.Source == "" {
		page.Source = startFrom(known, r.URL.Query().Get("of"), v.school.Name)
	}
	return s.write(w, statusOf(page.Wrong), "calendar", s.page(v, titleOf("Term calendar", page.Wrong), "settings"), page)
}

// joined is all that is known of the school's days.
func joined(known view.Calendar) (days *calendar.Calendar, err error) {
	for _, row := range slices.Backward(known.History) { // the oldest first
		one, err := calendar.Parse("calendar", []byte(row.Source))
		if err != nil {
			return nil, fmt.Errorf("read calendar %d: %w", row.Number, err)
		}
		days = calendar.Join(days, one)
	}
	return days, nil
}

// startFrom is the text to start from: the calendar that was asked for, the last
// that speaks of more than some days, or an example.
func startFrom(known view.Calendar, number, school string) string {
	for _, row := range known.History {
		if number == strconv.Itoa(row.Number) || number == "" && row.To-row.From > 31 {
			return row.Source
		}
	}
	name, err := json.Marshal(school + ", 2026/27") // which YAML reads as well
	if err != nil {
		name = []byte(`"Term dates"`)
	}
	return strings.Replace(exampleCalendar, "%s, 2026/27", string(name), 1)
}

// calendarWarning says what should be done about the calendar, for the one who
// looks at this page.
func calendarWarning(known view.Calendar) string {
	words, _, _ := strings.Cut(known.Warning, ": set")
	return sentence(words)
}

func todayWords(d calendar.Day) string {
	words := map[calendar.Kind]string{
		calendar.School: "a school day", calendar.Weekend: "a weekend", calendar.Holiday: "a holiday", calendar.Closed: "closed",
	}[d.Kind]
	if words == "" {
		return "Of today no calendar speaks."
	}
	if d.Name != "" {
		words += " (" + d.Name + ")"
	}
	return "Today is " + words + "."
}

// maxUpload is more than any calendar with its form has, in bytes.
const maxUpload = 2 * calendar.MostSource

// calendarForm reads the form of a calendar: its text, or a file in its place. Both
// are small enough to be held in memory.
func calendarForm(w http.ResponseWriter, r *http.Request) (values url.Values, file []byte, err error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		values, err = form(w, r, maxUpload)
		return values, nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	if err := r.ParseMultipartForm(maxUpload); err != nil {
		return nil, nil, errNoPage
	}
	uploaded, _, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return r.PostForm, nil, nil
	}
	if err != nil {
		return nil, nil, errNoPage
	}
	defer uploaded.Close()
	file, err = io.ReadAll(uploaded)
	if err != nil {
		return nil, nil, errNoPage
	}
	return r.PostForm, bytes.ToValidUTF8(file, []byte("\uFFFD")), nil
}

// setCalendar checks a calendar, and sets it if it was not only to be checked.
func (s *site) setCalendar(w http.ResponseWriter, r *http.Request, v visit) error {
	f, file, err := calendarForm(w, r)
	if err != nil {
		return err
	}
	page := calendarPage{Source: strings.ReplaceAll(f.Get("source"), "\r\n", "\n"), Reason: strings.TrimSpace(f.Get("calendar-reason"))}
	if len(file) > 0 {
		page.Source = string(file)
	}
	made, err := calendar.Parse("calendar", []byte(page.Source))
	if problems, ok := errors.AsType[fault.ListError](err); ok {
		for _, p := range problems {
			page.Wrong = append(page.Wrong, wrong{"source", "Line " + number(p.Line) + ": " + p.Message + "."})
		}
		return s.showCalendar(w, r, v, page, nil)
	}
	if err != nil {
		return err
	}
	if f.Get("act") != "set" {
		from, to, _ := made.Speaks()
		page.Checked = "Nothing is wrong with it. It speaks of the days from " + from.Words() + " to " + to.Words() + ", and is not set yet: the year below is drawn as it would be."
		return s.showCalendar(w, r, v, page, made)
	}
	return s.recordCalendar(w, r, v, page, "set")
}

// recordCalendar sets a calendar that was found sound.
func (s *site) recordCalendar(w http.ResponseWriter, r *http.Request, v visit, page calendarPage, done string) error {
	d := decision.Decision{Kind: decision.Calendar, By: v.account.Name, At: v.now, Reason: page.Reason}
	if d.Reason == "" {
		d.Reason = "the school's term dates"
	}
	if err := d.CheckNew(); err != nil {
		page.Wrong = []wrong{{"calendar-reason", sentence(err.Error())}}
		return s.showCalendar(w, r, v, page, nil)
	}
	if _, err := s.Desk.SetCalendar(r.Context(), v.school.ID, d, "calendar", []byte(page.Source)); isRefusal(err) {
		page.Wrong = []wrong{{"source", sentence(err.Error())}}
		return s.showCalendar(w, r, v, page, nil)
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, settingsAddress(v, "/calendar")+"?done="+done, http.StatusSeeOther)
	return nil
}

// closeDay records that the school is closed on one day, such as for training.
func (s *site) closeDay(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	known, err := s.Desk.Calendar(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	days, err := joined(known)
	if err != nil {
		return err
	}
	page := calendarPage{Day: f.Get("day"), Name: strings.TrimSpace(f.Get("name"))}
	source, bad := closing(days, page.Day, page.Name)
	if bad != nil {
		page.Wrong = []wrong{*bad}
		return s.showCalendar(w, r, v, page, nil)
	}
	return s.recordCalendar(w, r, v, calendarPage{Day: page.Day, Name: page.Name, Source: source, Reason: "closed: " + page.Name}, "closed")
}

// closing is the calendar that corrects one day: it speaks of that day and of
// the school day beside it, which stays as it is, and of no other.
func closing(days *calendar.Calendar, date, name string) (source string, bad *wrong) {
	var day calendar.Date
	if err := day.UnmarshalText([]byte(date)); err != nil {
		return "", &wrong{"day", "Enter the day on which the school is closed."}
	}
	if name == "" {
		return "", &wrong{"name", "Enter what the day is, such as Training day."}
	}
	on := func(d calendar.Date) calendar.Day {
		return days.On(time.Date(d.Time().Year(), d.Time().Month(), d.Time().Day(), 12, 0, 0, 0, days.Zone()))
	}
	switch on(day).Kind {
	case calendar.School:
	case calendar.Unknown:
		return "", &wrong{"day", "No calendar speaks of this day: set the term dates first."}
	default:
		return "", &wrong{"day", "The school is closed on this day already."}
	}
	from, to := day, day+1
	if on(to).Kind != calendar.School {
		from, to = day-1, day
	}
	if on(from).Kind != calendar.School || on(to).Kind != calendar.School {
		return "", &wrong{"day", "The school is closed on the days beside it too: write this one into the calendar’s text."}
	}
	weekend := time.Sunday // one that is neither
	for weekend == from.Weekday() || weekend == to.Weekday() {
		weekend++
	}
	quoted := func(text string) string {
		out, err := json.Marshal(text)
		if err != nil {
			return `""`
		}
		return string(out)
	}
	return fmt.Sprintf("name: %s\nzone: %s\nfrom: %s\nto: %s\nweekend: [%s]\nterms:\n  - {name: %s, from: %s, to: %s}\nclosed:\n  - {name: %s, on: %s}\n",
		quoted("Closed on "+day.Words()), days.Zone(), from, to, strings.ToLower(weekend.String()), quoted(on(day).Name), from, to, quoted(name), day), nil
}

// calendarState says until when the calendar speaks.
func (s *site) calendarState(ctx context.Context, v visit) (string, bool, error) {
	known, err := s.Desk.Calendar(ctx, v.school.ID, v.now)
	if err != nil {
		return "", false, err
	}
	if known.Warning != "" {
		return calendarWarning(known), true, nil
	}
	last := known.Spans[len(known.Spans)-1]
	return "Until " + last.To.Words() + ". " + todayWords(known.Today), false, nil
}
