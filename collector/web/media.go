package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mediaPage lists the sticks and disks that the school registered.
type mediaPage struct {
	Nav               []menuLink
	Address           string
	Found             string // address, or ""
	Rows              []stickRow
	Next, First       string
	MayKeep           bool
	Number, Role, Was string // as typed; Was is the laptop in which it is
	Done              string
	Wrong             []wrong
}

// stickRow is a stick or a disk as pages show it.
type stickRow struct {
	view.Medium
	Address      string
	Look         stickWords
	SeenAt       *moment // of its encryption
	Last         *seenLine
	Seen         []seenLine
	WithdrawnAt  *moment
	ErasedBy     []doneLine
	RegisteredAt *moment
}

// seenLine says on which laptop a stick was seen.
type seenLine struct {
	Name, Address string
	Times         string
	First, Last   *moment
}

// stickWords say how a stick was encrypted when it was seen last. No rule is met by
// that: the word beside it says what it is, and not how it stands.
type stickWords struct {
	Words string // in a sentence
	Note  string // beside the badge
	Badge standingWords
}

func newStick(state posture.EncryptionState) stickWords {
	const seen = "when last seen"
	switch state {
	case posture.Encrypted:
		return stickWords{"Encrypted " + seen, seen, standingWords{"Encrypted", "met"}}
	case posture.Unencrypted:
		return stickWords{"Not encrypted " + seen, seen, standingWords{"Not encrypted", "not-met"}}
	case posture.Partial:
		return stickWords{"Partly encrypted " + seen, seen, standingWords{"Partly encrypted", "not-met"}}
	case "":
		return stickWords{"Never seen: whether it is encrypted is not known", "whether it is encrypted was never seen", standingWords{"Not known", "not-proven"}}
	}
	return stickWords{"Being encrypted or decrypted " + seen, seen, standingWords{"Under way", "not-met"}}
}

func (s *site) media(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showMedia(w, r, v, http.StatusOK, mediaPage{})
}

func (s *site) showMedia(w http.ResponseWriter, r *http.Request, v visit, status int, page mediaPage) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page.Nav, page.Address, page.MayKeep = registerNav(v, "media"), mediumAddress(v.school.ID, ""), v.account.May(v.school.ID, access.KeepRegister)
	page.Done = registerDone(q.Get("done"))
	if v.account.May(v.school.ID, access.ReadDevices) {
		page.Found = registerAddress(v.school.ID) + "/found"
	}
	found, err := s.Register.Media(r.Context(), v.school.ID, q.Get("after"), 0, v.now)
	if err != nil {
		return err
	}
	for _, m := range found.Media {
		page.Rows = append(page.Rows, newStickRow(v, m, c))
	}
	page.Next, page.First = turn(page.Address, q, q.Get("after"), found.Next)
	title := "Sticks and disks"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "media", s.page(v, title, "register"), page)
}

func newStickRow(v visit, m view.Medium, c clockwork) stickRow {
	row := stickRow{
		Medium: m, Address: mediumAddress(v.school.ID, m.Number), Look: newStick(m.Encryption), SeenAt: c.moment(m.EncryptionAt),
		WithdrawnAt: c.moment(m.Withdrawn), RegisteredAt: c.moment(m.Since),
	}
	for _, one := range m.Seen {
		row.Seen = append(row.Seen, newSeen(v, one, c))
	}
	if len(row.Seen) > 0 {
		row.Last = &row.Seen[0]
	}
	for _, e := range slices.Backward(m.Erased) {
		row.ErasedBy = append(row.ErasedBy, doneLine{Method: e.Method, By: e.By, At: c.moment(e.At)})
	}
	return row
}

func newSeen(v visit, one view.Seen, c clockwork) seenLine {
	line := seenLine{Times: oftenWords(one.Times), First: c.moment(one.First), Last: c.moment(one.Last)}
	line.Name, _ = names(one.Hostname, one.AssetTag, one.Device)
	if v.account.May(v.school.ID, access.ReadDevices) {
		line.Address = deviceAddress(v.school.ID, one.Device)
	}
	return line
}

// oftenWords says how often, in a word where there is one.
func oftenWords(n int) string {
	if words := [...]string{"never", "once", "twice", "three times"}; n >= 0 && n < len(words) {
		return words[n]
	}
	return number(n) + " times"
}

func mediumAddress(school posture.SchoolID, number string) string {
	address := registerAddress(school) + "/media"
	if number != "" {
		address += "/" + url.PathEscape(number)
	}
	return address
}

// addMedium registers the stick that is in a laptop, or issues one anew.
func (s *site) addMedium(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	page := mediaPage{Number: oneLine(f.Get("number")), Role: oneLine(f.Get("role")), Was: bounded(f.Get("laptop"))}
	issue := &register.Issue{Role: page.Role}
	var bad []wrong
	if page.Number == "" {
		bad = append(bad, wrong{"number", "Give it a number, such as M-031, and write that on it."})
	}
	if page.Role == "" {
		bad = append(bad, wrong{"role", "Say to which role it is issued, such as “Year 4 class teacher”."})
	}
	if page.Was == "" {
		bad = append(bad, wrong{"laptop", "Enter the laptop in which it is."})
	} else if len(bad) == 0 {
		id, words, err := s.laptopCalled(r.Context(), v, page.Was)
		if err == nil && words == "" {
			issue.Serials, err = s.RegisterKeeper.Inserted(r.Context(), v.school.ID, id)
		}
		if isRefusal(err) {
			words, err = sentence(err.Error()), nil
		}
		if err != nil {
			return err
		}
		if words != "" {
			bad = append(bad, wrong{"laptop", words})
		}
	}
	if len(bad) == 0 {
		err := s.keep(r, v, register.Change{What: register.RegisterMedium, Tag: page.Number, Issue: issue}, "")
		if err != nil && !mended(err) {
			return err
		}
		if err == nil {
			http.Redirect(w, r, mediumAddress(v.school.ID, page.Number)+"?done=medium", http.StatusSeeOther)
			return nil
		}
		bad = append(bad, wrong{"number", sentence(err.Error())})
	}
	page.Wrong = bad
	return s.showMedia(w, r, v, http.StatusUnprocessableEntity, page)
}

// mediumPage is one stick or disk.
type mediumPage struct {
	stickRow
	Nav     []menuLink
	Media   string // address of the list
	MayKeep bool
	Method  string // as typed
	When    typed
	Open    string
	Done    string
	Wrong   []wrong
}

func (s *site) medium(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showMedium(w, r, v, http.StatusOK, mediumPage{})
}

func (s *site) showMedium(w http.ResponseWriter, r *http.Request, v visit, status int, page mediumPage) error {
	m, err := s.Register.Medium(r.Context(), v.school.ID, r.PathValue("medium"), v.now)
	if err != nil {
		return err
	}
	page.stickRow, page.Nav, page.Media = newStickRow(v, m, s.clockwork(v)), registerNav(v, "media"), mediumAddress(v.school.ID, "")
	page.MayKeep, page.Done = v.account.May(v.school.ID, access.KeepRegister), registerDone(r.URL.Query().Get("done"))
	title := visible(m.Number) + ", issued to " + visible(m.Role)
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "medium", s.page(v, title, "register"), page)
}

// recordMedium records that a stick was erased, or is not in use any more.
func recordMedium(name string, what register.What, missing string) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		f, err := form(w, r, maxForm)
		if err != nil {
			return err
		}
		m, err := s.Register.Medium(r.Context(), v.school.ID, r.PathValue("medium"), v.now)
		if err != nil {
			return err
		}
		page := mediumPage{Method: oneLine(f.Get(name)), When: typedOf(f, name), Open: name}
		at, bad := s.happened(page.When, name)
		if page.Method == "" {
			bad = append(bad, wrong{name, missing})
		}
		if len(bad) == 0 {
			if err = s.keep(r, v, register.Change{What: what, Tag: m.Number, Method: page.Method, When: at}, ""); mended(err) {
				bad = append(bad, wrong{name, sentence(err.Error())})
			} else if err != nil {
				return err
			}
		}
		if page.Wrong = bad; len(bad) > 0 {
			return s.showMedium(w, r, v, http.StatusUnprocessableEntity, page)
		}
		http.Redirect(w, r, mediumAddress(v.school.ID, m.Number)+"?done="+name, http.StatusSeeOther)
		return nil
	}
}

// foundPage says what to do with a stick that was found, and what is known of it.
type foundPage struct {
	Nav     []menuLink
	Address string
	Advice  string
	Asked   typed
	Number  string
	Rows    []foundRow
	MayKeep bool
	Wrong   []wrong
}

// foundRow is a stick that was plugged into a machine for investigations.
type foundRow struct {
	view.FoundMedium
	What, Words string
	At          *moment
	Look        stickWords
	SeenAt      *moment
	Seen        []seenLine
	TellBy      string // until when the regulator would have to be told
	MayOpen     bool   // an incident for it
	Newest      bool
}

func (s *site) found(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showFound(w, r, v, r.URL.Query(), nil)
}

// showFound looks up what was found, as an address or a form asks.
func (s *site) showFound(w http.ResponseWriter, r *http.Request, v visit, q url.Values, bad []wrong) error {
	page, query := s.askFound(v, q)
	page.Wrong = append(page.Wrong, bad...)
	found, err := s.Register.FindMedia(r.Context(), v.school.ID, query, v.now)
	if isMissing(err) && query.Number != "" {
		page.Wrong = append(page.Wrong, wrong{"number", "No stick or disk of that number is in the register."})
		query.Number = ""
		found, err = s.Register.FindMedia(r.Context(), v.school.ID, query, v.now)
	}
	if err != nil {
		return err
	}
	page.Advice = found.Advice
	for i, m := range found.Found {
		row := s.newFoundRow(v, m)
		row.Newest = i == 0 && query.Number == ""
		page.Rows = append(page.Rows, row)
	}
	status, title := http.StatusOK, "A stick was found"
	if len(page.Wrong) > 0 {
		status, title = http.StatusUnprocessableEntity, "Error: "+title
	}
	return s.write(w, status, "found", s.page(v, title, "register"), page)
}

// askFound is what is asked of a stick that was found, and what is wrong with that.
func (s *site) askFound(v visit, q url.Values) (foundPage, view.FoundQuery) {
	page := foundPage{
		Nav: registerNav(v, "found"), Address: registerAddress(v.school.ID) + "/found", Asked: typedOf(q, "found"),
		Number: bounded(q.Get("number")), MayKeep: v.account.May(v.school.ID, access.KeepRegister),
	}
	query := view.FoundQuery{Number: page.Number, Zone: s.Location.String()}
	if page.Asked == (typed{}) {
		return page, query
	}
	if query.Found = s.momentOf(page.Asked); query.Found == nil {
		page.Wrong = append(page.Wrong, wrong{"found-day", "Enter the day and the time at which it was found, or leave both empty."})
	} else if err := query.Check(v.now); err != nil {
		page.Wrong = append(page.Wrong, wrong{"found-day", sentence(err.Error())})
		query.Found = nil
	}
	return page, query
}

func (s *site) newFoundRow(v visit, m view.FoundMedium) foundRow {
	c := s.clockwork(v)
	row := foundRow{FoundMedium: m, What: m.What, Words: matchWords(m), At: c.moment(m.At), Look: newStick(m.Encryption), SeenAt: c.moment(m.EncryptionAt)}
	if row.What == "" {
		row.What = "A medium that does not name itself"
	}
	for _, one := range m.Seen {
		row.Seen = append(row.Seen, newSeen(v, one, c))
	}
	if m.Offer != nil {
		row.TellBy, row.MayOpen = m.Offer.TellBy.String(), v.account.May(v.school.ID, access.RecordIncidents)
	}
	return row
}

// openFound opens the incident that a stick that was found may be, with all that is
// known of it.
func (s *site) openFound(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	_, query := s.askFound(v, f)
	found, err := s.Register.FindMedia(r.Context(), v.school.ID, query, v.now)
	if err != nil && !isMissing(err) {
		return err
	}
	for _, m := range found.Found {
		if m.Offer == nil || m.Serial != f.Get("serial") || m.On != f.Get("on") {
			continue
		}
		number, err := s.keepIncident(r, v, "", m.Offer.Words, m.Offer.Change)
		if mended(err) {
			return s.showFound(w, r, v, f, []wrong{{"number", sentence(err.Error())}})
		}
		if err != nil {
			return err
		}
		http.Redirect(w, r, incidentAddress(v.school.ID, number), http.StatusSeeOther)
		return nil
	}
	return s.showFound(w, r, v, f, []wrong{{"number", "It is not among what was plugged in. Look again below."}})
}

// matchWords says what is known of a stick that was found.
func matchWords(m view.FoundMedium) string {
	switch m.Match {
	case view.IsRegistered:
		return "Registered as " + visible(m.Number) + ", issued to " + visible(m.Role)
	case view.WasWithdrawn:
		return "Registered once as " + visible(m.Number) + ", issued to " + visible(m.Role) + ", and withdrawn"
	case view.Unregistered:
		return "Not registered, and used on laptops of the school"
	case view.NeverSeen:
		return "Never seen on a laptop of the school"
	}
	return "It tells no serial number, so nothing can be known of it"
}
