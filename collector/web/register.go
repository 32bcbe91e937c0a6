package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Register is what the pages ask of a school's register.
type Register interface {
	Assets(ctx context.Context, school posture.SchoolID, query view.AssetQuery, now time.Time) (view.AssetPage, error)
	// AssetGroups are the groups that the register names, and whether these are all.
	AssetGroups(ctx context.Context, school posture.SchoolID, now time.Time) (groups []string, whole bool, err error)
	Asset(ctx context.Context, school posture.SchoolID, tag string, now time.Time) (view.Registered, error)
	// Unregistered lists some of the enrolled devices that the register does not have, and counts all.
	Unregistered(ctx context.Context, school posture.SchoolID, most int, now time.Time) (list []view.CoverGap, all int, err error)
	GuestNotices(ctx context.Context, school posture.SchoolID, now time.Time) (view.GuestNotices, error)
	ListsLast(ctx context.Context, school posture.SchoolID, now time.Time) (time.Duration, error)
	Media(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (view.MediumPage, error)
	Medium(ctx context.Context, school posture.SchoolID, number string, now time.Time) (view.Medium, error)
	FindMedia(ctx context.Context, school posture.SchoolID, query view.FoundQuery, now time.Time) (view.FoundMedia, error)
	Licences(ctx context.Context, school posture.SchoolID, q view.LicenceQuery, now time.Time) (view.LicenceList, error)
	Uses(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (view.UsePage, error)
}

// RegisterKeeper records what the school keeps itself. What cannot be recorded as
// things stand is a decision.RefusedError.
type RegisterKeeper interface {
	Keep(ctx context.Context, school posture.SchoolID, d decision.Decision, c register.Change) (entry uint64, err error)
	// SignLicence signs for what is installed of a product at that moment.
	SignLicence(ctx context.Context, school posture.SchoolID, d decision.Decision, product, term string) (entry uint64, err error)
	// ImportRegister records what a list in CSV changes, or says what it would;
	// entry is 0 if nothing was recorded. What is wrong with the list is a
	// *register.WrongError.
	ImportRegister(ctx context.Context, school posture.SchoolID, d decision.Decision, source []byte, asOf time.Time, dry bool) (plan register.Plan, entry uint64, err error)
	// Inserted returns the serial numbers of the only medium in a device.
	Inserted(ctx context.Context, school posture.SchoolID, device posture.DeviceID) (serials []string, err error)
}

// registerPage lists the assets of a school.
type registerPage struct {
	Nav          []menuLink
	Words        string // what answers for them
	Covers       []coverLine
	Unregistered int // enrolled devices that the register does not have
	Rows         []assetRow
	All          string
	Search       string
	Cover, With  []choice
	Filtered     bool
	Next, First  string
	MayKeep      bool
	Import       string
	Done         string
}

// coverLine counts assets by what answers for them.
type coverLine struct {
	Words, Address string // Address is that of their list, or ""
	Count          int
}

// unregistered is a device that the register does not have.
type unregistered struct {
	Name, Host, Address string
	Heard               *moment
}

// assetRow is an asset in a list.
type assetRow struct {
	view.Registered
	Address string
	Cover   coverWords
	With    *heldLine
	Heard   *moment
}

// coverWords say what answers for an asset.
type coverWords struct {
	Words  string
	Proven bool
}

// heldLine is one time that somebody had a device.
type heldLine struct {
	register.Held
	Since, Until, BackAt *moment
	Over                 bool
	Leaving              string // when they leave, or left; "" if they do not
	Unnamed              bool   // a name was recorded, and is not shown
}

// mostUnregistered bounds the devices that a page lists as not registered.
const mostUnregistered = 200

func (s *site) register(w http.ResponseWriter, r *http.Request, v visit) error {
	q, c := r.URL.Query(), s.clockwork(v)
	query := view.AssetQuery{
		Search: bounded(q.Get("q")), Cover: coverOf(q.Get("cover")), Overdue: q.Get("with") == "overdue", Leavers: q.Get("with") == "leaver", BySerial: q.Get("with") == bySerial,
		Names: v.account.May(v.school.ID, access.ReadHolders), After: q.Get("after"),
	}
	page := registerPage{
		Nav: registerNav(v, "devices"), All: registerAddress(v.school.ID), Search: query.Search, MayKeep: v.account.May(v.school.ID, access.KeepRegister),
		Cover: coverChoices(query.Cover), With: withChoices(q.Get("with")), Done: registerDone(q.Get("done")),
	}
	page.Import = page.All + "/import"
	page.Filtered = query.Search != "" || query.Cover != "" || query.Overdue || query.Leavers || query.BySerial
	what, err := s.Queries.CoverageCounts(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page.cover(what)
	found, err := s.Register.Assets(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	for _, a := range found.Assets {
		page.Rows = append(page.Rows, newAssetRow(v, a, c))
	}
	page.Next, page.First = turn(page.All, q, query.After, found.Next)
	return s.write(w, http.StatusOK, "register", s.page(v, "Register", "register"), page)
}

// cover says what answers for the devices of the school.
func (p *registerPage) cover(what view.Coverage) {
	p.Words, p.Unregistered = sentence(what.Words()), what.Of(view.NotRegistered)
	for _, cover := range everyCover {
		line := coverLine{Words: newCover(cover).Words, Count: what.Of(cover), Address: p.All + "?" + url.Values{"cover": {string(cover)}}.Encode()}
		if cover == view.OutOfUse {
			line.Count = what.Retired
		}
		if line.Count > 0 {
			p.Covers = append(p.Covers, line)
		}
	}
}

// unregisteredPage lists the enrolled devices that the register does not have.
type unregisteredPage struct {
	Nav    []menuLink
	Rows   []unregistered
	More   int    // not listed
	New    string // address at which one is registered, or ""
	Import string
}

func (s *site) unregistered(w http.ResponseWriter, r *http.Request, v visit) error {
	list, all, err := s.Register.Unregistered(r.Context(), v.school.ID, mostUnregistered, v.now)
	if err != nil {
		return err
	}
	page := unregisteredPage{Nav: registerNav(v, ""), Import: registerAddress(v.school.ID) + "/import"}
	if v.account.May(v.school.ID, access.KeepRegister) {
		page.New = registerAddress(v.school.ID) + "/new"
	}
	c := s.clockwork(v)
	for _, g := range list {
		one := unregistered{Host: g.Hostname, Address: deviceAddress(v.school.ID, g.Device), Heard: c.moment(g.Since)}
		if one.Name = g.Hostname; one.Name == "" {
			one.Name = string(g.Device)
		}
		page.Rows = append(page.Rows, one)
	}
	page.More = all - len(page.Rows)
	return s.write(w, http.StatusOK, "unregistered", s.page(v, "Not in the register", "register"), page)
}

// everyCover is what a list of assets can be asked for.
var everyCover = [...]view.Cover{view.ByAgent, view.SilentAgent, view.ByImport, view.StaleImport, view.NeverEnrolled, view.OutOfUse}

// coverOf reads what answers for assets in an address; "" if it is none.
func coverOf(s string) view.Cover {
	for _, c := range everyCover {
		if string(c) == s {
			return c
		}
	}
	return ""
}

func newCover(c view.Cover) coverWords {
	switch c {
	case view.ByAgent:
		return coverWords{"By its agent", true}
	case view.SilentAgent:
		return coverWords{"Not proven: its agent is silent", false}
	case view.ByImport:
		return coverWords{"By what manages it, not by an agent", true}
	case view.StaleImport:
		return coverWords{"Not proven: the list of what manages it is too old", false}
	case view.OutOfUse:
		return coverWords{"Retired", true}
	default: // whatever else it may be, nothing is known to answer for it
		return coverWords{"Not proven: no agent was ever enrolled", false}
	}
}

func coverChoices(chosen view.Cover) []choice {
	list := []choice{{Words: "Anything"}}
	for _, c := range everyCover {
		list = append(list, choice{string(c), newCover(c).Words, c == chosen})
	}
	return list
}

// bySerial asks the register for what it admitted by a serial number alone.
const bySerial = "serial"

func withChoices(chosen string) []choice {
	list := []choice{{Words: "Anybody or nobody"}, {Key: "overdue", Words: "A loan that is over"}, {Key: "leaver", Words: "A leaver whose checklist is open"}, {Key: bySerial, Words: "Admitted by its serial number alone"}}
	for i := range list {
		list[i].Chosen = list[i].Key == chosen
	}
	return list
}

func newAssetRow(v visit, a view.Registered, c clockwork) assetRow {
	return assetRow{
		Registered: a, Address: assetAddress(v.school.ID, a.Tag), Cover: newCover(a.Cover), Heard: c.moment(a.LastContact),
		With: newHeld(a, c),
	}
}

// newHeld says who has an asset; nil if nobody does.
func newHeld(a view.Registered, c clockwork) *heldLine {
	if a.Held == nil {
		return nil
	}
	line := newHeldLine(*a.Held, c)
	line.Over = a.Overdue
	if at, ok := a.Asset.Leaves(); ok {
		line.Leaving = c.leaving(at)
	}
	return &line
}

func newHeldLine(h register.Held, c clockwork) heldLine {
	return heldLine{Held: h, Since: c.moment(h.From), Until: c.end(h.Ends), BackAt: c.moment(h.Back), Unnamed: h.Named && h.Person == ""}
}

// leaving says when somebody leaves, or left: of one who leaves at midnight, at the
// end of which day.
func (c clockwork) leaving(at time.Time) string {
	if end := c.end(at).Text; strings.HasPrefix(end, "the ") {
		return "at " + end
	}
	return c.moment(at).Text
}

func registerAddress(school posture.SchoolID) string { return schoolAddress(school) + "/register" }

func assetAddress(school posture.SchoolID, tag string) string {
	return registerAddress(school) + "/assets/" + url.PathEscape(tag)
}

// registerParts are the parts of the register.
var registerParts = [...]menuItem{
	{"devices", "Devices", "/register", access.ReadRegister},
	{"leavers", "Leavers", "/register/leavers", access.SignRegister},
	{"media", "Sticks and disks", "/register/media", access.ReadRegister},
	{"found", "Found a stick?", "/register/found", access.ReadDevices},
	{"licences", "Licences", "/register/licences", access.ReadLicences},
	{"uses", "Rules of use", "/register/rules-of-use", access.ReadRegister},
	{"notices", "Notice for guests", "/register/guest-notices", access.ReadRegister},
	{"import", "Import a list", "/register/import", access.KeepRegister},
}

// registerNav leads from part to part of the register.
func registerNav(v visit, current string) []menuLink { return menuOf(v, registerParts[:], current) }

// keep checks and records a change of the register under the account of who is
// signed in.
func (s *site) keep(r *http.Request, v visit, c register.Change, person string) error {
	if err := c.Name(person); err != nil {
		return faultError{err}
	}
	made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: register.UsualReason, Person: person}
	if err := c.Check(); err != nil {
		return faultError{err}
	}
	if err := made.CheckNew(); err != nil {
		return faultError{err}
	}
	_, err := s.RegisterKeeper.Keep(r.Context(), v.school.ID, made, c)
	return err
}

// mended reports whether an error is something that whoever typed can mend.
func mended(err error) bool { return isRefusal(err) || isFault(err) }

// calendarDay writes a day of the calendar; "" for none.
func calendarDay(d register.Date) string {
	at, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return ""
	}
	return at.Format("Mon 2 Jan 2006")
}

// registerDone says what was recorded by the form that led to a page; "" for
// nothing.
func registerDone(done string) string {
	return map[string]string{
		"allocation": "Recorded: who has it, from when.", "hand-back": "Recorded: it was handed back.", "leaving": "Recorded. The checklist is open.",
		"staying": "Recorded: they stay.", "step": "Recorded on the checklist.", "signature": "Recorded: you have signed.",
		"tie": "Recorded: it is that laptop.", "untie": "Recorded: it is no enrolled laptop.", "retirement": "Recorded: it is not in use from that day on.",
		"recovery-key": "Recorded whether the school holds its recovery key.", "wipe": "Recorded as wiped, by your word.", "description": "Recorded.",
		"investigation": "Recorded. The laptop is told when it is connected; plug nothing in until it has said that it knows.",
		"medium":        "Recorded.", "erasure": "Recorded as erased, by your word.", "withdrawal": "Recorded: it is not in use any more.",
		"licence": "Recorded.", "exclusion": "Recorded.", "use": "Recorded.", "notice": "Recorded: it is in use from now on.", "lists": "Recorded.",
		"import": "Recorded: the list was imported.", "unchanged": "Nothing was recorded: the list says what the register says.",
	}[done]
}

// laptopCalled is the laptop of a name, or what is wrong with the name.
func (s *site) laptopCalled(ctx context.Context, v visit, name string) (id posture.DeviceID, words string, err error) {
	meant, alike, err := s.called(ctx, v, name)
	switch {
	case err != nil:
		return "", "", err
	case len(meant) == 1:
		return meant[0].ID, "", nil
	case len(meant) > 1:
		return "", "More than one laptop has that name. Enter the asset tag or the identifier of the one that is meant.", nil
	case len(alike) > 0:
		return "", "No laptop has just that tag, name or identifier, and some have one that holds it. Enter all of it.", nil
	}
	return "", "No laptop of this school has that tag, name or identifier.", nil
}

func isMissing(err error) bool { return errors.Is(err, view.ErrNotFound) }
