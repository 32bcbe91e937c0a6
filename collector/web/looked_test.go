package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caretaker-school/caretaker/collector/access"
)

// lookedAtElsewhere are the pages that a browser looks at in a test of their own,
// because they are there for a moment alone.
var lookedAtElsewhere = map[string]string{
	"GET /sign-in/second": "TestPasskeyInABrowser",
}

// inspectAll looks at the page that is open in every look.
func inspectAll(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	axe := filepath.Join("..", "..", "shared", "tools", "web", "node_modules", "axe-core", "axe.min.js")
	script, err := os.ReadFile(axe)
	tool(t, "axe-core", axe, err)
	eval[chromedp.Void](t, ctx, string(script))
	for _, l := range slices.Backward(looks) { // the first is left as it was found
		t.Run(l.name, func(t *testing.T) {
			if err := chromedp.Do(ctx, l.set()); err != nil {
				t.Fatal(err)
			}
			inspect(t, ctx, l, name)
		})
	}
}

// TestABrowserLooksAtEveryPage: what shows a page to somebody is in a list of pages
// that a browser looks at in every look. A new page that is in none is found here.
func TestABrowserLooksAtEveryPage(t *testing.T) {
	addresses := http.NewServeMux()
	for _, r := range routes() {
		addresses.Handle(r.pattern, http.NotFoundHandler())
	}
	seen := map[string]bool{}
	for _, list := range [][]struct{ name, path string }{browserPages, registerPages, policyPages, trustPages, settingPictures} {
		for _, p := range list {
			_, pattern := addresses.Handler(httptest.NewRequestWithContext(t.Context(), http.MethodGet, p.path, nil))
			seen[pattern] = true
		}
	}
	h, _ := newSite(t, newSchool(t), false)
	people := []*client{newClient(t, h, "")}
	for _, role := range access.Roles() {
		people = append(people, newClient(t, h, string(role)+" everywhere"))
	}
	for _, r := range routes() {
		method, path := example(r.pattern, "hollybank")
		if _, elsewhere := lookedAtElsewhere[r.pattern]; r.need == halfway && method == http.MethodGet && !elsewhere {
			t.Errorf("%s: no browser looks at it", r.pattern) // it shows to nobody who has signed in
		}
		if method != http.MethodGet || seen[r.pattern] || strings.HasSuffix(path, "/changes") && !strings.HasSuffix(path, "/trends/changes") {
			continue // what an open page hears never ends
		}
		page := slices.ContainsFunc(people, func(c *client) bool {
			answer := c.get(path)
			return answer.Code == http.StatusOK && strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html")
		})
		if page {
			t.Errorf("%s: no browser looks at it: add it to browserPages, as %s", r.pattern, path)
		}
	}
}
