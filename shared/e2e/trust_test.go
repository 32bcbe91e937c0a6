package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// shippedBut is the text of the shipped policy with some of it said otherwise.
func shippedBut(t *testing.T, pairs ...string) string {
	t.Helper()
	_, source, err := rulebook.Baseline()
	must(t, err)
	text := string(source)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the shipped policy does not say %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// schoolOf makes another school, and returns its identifier.
func (w *world) schoolOf(name string) posture.SchoolID {
	w.t.Helper()
	return ask[collectorapp.InitAnswer](w, "init", collectorapp.InitArguments{School: name}).School
}

// callerAt is callerOf for some schools alone, with a key that lasts through a
// story of months.
func (w *world) callerAt(c *collector, name string, role access.Role, schools ...string) caller {
	w.t.Helper()
	ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: name, Role: string(role), Schools: schools})
	key := ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: name, Label: "story", Lasts: 300 * 24 * time.Hour})
	return caller{w, c, key.Key}
}

func itemsOf(h api.Held) (items []string) {
	for _, l := range h.Looser {
		items = append(items, l.Item)
	}
	return items
}

// TestATrustsBaselineIsTightenedNeverLoosenedUnseen: a trust puts a baseline in
// force at its schools. One that has no policy of its own follows it; one may ask
// more, and what asks less is refused with both lines until the trust allows it.
// When the baseline asks for more, a school that asks less now is shown as that,
// and its policy stays. A school of another trust sees nothing of it.
func TestATrustsBaselineIsTightenedNeverLoosenedUnseen(t *testing.T) {
	w := emptyWorld(t)
	hollybank, ashfield, oakwood := w.schoolOf(schoolName), w.schoolOf("Ashfield Primary School"), w.schoolOf("Oakwood Primary School")
	c := w.collect()
	const trust = "Northfield Trust"
	at := func(s posture.SchoolID) string { return "/schools/" + string(s) }
	manager := w.callerAt(c, "Robin Falk", access.NetworkManager, string(hollybank), string(ashfield))
	other := w.callerAt(c, "Kim Otley", access.NetworkManager, string(oakwood))
	technician := w.callerAt(c, "Morgan Ellis", access.Technician, string(hollybank))

	// Schools join. Nobody decides about a school of somebody else's, or as less
	// than a manager.
	join := api.NewMembership{Trust: trust, Reason: "the school joined the trust in September"}
	for name, got := range map[string]int{
		"a technician":          technician.ask(at(hollybank)+"/baseline/membership", join, nil) - http.StatusForbidden,
		"another trust's":       other.ask(at(hollybank)+"/baseline/membership", join, nil) - http.StatusNotFound,
		"of a trust of nothing": manager.ask("/trusts/"+url.PathEscape(trust)+"/baseline", api.NewBaseline{Source: shippedBut(t), Reason: "x"}, nil) - http.StatusNotFound,
	} {
		if got != 0 {
			t.Errorf("%s: %d away from what is wanted", name, got)
		}
	}
	for _, s := range []posture.SchoolID{hollybank, ashfield} {
		if got := manager.ask(at(s)+"/baseline/membership", join, nil); got != http.StatusCreated {
			t.Fatalf("join: %d", got)
		}
	}
	if got := other.ask(at(oakwood)+"/baseline/membership", join, nil); got != http.StatusForbidden {
		t.Errorf("a school joined the trust of schools at which its manager may decide nothing: %d", got)
	}
	if got := other.ask(at(oakwood)+"/baseline/membership", api.NewMembership{Trust: "Southmoor Trust", Reason: "as agreed"}, nil); got != http.StatusCreated {
		t.Fatalf("join another trust: %d", got)
	}

	// Hollybank has a policy of its own by now; Ashfield has none and follows.
	first := shippedBut(t)
	own := shippedBut(t, "updatesWithin: 14d", "updatesWithin: 10d")
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{School: schoolName, File: "hollybank.yaml", Source: []byte(own)})
	var put api.BaselineAnswer
	if got := manager.ask("/trusts/"+url.PathEscape(trust)+"/baseline", api.NewBaseline{Source: first, Follow: true, Reason: "agreed in November"}, &put); got != http.StatusCreated || put.Number != 1 || len(put.Schools) != 2 {
		t.Fatalf("the baseline: %d %+v", got, put)
	}
	if got := other.ask("/trusts/"+url.PathEscape(trust)+"/baseline", api.NewBaseline{Source: first, Reason: "mine"}, nil); got != http.StatusNotFound {
		t.Errorf("another trust's manager published it: %d", got)
	}
	held := func(p caller, s posture.SchoolID) (h api.Held) {
		t.Helper()
		if got := p.ask(at(s)+"/baseline", nil, &h); got != http.StatusOK {
			t.Fatalf("the baseline of %s: %d", s, got)
		}
		return h
	}
	if h := held(manager, ashfield); !h.Follows || h.Policy != 1 || len(h.Looser) != 0 || h.Source != first {
		t.Errorf("a school without a policy of its own follows: %+v", h)
	}
	if h := held(manager, hollybank); h.Follows || h.Policy != 1 || len(h.Looser) != 0 || h.Baseline.Number != 1 {
		t.Errorf("a school that asks for more: %+v", h)
	}

	// What asks for more is published. What asks less is refused, with both lines;
	// so is going back to it, and the preview says it beforehand.
	tight := shippedBut(t, "updatesWithin: 14d", "updatesWithin: 7d", "  media:\n    value: encrypted", "  media:\n    value: ban")
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{School: schoolName, File: "tight.yaml", Source: []byte(tight)})
	loose := shippedBut(t, "    value: encrypted", "    value: record", "    grace: 7 school days\n    classes: [SS, SM]\n    clauses: [C9]", "    grace: 30 school days\n    classes: [SS, SM]\n    clauses: [C9]")
	line := func(text, of string) string {
		i := strings.Index(text, of)
		return strconv.Itoa(1 + strings.Count(text[:i], "\n"))
	}
	err := w.do("policy.publish", collectorapp.PublishArguments{School: schoolName, File: "loose.yaml", Source: []byte(loose)}, new(any))
	for _, words := range []string{
		"asks less than the baseline of " + trust, "loose.yaml:" + line(loose, "    grace: 30 school days") + ":5: ENC-04: its grace is 30",
		"(line " + line(first, "    grace: 7 school days\n    classes: [SS, SM]\n    clauses: [C9]") + " of the baseline)",
		"loose.yaml:" + line(loose, "  media:") + ":3: param.media: is \"record\", and in the baseline \"encrypted\"", "USB-01 asks less",
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("what asks less was refused with %v, without %q", err, words)
		}
	}
	if p := w.previewed(collectorapp.PreviewArguments{School: schoolName, File: "loose.yaml", Source: []byte(loose)}); len(p.Below) != 2 || !strings.Contains(p.Below[0], "ENC-04") {
		t.Errorf("the preview says %v of the trust's baseline", p.Below)
	}
	var draft api.Draft
	if got := technician.ask(at(hollybank)+"/policy/drafts", api.NewDraft{Name: "autumn", Source: loose, Reason: "new sticks come in January"}, &draft); got != http.StatusCreated || !slices.Equal(draft.Below, []string{"ENC-04", "param.media"}) {
		t.Fatalf("the draft: %d %+v", got, draft)
	}
	publish := func() int {
		return technician.ask(at(hollybank)+"/policy/drafts/autumn/publication", api.NewPublication{Reason: "as drafted"}, nil)
	}
	if got := publish(); got != http.StatusConflict {
		t.Errorf("published below the baseline: %d", got)
	}

	// The trust allows it: one thing is not enough, and neither may the school do it,
	// nor the console.
	until := w.clock.Now().Add(30 * 24 * time.Hour)
	allow := api.NewAllowance{Draft: "autumn", Items: []string{"param.media"}, Until: until, Reason: "the sticks are ordered"}
	if got := technician.ask(at(hollybank)+"/baseline/allowances", allow, nil); got != http.StatusForbidden {
		t.Errorf("the school allowed itself: %d", got)
	}
	if err := w.do("trust.allow", collectorapp.TrustArguments{School: schoolName, Draft: "autumn", Items: allow.Items, Until: until, Reason: "x"}, new(any)); err == nil || !strings.Contains(err.Error(), "never a second person") {
		t.Errorf("the console allowed it: %v", err)
	}
	if got := manager.ask(at(hollybank)+"/baseline/allowances", api.NewAllowance{Draft: "autumn", Items: []string{"ENC-01"}, Until: until, Reason: "x"}, nil); got != http.StatusConflict {
		t.Errorf("what asks no less was allowed to: %d", got)
	}
	if got := manager.ask(at(hollybank)+"/baseline/allowances", allow, nil); got != http.StatusCreated {
		t.Fatalf("allow: %d", got)
	}
	if got := publish(); got != http.StatusConflict {
		t.Errorf("published with half of it allowed: %d", got)
	}
	allow.Items = []string{"ENC-04"}
	if got := manager.ask(at(hollybank)+"/baseline/allowances", allow, nil); got != http.StatusCreated {
		t.Fatalf("allow the other: %d", got)
	}
	if got := publish(); got != http.StatusCreated {
		t.Fatalf("what the trust allows was not published: %d", got)
	}
	h := held(manager, hollybank)
	if !h.Since.IsZero() || !slices.Equal(itemsOf(h), []string{"ENC-04", "param.media"}) {
		t.Errorf("what is allowed: %+v", h)
	}
	for _, l := range h.Looser {
		if l.Allowed == nil || l.Allowed.By != "Robin Falk" || l.By != "Morgan Ellis" || l.Policy != 3 || l.Line == 0 || l.Baseline == 0 {
			t.Errorf("who loosened what: %+v", l)
		}
	}
	w.clock.Advance(until.Sub(w.clock.Now()))
	if h := held(manager, hollybank); !h.Since.Equal(until) || len(h.Looser) != 2 || h.Looser[0].Allowed != nil {
		t.Errorf("the end of what was allowed: %+v", h)
	}

	// The baseline asks for more. Ashfield follows; Hollybank is shown as looser, and
	// goes on by its own policy.
	w.clock.Advance(24 * time.Hour)
	raised := w.clock.Now()
	second := shippedBut(t, "updatesWithin: 14d", "updatesWithin: 5d")
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{School: schoolName, File: "tight.yaml", Source: []byte(tight)})
	if got := manager.ask("/trusts/"+url.PathEscape(trust)+"/baseline", api.NewBaseline{Source: second, Reason: "the insurer asks for it"}, &put); got != http.StatusCreated || put.Number != 2 {
		t.Fatalf("the second baseline: %d %+v", got, put)
	}
	h = held(manager, hollybank)
	if !h.Since.Equal(raised) || h.Policy != 4 || len(h.Looser) != 1 || h.Looser[0].Item != "param.updatesWithin" || h.Looser[0].Raised != 2 {
		t.Errorf("a school that asks less than the new baseline: %+v", h)
	}
	if h := held(manager, ashfield); !h.Follows || h.Policy != 2 || len(h.Looser) != 0 {
		t.Errorf("a school that follows: %+v", h)
	}
	if err := w.do("policy.rollback", collectorapp.PolicyArguments{School: schoolName, Number: 1}, new(any)); err == nil || !strings.Contains(err.Error(), "param.updatesWithin") {
		t.Errorf("rolled back below the baseline: %v", err)
	}

	// Who asks: only of schools where they may.
	var all api.Trusted
	for _, p := range []struct {
		caller
		want []posture.SchoolID
	}{{manager, []posture.SchoolID{hollybank, ashfield}}, {other, []posture.SchoolID{oakwood}}, {technician, []posture.SchoolID{hollybank}}} {
		if got := p.ask("/trusts", nil, &all); got != http.StatusOK || len(all.Schools) != len(p.want) {
			t.Fatalf("the trusts: %d %+v", got, all)
		}
		for _, h := range all.Schools {
			if !slices.Contains(p.want, h.School) {
				t.Errorf("somebody sees %s", h.Name)
			}
		}
	}
	if got := other.ask(at(hollybank)+"/baseline", nil, nil); got != http.StatusNotFound {
		t.Errorf("a school of another trust sees the baseline: %d", got)
	}
	leave := api.NewMembership{Trust: trust, Leave: true, Reason: "we would rather not"}
	if err := w.do("trust.leave", collectorapp.TrustArguments{School: schoolName, Trust: trust, Reason: "x"}, new(any)); err == nil {
		t.Error("a school left its trust at the console")
	}
	h = api.Held{}
	if got := manager.ask(at(hollybank)+"/baseline/membership", leave, &h); got != http.StatusCreated || h.Trust != "" || h.Left != trust || h.LeftBy != "Robin Falk" {
		t.Errorf("leave: %d %+v", got, h)
	}
	for _, s := range []posture.SchoolID{hollybank, ashfield, oakwood} {
		if r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{School: string(s)}); !r.Good {
			t.Errorf("the ledger of %s: %s", s, r.Trouble)
		}
	}
}
