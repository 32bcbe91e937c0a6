package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TokenDesk keeps the tokens with which laptops enrol.
type TokenDesk interface {
	Tokens(ctx context.Context, school posture.SchoolID) ([]admission.Token, error)
	// TokenFor makes a token and returns its text, this once. What cannot be as it
	// was asked for is a decision.RefusedError.
	TokenFor(ctx context.Context, school posture.SchoolID, by string, n NewToken) (text string, ends time.Time, err error)
	EndToken(ctx context.Context, school posture.SchoolID, d decision.Decision, token string) (entry uint64, err error)
}

// NewToken is a token as somebody asks for it.
type NewToken struct {
	Uses        int
	Lasts       time.Duration
	Class       posture.Ownership
	PersonalUse bool
	Groups      []string
	Way         admission.Way
}

// tokensPage lists a school's tokens.
type tokensPage struct {
	Address string
	Open    []tokenRow
	Past    []tokenRow
	More    int // past ones that are not listed
	Made    *tokenMade
	Form    tokenForm
	Classes []choice
	Ways    []choice
	Waiting string // address of those who wait to be admitted
	Wrong   []wrong
	Done    string
}

type tokenRow struct {
	admission.Token
	ClassWords string
	Waits      string // how many wait, and that it admits on approval; "" if at once
	In         string // groups
	StateWords string
	EndsAt     *moment
	TakenAt    *moment
	Address    string
}

// tokenForm is what somebody typed.
type tokenForm struct{ Uses, Days, Class, Groups, Personal, Way string }

// tokenMade is a token that was made. It is shown this once.
type tokenMade struct {
	Text string
	Uses int
	Ends *moment
}

const maxPast = 50 // tokens that admit nothing any more, on a page

func (s *site) tokens(w http.ResponseWriter, r *http.Request, v visit) error {
	done := ""
	if r.URL.Query().Get("done") == "end" {
		done = "Taken back: it admits nothing from now on. Laptops that it admitted stay."
	}
	return s.showTokens(w, r, v, tokensPage{Form: tokenForm{Uses: "1", Days: "7"}, Done: done})
}

func (s *site) showTokens(w http.ResponseWriter, r *http.Request, v visit, page tokensPage) error {
	page.Address = settingsAddress(v, "/tokens")
	all, err := s.Desk.Tokens(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	for _, t := range all {
		row := tokenRow{
			Token: t, ClassWords: ownership(t.Class), In: strings.Join(t.Groups, ", "), StateWords: tokenWords(t.State), EndsAt: c.moment(t.Ends), TakenAt: c.moment(t.TakenBack),
			Address: page.Address + "/" + url.PathEscape(t.ID) + "/end",
		}
		switch t.Way {
		case admission.OnApproval:
			row.Waits = "on approval, " + count(t.Waiting, "laptop") + " waiting"
		case admission.ByRegister:
			row.Waits = "by the register, " + count(t.Waiting, "laptop") + " waiting"
		}
		switch {
		case t.State == admission.TokenOpen:
			page.Open = append(page.Open, row)
		case len(page.Past) < maxPast:
			page.Past = append(page.Past, row)
		default:
			page.More++
		}
	}
	for _, class := range []posture.Ownership{posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised} {
		page.Classes = append(page.Classes, choice{string(class), ownership(class), page.Form.Class == string(class)})
	}
	for _, way := range admission.Ways() {
		page.Ways = append(page.Ways, choice{string(way), admitWords(way), page.Form.Way == string(way)})
	}
	page.Waiting = waitingAddress(v.school.ID)
	return s.write(w, statusOf(page.Wrong), "tokens", s.page(v, titleOf("Tokens for laptops", page.Wrong), "settings"), page)
}

// admitWords says how a token admits.
func admitWords(w admission.Way) string {
	switch w {
	case admission.AtOnce:
		return "At once: whoever has the token joins"
	case admission.ByRegister:
		return "By the register: a laptop whose serial number it has joins, once; every other waits for somebody"
	case admission.OnApproval:
		return "On approval: each laptop shows a code, and somebody admits it"
	}
	return "Not known"
}

func tokenWords(s admission.TokenState) string {
	switch s {
	case admission.TokenOpen:
		return "Admits laptops"
	case admission.TokenUsedUp:
		return "Used up"
	case admission.TokenEnded:
		return "Over"
	case admission.TokenTakenBack:
		return "Taken back"
	}
	return "Not known"
}

func (s *site) makeToken(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	typed := tokenForm{Uses: strings.TrimSpace(f.Get("uses")), Days: strings.TrimSpace(f.Get("days")), Class: f.Get("class"), Groups: f.Get("groups"), Personal: f.Get("personal"), Way: f.Get("way")}
	n, bad := readToken(typed)
	if len(bad) > 0 {
		return s.showTokens(w, r, v, tokensPage{Form: typed, Wrong: bad})
	}
	text, ends, err := s.Desk.TokenFor(r.Context(), v.school.ID, v.account.Name, n)
	if isRefusal(err) {
		return s.showTokens(w, r, v, tokensPage{Form: typed, Wrong: []wrong{{"groups", sentence(err.Error())}}})
	}
	if err != nil {
		return err
	}
	return s.showTokens(w, r, v, tokensPage{Form: tokenForm{Uses: "1", Days: "7"}, Made: &tokenMade{Text: text, Uses: n.Uses, Ends: s.clockwork(v).moment(ends)}})
}

// Bounds of what the form takes.
const (
	mostTokenUses = 5000
	mostTokenDays = 366
)

func readToken(f tokenForm) (n NewToken, bad []wrong) {
	var err error
	if n.Uses, err = strconv.Atoi(f.Uses); err != nil || n.Uses < 1 || n.Uses > mostTokenUses {
		bad = append(bad, wrong{"uses", "Enter how many laptops, from 1 to 5,000."})
	}
	days, err := strconv.Atoi(f.Days)
	if err != nil || days < 1 || days > mostTokenDays {
		bad = append(bad, wrong{"days", "Enter for how many days, from 1 to 366."})
	}
	n.Lasts, n.Class, n.PersonalUse = time.Duration(days)*24*time.Hour, posture.Ownership(f.Class), f.Personal != ""
	if err := decision.CheckClass(n.Class); err != nil {
		bad = append(bad, wrong{"class", "Choose whose the laptops are."})
	}
	n.Way = admission.Way(cmp.Or(f.Way, string(admission.AtOnce)))
	if admission.CheckWay(n.Way) != nil {
		bad = append(bad, wrong{"way", "Choose how it admits."})
	}
	for _, name := range strings.Split(f.Groups, ",") {
		if name = strings.Join(strings.Fields(name), " "); name == "" {
			continue
		}
		if err := decision.CheckGroup(name); err != nil {
			bad = append(bad, wrong{"groups", sentence(err.Error())})
			break
		}
		n.Groups = append(n.Groups, name)
	}
	return n, bad
}

func (s *site) endToken(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("token")
	refused := func(words string) error {
		return s.showTokens(w, r, v, tokensPage{Form: tokenForm{Uses: "1", Days: "7"}, Wrong: []wrong{{"reason-" + id, words}}})
	}
	d := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: reason}
	if reason == "" {
		return refused("Say in a few words why, so that it can be understood next year.")
	}
	if err := d.CheckNew(); err != nil {
		return refused(sentence(err.Error()))
	}
	if _, err := s.Desk.EndToken(r.Context(), v.school.ID, d, id); isRefusal(err) {
		return refused(sentence(err.Error()))
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, settingsAddress(v, "/tokens")+"?done=end", http.StatusSeeOther)
	return nil
}

// tokensState says how many tokens admit laptops.
func (s *site) tokensState(ctx context.Context, v visit) (string, bool, error) {
	all, err := s.Desk.Tokens(ctx, v.school.ID)
	open := 0
	for _, t := range all {
		if t.State == admission.TokenOpen {
			open++
		}
	}
	if open == 0 {
		return "None admits laptops at present.", false, err
	}
	return count(open, "token") + " " + map[bool]string{true: "admits", false: "admit"}[open == 1] + " laptops.", false, err
}
