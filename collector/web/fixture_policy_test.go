package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// policies is hollybank's desk: two versions, a draft, and three previews. It keeps
// what is decided in memory and compiles every text as the collector does.
type policies struct {
	shipped PolicyText
	books   []PolicyText // in the order of their numbers
	draft   decision.Draft
	text    []byte
	two     bool
	decided []decision.Decision
	drafted map[string]string
	put     []PolicyTerms
	tried   []PolicyTrial
	stopped []string
	further atomic.Int64 // that a preview went on since
	grouped []string
	below   bool // drafts ask less than a trust does
}

func compiledText(t testing.TB, source []byte, number uint64) PolicyText {
	t.Helper()
	p, err := rulebook.Compile("policy", source)
	if err != nil {
		t.Fatal(err)
	}
	p.Number = number
	said, err := rulebook.Describe(rulebook.Text{Source: source, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	out := PolicyText{Policy: p, Source: source, MaxAge: rulebook.UsualAge(source), Rules: map[string]PolicyRule{}, At: now.AddDate(0, 0, -60+10*int(number))}
	for id, d := range said {
		out.Rules[id] = PolicyRule{Reads: d.Reads, Groups: d.Groups, When: d.When, Require: d.Require, Grace: d.Grace, Since: number - number%3, SinceAt: out.At}
	}
	return out
}

func newPolicies(t testing.TB) *policies {
	t.Helper()
	_, shipped, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	titled := func(title string) []byte {
		return []byte(strings.Replace(string(shipped), "Baseline for school laptops", title, 1))
	}
	p := &policies{drafted: map[string]string{}, shipped: compiledText(t, shipped, 0)}
	for n, title := range []string{"Summer term", "Autumn term"} {
		p.books = append(p.books, compiledText(t, titled(title), uint64(n+2)))
	}
	p.books[1].How = &decision.Publication{
		Policy: decision.Policy{Number: 3, Drafter: "technician", Approver: "head", ApprovedAt: now.AddDate(0, 0, -31), ApprovedOn: "2026-09-20", ReviewBy: "2026-10-20", Looser: []string{"USB-02", "param.media"}},
		By:     "technician", At: now.AddDate(0, 0, -30),
	}
	amended, err := rulebook.Amend("policy", titled("Winter term"), rulebook.Amendment{
		Parameters: map[string]string{"media": "ban", "seenWithin": "10d"}, Lists: map[string][]string{"deniedSigners": {hostileName}}, Graces: map[string]string{"USB-03": "3 school days"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.text = amended
	p.draft = decision.Draft{Name: "winter-2026", Digest: sha256.Sum256(amended), Title: "Winter term", Rules: len(p.books[0].Policy.Rules), By: "technician", At: now.Add(-50 * time.Hour), Reason: "The governors want sticks gone. " + hostile}
	return p
}

// hostileName is as hostile as a policy's text may be: what cannot be seen is
// refused there.
const hostileName = "<script>x</script>'\"&=1+1"

// policiesOf is the desk of a school, made when its pages are.
func policiesOf(t testing.TB, q Queries) PolicyDesk {
	t.Helper()
	s, ok := q.(*school)
	if !ok {
		return nil
	}
	if s.desk == nil {
		s.desk = newPolicies(t)
	}
	return s.desk
}

func (p *policies) last() PolicyText { return p.books[len(p.books)-1] }

func (p *policies) Policy(_ context.Context, id posture.SchoolID, number uint64) (PolicyText, error) {
	for _, b := range p.books {
		if id == hollybank && (b.Policy.Number == number || number == 0 && b.Policy.Number == p.last().Policy.Number) {
			return b, nil
		}
	}
	if id == oakfield && number == 0 { // it has put none in force
		return p.shipped, nil
	}
	return PolicyText{}, view.ErrNotFound
}

func (p *policies) Life(_ context.Context, id posture.SchoolID, _ time.Time) (PolicyLife, error) {
	if id != hollybank {
		return PolicyLife{Approvers: 1}, nil
	}
	l := PolicyLife{Number: p.last().Policy.Number, ReviewDue: true, Approvers: 1, Drafts: []decision.Draft{p.draft}, Trust: "Riverside Schools", Baseline: 2}
	if p.two {
		l.Approvers = 2
	}
	for _, b := range slices.Backward(p.books) {
		l.Versions = append(l.Versions, PolicyVersion{Number: b.Policy.Number, Title: b.Policy.Title, Rules: len(b.Policy.Rules), At: b.At, How: b.How})
	}
	l.Versions = append(l.Versions, PolicyVersion{At: now.AddDate(0, 0, -70), Unread: "entry 12 is damaged"})
	return l, nil
}

func changesIn(list []rulebook.Change) (out []PolicyChange) {
	for _, c := range list {
		out = append(out, PolicyChange{c.Rule, c.Parameter, string(c.Direction), c.Words})
	}
	return out
}

func (p *policies) Differ(ctx context.Context, id posture.SchoolID, from, to uint64) ([]PolicyChange, error) {
	a, err := p.Policy(ctx, id, from)
	b, err2 := p.Policy(ctx, id, to)
	if err = errors.Join(err, err2); err != nil {
		return nil, err
	}
	return changesIn(rulebook.Diff(a.Policy, b.Policy)), nil
}

func (p *policies) Draft(_ context.Context, id posture.SchoolID, name string) (decision.Draft, []byte, error) {
	if id != hollybank || name != p.draft.Name {
		return decision.Draft{}, nil, view.ErrNotFound
	}
	return p.draft, p.text, nil
}

func unsound(err error, source []byte) error {
	list, ok := errors.AsType[fault.ListError](err)
	if !ok {
		return err
	}
	out := &UnsoundPolicyError{}
	for _, f := range list {
		out.Faults = append(out.Faults, PolicyFault{f.Line, f.Column, rulebook.Where(source, f.Line), f.Message})
	}
	return out
}

func (p *policies) Weigh(_ context.Context, _ posture.SchoolID, source []byte) (WeighedPolicy, error) {
	compiled, err := rulebook.Compile("policy", source)
	if err != nil {
		return WeighedPolicy{}, unsound(err, source)
	}
	out := WeighedPolicy{Policy: compiled, MaxAge: rulebook.UsualAge(source), Changes: changesIn(rulebook.Diff(p.last().Policy, compiled))}
	if p.below {
		out.Below = []PolicyFault{{Line: 12, Where: "rule AV-01", Words: "AV-01: its severity is lower"}}
	}
	return out, nil
}

func (p *policies) Amend(source []byte, a PolicyAmendment) ([]byte, error) {
	amended, err := rulebook.Amend("policy", source, rulebook.Amendment(a))
	if amended != nil {
		source = amended
	}
	return amended, unsound(err, source)
}

func (p *policies) Propose(_ context.Context, _ posture.SchoolID, name string, source []byte, by, reason string) error {
	if reason == "refuse this" {
		return &decision.RefusedError{Why: "there are 50 drafts: withdraw one"}
	}
	if _, err := rulebook.Compile("policy", source); err != nil {
		return unsound(err, source)
	}
	p.drafted[name] = by + ": " + string(source)
	return nil
}

func (p *policies) Decide(_ context.Context, _ posture.SchoolID, d decision.Decision) error {
	if d.Reason == "refuse this" {
		return &decision.RefusedError{Why: "the draft is another text by now: read it again"}
	}
	p.decided = append(p.decided, d)
	return nil
}

func (p *policies) Publish(_ context.Context, _ posture.SchoolID, draft string, t PolicyTerms, by string) (uint64, error) {
	if t.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "this school asks that a second person approves a policy"}
	}
	t.Reason = by + " " + draft + ": " + t.Reason
	p.put = append(p.put, t)
	return 4, nil
}

func (p *policies) RollBack(ctx context.Context, id posture.SchoolID, to uint64, t PolicyTerms, by string) (uint64, error) {
	return p.Publish(ctx, id, fmt.Sprintf("back to %d", to), t, by)
}

func (p *policies) Try(_ context.Context, _ posture.SchoolID, what PolicyTrial) (string, error) {
	if what.Days == 13 {
		return "", &decision.RefusedError{Why: "another preview is being made: ask again in a moment"}
	}
	p.tried = append(p.tried, what)
	return "made", nil
}

func (p *policies) Trial(id posture.SchoolID, name string) (PolicyTrial, error) {
	out := PolicyTrial{Draft: "winter-2026", By: "technician", Begun: now.Add(-time.Minute), Days: 30}
	switch {
	case id != hollybank:
		return out, view.ErrNotFound
	case name == "waiting":
	case name == "working":
		out.Done, out.Total = 1200+int(p.further.Load()), 4000
	case name == "failed":
		out.Ended, out.Failed = true, "it was given up"
	case name == "made":
		out.Ended, out.Found = true, p.found()
	case name == "typed":
		out.Draft, out.Source, out.Ended, out.Found = "", p.text, true, p.found()
	default:
		return out, view.ErrNotFound
	}
	return out, nil
}

func (p *policies) StopTrial(_ posture.SchoolID, id string) { p.stopped = append(p.stopped, id) }

// found is what a preview found: a rule that opens breaches, of one thing with a
// hostile name among them, and one that closes some.
func (p *policies) found() *view.Preview {
	out := &view.Preview{
		School: hollybank, At: now.Add(-time.Minute), From: 3, Name: "school", Title: "Winter term", Devices: 63, Silent: 4, Unheard: 1, Affected: 9, Opens: 14, Pending: 3, Closes: 2,
		History: &view.PreviewHistory{Asked: 30, From: now.AddDate(0, 0, -21), Days: 21, Cut: "no more than the newest 50,000 reports are judged", Reports: 50_000, Partly: 12, Rules: []view.HistoryRule{{Rule: "USB-01", Devices: 8, Now: 3}}},
	}
	for _, r := range p.last().Policy.Rules {
		one := view.PreviewRule{Rule: r.ID, Title: r.Title, Severity: r.Severity, Before: view.StandingCount{Met: 60, NotProven: 3}, After: view.StandingCount{Met: 60, NotProven: 3}}
		if r.ID == "USB-01" {
			one.After, one.Opens, one.Pending, one.Touched = view.StandingCount{Met: 50, NotMet: 9, NotProven: 4}, 14, 3, 130
			for n := range 9 {
				one.Listed = append(one.Listed, view.PreviewDevice{ID: posture.DeviceID(fmt.Sprintf("d-%03d", n+1)), Hostname: fmt.Sprintf("hb-lt-%03d", n+1), Opens: 7, Breaches: []view.PreviewBreach{
					{Subject: posture.Subject{Kind: "medium", Key: "9e10", Label: hostile}, Status: breach.Open, Severity: r.Severity, Message: "the medium " + hostile + " is not fully encrypted"},
				}})
			}
		}
		if r.ID == "LIF-01" {
			one.After, one.Closes, one.Graver = view.StandingCount{Met: 63}, 2, 1
		}
		out.Rules = append(out.Rules, one)
	}
	return out
}

func (s *school) Judged(context.Context, posture.SchoolID, time.Time) (view.Judged, error) {
	return view.Judged{Now: 58, Before: 4, Never: 1}, s.fail
}

// grouped are the groups of the school and who is in them.
func (s *school) grouped(id posture.SchoolID) []view.Group {
	if id != hollybank {
		return nil
	}
	return []view.Group{
		{Name: "trolley-b", Devices: []view.GroupedDevice{{ID: "d-011", Hostname: "hb-lt-011", AssetTag: "HB-LT-011"}, {ID: "d-012", Hostname: "hb-lt-012", Due: true}}},
		{Name: hostile, Devices: []view.GroupedDevice{{ID: "d-011", Hostname: "hb-lt-011"}}},
	}
}

func (s *school) GroupSizes(_ context.Context, id posture.SchoolID, _ time.Time) (sizes []view.GroupSize, err error) {
	for _, g := range s.grouped(id) {
		size := view.GroupSize{Name: g.Name, Devices: len(g.Devices)}
		for _, d := range g.Devices {
			if d.Due {
				size.Due++
			}
		}
		sizes = append(sizes, size)
	}
	return sizes, s.fail
}

func (s *school) GroupDevices(_ context.Context, id posture.SchoolID, group string, after posture.DeviceID, limit int, _ time.Time) (list []view.GroupedDevice, more bool, err error) {
	for _, g := range s.grouped(id) {
		for _, d := range g.Devices {
			if g.Name != group || d.ID <= after {
				continue
			}
			if len(list) == limit {
				return list, true, s.fail
			}
			list = append(list, d)
		}
	}
	return list, false, s.fail
}

func (s *school) Assignments(_ context.Context, id posture.SchoolID, device posture.DeviceID, _ time.Time) ([]view.Assigned, error) {
	if id != hollybank {
		return nil, nil
	}
	return []view.Assigned{
		{Assignment: policy.Assignment{Number: 2, Ownership: posture.SchoolSingleUser, Groups: []string{"trolley-b", "year-4"}}, At: now.AddDate(0, 0, -9), By: "technician", Reason: "Moved to year 4."},
		{Assignment: policy.Assignment{Number: 1, Ownership: posture.SchoolMultiUser}, At: now.AddDate(0, 0, -49)},
	}, s.fail
}

// grouperOf is the school itself.
func grouperOf(q Queries) Grouper {
	s, _ := q.(*school)
	return s
}

// Group implements Grouper: it keeps what was decided.
func (s *school) Group(_ context.Context, _ posture.SchoolID, device posture.DeviceID, d decision.Decision, g decision.Grouping) (uint64, error) {
	if d.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "it is so already"}
	}
	s.desk.grouped = append(s.desk.grouped, fmt.Sprintf("%s %s: %s %q", d.By, device, g.Class, g.Groups))
	return 1, nil
}
