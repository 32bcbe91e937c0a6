package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ParticularsQueries tells who a school is for data protection.
type ParticularsQueries interface {
	Particulars(ctx context.Context, school posture.SchoolID, now time.Time) (view.Particulars, error)
}

// ParticularsSetter records who a school is for data protection.
type ParticularsSetter interface {
	// SetParticulars records them in place of those of an entry (0 if there are
	// none), and returns the entry. What cannot be recorded as things stand is a
	// decision.RefusedError.
	SetParticulars(ctx context.Context, school posture.SchoolID, d decision.Decision, was uint64) (entry uint64, err error)
}

// contacts are the lines that name whom to turn to, on pages about a loss.
type contacts struct {
	Officer, Loss string
	Say           string // where it can be said; "" if the account may not
}

// contactsOf returns whom to turn to at a school.
func (s *site) contactsOf(ctx context.Context, v visit) (contacts, error) {
	p, err := s.Queries.Particulars(ctx, v.school.ID, v.now)
	c := contacts{Officer: p.OfficerLine(), Loss: p.LossLine()}
	if v.account.May(v.school.ID, access.SetParticulars) {
		c.Say = particularsAddress(v.school.ID)
	}
	return c, err
}

func particularsAddress(school posture.SchoolID) string {
	return schoolAddress(school) + "/settings/particulars"
}

// particularsPage says who the school is, and takes it.
type particularsPage struct {
	particulars.Particulars
	Address    string
	Was        uint64
	Processors string // as they are typed: one on a line
	Policies   string
	By, Why    string
	At         *moment
	Wrong      []wrong
	Done       string
}

// usualRegulator is offered to a school that has not said to whom people can
// complain. It is recorded only when somebody saves it.
const usualRegulator = "Information Commissioner's Office, ico.org.uk"

func (s *site) particulars(w http.ResponseWriter, r *http.Request, v visit) error {
	p, err := s.Queries.Particulars(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page := particularsPage{
		Particulars: p.Particulars, Was: p.Entry, By: p.By, Why: p.Reason,
		Processors: writeProcessors(p.Processors), Policies: writeLinks(p.Policies),
	}
	if p.Entry == 0 {
		page.Regulator = usualRegulator
	} else {
		page.At = s.clockwork(v).moment(p.At)
	}
	if r.URL.Query().Has("done") {
		page.Done = "Recorded. Pages about a loss and the school's privacy notice say so from now on."
	}
	return s.showParticulars(w, v, http.StatusOK, page)
}

func (s *site) showParticulars(w http.ResponseWriter, v visit, status int, page particularsPage) error {
	page.Address = particularsAddress(v.school.ID)
	title := "Who answers for data protection"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "particulars", s.page(v, title, "settings"), page)
}

// setParticulars records what the form says.
func (s *site) setParticulars(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	page := typedParticulars(r)
	said, bad := page.read()
	if reason == "" {
		reason = "who the school is for data protection"
	}
	d := decision.Decision{Kind: decision.SetParticulars, By: v.account.Name, At: v.now, Reason: reason, Particulars: &said}
	if err := d.CheckNew(); err != nil && len(bad) == 0 {
		bad = append(bad, wrong{"words", sentence(err.Error())})
	}
	if len(bad) == 0 {
		_, err := s.Particulars.SetParticulars(r.Context(), v.school.ID, d, page.Was)
		switch {
		case isRefusal(err):
			bad = append(bad, wrong{"controller", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, particularsAddress(v.school.ID)+"?done", http.StatusSeeOther)
			return nil
		}
	}
	page.Wrong, page.Why = bad, reason
	return s.showParticulars(w, v, http.StatusUnprocessableEntity, page)
}

// typedParticulars is the form as it was sent.
func typedParticulars(r *http.Request) particularsPage {
	get := func(field string) string { return strings.TrimSpace(r.PostForm.Get(field)) }
	lines := func(field string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostForm.Get(field), "\r\n", "\n"))
	}
	was, _ := strconv.ParseUint(get("was"), 10, 64)
	return particularsPage{
		Particulars: particulars.Particulars{
			Controller: get("controller"), Registration: get("registration"), Regulator: get("regulator"), Basis: get("basis"),
			Officer: particulars.Officer{Name: get("officer-name"), Mail: get("officer-mail"), Phone: get("officer-phone")},
			Loss:    particulars.Loss{Who: get("loss-who"), Phone: get("loss-phone"), After: get("loss-after")},
		},
		Was: was, Processors: lines("processors"), Policies: lines("policies"),
	}
}

// read makes what the school says of what was typed, and says what is wrong, by
// the fields of the form.
func (p particularsPage) read() (said particulars.Particulars, bad []wrong) {
	said = p.Particulars
	for _, parts := range typedLines(p.Processors, 3) {
		said.Processors = append(said.Processors, particulars.Processor{Name: parts[0], For: parts[1], Where: parts[2]})
	}
	for _, parts := range typedLines(p.Policies, 2) {
		said.Policies = append(said.Policies, particulars.Link{Words: parts[0], Address: parts[1]})
	}
	for _, one := range said.Problems() {
		field, line, listed := strings.Cut(one.Field, ".")
		words := "This " + one.Words + "."
		switch {
		case field == "processors" || field == "policies":
			words = "The lines " + one.Words + "."
			if listed {
				words = "Line " + line + " " + one.Words + "."
			}
		case listed:
			field += "-" + line
		}
		bad = append(bad, wrong{field, words})
	}
	return said, bad
}

// typedLines splits what was typed into lines, and each into so many parts. A
// part that is missing is empty.
func typedLines(text string, n int) (lines [][]string) {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		parts := make([]string, n)
		for i, part := range strings.SplitN(line, ";", n) {
			parts[i] = strings.TrimSpace(part)
		}
		lines = append(lines, parts)
	}
	return lines
}

func writeProcessors(list []particulars.Processor) string {
	var b strings.Builder
	for _, p := range list {
		b.WriteString(p.Name + "; " + p.For + "; " + p.Where + "\n")
	}
	return b.String()
}

func writeLinks(list []particulars.Link) string {
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l.Words + "; " + l.Address + "\n")
	}
	return b.String()
}
