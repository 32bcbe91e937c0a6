package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// licencesPage compares what was bought of each product with what is installed.
type licencesPage struct {
	Nav                       []menuLink
	Address                   string
	Rows                      []licenceRow
	MayKeep                   bool
	Product, Bought, Programs string // as typed
	Done                      string
	Wrong                     []wrong
}

// licenceRow is a product.
type licenceRow struct {
	view.LicenceLine
	Address   string
	Excluded  int
	Signature *doneLine
	SignedFor string
	SignedOf  string // the count that was signed
}

// licencePage is one product, device by device.
type licencePage struct {
	licenceRow
	Nav              []menuLink
	All              string
	Counts, Excludes []countedLine
	More, MoreNot    int
	MayKeep, MaySign bool
	Term, Reason     string // as typed
	Device, Why      string
	Bought, Programs string
	Shown            int // of devices that count, as the page that is signed shows it
	At               *moment
	Open             string
	Done             string
	Wrong            []wrong
}

// countedLine is a device that has a product installed.
type countedLine struct {
	register.Counted
	Name    string
	Address string // of the asset, or ""
	ByHand  bool   // it was excluded by somebody
}

func newLicenceRow(school posture.SchoolID, l view.LicenceLine, c clockwork) licenceRow {
	row := licenceRow{LicenceLine: l, Address: licenceAddress(school, l.Product), Excluded: l.Uncounted}
	if signed := l.Signed; signed != nil {
		row.Signature = &doneLine{By: signed.By, At: c.moment(signed.Sent)}
		row.SignedFor, row.SignedOf = signed.Term, number(l.SignedFor)+" of "+number(signed.Bought)
	}
	return row
}

func licenceAddress(school posture.SchoolID, product string) string {
	return registerAddress(school) + "/licences/" + url.PathEscape(register.Key(product))
}

func (s *site) licences(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showLicences(w, r, v, http.StatusOK, licencesPage{})
}

func (s *site) showLicences(w http.ResponseWriter, r *http.Request, v visit, status int, page licencesPage) error {
	page.Nav, page.Address, page.MayKeep = registerNav(v, "licences"), registerAddress(v.school.ID)+"/licences", v.account.May(v.school.ID, access.KeepRegister)
	page.Done = registerDone(r.URL.Query().Get("done"))
	list, err := s.Register.Licences(r.Context(), v.school.ID, view.LicenceQuery{}, v.now)
	if err != nil {
		return err
	}
	for _, l := range list.Licences {
		page.Rows = append(page.Rows, newLicenceRow(v.school.ID, l, s.clockwork(v)))
	}
	title := "Licences"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "licences", s.page(v, title, "register"), page)
}

// setLicence records how many licences of a product were bought.
func (s *site) setLicence(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	page := licencesPage{Product: oneLine(f.Get("product")), Bought: bounded(f.Get("bought")), Programs: f.Get("programs")}
	var bad []wrong
	if page.Product == "" {
		bad = append(bad, wrong{"product", "Say what the product is called."})
	}
	bought, programs, more := purchaseIn(page.Bought, page.Programs)
	if bad = append(bad, more...); len(bad) == 0 {
		change := register.Change{What: register.SetLicence, Tag: page.Product, Purchase: &register.Purchase{Programs: programs, Bought: bought}}
		if err = s.keep(r, v, change, ""); mended(err) {
			bad = append(bad, wrong{"programs", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if page.Wrong = bad; len(bad) > 0 {
		return s.showLicences(w, r, v, http.StatusUnprocessableEntity, page)
	}
	http.Redirect(w, r, licenceAddress(v.school.ID, page.Product)+"?done=licence", http.StatusSeeOther)
	return nil
}

// purchaseIn reads how many were bought, and the names of programs, one a line.
func purchaseIn(number, names string) (bought int, programs []string, bad []wrong) {
	bought, err := strconv.Atoi(number)
	if err != nil || bought < 0 {
		bad = append(bad, wrong{"bought", "Enter how many licences were bought, as a number."})
	}
	for name := range strings.Lines(names) {
		if name = oneLine(name); name != "" {
			programs = append(programs, name)
		}
	}
	if len(programs) == 0 {
		bad = append(bad, wrong{"programs", "Enter the name of the installed program as laptops report it, such as “office 2024*”."})
	}
	return bought, programs, bad
}

// mostCounted bounds the devices that a page lists of a product, of those that
// count and of the others.
const mostCounted = 300

// licenceOf is the product that an address names.
func (s *site) licenceOf(r *http.Request, v visit) (view.LicenceLine, error) {
	list, err := s.Register.Licences(r.Context(), v.school.ID, view.LicenceQuery{Product: r.PathValue("product"), Devices: mostCounted}, v.now)
	if err == nil && len(list.Licences) == 0 {
		err = view.ErrNotFound
	}
	if err != nil {
		return view.LicenceLine{}, err
	}
	return list.Licences[0], nil
}

func (s *site) licence(w http.ResponseWriter, r *http.Request, v visit) error {
	l, err := s.licenceOf(r, v)
	if err != nil {
		return err
	}
	return s.showLicence(w, r, v, http.StatusOK, l, licencePage{})
}

func (s *site) showLicence(w http.ResponseWriter, r *http.Request, v visit, status int, l view.LicenceLine, page licencePage) error {
	page.licenceRow, page.Nav, page.All = newLicenceRow(v.school.ID, l, s.clockwork(v)), registerNav(v, "licences"), registerAddress(v.school.ID)+"/licences"
	page.MayKeep, page.MaySign = v.account.May(v.school.ID, access.KeepRegister), v.account.May(v.school.ID, access.SignLicences)
	page.Shown, page.At, page.Done = l.Installed, s.clockwork(v).moment(l.Now.At), registerDone(r.URL.Query().Get("done"))
	for _, d := range l.Now.Devices {
		one := countedLine{Counted: d, Name: d.Tag}
		if d.Tag != "" {
			one.Address = assetAddress(v.school.ID, d.Tag)
		} else {
			one.Name = string(d.Device) + " (not registered)"
		}
		for _, e := range l.Excluded {
			one.ByHand = one.ByHand || e.Device == d.Device
		}
		if d.Excluded != "" {
			page.Excludes = append(page.Excludes, one)
		} else {
			page.Counts = append(page.Counts, one)
		}
	}
	page.More, page.MoreNot = l.Installed-len(page.Counts), l.Uncounted-len(page.Excludes)
	title := visible(l.Product) + ": " + number(l.Installed) + " of " + number(l.Bought)
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "licence", s.page(v, title, "register"), page)
}

// excludeDevice says that a device does not count for a product, or that it counts
// again.
func (s *site) excludeDevice(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	l, err := s.licenceOf(r, v)
	if err != nil {
		return err
	}
	page := licencePage{Device: bounded(f.Get("device")), Why: oneLine(f.Get("why")), Open: "exclusion"}
	change := register.Change{What: register.ExcludeDevice, Tag: l.Product, Method: page.Why}
	if f.Get("counts") != "" {
		change = register.Change{What: register.IncludeDevice, Tag: l.Product, Device: posture.DeviceID(bounded(f.Get("counts")))}
	} else {
		id, words, err := s.laptopCalled(r.Context(), v, page.Device)
		switch {
		case err != nil:
			return err
		case page.Device == "" || words != "":
			page.Wrong = append(page.Wrong, wrong{"device", "Enter the asset tag or the name of one laptop, all of it."})
		case page.Why == "":
			page.Wrong = append(page.Wrong, wrong{"why", "Say why it does not count, such as “kept as a spare, the program is not used”."})
		}
		change.Device = id
	}
	if len(page.Wrong) == 0 {
		if err = s.keep(r, v, change, ""); mended(err) {
			page.Wrong = append(page.Wrong, wrong{"device", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(page.Wrong) > 0 {
		return s.showLicence(w, r, v, http.StatusUnprocessableEntity, l, page)
	}
	http.Redirect(w, r, licenceAddress(v.school.ID, l.Product)+"?done=exclusion", http.StatusSeeOther)
	return nil
}

// signLicence signs for a term for the count that was shown.
func (s *site) signLicence(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	l, err := s.licenceOf(r, v)
	if err != nil {
		return err
	}
	page := licencePage{Term: oneLine(f.Get("term")), Reason: oneLine(f.Get("reason"))}
	switch {
	case page.Term == "":
		page.Wrong = append(page.Wrong, wrong{"term", "Say for which term, such as “autumn 2026”."})
	case f.Get("shown") != strconv.Itoa(l.Installed):
		// Nobody signs what they were not shown.
		page.Wrong = append(page.Wrong, wrong{"term", "Nothing was signed: the count has changed since you opened the page. Look at it as it is now."})
	default:
		made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: page.Reason}
		if page.Reason == "" {
			made.Reason = register.UsualReason
		}
		err := made.CheckNew()
		if err == nil {
			_, err = s.RegisterKeeper.SignLicence(r.Context(), v.school.ID, made, l.Product, page.Term)
		} else {
			err = faultError{err}
		}
		if mended(err) {
			page.Wrong = append(page.Wrong, wrong{"term", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(page.Wrong) > 0 {
		return s.showLicence(w, r, v, http.StatusUnprocessableEntity, l, page)
	}
	http.Redirect(w, r, licenceAddress(v.school.ID, l.Product)+"?done=signature", http.StatusSeeOther)
	return nil
}
