package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
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
	devices []view.DeviceDetail
	fail    error
}

func (s *school) Schools(context.Context) ([]view.School, error) { return s.names, s.fail }

func (s *school) of(id posture.SchoolID) []view.DeviceDetail {
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
	c := clocktest.NewDriven(now)
	log := slog.New(slog.DiscardHandler)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c, Logger: log, Secure: tls})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range access.Roles() {
		for name, at := range map[string]posture.SchoolID{string(role): hollybank, string(role) + " everywhere": access.EverySchool} {
			_, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: name, Password: password, Grants: []access.Grant{{School: at, Role: role}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	h, err := New(Config{Queries: q, Records: records, Access: a, Clock: c, Logger: log, TLS: tls, Version: "v0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	return h, a
}
