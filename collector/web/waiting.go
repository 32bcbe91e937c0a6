package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// PendingKeeper knows which laptops wait to be admitted, and records what is
// decided about them. What cannot be asked for is a decision.RefusedError.
type PendingKeeper interface {
	Pending(ctx context.Context, school posture.SchoolID) ([]admission.Pending, error)
	DecidePending(ctx context.Context, school posture.SchoolID, d decision.Decision, what admission.What, codes []string) ([]admission.Decided, error)
}

// waitingPage is the laptops that wait to be admitted.
type waitingPage struct {
	Address, Devices, Tokens string // Tokens is "" for who may not make any
	BySerial                 string // address of what the register admitted, or ""
	Rows, Refused            []waitingRow
	Count                    int // that wait in all
	Found                    int // of these, that fit what is looked for
	Search                   string
	All, Next, First         string // addresses: with all of this page chosen, the next page, the first
	MayAdmit                 bool
	Typed, Done              string
	Untied                   []string // of what was admitted just now: why it is not its asset
	Wrong                    []wrong
}

// waitingRow is one of them.
type waitingRow struct {
	admission.Pending
	Field           string // of its box
	About, On       string // its make and model, and platform
	AskedAt, EndsAt *moment
	RefusedAt       *moment
	Chosen          bool
}

// maxWaiting is how many are on a page: a trolley or two.
const maxWaiting = 100

// maxWaitingForm bounds what is posted about them, in bytes.
const maxWaitingForm = 16 << 10

func waitingAddress(school posture.SchoolID) string { return enrolmentsAddress(school) + "/waiting" }

func (s *site) waiting(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	page := waitingPage{Search: strings.TrimSpace(q.Get("q"))}
	if n, err := strconv.Atoi(q.Get("n")); err == nil && n > 0 && n <= maxWaiting {
		switch admission.What(q.Get("done")) {
		case admission.Approve:
			page.Done = "Admitted: " + count(n, "laptop") + ". Each gets its certificate when it asks next: within ten minutes if it is on."
		case admission.Refuse:
			page.Done = "Refused: " + count(n, "laptop") + ". Each is told so, with the reason, when it asks next."
		}
	}
	return s.showWaiting(w, r, v, page, nil)
}

// showWaiting shows the page; chosen are the codes that were ticked before.
func (s *site) showWaiting(w http.ResponseWriter, r *http.Request, v visit, page waitingPage, chosen []string) error {
	page.Address, page.Devices = waitingAddress(v.school.ID), schoolAddress(v.school.ID)+"/devices"
	if page.MayAdmit = v.account.May(v.school.ID, access.AdmitDevices); page.MayAdmit {
		page.Tokens = settingsAddress(v, "/tokens")
	}
	reads := v.account.May(v.school.ID, access.ReadRegister)
	if reads {
		page.BySerial = registerAddress(v.school.ID) + "?with=" + bySerial
	}
	all, err := s.Waiting.Pending(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	from, _ := strconv.Atoi(r.URL.Query().Get("from")) // what is none begins at the first
	everyone := r.URL.Query().Get("all") != "" && r.Method == http.MethodGet
	var fits []admission.Pending
	for _, p := range all {
		if !reads {
			p = p.WithoutRegister()
		}
		switch {
		case !p.Refused.IsZero():
			if page.fits(p) && len(page.Refused) < maxWaiting {
				page.Refused = append(page.Refused, newWaitingRow(p, c))
			}
		case page.fits(p):
			fits = append(fits, p)
			page.Count++
		default:
			page.Count++
		}
	}
	page.Found, from = len(fits), min(max(from, 0), len(fits))
	for _, p := range fits[from:min(from+maxWaiting, len(fits))] {
		row := newWaitingRow(p, c)
		row.Chosen = everyone || len(fits) == 1 && page.Search != "" || slices.Contains(chosen, p.Code)
		page.Rows = append(page.Rows, row)
	}
	page.turns(from)
	return s.write(w, statusOf(page.Wrong), "waiting", s.page(v, titleOf("Waiting to be admitted", page.Wrong), "devices"), page)
}

// turns sets the addresses of what else can be shown.
func (p *waitingPage) turns(from int) {
	at := func(from int, all bool) string {
		q := url.Values{}
		if p.Search != "" {
			q.Set("q", p.Search)
		}
		if from > 0 {
			q.Set("from", strconv.Itoa(from))
		}
		if all {
			q.Set("all", "yes")
		}
		if len(q) == 0 {
			return p.Address
		}
		return p.Address + "?" + q.Encode()
	}
	p.All = at(from, true)
	if from > 0 {
		p.First = at(0, false)
	}
	if from+len(p.Rows) < p.Found {
		p.Next = at(from+maxWaiting, false)
	}
}

// fits reports whether one is what is looked for: by its code as far as it was
// typed, what it says of itself, or the token with which it asked.
func (p *waitingPage) fits(one admission.Pending) bool {
	asked := strings.ToLower(p.Search)
	bare := strings.NewReplacer("-", "", " ", "")
	if strings.HasPrefix(bare.Replace(strings.ToLower(one.Code)), bare.Replace(asked)) || one.Token == asked {
		return true
	}
	return strings.Contains(strings.ToLower(one.Hostname+" "+one.Manufacturer+" "+one.Model+" "+one.Asset), asked)
}

func newWaitingRow(p admission.Pending, c clockwork) waitingRow {
	return waitingRow{
		Pending: p, Field: "code-" + p.Code, About: strings.TrimSpace(p.Manufacturer + " " + p.Model), On: platformWords(p.Platform),
		AskedAt: c.moment(p.Asked), EndsAt: c.moment(p.Ends), RefusedAt: c.moment(p.Refused),
	}
}

// platformWords names what a laptop runs on.
func platformWords(p posture.Platform) string {
	switch p {
	case posture.Windows:
		return "Windows"
	case posture.MacOS:
		return "macOS"
	case posture.Linux:
		return "Linux"
	}
	return "not known"
}

// decideWaiting admits or refuses the laptops that were ticked.
func (s *site) decideWaiting(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxWaitingForm)
	if err != nil {
		return err
	}
	what, codes := admission.What(f.Get("deed")), f["code"]
	page := waitingPage{Typed: strings.TrimSpace(f.Get("reason"))}
	reason := page.Typed
	if reason == "" && what == admission.Approve {
		reason = "its code was compared"
	}
	made := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: reason}
	switch bad := wrongReason(made, "reason"); {
	case what != admission.Approve && what != admission.Refuse:
		page.Wrong = []wrong{{"codes", "Choose whether they are admitted or refused."}}
	case len(codes) == 0 || len(codes) > maxWaiting:
		page.Wrong = []wrong{{"codes", "Tick the laptops that are meant."}}
	case bad != nil && made.Reason == "":
		page.Wrong = []wrong{{"reason", "Say in a few words why: the laptop shows it."}}
	case bad != nil:
		page.Wrong = []wrong{*bad}
	}
	if page.Wrong != nil {
		return s.showWaiting(w, r, v, page, codes)
	}
	done, err := s.Waiting.DecidePending(r.Context(), v.school.ID, made, what, codes)
	if isRefusal(err) {
		page.Wrong = []wrong{{"codes", sentence(err.Error())}}
		return s.showWaiting(w, r, v, page, nil)
	}
	if err != nil {
		return err
	}
	for _, d := range done {
		if d.Why != "" {
			page.Wrong = append(page.Wrong, wrong{"codes", d.Code + ": " + d.Why + "."})
		}
		if d.Untied != "" {
			page.Untied = append(page.Untied, d.Code+": "+d.Untied+".")
		}
	}
	if n := len(done) - len(page.Wrong); page.Wrong == nil && page.Untied == nil {
		http.Redirect(w, r, waitingAddress(v.school.ID)+"?"+url.Values{"done": {string(what)}, "n": {strconv.Itoa(n)}}.Encode(), http.StatusSeeOther)
		return nil
	} else if page.Wrong == nil {
		page.Done = "Admitted: " + count(n, "laptop") + "."
	} else if n > 0 {
		page.Done = "The others were decided: " + count(n, "laptop") + "."
	}
	return s.showWaiting(w, r, v, page, nil)
}

// waitingCount says how many wait to be admitted.
func (s *site) waitingCount(ctx context.Context, school posture.SchoolID) (n int, err error) {
	all, err := s.Waiting.Pending(ctx, school)
	for _, p := range all {
		if p.Refused.IsZero() {
			n++
		}
	}
	return n, err
}
