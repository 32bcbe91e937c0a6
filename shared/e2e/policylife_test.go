package e2e

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// previewed asks at the console what a policy would find.
func (w *world) previewed(a collectorapp.PreviewArguments) view.Preview {
	w.t.Helper()
	a.ID = "story"
	p, err := collectorapp.Preview(w.t.Context(), w.data, a, func(int, int) {}, clocktest.NewDriven(monday))
	must(w.t, err)
	return p
}

func (l *laptop) standingBreaches() (rules []string) {
	for _, b := range l.shown().Breaches {
		if b.Status != breach.Resolved && b.Status != breach.NotYet {
			rules = append(rules, b.Rule+" "+b.Subject.Key)
		}
	}
	slices.Sort(rules)
	return rules
}

// TestAPolicyIsPreviewedDraftedApprovedAndPublished follows the life of a policy
// where the school asks for two people: what the preview says is what the laptop
// then finds, and the record says who decided.
func TestAPolicyIsPreviewedDraftedApprovedAndPublished(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	own, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	_, baseline, err := rulebook.Baseline()
	must(t, err)
	first := ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{
		File: "baseline.yaml", Source: baseline, ApprovedOn: "2027-01-08", ReviewBy: "2027-09-01",
	})
	if first.Number != 1 || first.ReviewBy != "2027-09-01" || first.Approver != "" {
		t.Errorf("one person publishes where the school has not asked for two: %+v", first)
	}
	until(t, "the first policy judges", func() bool { return l.shown().Policy == 1 })

	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.Head)
	at := "/schools/" + string(w.only()) + "/policy"
	var now api.Policy
	if got := head.ask(at+"/approvers", api.NewApprovers{Approvers: 2, Reason: "the governors want it"}, &now); got != http.StatusCreated || now.Approvers != 2 {
		t.Fatalf("asking for two: %d %+v", got, now)
	}

	// The preview, at the console and for a program, before anybody is told.
	before, entries := l.standingBreaches(), len(w.entries())
	p := w.previewed(collectorapp.PreviewArguments{File: "hollybank.yaml", Source: own})
	var again view.Preview
	if got := head.ask(at+"/preview", api.NewPreview{Source: string(own)}, &again); got != http.StatusOK || again.Closes != p.Closes || again.Opens != p.Opens {
		t.Errorf("the preview for a program: %d %+v", got, again)
	}
	if p.From != 1 || p.Devices != 1 || p.Closes != len(before) || len(before) == 0 {
		t.Errorf("%d breaches stand and the new policy has none of their rules: %+v", len(before), p)
	}
	for _, r := range p.Rules {
		if r.Rule == "HB-01" && (!r.New || r.After.Met != 1) || r.Rule == "ENC-01" && (!r.Gone || r.Closes != 1 || r.Listed[0].Hostname != "hb-lt-014") {
			t.Errorf("%s: %+v", r.Rule, r)
		}
	}
	if n := len(w.entries()); n != entries || !slices.Equal(l.standingBreaches(), before) {
		t.Errorf("the previews made %d entries, or changed what stands", n-entries)
	}
	var wrong struct {
		Detail string `json:"detail"`
	}
	if got := head.ask(at+"/preview", api.NewPreview{Source: "name: x\n"}, &wrong); got != http.StatusBadRequest || !strings.Contains(wrong.Detail, "policy:1:1:") {
		t.Errorf("a text that is no policy: %d %q", got, wrong.Detail)
	}

	// Two people.
	if err := w.do("policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: own}, new(any)); err == nil || !strings.Contains(err.Error(), "second person") {
		t.Errorf("the console published alone: %v", err)
	}
	if err := w.do("policy.rollback", collectorapp.PolicyArguments{Number: 1}, new(any)); err == nil {
		t.Error("the console rolled back alone")
	}
	var draft api.Draft
	if got := technician.ask(at+"/drafts", api.NewDraft{Name: "spring", Source: string(own), Reason: "only what we can keep"}, &draft); got != http.StatusCreated {
		t.Fatalf("draft: %d", got)
	}
	if !slices.Contains(draft.Looser, "ENC-01") || slices.Contains(draft.Looser, "HB-01") {
		t.Errorf("the draft drops ENC-01, and what is looser is %v", draft.Looser)
	}
	approval, publication := api.NewApproval{Digest: draft.Digest, Reason: "as the governors agreed"}, api.NewPublication{ApprovedOn: "2027-01-11", ReviewBy: "2027-07-01"}
	if got := technician.ask(at+"/drafts/spring/publication", publication, nil); got != http.StatusConflict {
		t.Errorf("published without approval: %d", got)
	}
	if got := technician.ask(at+"/drafts/spring/approval", approval, nil); got != http.StatusForbidden {
		t.Errorf("a technician approved: %d", got)
	}
	if err := w.do("policy.approve", collectorapp.PreviewArguments{Draft: "spring", Reason: "as the governors agreed"}, new(any)); err == nil || !strings.Contains(err.Error(), "console") {
		t.Errorf("the console approved: %v", err)
	}
	if got := head.ask(at+"/drafts/spring/approval", api.NewApproval{Digest: strings.Repeat("0", 64), Reason: "another text"}, nil); got != http.StatusConflict {
		t.Errorf("another text was approved: %d", got)
	}
	if got := head.ask(at+"/drafts/spring", nil, &draft); got != http.StatusOK || draft.Source != string(own) || len(draft.Approvals) != 0 {
		t.Errorf("the draft: %d %+v", got, draft)
	}
	if got := head.ask(at+"/drafts/spring/approval", approval, &draft); got != http.StatusCreated || len(draft.Approvals) != 1 {
		t.Fatalf("approve: %d %+v", got, draft)
	}
	var published api.Published
	if got := technician.ask(at+"/drafts/spring/publication", publication, &published); got != http.StatusCreated || published.Number != 2 {
		t.Fatalf("publish: %d %+v", got, published)
	}
	until(t, "the new policy judges", func() bool { return l.shown().Policy == 2 && standing(l.shown(), "ENC-01") == "" })
	if stands := l.standingBreaches(); len(stands) != p.Opens || standing(l.shown(), "HB-01") != view.Met {
		t.Errorf("the preview said %d open; %v stand", p.Opens, stands)
	}

	// What the record says of it.
	if e := w.entry(published.Entry); !slices.ContainsFunc(e.Sections, func(s collectorapp.SectionView) bool { return s.Name == "policy-approval" && s.Class == "kept" }) {
		t.Errorf("the entry of the policy has no approval: %+v", e)
	}
	if got := head.ask(at, nil, &now); got != http.StatusOK || now.Number != 2 || now.Drafter != "Morgan Ellis" || now.Approver != "Priya Anand" || now.ReviewBy != "2027-07-01" || now.ReviewDue || now.Unapproved || len(now.Drafts) != 0 {
		t.Errorf("the policy in force: %d %+v", got, now)
	}
	must(t, l.stop())
	w.clock.Advance(180 * 24 * time.Hour)
	if due := ask[collectorapp.PolicyStanding](w, "policy.drafts", collectorapp.PreviewArguments{}); !due.ReviewDue {
		t.Errorf("the review is overdue and nothing says so: %+v", due)
	}
	if s := w.status(w.only()); !strings.Contains(s.Policy, "2027-07-01") {
		t.Errorf("the review is overdue and the status says %q", s.Policy)
	}

	// One person is enough again once two accounts say so.
	admin := w.callerOf(c, "Sam Patel", access.Administrator)
	one := api.NewApprovers{Approvers: 1, Reason: "two are never in on the same day"}
	deputy := w.callerOf(c, "Alex Novak", access.Head)
	if got := deputy.ask(at+"/approvers", one, &now); got != http.StatusCreated || now.Approvers != 2 {
		t.Errorf("one account made one person enough: %d %+v", got, now)
	}
	if got := admin.ask(at+"/approvers", one, &now); got != http.StatusCreated || now.Approvers != 1 {
		t.Errorf("two accounts ask for one person: %d %+v", got, now)
	}
	if back := ask[collectorapp.PublishAnswer](w, "policy.rollback", collectorapp.PolicyArguments{Number: 1}); back.Number != 3 {
		t.Errorf("rolled back to %+v", back)
	}
	w.verified()
}
