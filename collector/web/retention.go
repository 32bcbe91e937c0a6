package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// RetentionDesk says how long a school keeps what, and changes it.
type RetentionDesk interface {
	Keeping(ctx context.Context, school posture.SchoolID) (Keeping, error)
	// SetRetention records a change. What cannot be is a decision.RefusedError.
	SetRetention(ctx context.Context, school posture.SchoolID, d decision.Decision, times map[string]string) (entry uint64, err error)
	// WouldForget counts what would be forgotten at a moment by the school's times
	// with some of them changed.
	WouldForget(ctx context.Context, school posture.SchoolID, on time.Time, times map[string]string) ([]Forgetting, error)
}

// Keeping is how long a school keeps what.
type Keeping struct {
	Items []KeptItem
	// Since is when the school first said how long something is kept; zero: it
	// never has, and everything is as shipped.
	Since time.Time
	Last  []Forgetting // what was forgotten lately, the last one first
}

// KeptItem is how long one thing is kept.
type KeptItem struct {
	Item, What, From         string
	Time, Usual, Least, Most string
	By, Reason               string // of who last said so; "" if nobody did, or it was forgotten
	At                       time.Time
}

// Forgetting is a class and month of which something was forgotten, or would be,
// in counts alone.
type Forgetting struct {
	At              time.Time
	What            string // of what the time is over; "" if somebody asked for it
	Class, Month    string
	Forgotten, Kept uint64
	By, Reason      string
}

// retentionPage is how long what is kept, and where that is changed.
type retentionPage struct {
	Address string
	Items   []keptRow
	Said    bool // the school has said how long
	Last    []forgettingRow
	MaySet  bool
	Looked  *forgettingList // what would be forgotten, if it was asked for
	On      string
	Reason  string
	Wrong   []wrong
	Done    string
}

type keptRow struct {
	KeptItem
	ID, Typed string
	SaidAt    *moment
}

type forgettingRow struct {
	Forgetting
	WhenAt *moment
	Words  string
}

type forgettingList struct {
	At   *moment
	Rows []forgettingRow
}

func (s *site) retention(w http.ResponseWriter, r *http.Request, v visit) error {
	page := retentionPage{}
	if r.URL.Query().Get("done") == "set" {
		page.Done = "Recorded. What need not be kept any longer is forgotten each night."
	}
	return s.showRetention(w, r, v, page, nil)
}

func (s *site) showRetention(w http.ResponseWriter, r *http.Request, v visit, page retentionPage, typed map[string]string) error {
	kept, err := s.Desk.Keeping(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Address, page.Said, page.MaySet = settingsAddress(v, "/retention"), !kept.Since.IsZero(), v.account.May(v.school.ID, access.SetRetention)
	for _, item := range kept.Items {
		row := keptRow{KeptItem: item, ID: "time-" + item.Item, Typed: item.Time, SaidAt: c.moment(item.At)}
		if text, ok := typed[item.Item]; ok {
			row.Typed = text
		}
		page.Items = append(page.Items, row)
	}
	page.Last = forgettingRows(kept.Last, c)
	if page.On == "" {
		page.On = v.now.In(s.Location).Format(time.DateOnly)
	}
	return s.write(w, statusOf(page.Wrong), "retention", s.page(v, titleOf("How long things are kept", page.Wrong), "settings"), page)
}

func forgettingRows(list []Forgetting, c clockwork) (rows []forgettingRow) {
	for _, f := range list {
		row := forgettingRow{Forgetting: f, WhenAt: c.moment(f.At), Words: f.What}
		if row.Words == "" {
			row.Words = f.Reason
		}
		if month, err := time.Parse("2006-01", f.Month); err == nil {
			row.Month = month.Format("January 2006")
		}
		rows = append(rows, row)
	}
	return rows
}

// setRetention changes how long things are kept, confirms it as it is, or shows
// what would be forgotten.
func (s *site) setRetention(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	kept, err := s.Desk.Keeping(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	page := retentionPage{Reason: strings.TrimSpace(f.Get("reason")), On: f.Get("on")}
	typed, changed, all := map[string]string{}, map[string]string{}, map[string]string{}
	for _, item := range kept.Items {
		text := strings.Join(strings.Fields(f.Get("time-"+item.Item)), " ")
		if text == "" {
			text = item.Time
		}
		typed[item.Item], all[item.Item] = text, item.Time
		if text != item.Time {
			changed[item.Item] = text
		}
	}
	switch f.Get("act") {
	case "look":
		return s.lookForward(w, r, v, page, typed, changed)
	case "confirm":
		changed = all
		if page.Reason == "" {
			page.Reason = "confirmed as they are"
		}
	}
	d := decision.Decision{Kind: decision.Retention, By: v.account.Name, At: v.now, Reason: page.Reason}
	switch {
	case len(changed) == 0:
		page.Wrong = []wrong{{"times", "Nothing is changed. To say that the times are right as they are, confirm them."}}
	case page.Reason == "":
		page.Wrong = []wrong{{"reason-retention", "Say in a few words why, so that it can be understood next year."}}
	default:
		if err := d.CheckNew(); err != nil {
			page.Wrong = []wrong{{"reason-retention", sentence(err.Error())}}
		}
	}
	if len(page.Wrong) == 0 {
		if _, err := s.Desk.SetRetention(r.Context(), v.school.ID, d, changed); isRefusal(err) {
			page.Wrong = timesWrong(err.Error(), changed)
		} else if err != nil {
			return err
		}
	}
	if len(page.Wrong) > 0 {
		return s.showRetention(w, r, v, page, typed)
	}
	http.Redirect(w, r, settingsAddress(v, "/retention")+"?done=set", http.StatusSeeOther)
	return nil
}

// timesWrong puts each fault that was found at the field that it is about.
func timesWrong(words string, changed map[string]string) (bad []wrong) {
	for _, part := range strings.Split(words, "; ") {
		item, what, ok := strings.Cut(part, ": ")
		if _, known := changed[item]; !ok || !known {
			bad = append(bad, wrong{"times", sentence(part)})
			continue
		}
		bad = append(bad, wrong{"time-" + item, sentence(what)})
	}
	return bad
}

// lookForward shows what would be forgotten on a day by the times as they were
// typed. Nothing is.
func (s *site) lookForward(w http.ResponseWriter, r *http.Request, v visit, page retentionPage, typed, changed map[string]string) error {
	on, err := time.ParseInLocation(time.DateOnly, page.On, s.Location)
	if err != nil {
		page.Wrong = []wrong{{"on", "Enter a day."}}
		return s.showRetention(w, r, v, page, typed)
	}
	found, err := s.Desk.WouldForget(r.Context(), v.school.ID, on, changed)
	if isRefusal(err) {
		page.Wrong = timesWrong(err.Error(), changed)
		return s.showRetention(w, r, v, page, typed)
	}
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Looked = &forgettingList{At: c.moment(on), Rows: forgettingRows(found, c)}
	return s.showRetention(w, r, v, page, typed)
}

func (s *site) retentionState(ctx context.Context, v visit) (string, bool, error) {
	kept, err := s.Desk.Keeping(ctx, v.school.ID)
	return keepingWords(kept), false, err
}

func keepingWords(k Keeping) string {
	if k.Since.IsZero() {
		return "As shipped: the school has not said yet that this is right."
	}
	return "The school said how long."
}
