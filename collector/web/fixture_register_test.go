package web

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/saved"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// registry is the register of Hollybank, held in memory: changes are taken as the
// view takes them, and what a list changes is worked out as it is for the ledger.
type registry struct {
	mu       sync.Mutex // guards all below
	entry    uint64
	assets   map[string]register.Asset
	media    map[string]register.Medium
	licences map[string]register.Licence
	uses     []register.Use
	notices  []register.GuestNotice
	made     []decision.Decision
	changes  []register.Change
	inserted map[posture.DeviceID][]string
	counted  []register.Owner
}

const (
	serial031 = "9e107d9d9e107d9d9e107d9d9e107d9d9e107d9d9e107d9d9e107d9d9e107d9d"
	serial022 = "4b3f9a014b3f9a014b3f9a014b3f9a014b3f9a014b3f9a014b3f9a014b3f9a01"
)

func newRegistry(t testing.TB) *registry {
	t.Helper()
	s := &registry{
		assets: map[string]register.Asset{}, media: map[string]register.Medium{}, licences: map[string]register.Licence{},
		inserted: map[posture.DeviceID][]string{"d-022": {serial022}},
	}
	for i, d := range []posture.DeviceID{"d-014", "d-022"} {
		s.counted = append(s.counted, register.Owner{Device: d, Tag: []string{"HB-LT-014", "HB-LT-022"}[i]})
	}
	s.counted = append(s.counted, register.Owner{Device: "d-040", Tag: "HB-LT-040", Retired: "2026-09-01"})
	by := func(at time.Duration, person string) decision.Decision {
		return decision.Decision{Kind: decision.Register, By: "technician", At: now.Add(at), Reason: register.UsualReason, Person: person}
	}
	list := "tag,what,class,group,bought,host\n" +
		"HB-LT-014,Classbook 14,SS,Office,2026-09-01,hb-lt-014\nHB-LT-022,Classbook 14,SM,Year 4 trolley,2025-09-01,hb-lt-022\n" +
		"HB-LT-030,Classbook 14,SS,Year 4 trolley,,\nHB-LT-031,Classbook 14,SS,,,\nHB/KS2 7,Classbook 13,SM,,,\n"
	if _, _, err := s.ImportRegister(t.Context(), hollybank, by(-2000*time.Hour, ""), []byte(list), now.Add(-2000*time.Hour), false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at     time.Duration
		person string
		change register.Change
	}{
		{-1000 * time.Hour, "", register.Change{What: register.SetNotice, Tag: "2026-09", Text: "The laptop is the school's.\nBring it back on the day that is written on it.\n"}},
		{-900 * time.Hour, "S. Hazel", register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Supply teacher", Named: true, Guest: true, Notice: true, NoticeVersion: "2026-09", Ends: now.Add(-700 * time.Hour)}}},
		{-720 * time.Hour, "", register.Change{What: register.HandBack, Tag: "HB-LT-014"}},
		{-700 * time.Hour, "A. Rowan", register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Year 4 class teacher", Named: true, Condition: "A scratch on the lid"}}},
		{-600 * time.Hour, "", register.Change{What: register.Allocate, Tag: "HB-LT-022", Allocation: &register.Allocation{Role: "Supply teacher", Guest: true, Notice: true, NoticeVersion: "2026-09", Ends: now.Add(-2 * time.Hour)}}},
		{-500 * time.Hour, "", register.Change{What: register.Allocate, Tag: "HB-LT-030", Allocation: &register.Allocation{Role: "Deputy head"}}},
		{-400 * time.Hour, "", register.Change{What: register.Left, Tag: "HB-LT-030", When: now.Add(-48 * time.Hour)}},
		{-40 * time.Hour, "", register.Change{What: register.HandBack, Tag: "HB-LT-030"}},
		{-39 * time.Hour, "", register.Change{What: register.DoneStep, Tag: "HB-LT-030", Step: register.DataMoved}},
		{-300 * time.Hour, "", register.Change{What: register.Recovery, Tag: "HB-LT-014", Escrow: register.KeyHeld}},
		{-290 * time.Hour, "", register.Change{What: register.Wiped, Tag: "HB-LT-014", Method: "reset to factory state"}},
		{-200 * time.Hour, "", register.Change{What: register.RegisterMedium, Tag: "M-031", Issue: &register.Issue{Role: "Year 4 class teacher", Serials: []string{serial031}}}},
		{-100 * time.Hour, "", register.Change{What: register.EraseMedium, Tag: "M-031", Method: "overwritten once"}},
		{-100 * time.Hour, "", register.Change{What: register.SetLicence, Tag: "Sketch Studio", Purchase: &register.Purchase{Programs: []string{"sketch studio*"}, Bought: 1}}},
		{-90 * time.Hour, "", register.Change{What: register.ExcludeDevice, Tag: "Sketch Studio", Device: "d-022", Method: "a spare"}},
		{-80 * time.Hour, "A. Rowan", register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4 class teacher", Named: true, Version: "2026"}}},
	} {
		if _, err := s.Keep(t.Context(), hollybank, by(c.at, c.person), c.change); err != nil {
			t.Fatal(err)
		}
	}
	s.made, s.changes = nil, nil
	return s
}

// keepsOf is the register of the school that answers the pages.
func keepsOf(t testing.TB, q Queries) *registry {
	t.Helper()
	if s, ok := q.(interface{ register() *registry }); ok {
		return s.register()
	}
	return newRegistry(t)
}

func (s *school) register() *registry { return s.keeps }

func (s *registry) Assets(_ context.Context, id posture.SchoolID, q view.AssetQuery, at time.Time) (view.AssetPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := view.AssetPage{}
	if id != hollybank {
		return p, nil
	}
	for _, tag := range slices.Sorted(maps.Keys(s.assets)) {
		a := s.registered(s.assets[tag], at)
		words := strings.ToLower(a.Tag + " " + a.What + " " + a.Group)
		if a.Held != nil {
			words += strings.ToLower(" " + a.Held.Role)
			if q.Names {
				words += strings.ToLower(" " + a.Held.Person)
			}
		}
		if q.Cover != "" && a.Cover != q.Cover || q.Overdue && !a.Overdue || q.Leavers && (a.Leaver == nil || a.Leaver.Closed()) || !strings.Contains(words, strings.ToLower(q.Search)) || tag <= q.After {
			continue
		}
		if !q.Names {
			a = a.Nameless()
		}
		if len(p.Assets) == cmp.Or(q.Limit, 50) {
			p.Next = register.Key(p.Assets[len(p.Assets)-1].Tag)
			break
		}
		p.Assets = append(p.Assets, a)
	}
	return p, nil
}

func (s *registry) AssetGroups(_ context.Context, id posture.SchoolID, at time.Time) (groups []string, whole bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tag := range slices.Sorted(maps.Keys(s.assets)) {
		if g := s.assets[tag].Group; id == hollybank && g != "" && !s.assets[tag].Out(at) && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	return groups, true, nil
}

func (s *registry) registered(a register.Asset, at time.Time) view.Registered {
	one := view.Registered{Asset: a, Cover: view.NeverEnrolled, Overdue: a.Held.Overdue(at), Out: a.Out(at)}
	if leaves, ok := a.Leaves(); ok {
		one.Leaves = at.Before(leaves)
	}
	if a.Device != "" {
		one.Cover, one.Hostname, one.LastContact = view.ByAgent, strings.ToLower(a.Tag), at.Add(-20*time.Minute)
		if a.Held != nil {
			one.Rights = &view.Rights{Standing: view.Met, Why: "nobody's account can administer it", ReadAt: at.Add(-time.Hour)}
		}
	}
	return one
}

func (s *registry) Asset(_ context.Context, id posture.SchoolID, tag string, at time.Time) (view.Registered, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.assets[register.Key(tag)]
	if !ok || id != hollybank {
		return view.Registered{}, view.ErrNotFound
	}
	return s.registered(a, at), nil
}

// Unregistered knows of one laptop that is not in the register.
func (s *registry) Unregistered(_ context.Context, _ posture.SchoolID, _ int, at time.Time) ([]view.CoverGap, int, error) {
	return []view.CoverGap{{Cover: view.NotRegistered, Device: "d-023", Hostname: "hb-lt-023", Since: at.Add(-time.Hour)}}, 1, nil
}

func (s *registry) GuestNotices(_ context.Context, id posture.SchoolID, _ time.Time) (view.GuestNotices, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != hollybank {
		return view.GuestNotices{}, nil
	}
	list := slices.Clone(s.notices)
	register.Newest(list)
	return view.GuestNotices{Notices: list}, nil
}

func (s *registry) ListsLast(context.Context, posture.SchoolID, time.Time) (time.Duration, error) {
	return register.UsualLists, nil
}

func (s *registry) medium(m register.Medium) view.Medium {
	seen := view.Seen{Sighting: view.Sighting{Device: "d-014", First: now.Add(-150 * time.Hour), Last: now.Add(-30 * time.Hour), Times: 3, Encryption: posture.Encrypted, EncryptionAt: now.Add(-30 * time.Hour)}, Hostname: "hb-lt-014", AssetTag: "HB-LT-014"}
	if !slices.Contains(m.Serials, serial031) {
		return view.Medium{Medium: m}
	}
	return view.Medium{Medium: m, Seen: []view.Seen{seen}, Encryption: seen.Encryption, EncryptionAt: seen.EncryptionAt}
}

func (s *registry) Media(_ context.Context, id posture.SchoolID, _ string, _ int, _ time.Time) (view.MediumPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p view.MediumPage
	for _, number := range slices.Sorted(maps.Keys(s.media)) {
		if id == hollybank {
			p.Media = append(p.Media, s.medium(s.media[number]))
		}
	}
	return p, nil
}

func (s *registry) Medium(_ context.Context, id posture.SchoolID, number string, _ time.Time) (view.Medium, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.media[register.Key(number)]
	if !ok || id != hollybank {
		return view.Medium{}, view.ErrNotFound
	}
	return s.medium(m), nil
}

// FindMedia knows of two sticks that were plugged into the machine that is set
// aside: a registered one and, before it, one that is not.
func (s *registry) FindMedia(_ context.Context, id posture.SchoolID, q view.FoundQuery, at time.Time) (view.FoundMedia, error) {
	if id != hollybank {
		return view.FoundMedia{Advice: "Do not plug it in. No machine is set aside for it."}, nil
	}
	offer := func(serial string, aware time.Time) *view.IncidentOffer {
		m := incident.NewMoment(aware, Zone)
		return &view.IncidentOffer{
			Change: incident.Change{What: incident.Open, Kind: incident.FoundStick, Aware: &m, Links: []incident.Link{{What: incident.Stick, Digest: serial}}},
			Words:  "a medium was found", TellBy: incident.NewMoment(incident.TellBy(aware), Zone),
		}
	}
	seen := []view.Seen{{Sighting: view.Sighting{Device: "d-022", First: at.Add(-300 * time.Hour), Last: at.Add(-200 * time.Hour), Times: 3}, Hostname: "hb-lt-022", AssetTag: "HB-LT-022"}}
	all := []view.FoundMedium{
		{Serial: serial031, At: at.Add(-10 * time.Minute), On: "HB-PC-001", What: "Pebble Slim 32", Match: view.IsRegistered, Number: "M-031", Role: "Year 4 class teacher", Encryption: posture.Encrypted, EncryptionAt: at.Add(-10 * time.Minute), Offer: offer(serial031, at.Add(-time.Hour))},
		{Serial: serial022, At: at.Add(-30 * time.Minute), On: "HB-PC-001", Match: view.Unregistered, Seen: seen, Encryption: posture.Unencrypted, EncryptionAt: at.Add(-200 * time.Hour), Offer: offer(serial022, at.Add(-time.Hour))},
	}
	found := view.FoundMedia{Machines: []string{"HB-PC-001"}, Advice: "Do not plug it in anywhere else, and open none of its files.", Found: all}
	switch q.Number {
	case "":
	case "M-031":
		found.Found = all[:1]
	default:
		return view.FoundMedia{}, view.ErrNotFound
	}
	return found, nil
}

func (s *registry) Licences(_ context.Context, id posture.SchoolID, q view.LicenceQuery, at time.Time) (view.LicenceList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list view.LicenceList
	for _, name := range slices.Sorted(maps.Keys(s.licences)) {
		if id != hollybank || q.Product != "" && register.Key(q.Product) != name {
			continue
		}
		l := s.licences[name]
		tally := l.Tally(q.Devices)
		for _, o := range s.counted {
			tally.Add(o)
		}
		line := view.LicenceLine{Licence: l, Now: tally.Reconciled(2, at)}
		line.Installed, line.Uncounted = tally.Counted()
		line.Over = line.Installed > l.Bought
		if l.Signed != nil {
			line.SignedFor = l.Signed.Installed()
		}
		list.Licences = append(list.Licences, line)
	}
	if q.Product != "" && len(list.Licences) == 0 {
		return list, view.ErrNotFound
	}
	return list, nil
}

func (s *registry) Uses(_ context.Context, id posture.SchoolID, _ string, _ int, _ time.Time) (view.UsePage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != hollybank {
		return view.UsePage{}, nil
	}
	return view.UsePage{Uses: slices.Clone(s.uses)}, nil
}

// Keep implements RegisterKeeper.
func (s *registry) Keep(_ context.Context, id posture.SchoolID, d decision.Decision, c register.Change) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != hollybank {
		return 0, &decision.RefusedError{Why: "the register of this school is empty"}
	}
	s.entry++
	made := register.Made{By: d.By, Person: d.Person, At: d.At, Entry: s.entry}
	key := register.Key(c.Tag)
	var err error
	switch {
	case c.OfMedium():
		var next register.Medium
		if next, err = s.media[key].Take(c, made); err == nil {
			s.media[key] = next
		}
	case c.OfLicence():
		var next register.Licence
		if next, err = s.licences[key].Take(c, made); err == nil {
			s.licences[key] = next
		}
	case c.What == register.AcknowledgeUse:
		s.uses = append(s.uses, register.Use{Role: c.Use.Role, Person: d.Person, At: d.At, Version: c.Use.Version, By: d.By, Entry: s.entry})
	case c.What == register.SetNotice:
		for _, n := range s.notices {
			if register.Key(n.Version) == key {
				err = &register.VoidError{Why: "the notice is recorded already"}
			}
		}
		if err == nil {
			s.notices = append(s.notices, register.GuestNotice{Version: c.Tag, Text: c.Text, Since: d.At, By: d.By, Entry: s.entry})
		}
	case c.What == register.ListsLast:
	default:
		var next register.Asset
		if next, err = s.assets[key].Take(c, made); err == nil {
			s.assets[key] = next
		}
	}
	if err != nil {
		return 0, &decision.RefusedError{Why: err.Error()}
	}
	s.made, s.changes = append(s.made, d), append(s.changes, c)
	return s.entry, nil
}

// SignLicence implements RegisterKeeper.
func (s *registry) SignLicence(ctx context.Context, id posture.SchoolID, d decision.Decision, product, term string) (uint64, error) {
	list, err := s.Licences(ctx, id, view.LicenceQuery{Product: product, Devices: register.AllDevices}, d.At)
	if err != nil {
		return 0, err
	}
	counted := list.Licences[0].Now
	counted.Term = term
	return s.Keep(ctx, id, d, register.Change{What: register.SignLicence, Tag: list.Licences[0].Product, Reconciled: &counted})
}

// ImportRegister implements RegisterKeeper.
func (s *registry) ImportRegister(_ context.Context, id posture.SchoolID, d decision.Decision, source []byte, asOf time.Time, dry bool) (register.Plan, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, err := register.ParseCSV(source)
	if err != nil || id != hollybank {
		return register.Plan{}, 0, err
	}
	asOf = cmp.Or(asOf, d.At)
	enrolled := []register.Enrolled{{ID: "d-014", Host: "hb-lt-014"}, {ID: "d-022", Host: "hb-lt-022"}, {ID: "d-023", Host: "hb-lt-023"}}
	for i, e := range enrolled {
		for _, a := range s.assets {
			if a.Device == e.ID {
				enrolled[i].Tag = a.Tag
			}
		}
	}
	plan, err := register.Prepare(lines, s.assets, enrolled, asOf)
	if err != nil || dry || len(plan.Change.Items) == 0 {
		return plan, 0, err
	}
	s.entry++
	for _, item := range plan.Change.Items {
		s.assets[register.Key(item.Tag)] = s.assets[register.Key(item.Tag)].Import(item, asOf, register.Made{By: d.By, At: d.At, Entry: s.entry})
	}
	s.made, s.changes = append(s.made, d), append(s.changes, plan.Change)
	return plan, s.entry, nil
}

// Inserted implements RegisterKeeper.
func (s *registry) Inserted(_ context.Context, _ posture.SchoolID, device posture.DeviceID) ([]string, error) {
	if serials := s.inserted[device]; len(serials) > 0 {
		return serials, nil
	}
	return nil, &decision.RefusedError{Why: "no medium with a serial number was in it when it last reported"}
}

// newSaver is a store of what accounts save, in a directory of its own.
func newSaver(t testing.TB) *saved.Store {
	t.Helper()
	return saved.In(t.TempDir())
}
