package web

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Prover makes evidence, sealed by the school's key.
type Prover interface {
	// SealDevice gathers what is proven of a device at a moment. Its error is
	// evidence.ErrNotYet for a moment that has not come, and view.ErrNotFound or
	// evidence.ErrNoDevice for a device that the school does not have.
	SealDevice(ctx context.Context, school posture.SchoolID, q evidence.Question) (b *evidence.Bundle, sealed []byte, err error)
	// SealSchool works out where the school stood at a moment. Its error is
	// evidence.ErrNotYet for a moment that has not come, and
	// evidence.ErrNothingYet for one before the school's record begins.
	SealSchool(ctx context.Context, school posture.SchoolID, q evidence.PositionQuestion) (b *evidence.Bundle, sealed []byte, err error)
}

// askPage is where evidence is asked for: of a device that is lost, or of the
// school on a date.
type askPage struct {
	Address  string
	Device   string // what was typed
	At       typed  // the moment of the loss
	Aware    typed  // when the school learnt of it
	Day      string // of the school, as typed
	Wrong    []wrong
	Found    []foundDevice // devices that could be meant
	Zone     string        // of what is typed, such as "BST"
	Contacts contacts
}

// typed is a moment as it is typed: a day and a time of it.
type typed struct{ Day, Time string }

// foundDevice is a device that could be meant, with the address of its evidence.
type foundDevice struct {
	Name, Second, Address, System string
	Heard                         *moment
}

// Bounds of a search by name: how many are shown to choose from, and how many
// are looked at.
const (
	mostFound = 20
	mostAlike = 500
)

// ask shows the forms, or leads to the evidence about the one device that fits.
func (s *site) ask(w http.ResponseWriter, r *http.Request, v visit) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page := askPage{Address: schoolAddress(v.school.ID) + "/evidence", Zone: v.now.In(s.Location).Format("MST"), Day: bounded(q.Get("school-day"))}
	page.Device = strings.TrimSpace(bounded(q.Get("device")))
	page.At = typed{bounded(q.Get("day")), bounded(q.Get("time"))}
	page.Aware = typed{bounded(q.Get("aware-day")), bounded(q.Get("aware-time"))}
	status, title := http.StatusOK, "Evidence"
	switch {
	case q.Has("device"):
		to, err := s.lost(r.Context(), v, &page)
		if err != nil {
			return err
		}
		if to != "" {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil
		}
	case q.Has("school-day"):
		if _, err := time.ParseInLocation(time.DateOnly, page.Day, s.Location); err == nil {
			http.Redirect(w, r, page.Address+"/school?"+url.Values{"day": {page.Day}}.Encode(), http.StatusSeeOther)
			return nil
		}
		page.Wrong = append(page.Wrong, wrong{"school-day", "Enter the day, such as 3 November 2026."})
	default:
		local := v.now.In(c.zone)
		page.At = typed{local.Format(time.DateOnly), local.Format("15:04")}
		page.Aware = page.At
		page.Day = local.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	if len(page.Wrong) > 0 {
		status, title = http.StatusUnprocessableEntity, "Error: Evidence"
	}
	var err error
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	if len(page.Found) == 0 {
		v.look.What = viewing.Nobody // the forms alone
	}
	return s.write(w, status, "evidence-ask", s.page(v, title, "evidence"), page)
}

// lost finds the device that is meant and returns the address of the evidence
// about it, or what is wrong or left open.
func (s *site) lost(ctx context.Context, v visit, page *askPage) (address string, err error) {
	at, ok := page.At.moment(s.Location)
	if at.Equal(v.now.Truncate(time.Minute)) {
		at = v.now // this minute means now
	}
	switch {
	case !ok:
		page.Wrong = append(page.Wrong, wrong{"day", "Enter the day and the time at which it was lost, such as 23 October 2026 and 16:20."})
	case at.After(v.now):
		page.Wrong = append(page.Wrong, wrong{"day", "The moment at which it was lost has not come yet. Check the day and the time."})
	}
	aware, known := page.Aware.moment(s.Location)
	if page.Aware != (typed{}) && !known {
		page.Wrong = append(page.Wrong, wrong{"aware-day", "Enter the day and the time at which the school learnt of it, or leave both empty."})
	}
	if page.Device == "" {
		page.Wrong = slices.Insert(page.Wrong, 0, wrong{"device", "Enter the asset tag or the name of the laptop."})
	}
	if len(page.Wrong) > 0 {
		return "", nil
	}
	question := url.Values{"at": {at.Format(time.RFC3339)}}
	if known {
		question.Set("aware", aware.Format(time.RFC3339))
	}
	meant, alike, err := s.called(ctx, v, page.Device)
	if err != nil {
		return "", err
	}
	sheet := func(d view.Device) string { return deviceAddress(v.school.ID, d.ID) + "/evidence?" + question.Encode() }
	if len(meant) == 1 {
		return sheet(meant[0]), nil
	}
	if len(meant) > 1 {
		alike = meant
	}
	for _, d := range alike[:min(len(alike), mostFound)] {
		f := foundDevice{Address: sheet(d), System: d.OSName, Heard: s.clockwork(v).moment(d.LastContact)}
		f.Name, f.Second = names(d.Hostname, d.AssetTag, d.ID)
		page.Found = append(page.Found, f)
	}
	if len(page.Found) == 0 {
		page.Wrong = append(page.Wrong, wrong{"device", "No laptop of this school has that tag or name. Check it, or look in the list of devices."})
	}
	return "", nil
}

// called finds the devices whose tag, host name or identifier is a name, and
// those of which it is only a part: a part is never taken for the whole, so that
// nobody is shown, or marks as lost, another laptop than they mean.
func (s *site) called(ctx context.Context, v visit, name string) (meant, alike []view.Device, err error) {
	found, err := s.Queries.Devices(ctx, v.school.ID, view.DeviceQuery{Search: name, Limit: mostAlike}, v.now)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range found.Devices {
		if strings.EqualFold(d.AssetTag, name) || strings.EqualFold(d.Hostname, name) {
			meant = append(meant, d)
			continue
		}
		alike = append(alike, d)
	}
	if len(meant) > 0 {
		return meant, alike, nil
	}
	switch known, err := s.Queries.Device(ctx, v.school.ID, posture.DeviceID(name), v.now); { // nobody searches by identifier
	case err == nil:
		meant = []view.Device{known.Device}
	case !isMissing(err):
		return nil, nil, err
	}
	return meant, alike, nil
}

// moment reads what was typed, in a zone. Of an hour that comes twice, when
// clocks go back, it is the first.
func (t typed) moment(zone *time.Location) (time.Time, bool) {
	at, err := time.ParseInLocation(time.DateOnly+" 15:04", t.Day+" "+t.Time, zone)
	return at, err == nil
}

// evidencePage is the sheet about a device or a school at a moment.
type evidencePage struct {
	evidence.Summary
	Look      standingWords // of the answer
	Answer    []string      // the first part, in sentences
	Rest      []sheetPart
	Line      *lifeline // of a device
	TellBy    *moment
	Left      string // of the time until then
	Late      bool
	File      string // address of the sealed file
	Contacts  contacts
	Record    string // address where the loss is recorded as an incident; "" if whoever looks may not
	Back      string // address of the device, or of the school
	BackWords string
	Ending    string
}

// deviceEvidence shows what is proven of a device at a moment.
func (s *site) deviceEvidence(w http.ResponseWriter, r *http.Request, v visit) error {
	b, _, err := s.sealDevice(r, v)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := newEvidencePage(b, c)
	page.Line = newLifeline(b, c)
	title, err := s.nameOf(r.Context(), v, b)
	if err != nil {
		return err
	}
	page.Back, page.BackWords = deviceAddress(v.school.ID, b.Device), title
	page.File = page.Back + "/evidence/file?" + r.URL.Query().Encode()
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	if v.account.May(v.school.ID, access.RecordIncidents) {
		page.Record = incidentAddress(v.school.ID, "") + "?" + lossQuery(b, title, s.Location).Encode() + "#new"
	}
	title += ": " + page.Look.Words + " on " + c.moment(b.At).Text
	if look, silent := stateLook(page.State), silentAt(b); silent && look.Class == "met" {
		title += ", " + look.Words + " when last heard from, " + c.moment(b.Sheet.LastSign()).Text
	}
	return s.write(w, http.StatusOK, "evidence", s.page(v, title, "evidence"), page)
}

// nameOf is what the device of a sheet is called: by the sheet or, if it had not
// reported by then, by what is known today.
func (s *site) nameOf(ctx context.Context, v visit, b *evidence.Bundle) (string, error) {
	host, tag := b.Sheet.Hostname, b.Asset
	if host == "" || tag == "" {
		d, err := s.Queries.Device(ctx, v.school.ID, b.Device, v.now)
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return "", err
		}
		host, tag = cmp.Or(host, d.Hostname), cmp.Or(tag, d.AssetTag)
	}
	name, _ := names(visible(host), visible(tag), b.Device)
	return name, nil
}

// lossQuery fills in an incident with what is known of a loss.
func lossQuery(b *evidence.Bundle, name string, zone *time.Location) url.Values {
	at := b.At.In(zone)
	q := url.Values{"device": {name}, "day": {at.Format(time.DateOnly)}, "time": {at.Format("15:04")}}
	if !b.Aware.IsZero() {
		aware := b.Aware.In(zone)
		q.Set("aware-day", aware.Format(time.DateOnly))
		q.Set("aware-time", aware.Format("15:04"))
	}
	return q
}

// deviceEvidenceFile gives the sealed file away.
func (s *site) deviceEvidenceFile(w http.ResponseWriter, r *http.Request, v visit) error {
	b, sealed, err := s.sealDevice(r, v)
	if err != nil {
		return err
	}
	return giveFile(w, b.FileName(), sealed)
}

func (s *site) sealDevice(r *http.Request, v visit) (*evidence.Bundle, []byte, error) {
	q := evidence.Question{Device: posture.DeviceID(r.PathValue("device")), Zone: s.Location.String(), By: v.account.Name}
	for name, to := range map[string]*time.Time{"at": &q.At, "aware": &q.Aware} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		var err error
		if *to, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, nil, errNoPage
		}
	}
	b, sealed, err := s.Prover.SealDevice(r.Context(), v.school.ID, q)
	if errors.Is(err, evidence.ErrNoDevice) || errors.Is(err, evidence.ErrNotYet) {
		err = errNoPage
	}
	return b, sealed, err
}

// schoolEvidence shows where the school stood at the end of a day.
func (s *site) schoolEvidence(w http.ResponseWriter, r *http.Request, v visit) error {
	b, _, err := s.sealSchool(r, v)
	if err != nil {
		return err
	}
	page := newEvidencePage(b, s.clockwork(v))
	page.Back, page.BackWords = schoolAddress(v.school.ID)+"/evidence", "Evidence"
	page.File = page.Back + "/school/file?" + r.URL.Query().Encode()
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "evidence", s.page(v, page.Subtitle, "evidence"), page)
}

// schoolEvidenceFile gives the sealed file away.
func (s *site) schoolEvidenceFile(w http.ResponseWriter, r *http.Request, v visit) error {
	b, sealed, err := s.sealSchool(r, v)
	if err != nil {
		return err
	}
	return giveFile(w, b.FileName(), sealed)
}

func (s *site) sealSchool(r *http.Request, v visit) (*evidence.Bundle, []byte, error) {
	at := v.now
	if text := r.URL.Query().Get("day"); text != "" {
		day, err := time.ParseInLocation(time.DateOnly, text, s.Location)
		if err != nil {
			return nil, nil, errNoPage
		}
		at = earliest(at, day.AddDate(0, 0, 1).Add(-time.Second))
	}
	b, sealed, err := s.Prover.SealSchool(r.Context(), v.school.ID, evidence.PositionQuestion{At: at, Zone: s.Location.String(), By: v.account.Name})
	switch {
	case errors.Is(err, evidence.ErrNothingYet):
		err = errBefore
	case errors.Is(err, evidence.ErrNotYet):
		err = errNoPage
	}
	return b, sealed, err
}

func newEvidencePage(b *evidence.Bundle, c clockwork) evidencePage {
	p := evidencePage{Summary: b.Summary(c.zone, time.Time{}), Ending: evidence.Ending}
	p.Look = stateLook(p.State)
	if p.Look.Class == "met" && silentAt(b) {
		p.Look = stateLook(evidence.NotProven)
	}
	rest := p.Parts
	if b.Position == nil {
		for _, row := range rest[0].Rows {
			p.Answer = append(p.Answer, strings.Join(row, " "))
		}
		rest = rest[1:]
	}
	for i, part := range rest {
		p.Rest = append(p.Rest, newSheetPart(i, part))
	}
	if !b.TellBy.IsZero() {
		p.TellBy = c.moment(b.TellBy)
		left := b.TellBy.Sub(c.now)
		p.Late = left < 0
		p.Left = hoursAndMinutes(left.Abs())
	}
	return p
}

// silentAt reports whether the device had been silent for longer than the policy
// allows at the moment that is asked about. What it said before was so when it
// said it, and proves nothing of that moment.
func silentAt(b *evidence.Bundle) bool {
	return slices.ContainsFunc(b.Sheet.Silences, func(s evidence.Silence) bool { return s.Lasts })
}

// sheetPart is a part of a sheet with its shape: a table, pairs of a name and
// what it stands for, or sentences.
type sheetPart struct {
	evidence.Part
	ID    string
	Table bool
	Pairs bool
}

func newSheetPart(n int, p evidence.Part) sheetPart {
	s := sheetPart{Part: p, ID: "part-" + number(n+1), Table: len(p.Columns) > 0, Pairs: len(p.Rows) > 0}
	for _, row := range p.Rows {
		s.Pairs = s.Pairs && len(row) == 2
	}
	s.Pairs = s.Pairs && !s.Table
	return s
}

// hoursAndMinutes writes what is left of a deadline.
func hoursAndMinutes(d time.Duration) string {
	d = d.Truncate(time.Minute)
	words := count(int(d/time.Hour), "hour")
	if m := int(d % time.Hour / time.Minute); m > 0 {
		words += " " + count(m, "minute")
	}
	return words
}

// stateLook is the look and the words of a device's disks at a moment.
func stateLook(s evidence.State) standingWords {
	switch s {
	case evidence.Encrypted:
		return standingWords{"encrypted", "met"}
	case evidence.Unprotected:
		return standingWords{"encrypted but not protected", "not-met"}
	case evidence.NotEncrypted:
		return standingWords{"not encrypted", "not-met"}
	case "":
		return standingWords{}
	}
	return standingWords{"not proven", "not-proven"}
}

// giveFile sends a file to be kept.
func giveFile(w http.ResponseWriter, name string, content []byte) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, err := w.Write(content)
	return err
}
