package app

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/tools/bigschool"
)

// mostPage is what a page may weigh before it is compressed.
const mostPage = 150_000

// atOnce is what making a page of a school with ten times as many devices may
// allocate more: a part of the index of devices at most, and no school.
const (
	atMostTimes = 1.5
	beside      = 1 << 20
)

// walkers are the pages that go through all devices of a school, and what for.
// They take as long as that takes; all others must not.
var walkers = []string{
	"/evidence/school",                                                    // folds the whole record to a moment
	"/rules/ENC-01",                                                       // names the groups that an exemption can be asked for
	"/policy",                                                             // the same
	"/policy/groups",                                                      // counts the devices of each group
	"/trends/changes",                                                     // what changed since a day
	"/mine",                                                               // looks for whose device it is
	"/register/not-registered", "/register/leavers", "/register/licences", // compare the register with all devices
	"/register/found",                                                                      // what was seen of sticks
	"/privacy/notice", "/privacy/processing", "/privacy/assessment", "/privacy/processors", // count what is kept
}

// examples fill the places of addresses. A place that is not here fails the test:
// then its page would be walked past.
func examples(school posture.SchoolID) map[string]string {
	return map[string]string{
		"{$}": "", "{school}": string(school), "{device}": string(bigschool.Device(3)), "{rule}": "ENC-01", "{incident}": "2026-01",
		"{tag}": bigschool.Tag(3), "{asset}": bigschool.Tag(3), "{term}": "2026-09-03", "{year}": "2025-26", "{number}": "1", "{exemption}": "none", "{dispute}": "none", "{case}": "none", "{deed}": "note",
		"{reference}": "none", "{address}": "none", "{provider}": "none", "{set}": "none", "{file}": "none", "{trust}": "none", "{id}": "none", "{request}": "none",
		"{licence}": "none", "{product}": "none", "{medium}": "none", "{draft}": "none", "{preview}": "none", "{version}": "0", "{list}": "none", "{name}": "none",
		"{month}": "2026-10", "{person}": "none", "{account}": "none",
	}
}

var placed = regexp.MustCompile(`\{[^}]*\}`)

// walk returns the addresses of all pages of a school.
func walk(t *testing.T, school posture.SchoolID) (paths []string) {
	t.Helper()
	known := examples(school)
	for _, pattern := range web.Addresses() {
		method, path, _ := strings.Cut(pattern, " ")
		if method != http.MethodGet || strings.HasSuffix(path, "/changes") && !strings.HasSuffix(path, "/trends/changes") {
			continue // what an open page hears never ends
		}
		paths = append(paths, placed.ReplaceAllStringFunc(path, func(place string) string {
			value, ok := known[place]
			if !ok {
				t.Errorf("%s: nothing is known to put in the place of %s: name it in examples", pattern, place)
			}
			return value
		}))
	}
	return paths
}

// TestPagesOfALargeSchool walks through every page of a school of thousands of
// devices, and of one with a tenth of them: each weighs 150 KB at most, and making
// it takes no more memory than in the smaller school, whatever is on it.
func TestPagesOfALargeSchool(t *testing.T) {
	const devices = 2000
	p := openPages(t, filepath.Join(t.TempDir(), "data"), devices, func(string) {})
	ask := func(path string) *httptest.ResponseRecorder { return p.ask(http.MethodGet, path, nil) }
	var seen []string
	for _, path := range walk(t, p.school) {
		w := ask(path)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s: %d", path, w.Code)
		}
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		seen = append(seen, path)
		if n := w.Body.Len(); n > mostPage {
			t.Errorf("%s weighs %d bytes, want at most %d", path, n, mostPage)
		}
		small := strings.Replace(path, string(p.school), string(p.small), 1)
		if other := ask(small); small == path || other.Code != http.StatusOK || other.Body.Len() < w.Body.Len()/2 {
			continue // there is not as much on it
		}
		if slices.Contains(walkers, strings.TrimPrefix(path, "/schools/"+string(p.school))) {
			continue
		}
		large, little := allocated(func() { ask(path) }), allocated(func() { ask(small) })
		if float64(large) > atMostTimes*float64(little)+beside {
			t.Errorf("%s takes %d KiB in a school of %d devices, and %d KiB in one of %d", path, large>>10, devices, little>>10, devices/10)
		}
	}
	for _, list := range p.largePages() {
		if w := ask(list.path); w.Code != http.StatusOK || w.Body.Len() > mostPage {
			t.Errorf("%s: %d with %d bytes", list.path, w.Code, w.Body.Len())
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d pages were looked at: %s", len(seen), seen)
	}
}

// allocated returns how many bytes are allocated while f runs, the least of some.
func allocated(f func()) uint64 {
	var all []uint64
	for range 2 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		all = append(all, after.TotalAlloc-before.TotalAlloc)
	}
	return slices.Min(all)
}
