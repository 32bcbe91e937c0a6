package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// now is the Friday evening of the laptop on the train.
var now = time.Date(2026, 10, 23, 16, 12, 0, 0, time.UTC)

const (
	hollybank = posture.SchoolID("hollybank")
	oakfield  = posture.SchoolID("oakfield")
	elsewhere = posture.DeviceID("d-901") // oakfield's only laptop
	password  = "walnut harbour lantern"
)

// school answers the pages' questions from devices that it holds in memory,
// judged by the shipped baseline.
type school struct {
	names   []view.School
	policy  *policy.Policy
	mu      sync.Mutex // guards devices
	devices []view.DeviceDetail
	fail    error
	office  *desk  // made with the pages
	hostile string // what evidence is made to say, unless empty
	looks   looked // who looks at it
	granted []view.Exemption
	decided []decision.Decision
	asked   []string

	happened []view.Incident
	desk     *policies // made with the pages
	trust    *trustees // likewise
	kept     []incident.Change
	changed  []dispute.Change // of disputes, as they were asked for
	told     reported         // what was reported without signing in

	admissions *admitter // made with the pages
	waiters    *waiters  // so too

	keeps *registry
}

func (s *school) Schools(context.Context) ([]view.School, error) { return s.names, s.fail }

// change replaces the devices by changed ones.
func (s *school) change(how func([]view.DeviceDetail)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices = slices.Clone(s.devices)
	how(s.devices)
}

func (s *school) of(id posture.SchoolID) []view.DeviceDetail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.devices), func(d view.DeviceDetail) bool { return d.School != id })
}

func (s *school) Overview(_ context.Context, id posture.SchoolID, now time.Time) (view.Overview, error) {
	i := slices.IndexFunc(s.names, func(o view.School) bool { return o.ID == id })
	if i < 0 || s.fail != nil {
		return view.Overview{}, s.fail
	}
	o := view.Overview{School: id, SchoolName: s.names[i].Name, At: now, Policy: 3, PolicyName: s.policy.Title}
	devices := s.of(id)
	counts := map[view.BreachCount]int{}
	for _, d := range devices {
		o.Devices++
		if d.Silent {
			o.Silent++
		}
		for _, b := range d.Breaches {
			counts[view.BreachCount{Status: b.Status, Severity: b.Severity}]++
		}
	}
	for k, n := range counts {
		k.Count = n
		o.Breaches = append(o.Breaches, k)
	}
	slices.SortFunc(o.Breaches, func(a, b view.BreachCount) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Severity, b.Severity))
	})
	for _, r := range s.policy.Rules {
		c := view.RuleCount{Rule: r.ID, Title: r.Title, Severity: r.Severity, Remediation: r.Remediation, Clauses: r.Clauses}
		for _, d := range devices {
			switch worst(d, r.ID) {
			case view.Met:
				c.Met++
			case view.NotMet:
				c.NotMet++
			case view.Exempt:
				c.Exempt++
			case view.NotFor:
				c.NotFor++
			default:
				c.NotProven++
			}
		}
		o.Rules = append(o.Rules, c)
	}
	return o, nil
}

func (s *school) Devices(_ context.Context, id posture.SchoolID, q view.DeviceQuery, _ time.Time) (view.DevicePage, error) {
	p := view.DevicePage{Total: len(s.of(id))}
	limit := 20
	if q.Limit > 0 {
		limit = q.Limit
	}
	for _, d := range s.of(id) {
		if !strings.Contains(strings.ToLower(d.Hostname+" "+d.AssetTag), strings.ToLower(q.Search)) || d.Hostname <= q.After || q.Silent && !d.Silent || !s.stands(d, q) {
			continue
		}
		if len(p.Devices) == limit {
			p.Next = p.Devices[limit-1].Hostname
			break
		}
		if q.Rule != "" && q.Standing != view.Met {
			d.Found = slices.DeleteFunc(slices.Clone(d.Findings), func(f view.Finding) bool { return f.Rule != q.Rule || f.Standing != q.Standing })
			d.FoundAll = len(d.Found)
		}
		p.Devices = append(p.Devices, d.Device)
	}
	return p, s.fail
}

func (s *school) stands(d view.DeviceDetail, q view.DeviceQuery) bool {
	return q.Standing == "" || slices.ContainsFunc(s.policy.Rules, func(r policy.Rule) bool {
		return (q.Rule == "" || q.Rule == r.ID) && worst(d, r.ID) == q.Standing
	})
}

func (s *school) Device(_ context.Context, id posture.SchoolID, device posture.DeviceID, _ time.Time) (view.DeviceDetail, error) {
	for _, d := range s.of(id) {
		if d.ID == device {
			return d, s.fail
		}
	}
	return view.DeviceDetail{}, view.ErrNotFound
}

func (s *school) BreachGroups(_ context.Context, id posture.SchoolID, q view.BreachQuery, _ time.Time) (view.GroupPage, error) {
	var p view.GroupPage
	for _, d := range s.of(id) {
		var wanted []view.Breach
		for _, b := range d.Breaches {
			if (q.Rule == "" || b.Rule == q.Rule) && (len(q.Statuses) == 0 && b.Status != breach.Resolved || slices.Contains(q.Statuses, b.Status)) &&
				(len(q.Severities) == 0 || slices.Contains(q.Severities, b.Severity)) {
				wanted = append(wanted, b)
			}
		}
		p.Groups = append(p.Groups, groupBreaches(wanted)...)
	}
	slices.SortStableFunc(p.Groups, func(a, b view.BreachGroup) int { return b.FirstFailed.Compare(a.FirstFailed) })
	p.Groups = p.Groups[:min(len(p.Groups), 20)]
	return p, s.fail
}

func (s *school) Exemptions(_ context.Context, id posture.SchoolID, q view.ExemptionQuery, _ time.Time) (view.ExemptionPage, error) {
	var p view.ExemptionPage
	for _, e := range s.granted {
		if id == hollybank && (len(q.States) == 0 || slices.Contains(q.States, e.State)) && (q.Rule == "" || q.Rule == e.Scope.Rule) && (q.Device == "" || q.Device == e.Scope.Device) {
			p.Exemptions = append(p.Exemptions, e)
		}
	}
	return p, s.fail
}

func (s *school) Exemption(_ context.Context, id posture.SchoolID, name string, _ time.Time) (view.Exemption, error) {
	for _, e := range s.granted {
		if e.ID == name && id == hollybank {
			return e, s.fail
		}
	}
	return view.Exemption{}, view.ErrNotFound
}

// Decide implements Decider: it keeps what was decided, and refuses what says
// so.
func (s *school) Decide(_ context.Context, _ posture.SchoolID, d decision.Decision) (uint64, error) {
	if d.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "it was decided already"}
	}
	s.decided = append(s.decided, d)
	return uint64(len(s.decided)), nil
}

func (s *school) Incidents(_ context.Context, id posture.SchoolID, q view.IncidentQuery, _ time.Time) (view.IncidentPage, error) {
	var p view.IncidentPage
	for _, i := range s.happened {
		if id == hollybank && (q.State == "" || (q.State == view.IncidentClosed) == i.Closed) {
			p.Incidents = append(p.Incidents, i)
		}
	}
	return p, s.fail
}

func (s *school) Incident(_ context.Context, id posture.SchoolID, number string, _ time.Time) (view.Incident, error) {
	for _, i := range s.happened {
		if i.Number == number && id == hollybank {
			return i, s.fail
		}
	}
	return view.Incident{}, view.ErrNotFound
}

// KeepIncident implements IncidentKeeper: it keeps what was recorded.
func (s *school) KeepIncident(_ context.Context, _ posture.SchoolID, number string, d decision.Decision, c incident.Change) (string, error) {
	if d.Reason == "refuse this" {
		return "", &decision.RefusedError{Why: "it is closed already"}
	}
	s.decided, s.kept = append(s.decided, d), append(s.kept, c)
	return cmp.Or(number, "2026-09"), nil
}

// newIncident is the loss of a laptop, as its view is folded from what was
// recorded.
func newIncident(t testing.TB) view.Incident {
	t.Helper()
	at := func(d time.Duration) *incident.Moment {
		m := incident.NewMoment(now.Add(d), Zone)
		return &m
	}
	var changes []incident.Taken
	add := func(c incident.Change, words string) {
		c.ID = "in-1"
		changes = append(changes, incident.Taken{Change: c, Act: incident.Act{By: "office", Words: words, Recorded: now.Add(time.Duration(len(changes)) * time.Minute), Entry: uint64(900 + len(changes))}})
	}
	laptop := incident.Link{What: incident.Device, Device: "d-014", Lost: true}
	add(incident.Change{What: incident.Open, Number: "2026-03", Kind: incident.LostDevice, Happened: at(-52 * time.Minute), Aware: at(-2 * time.Minute), Links: []incident.Link{laptop}}, "Left on the 16:20 train.")
	add(incident.Change{What: incident.Spoke, Whom: "Train operator"}, "It was not handed in.")
	add(incident.Change{What: incident.Tell, Audience: incident.Regulator, Answer: incident.NotYet}, "We wait for the lost property office.")
	add(incident.Change{What: incident.Note}, "The teacher has another laptop for Monday.")
	add(incident.Change{What: incident.Lesson}, "Laptops go in the bag that has the label.")
	folded := incident.From(changes)
	by, _ := folded.TellBy()
	return view.Incident{Incident: folded, Due: incident.Due(by, now), Names: []view.IncidentName{{Device: "d-014", Hostname: "hb-lt-014", AssetTag: "HB-LT-014"}}}
}

// AssessNow implements Assessor: every device but one is connected.
func (s *school) AssessNow(_ context.Context, _ posture.SchoolID, id posture.DeviceID, by string) error {
	if id == "d-007" {
		return ErrAway
	}
	s.asked = append(s.asked, by+" asks "+string(id))
	return nil
}

func (s *school) CoverageCounts(_ context.Context, id posture.SchoolID, now time.Time) (view.Coverage, error) {
	return view.Coverage{School: id, At: now, Registered: 77, Enrolled: 37, Counts: []view.CoverCount{{Cover: view.ByAgent, Count: 37}, {Cover: view.ByImport, Count: 38}, {Cover: view.StaleImport, Count: 2}}}, s.fail
}

// worst returns where a device stands on a rule, by its worst subject.
func worst(d view.DeviceDetail, rule string) view.Standing {
	if d.LastReport == 0 {
		return view.NotProven
	}
	seen := view.NotFor
	for _, standing := range []view.Standing{view.Met, view.Exempt, view.NotProven, view.NotMet} {
		if slices.ContainsFunc(d.Findings, func(f view.Finding) bool { return f.Rule == rule && f.Standing == standing }) {
			seen = standing
		}
	}
	return seen
}

// newSchool makes a primary school of 61 laptops whose troubles are those that
// schools have, and a second school with one.
func newSchool(t testing.TB) *school {
	t.Helper()
	p, _, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := policy.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	s := &school{policy: p, names: []view.School{{ID: hollybank, Name: "Hollybank Primary School"}, {ID: oakfield, Name: "Oakfield Infant School"}}}
	for n := 1; n <= 61; n++ {
		s.devices = append(s.devices, newLaptop(loaded, hollybank, n))
	}
	// One that has enrolled and not reported, and one with names as long as can
	// be, of which only what its rules leave open is known.
	s.devices = append(s.devices, view.DeviceDetail{Device: view.Device{
		School: hollybank, ID: "d-062", Hostname: "hb-lt-062", Platform: posture.Windows, Ownership: posture.SchoolSingleUser, AgentVersion: "v0.1.0",
		EnrolledAt: now.Add(-time.Hour), LastContact: now.Add(-time.Hour), NotProven: len(p.Rules),
	}, KeyFingerprint: strings.Repeat("3fa9c1d2", 8)})
	long := newLaptop(loaded, hollybank, 63)
	long.Hostname, long.AssetTag = "hb-"+strings.Repeat("very-long-name-", 4)+"063", "HOLLYBANK-PRIMARY-SCHOOL/KEY-STAGE-2/TROLLEY-B/LAPTOP-063"
	long.Findings = slices.DeleteFunc(long.Findings, func(f view.Finding) bool { return f.Standing != view.NotProven })
	long.Breaches, long.Open, long.Met, long.NotMet, long.Exempt = nil, 0, 0, 0, 0
	other := newLaptop(loaded, oakfield, 1)
	other.ID = elsewhere
	s.devices = append(s.devices, long, other)
	// One that is lost and still talks, and one that was set up anew.
	lost := &s.devices[9]
	lost.Lost = &view.Lost{Since: incident.NewMoment(now.Add(-30*time.Hour), Zone), Incident: "2026-03"}
	lost.Quarantine = &view.QuarantineDetail{
		Spans: []view.QuarantineSpan{{From: 700, Since: now.Add(-29 * time.Hour)}}, Reports: 2, LastContact: now.Add(-time.Hour),
		Timeline: []view.Quarantined{
			{Entry: 812, Sequence: 92, MadeAt: now.Add(-time.Hour), ReceivedAt: now.Add(-time.Hour), NotMet: []string{"ENC-01", "CFG-01"}},
			{Entry: 804, Sequence: 91, MadeAt: now.Add(-20 * time.Hour), ReceivedAt: now.Add(-20 * time.Hour)},
		},
	}
	anew := &s.devices[10]
	anew.Earlier = []view.EarlierInstall{{Device: "d-001", Hostname: "hb-lt-011", EnrolledAt: now.Add(-9000 * time.Hour), ReplacedAt: now.Add(-100 * time.Hour)}}
	anew.PolicyDue, anew.Groups = 4, []string{"trolley-b", "year-4"}
	s.happened = []view.Incident{newIncident(t)}
	s.told = newConcerns()
	s.keeps = newRegistry(t)
	asked := view.Act{By: "technician", At: now.Add(-48 * time.Hour), Reason: "Its maker sends a new disk in November.", Entry: 400}
	answered := view.Act{By: "dpo", At: now.Add(-24 * time.Hour), Reason: "Until the disk is here.", Entry: 420}
	scope := breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "d-009"}
	until := now.Add(28 * 24 * time.Hour)
	s.granted = []view.Exemption{
		{ExemptionRow: view.ExemptionRow{ID: "ex-kestrel01", Scope: scope, Until: until, Asked: asked}, State: view.ExemptionAsked, Title: "System disk encrypted", Hostname: "hb-lt-009", AssetTag: "HB-LT-009"},
		{ExemptionRow: view.ExemptionRow{ID: "ex-kestrel02", Scope: breach.Scope{Rule: "PAT-02", Of: breach.WholeSchool}, Until: until, Asked: asked, Approved: answered}, State: view.ExemptionApproved, Title: "Important updates within 14 days"},
		{ExemptionRow: view.ExemptionRow{ID: "ex-kestrel03", Scope: breach.Scope{Rule: "CFG-02", Of: breach.OneGroup, Group: "trolley-b"}, Until: until, Asked: answered, Refused: asked}, State: view.ExemptionRefused, Title: "Locks itself and asks for a password"},
	}
	return s
}

// laptop is a device that is being made.
type laptop struct{ view.DeviceDetail }

func (d *laptop) add(p *policy.Policy, f posture.Finding, n int, silent bool) {
	rule, _ := p.Rule(f.Rule)
	since := now.Add(-time.Duration(3+(n*7)%40) * 24 * time.Hour)
	v := view.Finding{Finding: f, Title: rule.Title, Remediation: rule.Remedy(d.Platform), Clauses: rule.Clauses, Since: since}
	worst := 0
	switch {
	case f.Result == posture.NotApplicable:
		v.Standing = view.NotFor
	case f.Result == posture.Fail && f.Rule == "PAT-02" && n%20 == 4:
		v.Standing, worst = view.Exempt, 2
	case f.Result == posture.Fail:
		v.Standing, worst = view.NotMet, 1
	case f.Result == posture.Pass && !silent:
		v.Standing = view.Met
	default:
		v.Standing = view.NotProven
	}
	d.Findings = append(d.Findings, v)
	if v.Standing == view.NotMet {
		d.Open++
	}
	if worst == 0 {
		return
	}
	b := view.Breach{
		Device: d.ID, Hostname: d.Hostname, AssetTag: d.AssetTag, Rule: f.Rule, Title: rule.Title, Remediation: v.Remediation, Subject: f.Subject, Severity: f.Severity,
		Status: breach.Open, FirstFailed: since, LastFailed: now, GraceEnds: since.Add(f.Grace), Message: f.Message, ReceivedAt: since.Add(time.Minute),
	}
	switch {
	case worst == 2:
		b.Status, b.ExemptUntil = breach.Exempt, now.Add(30*24*time.Hour)
	case n%11 == 5:
		b.Status, b.AcknowledgedAt, b.AcknowledgedBy = breach.Acknowledged, now.Add(-time.Hour), "Sam Okoro"
	case n%9 == 2:
		b.Status, b.GraceEnds = breach.Pending, now.Add(40*time.Hour)
	}
	d.Breaches = append(d.Breaches, b)
}

func newLaptop(p *policy.Loaded, at posture.SchoolID, n int) view.DeviceDetail {
	heard := now.Add(-time.Duration(n%50) * 7 * time.Minute)
	silent := n%15 == 7
	if silent {
		heard = now.Add(-time.Duration(16+n) * 24 * time.Hour)
	}
	if n == 14 {
		heard = time.Date(2026, 10, 23, 14, 52, 0, 0, time.UTC)
	}
	d := laptop{view.DeviceDetail{Device: view.Device{
		School: at, ID: posture.DeviceID(fmt.Sprintf("d-%03d", n)), Hostname: fmt.Sprintf("hb-lt-%03d", n), AssetTag: fmt.Sprintf("HB-LT-%03d", n),
		Platform: posture.Windows, OSName: "Windows 11 Pro 25H2", Chassis: "laptop", Ownership: posture.SchoolSingleUser, AgentVersion: "v0.1.0",
		EnrolledAt: time.Date(2026, 9, 4, 8, 20, 0, 0, time.UTC), LastContact: heard, LastReport: uint64(40 + n), ReportedAt: heard.Add(-20 * time.Minute),
		Policy: 3, Silent: silent,
	}, KeyFingerprint: strings.Repeat("3fa9c1d2", 8), Entry: uint64(5100 + 61*n)}}
	d.Facts = laptopFacts(n, heard)
	assignment := policy.Assignment{Ownership: d.Ownership}
	findings := p.Evaluate(assignment, d.Facts, now)
	findings = append(findings, p.EvaluateSchool(assignment, policy.SchoolFacts{
		System: d.Facts.System, Contact: at2(posture.Found("roster", policy.Contact{LastAt: heard}), now),
		Agent: at2(posture.Found("roster", policy.Agent{
			Skew: posture.Read(2 * time.Second), ProbeErrors: posture.Read(int64(0)), Disagreements: posture.Read(int64(0)), Dropped: posture.Read(int64(0)),
		}), now),
	}, now)...)
	for _, f := range findings {
		d.add(p.Policy(), f, n, silent)
	}
	order := map[string]int{}
	d.Met, d.NotMet, d.NotProven, d.Exempt = 0, 0, 0, 0
	for i, r := range p.Policy().Rules {
		order[r.ID] = i
		switch worst(d.DeviceDetail, r.ID) {
		case view.Met:
			d.Met++
		case view.NotMet:
			d.NotMet++
		case view.NotProven:
			d.NotProven++
		case view.Exempt:
			d.Exempt++
		default: // counts for nothing
		}
	}
	slices.SortStableFunc(d.Findings, func(a, b view.Finding) int { return order[a.Rule] - order[b.Rule] })
	if n == 14 {
		d.Gaps = []view.Gap{{From: 31, To: 33, Reason: "the laptop's spool was full", At: now.Add(-300 * time.Hour)}}
		d.Skew = posture.Read(3 * time.Minute)
		d.Events = stickEvents()
	}
	return d.DeviceDetail
}

func at2[T any](a posture.Answer[T], readAt time.Time) posture.Answer[T] {
	a.ReadAt = readAt
	return a
}

func laptopFacts(n int, readAt time.Time) posture.Facts {
	system := posture.Volume{
		ID: "a1b2c3d4e5f6", Role: posture.SystemVolume, Mount: "C:", Filesystem: posture.Read("NTFS"), Capacity: posture.Read(int64(255_000_000_000)),
		Encryption: posture.Read(posture.Encrypted), Protection: posture.Read(posture.ProtectionOn), Method: posture.Read("BitLocker"), Cipher: posture.Read("XTS-AES 128"),
	}
	antivirus := posture.Antivirus{
		Product: "microsoft-defender", Name: "Microsoft Defender", Version: posture.Read("4.18.26090.4"), On: posture.Read(true), RealTime: posture.Read(true),
		Expired: posture.Read(false), Updating: posture.Read(true), Definitions: posture.Read("1.441.212.0"), DefinitionsAt: posture.Read(readAt.Add(-9 * time.Hour)),
	}
	security := posture.Security{
		OSSupported: posture.Read(true), OSSupportEnds: posture.Read(time.Date(2027, 10, 12, 0, 0, 0, 0, time.UTC)), UpdatesPending: posture.Read(int64(2)),
		UpdatesImportant: posture.Read(int64(0)), ImportantSince: posture.Read(time.Time{}), UpdatesCheckedAt: posture.Read(readAt.Add(-5 * time.Hour)),
		UpdatesAutomatic: posture.Read(true), RebootDue: posture.Read(n%6 == 0), Firewall: posture.Read(n%23 != 2), ScreenLock: posture.Read(true),
		ScreenLockAfter: posture.Read(int64(600)), PasswordSet: posture.Read(true), AutoLogon: posture.Read(false), AutoRun: posture.Read(false),
		DailyUserAdmin: posture.Read(n%8 == 3), Administrators: posture.Read(int64(1)), OpenDetections: posture.Read(int64(0)),
		SecureBoot: posture.Read(true), TPM: posture.Read(true),
	}
	switch {
	case n%20 == 9:
		system.Encryption, system.Protection, system.Method, system.Cipher = posture.Read(posture.Unencrypted), posture.Read(posture.ProtectionOff), posture.Read(""), posture.Read("")
	case n == 21:
		system.Protection = posture.Read(posture.ProtectionSuspended)
	case n%30 == 13:
		system.Protection = posture.Unread[posture.ProtectionState](posture.Denied)
	}
	if n%9 == 4 {
		antivirus.DefinitionsAt = posture.Read(readAt.Add(-9 * 24 * time.Hour))
	}
	if n%10 == 4 {
		security.UpdatesImportant, security.ImportantSince = posture.Read(int64(3)), posture.Read(now.Add(-25*24*time.Hour))
	}
	if n%12 == 6 {
		security.ScreenLockAfter = posture.Unread[int64](posture.NotVisible)
	}
	f := posture.Facts{
		System: posture.Found("Win32_ComputerSystem", posture.System{
			Hostname: fmt.Sprintf("hb-lt-%03d", n), Platform: posture.Windows, OS: posture.Read("windows"), OSName: posture.Read("Windows 11 Pro 25H2"),
			OSVersion: posture.Read("10.0.26200"), OSBuild: posture.Read("26200.6899"), Architecture: "amd64", Chassis: posture.Read(posture.Laptop),
			Manufacturer: posture.Read("Brook Computers"), Model: posture.Read("Classbook 14"),
		}),
		Volumes: posture.Found("Win32_EncryptableVolume", system, posture.Volume{
			ID: "0f0f0f0f0f0f", Role: posture.BootVolume, Filesystem: posture.Read("FAT32"), Capacity: posture.Read(int64(100_000_000)),
			Encryption: posture.Read(posture.Unencrypted), Protection: posture.Read(posture.ProtectionOff), Method: posture.Read(""), Cipher: posture.Read(""),
		}),
		Antivirus:   posture.Found("MSFT_MpComputerStatus", antivirus),
		Media:       posture.Found[posture.Medium]("Win32_DiskDrive"),
		MediaEvents: posture.Found[posture.MediumEvent]("Win32_VolumeChangeEvent"),
		Programs:    posture.Found("registry", programs(n)...),
		Executables: posture.Found[posture.Executable]("folders"),
		Scripts:     posture.Found("folders", posture.Tally{Location: posture.Downloads, Format: posture.Script, Count: 3}),
		Security:    posture.Found("Win32", security),
	}
	if n%7 == 1 {
		f.Media = posture.Found("Win32_DiskDrive", stick(n%14 == 8))
	}
	if n%9 == 5 || n == 14 {
		f.Executables = posture.Found("folders", posture.Executable{
			Location: posture.Downloads, Format: posture.PE, SHA256: posture.Read(strings.Repeat("b4c0ffee", 8)), Product: posture.Read("Block Racer"),
			Version: posture.Read("1.4"), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
		})
	}
	if n == 33 {
		var found []posture.Executable
		for i, place := range []posture.Location{posture.Downloads, posture.OnDesktop, posture.Home, posture.OnMedia} {
			for j := range 3 {
				e := posture.Executable{
					Location: place, Format: posture.PE, SHA256: posture.Read(fmt.Sprintf("%02x%s", i*3+j, strings.Repeat("7ab4c05e", 8)[:62])), Product: posture.Read(""),
					Version: posture.Read(""), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
				}
				if j == 0 {
					e.Product = posture.Read("Block Racer")
				}
				found = append(found, e)
			}
		}
		f.Executables = posture.Found("folders", found...)
	}
	if n%16 == 3 {
		f.Antivirus = posture.NotFound[posture.Antivirus]("MSFT_MpComputerStatus", posture.TimedOut)
	}
	stamp(&f, readAt)
	return f
}

func stamp(f *posture.Facts, at time.Time) {
	f.System.ReadAt, f.Volumes.ReadAt, f.Antivirus.ReadAt, f.Media.ReadAt = at, at, at, at
	f.MediaEvents.ReadAt, f.Programs.ReadAt, f.Executables.ReadAt, f.Scripts.ReadAt, f.Security.ReadAt = at, at, at, at, at
}

func stick(encrypted bool) posture.Medium {
	m := posture.Medium{
		Serial: posture.Read(strings.Repeat("9e107d9d", 8)), Kind: posture.DiskMedium, Bus: "usb", VendorID: "0781", ProductID: "5567", Vendor: "Pebble", Product: "Slim 32",
		Capacity: posture.Read(int64(32_000_000_000)), Writable: posture.Read(true), Encryption: posture.Read(posture.Unencrypted),
		Partitions: []posture.Partition{{Number: 1, Filesystem: posture.Read("exfat"), Encryption: posture.Read(posture.Unencrypted), Method: posture.Read("")}},
	}
	if encrypted {
		m.Encryption, m.Partitions[0].Encryption, m.Partitions[0].Method = posture.Read(posture.Encrypted), posture.Read(posture.Encrypted), posture.Read("BitLocker")
	}
	return m
}

func stickEvents() []view.MediumEvent {
	var all []view.MediumEvent
	for i, action := range []posture.MediumAction{posture.Detached, posture.Attached, posture.Gone, posture.Present} {
		all = append(all, view.MediumEvent{Entry: uint64(5900 - 40*i), MediumEvent: posture.MediumEvent{
			Number: uint64(4 - i), At: now.Add(-time.Duration(5+30*i) * time.Hour), Action: action, Kind: posture.DiskMedium, Bus: "usb",
			Serial: posture.Read(strings.Repeat("9e107d9d", 8)), Vendor: "Pebble", Product: "Slim 32",
		}})
	}
	return all
}

func programs(n int) []posture.Program {
	all := []posture.Program{
		{Source: "registry", Name: "LibreOffice 26.2", Version: "26.2.1.2", Publisher: "The Document Foundation", Architecture: "x64"},
		{Source: "registry", Name: "Mozilla Firefox", Version: "144.0", Publisher: "Mozilla", Architecture: "x64"},
	}
	if n%13 == 2 {
		all = append(all, posture.Program{Source: "registry", Name: "AnyDesk", Version: "9.5", Publisher: "AnyDesk Software", Architecture: "x64"})
	}
	for i := range 420 {
		all = append(all, posture.Program{Source: "registry", Name: fmt.Sprintf("Classroom component %03d", i), Version: "1.0", Publisher: "Brook Learning", Architecture: "x64"})
	}
	return all
}

// newSite makes the pages of a school, with an account for every role.
func newSite(t testing.TB, q Queries, tls bool) (http.Handler, *access.Access) {
	t.Helper()
	return newSiteOf(t, q, &standing{}, tls)
}

// newSiteOf is newSite with something to be said of the records.
func newSiteOf(t testing.TB, q Queries, records Records, tls bool) (http.Handler, *access.Access) {
	t.Helper()
	return newSiteAt(t, clocktest.NewDriven(now), q, records, tls)
}

// newSiteAt is newSiteOf by a clock.
func newSiteAt(t testing.TB, c clock.Clock, q Queries, records Records, tls bool) (http.Handler, *access.Access) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	if err := os.CopyFS(dir, everyRole(t)); err != nil {
		t.Fatal(err)
	}
	a, err := access.Open(dir, access.Options{Clock: c, Logger: log, Secure: tls})
	if err != nil {
		t.Fatal(err)
	}
	return siteOf(t, c, a, q, records, tls), a
}

// accounts are the files of everyRole, once they are made.
var accounts struct {
	sync.Mutex
	files fstest.MapFS
}

// everyRole is the files of an account for each role, at the school and
// everywhere, and one of somebody who holds a laptop. It is made once for all
// tests, since each password takes as long to hash as it is meant to.
func everyRole(t testing.TB) fs.FS {
	t.Helper()
	accounts.Lock()
	defer accounts.Unlock()
	if accounts.files != nil {
		return accounts.files
	}
	dir := t.TempDir()
	a, err := access.Open(dir, access.Options{Clock: clocktest.NewDriven(now), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	made := []access.NewAccount{{Name: "robin", Password: password, Grants: []access.Grant{{School: hollybank, Role: access.Staff}}}}
	for _, role := range access.Roles() {
		made = append(made,
			access.NewAccount{Name: string(role), Password: password, Grants: []access.Grant{{School: hollybank, Role: role}}},
			access.NewAccount{Name: string(role) + " everywhere", Password: password, Grants: []access.Grant{{School: access.EverySchool, Role: role}}})
	}
	for _, n := range made {
		if _, _, err := a.CreateAccount(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	accounts.files = fstest.MapFS{}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		accounts.files[f.Name()] = &fstest.MapFile{Data: data, Mode: 0o600}
	}
	return accounts.files
}

// siteOf is the pages of a school with all that they can be asked for, and with
// the accounts that are given.
func siteOf(t testing.TB, c clock.Clock, a *access.Access, q Queries, records Records, tls bool) http.Handler {
	t.Helper()
	k, decider, assessor, incidents, setter := newKept(t), Decider(nil), Assessor(nil), IncidentKeeper(nil), ParticularsSetter(nil)
	if s, ok := q.(*school); ok {
		k.hostile, decider, assessor, incidents, setter = s.hostile, s, s, s, s
	}
	h, err := New(Config{Queries: q, Looks: looksOf(q), Records: records, Prover: k, Decider: decider, Assessor: assessor, Incidents: incidents, Concerns: concernsOf(q), Disputes: disputesKept(q), Admissions: admissionsOf(q), Waiting: waitersOf(q), Restricted: &confidence{}, Reports: newTermly(t), Desk: deskOf(t, q), Particulars: setter, Updates: updatesOf(q), Subjects: subjectsOf(q), Kept: keptOf(q), Register: keepsOf(t, q), RegisterKeeper: keepsOf(t, q), Saver: newSaver(t), Policies: policiesOf(t, q), Trusts: trustsOf(q), Grouper: grouperOf(q), Trends: trended{q}, Access: a, Clock: c, Logger: slog.New(slog.DiscardHandler), TLS: tls, Version: "v0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
