package web

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// policyPages are the pages of the policy, as those who may draft one see them.
var policyPages = []struct{ name, path string }{
	{"policy", "/schools/hollybank/policy?done=published"},
	{"policy-versions", "/schools/hollybank/policy/versions"},
	{"policy-version", "/schools/hollybank/policy/versions/2"},
	{"policy-compare", "/schools/hollybank/policy/compare?from=2&to=3"},
	{"policy-choose", "/schools/hollybank/policy/choose"},
	{"policy-text", "/schools/hollybank/policy/text?from=winter-2026"},
	{"policy-draft", "/schools/hollybank/policy/drafts/winter-2026"},
	{"policy-preview", "/schools/hollybank/policy/previews/made"},
	{"policy-preview-rule", "/schools/hollybank/policy/previews/made?rule=USB-01"},
	{"policy-preview-working", "/schools/hollybank/policy/previews/working"},
	{"policy-groups", "/schools/hollybank/policy/groups"},
	{"policy-group", "/schools/hollybank/policy/groups?group=trolley-b"},
	{"device-policy", "/schools/hollybank/devices/d-011/policy?done=grouped"},
	{"rule-ask", "/schools/hollybank/rules/PAT-02?done=ask-exemption"},
	{"policy-preview-failed", "/schools/hollybank/policy/previews/failed"},
}

// trustPages are the pages of a trust, as those who have a say in it see them.
var trustPages = []struct{ name, path string }{
	{"trust", "/trusts/Riverside%20Schools?done=drafted"},
	{"trust-text", "/trusts/Riverside%20Schools/text"},
	{"trust-choose", "/trusts/Riverside%20Schools/choose?done=allowed"},
	{"trusts", "/trusts"},
	{"baseline", "/schools/hollybank/baseline"},
	{"schools-by-rules", "/rules"},
	{"schools", "/"},
}

func TestPagesOfThePolicyHaveNoBarriers(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	for _, who := range []struct {
		name  string
		pages []struct{ name, path string }
	}{{"administrator everywhere", policyPages}, {"network-manager everywhere", trustPages}} {
		if err := chromedp.Do(ctx, chromedp.Navigate(base+"/sign-in")); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(document.querySelector(".ct-header__button")?.click(), true)`)); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "nobody is signed in", `!document.querySelector(".ct-header__account")`)
		signInAs(t, ctx, base, who.name)
		for _, p := range who.pages {
			t.Run(p.name, func(t *testing.T) { lookAt(t, ctx, base, p.name, p.path) })
		}
	}
}
