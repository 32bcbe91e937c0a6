package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Decider records what people decide.
type Decider interface {
	// Decide records a decision in a school's ledger and returns the entry that
	// holds it. A decision that cannot be made as things stand is a
	// decision.RefusedError.
	Decide(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

// matterPage is what one rule finds on one device, and what people may decide
// about it.
type matterPage struct {
	Rule, Title      string
	Name, Second     string
	Device           string // address
	RuleAddress      string
	Address          string // of this page
	Remediation      string
	Findings         []findingRow
	Standing         []breachRow // breaches that are not resolved, each one thing
	Past             []breachRow
	Exemptions       []exemptionRow
	MayDecide        bool
	MayAsk           bool
	CanAcknowledge   bool
	CanResolve       bool
	Done             string
	Wrong            []wrong
	Reason, Until    string   // as typed
	Scopes           []choice // what it can be asked for; none: the rule is about the laptop as a whole
	Earliest, Latest string   // days between which an exemption may end
}

// matter shows a rule on a device.
func (s *site) matter(w http.ResponseWriter, r *http.Request, v visit) error {
	page, err := s.newMatter(r, v)
	if err != nil {
		return err
	}
	page.Done = doneWords(r.URL.Query().Get("done"))
	return s.write(w, http.StatusOK, "matter", s.page(v, page.Rule+" on "+page.Name, "breaches"), page)
}

func (s *site) newMatter(r *http.Request, v visit) (matterPage, error) {
	device, rule := posture.DeviceID(r.PathValue("device")), r.PathValue("rule")
	d, err := s.Queries.Device(r.Context(), v.school.ID, device, v.now)
	if err != nil {
		return matterPage{}, err
	}
	c := s.clockwork(v)
	p := matterPage{
		Rule: rule, Device: deviceAddress(v.school.ID, device), Address: matterAddress(v.school.ID, device, rule), RuleAddress: ruleAddress(v.school.ID, rule),
		MayDecide: v.account.May(v.school.ID, access.DecideBreaches), MayAsk: v.account.May(v.school.ID, access.AskExemptions),
	}
	p.Name, p.Second = names(d.Hostname, d.AssetTag, d.ID)
	today := v.now.In(s.Location)
	p.Earliest, p.Latest = today.AddDate(0, 0, 1).Format(time.DateOnly), today.Add(breach.LongestExemption).Format(time.DateOnly)
	p.Until = today.AddDate(0, 0, 28).Format(time.DateOnly)
	for _, f := range d.Findings {
		if f.Rule == rule && f.Standing != view.NotFor {
			p.Title, p.Remediation = f.Title, f.Remediation
			p.Findings = append(p.Findings, newFindingRow(v.school.ID, []view.Finding{f}, time.Time{}, c))
		}
	}
	for _, b := range d.Breaches {
		if b.Rule != rule {
			continue
		}
		p.Title, p.Remediation = b.Title, b.Remediation
		row := newBreachRow(v.school.ID, view.BreachGroup{Breach: b, Count: 1}, c)
		if b.Status == breach.Resolved {
			p.Past = append(p.Past, row)
			continue
		}
		p.Standing = append(p.Standing, row)
		p.CanAcknowledge = p.CanAcknowledge || b.AcknowledgedAt.IsZero()
		p.CanResolve = p.CanResolve || !b.Silent
	}
	if p.Title == "" {
		return p, errNoPage
	}
	granted, err := s.Queries.Exemptions(r.Context(), v.school.ID, view.ExemptionQuery{Rule: rule, Device: device}, v.now)
	if err != nil {
		return p, err
	}
	for _, e := range granted.Exemptions {
		row := newExemptionRow(v, e, c)
		row.nameSubject(d)
		p.Exemptions = append(p.Exemptions, row)
	}
	p.Scopes = scopesOf(p.Standing, r.URL.Query().Get("of"))
	return p, nil
}

func matterAddress(school posture.SchoolID, device posture.DeviceID, rule string) string {
	return deviceAddress(school, device) + "/rules/" + url.PathEscape(rule)
}

// decideBreach records that somebody is on what a rule finds on a device, or
// that it is settled, for every breach that stands.
func decideBreach(kind decision.Kind) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		page, reason, err := s.matterForm(w, r, v)
		if err != nil {
			return err
		}
		if reason == "" {
			page.Wrong = append(page.Wrong, wrong{"reason", "Say in a few words what is being done, or was done, so that others know."})
			return s.matterAgain(w, v, page)
		}
		refused, decided := error(nil), 0
		for _, b := range page.Standing {
			_, err := s.Decider.Decide(r.Context(), v.school.ID, decision.Decision{
				Kind: kind, By: v.account.Name, At: v.now, Reason: reason,
				Breach: breach.Key{Device: b.BreachGroup.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key},
			})
			switch {
			case err == nil:
				decided++
			case isRefusal(err):
				refused = err
			default:
				return err
			}
		}
		if decided == 0 {
			page.Wrong = append(page.Wrong, wrong{"reason", refusalWords(refused, "There is nothing here that can be decided: reload the page to see why.")})
			return s.matterAgain(w, v, page)
		}
		http.Redirect(w, r, page.Address+"?done="+string(kind), http.StatusSeeOther)
		return nil
	}
}

// askExemption records that somebody asks for an exemption from a rule for a
// device.
func (s *site) askExemption(w http.ResponseWriter, r *http.Request, v visit) error {
	page, reason, err := s.matterForm(w, r, v)
	if err != nil {
		return err
	}
	until, err := time.ParseInLocation(time.DateOnly, page.Until, s.Location)
	if err != nil {
		page.Wrong = append(page.Wrong, wrong{"until", "Enter the last day on which it holds, such as 18 December 2026."})
	}
	if reason == "" {
		page.Wrong = append(page.Wrong, wrong{"reason", "Say why the rule cannot be met until then."})
	}
	scope, offered := page.scopeOf(posture.DeviceID(r.PathValue("device")), r.PostForm.Get("of"))
	if !offered {
		page.Wrong = append(page.Wrong, wrong{"of", "What you chose stands no more: choose for what it is."})
	}
	if len(page.Wrong) > 0 {
		return s.matterAgain(w, v, page)
	}
	asked := decision.Ask(decision.NewExemptionID(), scope, until.AddDate(0, 0, 1), v.account.Name, reason, v.now)
	if err := asked.CheckNew(); err != nil {
		page.Wrong = append(page.Wrong, wrong{"until", sentence(err.Error())})
		return s.matterAgain(w, v, page)
	}
	if _, err := s.Decider.Decide(r.Context(), v.school.ID, asked); isRefusal(err) {
		page.Wrong = append(page.Wrong, wrong{"reason", refusalWords(err, "")})
		return s.matterAgain(w, v, page)
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, page.Address+"?done="+string(decision.AskExemption), http.StatusSeeOther)
	return nil
}

// matterForm reads the form of a decision, and the page that it was sent from.
func (s *site) matterForm(w http.ResponseWriter, r *http.Request, v visit) (page matterPage, reason string, err error) {
	if reason, err = readReason(w, r); err != nil {
		return page, "", err
	}
	if page, err = s.newMatter(r, v); err != nil {
		return page, reason, err
	}
	page.Reason, page.Scopes = reason, scopesOf(page.Standing, r.PostForm.Get("of"))
	if r.PostForm.Has("until") {
		page.Until = bounded(r.PostForm.Get("until"))
	}
	return page, reason, nil
}

// ReasonHint says what is to be written down by who may record what.
func (p matterPage) ReasonHint() string {
	var what []string
	if p.MayDecide && p.CanAcknowledge {
		what = append(what, "what is being done")
	}
	if p.MayDecide && p.CanResolve {
		what = append(what, "how it was settled")
	}
	if p.MayAsk {
		what = append(what, "why it cannot be met")
	}
	return capital(strings.Join(what, ", or ")) + ". It stands in the record for good."
}

func (s *site) matterAgain(w http.ResponseWriter, v visit, page matterPage) error {
	return s.write(w, http.StatusUnprocessableEntity, "matter", s.page(v, "Error: "+page.Rule+" on "+page.Name, "breaches"), page)
}

// readReason reads a form, and the reason that it gives.
func readReason(w http.ResponseWriter, r *http.Request) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return "", errNoPage
	}
	return onOneLine(r.PostForm.Get("reason")), nil
}

// onOneLine joins the lines that somebody typed: pages show a break of lines as
// what it is, and in a field it would be typed as that.
func onOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func isRefusal(err error) bool {
	_, ok := errors.AsType[*decision.RefusedError](err)
	return ok
}

// refusalWords is why a decision cannot be made, as a sentence.
func refusalWords(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return sentence(err.Error())
}

// doneWords says what was done by the form that led to a page; "" for nothing.
func doneWords(done string) string {
	switch decision.Kind(done) {
	case decision.Acknowledge:
		return "Recorded: somebody is on it."
	case decision.Resolve:
		return "Recorded as settled. If the laptop reports it again, it opens again."
	case decision.AskExemption:
		return "Recorded. Nothing is exempt until another person approves it."
	case decision.Exempt:
		return "Recorded: the exemption holds from now on."
	case decision.RefuseExemption:
		return "Recorded as refused."
	case decision.EndExemption:
		return "Recorded: the exemption has ended."
	case "renewal":
		return "Recorded: it is let in again when it asks the next time, within the hour if it is on."
	case "apart-name":
		return "Recorded: it keeps its name, and is told when it asks the next time, within five minutes if it is on."
	case "apart-own":
		return "Recorded: it becomes a laptop of its own when it asks the next time, within five minutes if it is on."
	case decision.Kind(admission.SameHardware):
		return "Recorded: they are one laptop. It counts once, and is the asset that it was."
	case decision.Kind(admission.OtherHardware):
		return "Recorded: they are two. It is not proposed again."
	case "aside":
		return "Recorded: nothing follows of it."
	case "address":
		return "Recorded: this is the address from now on. Print it anew; the one before leads nowhere."
	}
	return ""
}
