package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// devicePage is everything known about one device.
type devicePage struct {
	view.DeviceDetail
	Apart        apart
	Two          string // that two machines answer to its name, as a sentence
	Name, Second string
	Address      string
	Views        string // address of who looked at it; "" if whoever looks may not read that
	Encryption   verdict
	Tampering    []string // what happened to its agent of late
	Unheard      bool     // it has not reported yet
	MayRevoke    bool     // whoever looks may have it known no more
	MayAssess    bool     // whoever looks may ask it to assess itself
	Asked        *progress
	Heard        *moment
	Reported     *moment
	Enrolled     *moment
	Bar          bar
	Findings     []findingRow
	NotFor       []findingRow
	Breaches     []breachRow
	Facts        facts
	Events       []eventRow
	Gaps         []gapRow
	Clock        string // how the device's clock stands
	Owner        string
	System       string
	OnDisk       []findingRow    // of these, about the system disk
	Forgotten    []string        // what of its reports was forgotten on purpose
	HeldAt       *moment         // since when all was read again and nothing had changed; nil if it was not
	FactsAt      *moment         // when most of what the findings rest on was read
	Untaken      string          // why it does not run a newer version of the agent
	Asset        *assetLine      // what the register says of it
	Disputes     []disputeRow    // what somebody says is wrong here
	Disputed     map[string]bool // of these, what waits for an answer: it is marked beside the fact
	MayDispute   bool
	Done         string
}

// assetLine is what the register says of a device.
type assetLine struct {
	Tag, Address string
	With         *heldLine
	Allocate     string // address, if whoever looks may give it out
	MayHandBack  bool
	Register     string // address at which it is registered, if it is not
}

// findingRow is one finding as the page shows it.
type findingRow struct {
	view.Finding
	Words       standingWords
	RuleAddress string
	Label       string // the subject's, unless that is the device itself; of several, how many
	Since       *moment
	Read        *moment // if that was before most facts of the page were read
	Things      []thing // if there are several, newest first
	More        int     // things beyond these
}

// eventRow is one line of the log of media.
type eventRow struct {
	What, Happened string
	Serial         value
	At             *moment
	Entry          uint64
}

// gapRow is a stretch of reports that are missing.
type gapRow struct {
	Words string
	At    *moment
}

const maxRows = 200 // of each list on a device's page

func (s *site) device(w http.ResponseWriter, r *http.Request, v visit) error {
	d, err := s.Queries.Device(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
	if err != nil {
		return err
	}
	body := newDevicePage(v.school.ID, d, s.clockwork(v))
	body.Asked = newProgress(r.URL.Query(), d, s.clockwork(v))
	body.MayRevoke = v.account.May(v.school.ID, access.AdmitDevices) && d.RevokedAt.IsZero()
	body.MayAssess = v.account.May(v.school.ID, access.DecideBreaches) && d.RevokedAt.IsZero() && d.Lost == nil
	body.Forgotten = s.forgottenOf(v, d.Device)
	body.Untaken = untaken(s.Updates.AgentOn(v.school.ID, d.ID))
	if v.account.May(v.school.ID, access.ReadLooks) {
		body.Views = viewsAddress(v) + "?" + url.Values{"laptop": {string(d.ID)}}.Encode()
	}
	if body.Disputes, err = s.disputesOf(r.Context(), v, d.ID); err != nil {
		return err
	}
	body.MayDispute, body.Done = v.account.May(v.school.ID, access.DisputeFacts), disputeDone(r.URL.Query().Get("done"))
	body.Disputed = map[string]bool{}
	for _, one := range body.Disputes {
		if one.Open() {
			body.Disputed[string(one.About)+one.Rule] = true
		}
	}
	if body.Asset, err = s.assetLineOf(r.Context(), v, d); err != nil {
		return err
	}
	title := visible(body.Name) + ": " + lowerFirst(body.Encryption.Words)
	if body.Encryption.At != nil {
		title += ", " + body.Encryption.At.Text
	}
	return s.writeLive(w, "device", s.page(v, title, "devices"), d.ID, body)
}

func newDevicePage(school posture.SchoolID, d view.DeviceDetail, c clockwork) devicePage {
	p := devicePage{
		DeviceDetail: d, Address: deviceAddress(school, d.ID),
		Encryption: encryptionVerdict(d.Facts.Volumes, c), Unheard: d.LastReport == 0,
		Heard: c.moment(d.LastContact), Reported: c.moment(d.ReportedAt), Enrolled: c.moment(d.EnrolledAt),
		Bar: newBar(d.Met, d.NotMet, d.NotProven, d.Exempt), Facts: newFacts(d.Facts, c), Tampering: tampering(d.Facts, c),
		Owner: ownership(d.Ownership), System: d.OSName,
	}
	p.Apart = newApart(school, d, c)
	if d.Twice != nil {
		p.Two = d.Twice.Words()
		p.Encryption = verdict{Words: "Not proven: two machines answer to this name", Detail: d.Twice.Words(), Standing: newStanding(view.NotProven)}
	}
	p.Name, p.Second = names(d.Hostname, d.AssetTag, d.ID)
	if p.Unheard {
		p.Encryption = verdict{Words: "Not proven: it has not reported yet", Detail: "It has enrolled, and its first report follows once its agent runs. Until then nothing is known of it.", Standing: newStanding(view.NotProven)}
	}
	if p.System == "" {
		p.System = platform(d.Platform)
	}
	p.Clock = clockWords(d)
	usual := usualTime(d.Findings)
	p.FactsAt = c.moment(usual)
	if d.HeldAt.Sub(usual) >= time.Minute {
		p.HeldAt = c.moment(d.HeldAt)
	}
	for _, f := range onSystemDisk(d.Findings, d.Facts.Volumes) {
		p.OnDisk = append(p.OnDisk, newFindingRow(school, []view.Finding{f}, usual, c))
	}
	for _, g := range groupFindings(d.Findings) {
		row := newFindingRow(school, g, usual, c)
		if row.Standing == view.NotFor {
			p.NotFor = append(p.NotFor, row)
			continue
		}
		p.Findings = append(p.Findings, row)
	}
	p.Encryption = p.Encryption.today(d.Silent, p.OnDisk)
	slices.SortStableFunc(p.Findings, func(a, b findingRow) int {
		return cmp.Or(cmp.Compare(rank(a.Standing), rank(b.Standing)), cmp.Compare(b.Severity, a.Severity), b.Finding.Since.Compare(a.Finding.Since))
	})
	groups := groupBreaches(d.Breaches)
	for _, g := range groups[:min(len(groups), maxRows)] {
		g.Message = "" // which the findings say
		p.Breaches = append(p.Breaches, newBreachRow(school, g, c))
	}
	for _, e := range d.Events[:min(len(d.Events), maxRows)] {
		p.Events = append(p.Events, newEventRow(e, c))
	}
	for _, g := range d.Gaps {
		p.Gaps = append(p.Gaps, gapRow{gapWords(g), c.moment(g.At)})
	}
	return p
}

// newFindingRow makes an entry of findings of one rule with one standing, newest
// first.
func newFindingRow(school posture.SchoolID, all []view.Finding, usual time.Time, c clockwork) findingRow {
	f := all[0]
	row := findingRow{
		Finding: f, Words: newStanding(f.Standing), RuleAddress: ruleAddress(school, f.Rule), Since: c.moment(f.Since), Label: subjectLabel(f.Subject, f.Message),
	}
	if usual.Sub(f.FactAt) >= time.Minute {
		row.Read = c.moment(f.FactAt)
	}
	if len(all) == 1 {
		return row
	}
	shown := all[:min(len(all), mostThings)]
	one := !slices.ContainsFunc(all, func(other view.Finding) bool { return other.Message != f.Message })
	if !one {
		row.Message = ""
	}
	for _, f := range shown {
		t := newThing(f.Subject)
		t.Since = c.moment(f.Since)
		if !one && t.Where == "" {
			t.Words = sentence(f.Message)
		}
		row.Things = append(row.Things, t)
	}
	row.count(len(all))
	return row
}

// count says how many things the row is about.
func (row *findingRow) count(n int) {
	row.Label, row.More = things(n, row.Subject.Kind), n-len(row.Things)
}

// onSystemDisk picks the findings about the system disk, which say since when
// it has been as it is.
func onSystemDisk(findings []view.Finding, volumes posture.Answer[posture.Volume]) []view.Finding {
	var picked []view.Finding
	for _, v := range volumes.Items {
		if v.Role != posture.SystemVolume || volumes.Absent != posture.None {
			continue
		}
		for _, f := range findings {
			if f.Subject.Kind == "volume" && f.Subject.Key == v.ID && f.Standing != view.NotFor {
				picked = append(picked, f)
			}
		}
	}
	return picked
}

// usualTime is the time, to the minute, at which most of the facts behind the
// findings were read.
func usualTime(findings []view.Finding) time.Time {
	counts := map[time.Time]int{}
	var usual time.Time
	for _, f := range findings {
		if f.FactAt.IsZero() {
			continue
		}
		at := f.FactAt.Truncate(time.Minute)
		counts[at]++
		if counts[at] > counts[usual] || usual.IsZero() {
			usual = at
		}
	}
	return usual
}

// rank puts what needs somebody first.
func rank(s view.Standing) int {
	if i := slices.Index(order[:], s); i >= 0 {
		return i
	}
	return slices.Index(order[:], view.NotProven)
}

func newEventRow(e view.MediumEvent, c clockwork) eventRow {
	return eventRow{
		What: mediumName(e.Vendor, e.Product, e.Kind), Happened: capital(e.Action.Words()),
		Serial: reading(e.Serial, short), At: c.moment(e.At), Entry: e.Entry,
	}
}

func gapWords(g view.Gap) string {
	words := "Report " + number64(g.From) + " is missing"
	if g.To > g.From {
		words = "Reports " + number64(g.From) + " to " + number64(g.To) + " are missing"
	}
	if g.Reason != "" {
		words += ": " + cmp.Or(gapReasons[g.Reason], g.Reason)
	}
	return words
}

// gapReasons are the reasons of the record in words.
var gapReasons = map[string]string{
	"restored": "the collector was restored from a backup, and what they said is lost",
	"dropped":  "the laptop had no room for them, or its disk lost them",
	"conflict": "the laptop made two reports of one number, as after it was restored from a copy",
	"unknown":  "it is not known why",
}

func lowerFirst(s string) string {
	if s == "" {
		return ""
	}
	return string(s[0]|0x20) + s[1:]
}

// clockWords says how a laptop's clock stands to the collector's.
func clockWords(d view.DeviceDetail) string {
	off := d.Skew.Value.Abs()
	switch {
	case d.LastReport == 0:
		return "not known yet"
	case !d.Skew.Known():
		return "not known yet: what came from it may have waited on the way, or its clock is behind"
	case off < time.Minute:
		return "agrees with the collector's to the minute"
	case d.Skew.Value < 0:
		return span(off) + " behind the collector's"
	}
	return span(off) + " ahead of the collector's"
}
