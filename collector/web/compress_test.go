package web

import (
	"compress/gzip"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPagesAreCompressedForOurOwnAlone: what another site had somebody open, what
// signing in consists of, and what answers a form is sent as it is.
func TestPagesAreCompressedForOurOwnAlone(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	ask := func(path, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept-Encoding", "gzip, zstd, br")
		if from != "" {
			r.Header.Set("Sec-Fetch-Site", from)
		}
		return c.do(r)
	}
	for _, path := range []string{"/schools/hollybank", "/schools/hollybank/devices?q=hb", "/schools/hollybank/devices.csv"} {
		plain := ask(path, "")
		for from, want := range map[string]string{"same-origin": "gzip", "none": "gzip", "cross-site": "", "same-site": "", "": "", "anything": ""} {
			w := ask(path, from)
			if got := w.Header().Get("Content-Encoding"); w.Code != http.StatusOK || got != want {
				t.Errorf("%s from %q: %d with the encoding %q, want %q", path, from, w.Code, got, want)
			}
			if !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Sec-Fetch-Site") {
				t.Errorf("%s from %q does not say that it depends on that", path, from)
			}
			if want == "" {
				continue
			}
			if w.Body.Len() > plain.Body.Len()/2 {
				t.Errorf("%s has %d bytes instead of %d", path, w.Body.Len(), plain.Body.Len())
			}
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(z); err != nil || string(text) != plain.Body.String() {
				t.Errorf("%s is another page when it is compressed (%v)", path, err)
			}
		}
	}
	for _, route := range routes() {
		method, path := example(route.pattern, "hollybank")
		if method != http.MethodGet || route.mayCompress() || strings.HasPrefix(path, "/assets/") {
			continue
		}
		if got := ask(path, "same-origin").Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s is compressed", path)
		}
	}
	form := httptest.NewRequest(http.MethodPost, "/schools/hollybank/incidents", strings.NewReader(""))
	form.Header.Set("Accept-Encoding", "gzip")
	form.Header.Set("Sec-Fetch-Site", "same-origin")
	if w := c.do(form); w.Header().Get("Content-Encoding") != "" || w.Body.Len() < leastCompressed {
		t.Errorf("the answer to a form is compressed: %d, %d bytes", w.Code, w.Body.Len())
	}
}

// TestNoFormHasASecretOfItsOwn: a page that held one, such as a token against
// forged posts, would give it away when it is compressed. Forged posts are told by
// what the browser says instead.
func TestNoFormHasASecretOfItsOwn(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	first, second := newClient(t, h, "dpo everywhere"), newClient(t, h, "dpo everywhere")
	for _, p := range browserPages {
		if a, b := first.get(p.path).Body.String(), second.get(p.path).Body.String(); a != b && strings.HasPrefix(p.path, "/schools/") {
			t.Errorf("%s differs between two sessions of one person", template.HTMLEscapeString(p.path))
		}
	}
}
