package subject

import (
	"fmt"
	"slices"
	"time"
)

// Act is who recorded a change, what they wrote about it, and where the record
// has it.
type Act struct {
	By    string    `json:"by"`
	Words string    `json:"words"`
	At    time.Time `json:"at"`
	Entry uint64    `json:"entry"` // of the ledger, counted from 1
}

// Taken is a change that was recorded.
type Taken struct {
	Change
	Act
}

// Request is a request as everything that was recorded of it makes it.
type Request struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"` // who asked
	How    How     `json:"how"`
	On     string  `json:"on"` // the day on which it came
	Zone   string  `json:"zone"`
	Proof  string  `json:"proof,omitempty"`  // the day on which it was known who they are
	Asked  string  `json:"asked,omitempty"`  // the day on which they were asked who they are
	Months int     `json:"months,omitempty"` // by how many it was extended
	Ended  string  `json:"ended,omitempty"`  // the day on which it was answered, refused or withdrawn
	End    What    `json:"end,omitempty"`    // which of these
	Taken  []Taken `json:"taken"`            // everything, the oldest first
}

// mostTaken bounds what is recorded of one request.
const mostTaken = 60

// Take returns the request as a change leaves it. What cannot be is an error that
// says why. A change that was taken already changes nothing.
func (r Request) Take(t Taken) (Request, error) {
	if n := len(r.Taken); n > 0 && t.Entry <= r.Taken[n-1].Entry {
		return r, nil
	}
	if err := r.allows(t.Change); err != nil {
		return r, err
	}
	r.Taken = append(slices.Clone(r.Taken), t)
	switch t.What {
	case Receive:
		r.ID, r.Name, r.How, r.On, r.Zone = t.ID, t.Name, t.How, t.On, t.Zone
	case AskProof:
		r.Asked = t.On
	case Identified:
		r.Proof = t.On
	case Extend:
		r.Months = t.Months
	case Answered, Refused, Withdrawn:
		r.Ended, r.End = t.On, t.What
	case Export:
	}
	return r, nil
}

// allows says why a change cannot be recorded as things stand.
func (r Request) allows(c Change) error {
	switch {
	case c.What == Receive && r.ID != "":
		return fmt.Errorf("request %s is recorded already", r.ID)
	case c.What != Receive && r.ID == "":
		return fmt.Errorf("there is no request %s", c.ID)
	case r.Ended != "":
		return fmt.Errorf("request %s is %s already", r.ID, r.End)
	case len(r.Taken) >= mostTaken:
		return fmt.Errorf("request %s has %d entries, and no more are kept", r.ID, mostTaken)
	case c.What != Export && c.What != Receive && c.On < r.On:
		return fmt.Errorf("the request came on %s: nothing of it was before", r.On)
	case c.What == Identified && r.Asked != "" && c.On < r.Asked:
		return fmt.Errorf("they were asked who they are on %s", r.Asked)
	case c.What == AskProof && r.Proof != "":
		return fmt.Errorf("it is known since %s who they are", r.Proof)
	case c.What == Answered && r.Proof == "":
		return fmt.Errorf("nobody has recorded that it is known who asked: what is kept about somebody is given to nobody else")
	case c.What == Extend && c.Months <= r.Months:
		return fmt.Errorf("it is extended by %d months already", r.Months)
	}
	return nil
}

// Exports lists the exports that were made, the newest first.
func (r Request) Exports() (list []Taken) {
	for _, t := range slices.Backward(r.Taken) {
		if t.What == Export {
			list = append(list, t)
		}
	}
	return list
}

// Clock says until when a request is to be answered.
type Clock struct {
	Due     string `json:"due,omitempty"`  // the last day; "" while it waits for proof, or is ended
	Left    int    `json:"left,omitempty"` // days from today until then; below 0 it is late
	Waiting bool   `json:"waiting,omitempty"`
	Late    bool   `json:"late,omitempty"`
}

// due returns the last day. The month begins on the day on which the request came
// or, if they had to be asked who they are, on the day on which that was known. It
// ends on the same day of the next month or, where that has none, on its last
// day. Weekends and holidays count.
func (r Request) due() (time.Time, bool) {
	from := r.On
	if r.Asked != "" {
		from = r.Proof
	}
	start, err := day(from)
	if err != nil {
		return start, false
	}
	return monthsAfter(start, 1+r.Months), true
}

// monthsAfter is a day so many months later, in a month that may be shorter.
func monthsAfter(d time.Time, n int) time.Time {
	out := d.AddDate(0, n, 0)
	if out.Day() != d.Day() {
		out = out.AddDate(0, 0, -out.Day())
	}
	return out
}

// MonthAfter returns the day a month after another, as the month of a request
// counts: the last day on which whatever came on that day is answered.
func MonthAfter(on string) (string, error) {
	d, err := day(on)
	return monthsAfter(d, 1).Format(time.DateOnly), err
}

// Clock returns how the time stands at a moment, by the calendar at the school.
func (r Request) Clock(now time.Time) Clock {
	if r.Ended != "" {
		return Clock{}
	}
	last, ok := r.due()
	if !ok {
		return Clock{Waiting: true}
	}
	today, _ := day(r.Today(now))
	left := int(last.Sub(today).Hours() / 24)
	return Clock{Due: last.Format(time.DateOnly), Left: left, Late: left < 0}
}

// Today is the day that it is at the school; in UTC if its zone is not known here.
func (r Request) Today(now time.Time) string {
	zone, err := time.LoadLocation(r.Zone)
	if err != nil || r.Zone == "Local" {
		zone = time.UTC
	}
	return now.In(zone).Format(time.DateOnly)
}

// Words says the clock in a sentence, such as "due by the end of Wed 2 Dec 2026:
// 10 days left".
func (r Request) Words(now time.Time) string {
	c := r.Clock(now)
	switch {
	case r.Ended != "":
		return fmt.Sprintf("%s on %s", r.End, Day(r.Ended))
	case c.Waiting:
		return "waits until it is known who asked"
	case c.Late:
		return fmt.Sprintf("was due by the end of %s: %s late", Day(c.Due), days(-c.Left))
	case c.Left == 0:
		return fmt.Sprintf("due today, by the end of %s", Day(c.Due))
	}
	return fmt.Sprintf("due by the end of %s: %s left", Day(c.Due), days(c.Left))
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// Day writes a day with the day of the week, which people check.
func Day(s string) string {
	d, err := day(s)
	if err != nil {
		return s
	}
	return d.Format("Mon 2 Jan 2006")
}

// ByUrgency sorts requests: those that are open first, by the day on which they
// came, and the ended ones after them, the latest first.
func ByUrgency(a, b Request) int {
	open := func(r Request) int {
		if r.Ended != "" {
			return 1
		}
		return 0
	}
	by := compare(a.On, b.On)
	if open(a) == 1 && open(b) == 1 {
		by = compare(b.Ended, a.Ended)
	}
	return order(open(a)-open(b), by, compare(a.ID, b.ID))
}
