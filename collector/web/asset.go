package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// assetPage is one asset of the register, and what may be recorded of it.
type assetPage struct {
	view.Registered
	Nav                  []menuLink
	Address              string
	Laptop               string // address of the laptop that it is, or ""
	Cover                coverWords
	Heard                *moment
	ClassWords           string
	BoughtOn, RetiredOn  string
	KeyWords             string
	KeyAt, AsideAt       *moment
	SerialAt             *moment // since when it is its laptop by its serial number alone
	With                 *heldLine
	Rights               *rightsLine
	Was                  []heldLine
	Wiped                []doneLine
	Checklist, Allocate  string // addresses, or ""
	Dispute              string // where it is said that something here is wrong, or ""
	Lists                *listedLine
	MayKeep, CanAllocate bool
	CanLeave             bool // whoever has it is not recorded as leaving
	Form                 assetForm
	Classes              []choice
	Done                 string
	Wrong                []wrong
	Open                 string // the form with which something is wrong
}

// rightsLine says whether whoever has a device can administer it.
type rightsLine struct {
	view.Rights
	Standing standingWords
	Read     *moment
}

// listedLine is what a list says of a device that no agent covers.
type listedLine struct {
	view.Listed
	OfDay, UntilDay *moment
	Said            []listSays
}

// listSays is one thing that a list says.
type listSays struct {
	Words    string
	Standing standingWords
}

// doneLine is something that somebody said was done.
type doneLine struct {
	Words, Method, By string
	At                *moment
}

// assetForm is what was typed about an asset.
type assetForm struct {
	Tie, Wipe, Retirement string
	What, Group, Bought   string
	Serial                string
	Class                 string
	When                  typed // of the form that was sent
}

func (s *site) assetPage(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	form := assetForm{What: a.What, Class: string(a.Class), Group: a.Group, Bought: string(a.Bought), Serial: a.Serial}
	return s.showAsset(w, r, v, http.StatusOK, a, form, "", nil)
}

// assetLineOf is what the register says of a device; nil if nothing, to somebody who
// cannot change that.
func (s *site) assetLineOf(ctx context.Context, v visit, d view.DeviceDetail) (*assetLine, error) {
	keeps := v.account.May(v.school.ID, access.KeepRegister)
	if d.AssetTag == "" {
		if !keeps || !d.RevokedAt.IsZero() {
			return nil, nil //nolint:nilnil // it is not registered, which is no error
		}
		return &assetLine{Register: registerAddress(v.school.ID) + "/new?" + url.Values{"host": {d.Hostname}}.Encode()}, nil
	}
	a, err := s.Register.Asset(ctx, v.school.ID, d.AssetTag, v.now)
	if isMissing(err) {
		return nil, nil //nolint:nilnil // it was untied a moment ago
	}
	if err != nil {
		return nil, err
	}
	if !v.account.May(v.school.ID, access.ReadHolders) {
		a = a.Nameless()
	}
	line := assetLine{Tag: a.Tag, Address: assetAddress(v.school.ID, a.Tag), With: newHeld(a, s.clockwork(v)), MayHandBack: keeps && a.Held != nil}
	if keeps && a.Held == nil && !a.Out {
		line.Allocate = line.Address + "/allocation"
	}
	return &line, nil
}

// assetOf is the asset that an address names, with no more names of people than
// whoever asks may know.
func (s *site) assetOf(r *http.Request, v visit) (view.Registered, error) {
	a, err := s.Register.Asset(r.Context(), v.school.ID, r.PathValue("asset"), v.now)
	if !v.account.May(v.school.ID, access.ReadHolders) {
		a = a.Nameless()
	}
	return a, err
}

func (s *site) showAsset(w http.ResponseWriter, r *http.Request, v visit, status int, a view.Registered, form assetForm, open string, bad []wrong) error {
	page := s.newAssetPage(v, a)
	page.Form, page.Open, page.Wrong, page.Done = form, open, bad, registerDone(r.URL.Query().Get("done"))
	page.Classes = classChoices(form.Class)
	title := visible(a.Tag) + " in the register"
	title = titleOf(title, bad)
	return s.write(w, status, "asset", s.page(v, title, "register"), page)
}

func (s *site) newAssetPage(v visit, a view.Registered) assetPage {
	c := s.clockwork(v)
	p := assetPage{
		Registered: a, Nav: registerNav(v, "devices"), Address: assetAddress(v.school.ID, a.Tag), Cover: newCover(a.Cover), Heard: c.moment(a.LastContact),
		ClassWords: ownership(a.Class), BoughtOn: calendarDay(a.Bought), RetiredOn: calendarDay(a.Retired), KeyAt: c.moment(a.EscrowAt), AsideAt: c.moment(a.InvestigationAt), SerialAt: c.moment(a.BySerial),
		With: newHeld(a, c), MayKeep: v.account.May(v.school.ID, access.KeepRegister), KeyWords: keyWords(a.Escrow),
	}
	if a.Device != "" && v.account.May(v.school.ID, access.ReadDevices) {
		p.Laptop = deviceAddress(v.school.ID, a.Device)
	}
	if v.account.May(v.school.ID, access.DisputeFacts) {
		p.Dispute = disputesAddress(v.school.ID) + "?" + url.Values{"laptop": {a.Tag}}.Encode() + "#new"
		if p.Laptop != "" {
			p.Dispute = p.Laptop + "/disputes"
		}
	}
	if a.Leaver != nil && v.account.May(v.school.ID, access.SignRegister) {
		p.Checklist = p.Address + "/checklist"
	}
	if p.CanAllocate = p.MayKeep && a.Held == nil && !a.Out; p.CanAllocate {
		p.Allocate = p.Address + "/allocation"
	}
	_, leaving := a.Asset.Leaves()
	p.CanLeave = p.MayKeep && a.Held != nil && !leaving
	if a.Rights != nil {
		p.Rights = &rightsLine{*a.Rights, newStanding(a.Rights.Standing), c.moment(a.Rights.ReadAt)}
	}
	for _, h := range slices.Backward(a.Past) {
		p.Was = append(p.Was, newHeldLine(h, c))
	}
	for _, done := range slices.Backward(a.Wipes) {
		p.Wiped = append(p.Wiped, doneLine{Method: done.Method, By: done.By, At: c.moment(done.At)})
	}
	if l := a.Listed; l != nil {
		p.Lists = &listedLine{Listed: *l, OfDay: c.moment(l.At), UntilDay: c.end(l.Until)}
		for _, one := range l.Says {
			p.Lists.Said = append(p.Lists.Said, listSays{sentence(one.Words), newStanding(one.Standing)})
		}
	}
	return p
}

func keyWords(e register.Escrow) string {
	switch e {
	case register.KeyHeld:
		return "The school holds it"
	case register.KeyNotHeld:
		return "The school does not hold it"
	}
	return ""
}

// classChoices are the classes of ownership.
func classChoices(chosen string) []choice {
	list := []choice{{Words: "Not recorded", Chosen: chosen == ""}}
	for _, c := range register.Classes() {
		list = append(list, choice{string(c), ownership(c), string(c) == chosen})
	}
	return list
}

// changeReader reads what a form says of an asset, and what is wrong with it.
type changeReader func(s *site, r *http.Request, v visit, f url.Values, form *assetForm) (register.Change, []wrong, error)

// recordAsset records what a form on the page of an asset says. The name of the
// form is the end of its address, and the field at fault if it cannot be recorded.
func recordAsset(name string, read changeReader) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		f, err := form(w, r, maxForm)
		if err != nil {
			return err
		}
		a, err := s.assetOf(r, v)
		if err != nil {
			return err
		}
		typed := assetForm{What: a.What, Class: string(a.Class), Group: a.Group, Bought: string(a.Bought), Serial: a.Serial, When: typedOf(f, name)}
		change, bad, err := read(s, r, v, f, &typed)
		if err != nil {
			return err
		}
		if change.Tag = a.Tag; len(bad) == 0 {
			if err = s.keep(r, v, change, ""); mended(err) {
				bad = append(bad, wrong{name, sentence(err.Error())})
			} else if err != nil {
				return err
			}
		}
		if len(bad) > 0 {
			return s.showAsset(w, r, v, http.StatusUnprocessableEntity, a, typed, name, bad)
		}
		http.Redirect(w, r, assetAddress(v.school.ID, a.Tag)+"?done="+name, http.StatusSeeOther)
		return nil
	}
}

// typedOf is the day and the time that a form says, by its name.
func typedOf(f url.Values, name string) typed {
	return typed{bounded(f.Get(name + "-day")), bounded(f.Get(name + "-time"))}
}

// happened reads when something happened; zero if the form leaves it empty, which
// is now.
func (s *site) happened(t typed, name string) (at time.Time, bad []wrong) {
	if t == (typed{}) {
		return time.Time{}, nil
	}
	if t.Time == "" {
		t.Time = "00:00"
	}
	at, ok := t.moment(s.Location)
	if !ok {
		bad = append(bad, wrong{name + "-day", "Enter the day, and the time if it matters, or leave both empty for now."})
	}
	return at.UTC(), bad
}

// only reads a form that says nothing but that it was sent.
func only(what register.What) changeReader {
	return func(*site, *http.Request, visit, url.Values, *assetForm) (register.Change, []wrong, error) {
		return register.Change{What: what}, nil, nil
	}
}

func readHandBack(s *site, _ *http.Request, _ visit, _ url.Values, form *assetForm) (register.Change, []wrong, error) {
	at, bad := s.happened(form.When, "hand-back")
	return register.Change{What: register.HandBack, When: at}, bad, nil
}

// readLeaving reads on which day somebody leaves: they have the device until it is
// over.
func readLeaving(s *site, _ *http.Request, _ visit, _ url.Values, form *assetForm) (register.Change, []wrong, error) {
	day, err := time.ParseInLocation(time.DateOnly, form.When.Day, s.Location)
	if err != nil {
		return register.Change{}, []wrong{{"leaving-day", "Enter the last day on which they are there."}}, nil //nolint:nilerr // it is told to whoever typed
	}
	return register.Change{What: register.Left, When: day.AddDate(0, 0, 1).UTC()}, nil, nil
}

func readTie(s *site, r *http.Request, v visit, f url.Values, form *assetForm) (register.Change, []wrong, error) {
	form.Tie = strings.TrimSpace(bounded(f.Get("tie")))
	if form.Tie == "" {
		return register.Change{}, []wrong{{"tie", "Enter the name of the laptop."}}, nil
	}
	device, words, err := s.laptopCalled(r.Context(), v, form.Tie)
	if words != "" {
		return register.Change{}, []wrong{{"tie", words}}, err
	}
	return register.Change{What: register.Tie, Device: device}, nil, err
}

func readRetirement(_ *site, _ *http.Request, _ visit, f url.Values, form *assetForm) (register.Change, []wrong, error) {
	form.Retirement = bounded(f.Get("retirement"))
	day, err := register.ParseDate(form.Retirement)
	if err != nil {
		return register.Change{}, []wrong{{"retirement", "Enter the day from which it is not in use."}}, nil //nolint:nilerr // it is told to whoever typed
	}
	return register.Change{What: register.Retire, Date: day}, nil, nil
}

func readRecovery(_ *site, _ *http.Request, _ visit, f url.Values, _ *assetForm) (register.Change, []wrong, error) {
	return register.Change{What: register.Recovery, Escrow: register.Escrow(f.Get("held"))}, nil, nil
}

func readWipe(s *site, _ *http.Request, _ visit, f url.Values, form *assetForm) (register.Change, []wrong, error) {
	form.Wipe = oneLine(f.Get("wipe"))
	at, bad := s.happened(form.When, "wipe")
	if form.Wipe == "" {
		bad = append(bad, wrong{"wipe", "Say how it was wiped, such as “reset to factory state, keys destroyed”."})
	}
	return register.Change{What: register.Wiped, Method: form.Wipe, When: at}, bad, nil
}

func readAside(_ *site, _ *http.Request, _ visit, f url.Values, _ *assetForm) (register.Change, []wrong, error) {
	return register.Change{What: register.Investigate, On: f.Get("aside") == "on"}, nil, nil
}

// oneLine is what was typed into one line, cut to what the register holds.
func oneLine(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
