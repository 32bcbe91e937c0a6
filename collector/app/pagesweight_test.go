package app

import (
	"context"
	"math"
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
// They take as long as that takes, and let go of each device before they take the
// next; all others go through no school.
var walkers = []string{
	"/evidence/school",                                                    // folds the whole record to a moment, into a view on the disk
	"/rules/ENC-01",                                                       // names the groups that an exemption can be asked for
	"/policy",                                                             // the same
	"/policy/groups",                                                      // counts the devices of each group
	"/trends/changes",                                                     // what changed since a day
	"/mine",                                                               // looks for whose device it is
	"/register/not-registered", "/register/leavers", "/register/licences", // compare the register with all devices
	"/register/found", // what was seen of sticks
	"/devices.csv",
}

// short are the spreadsheets that have no row for each device.
var short = []string{"/rules.csv", "/privacy/views.csv"}

// keepers hold a part of what they go through, for a list that is bounded: how
// much of it at most, in bytes, however large the school is.
var keepers = map[string]int64{
	"/trends/changes": 16 << 20, // 2,000 changes of each kind, of which it shows the last
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
// it takes no more memory than in the smaller school, whatever is on it. Those that
// go through all devices hold none of them.
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
		if w.Code == http.StatusOK && strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
			if at := strings.TrimPrefix(path, "/schools/"+string(p.school)); !slices.Contains(walkers, at) && !slices.Contains(short, at) {
				t.Errorf("%s: what this spreadsheet holds is not weighed", path)
			}
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
	for _, path := range walkers {
		most, least := keepers[path], leastWeighed
		if most == 0 {
			most = grows
		}
		if strings.HasSuffix(path, ".csv") {
			least = leastCompared
		}
		if n, weighed := p.grows(path, most); weighed < least {
			t.Errorf("%s: nothing is known of what it holds: it was weighed %d times", path, weighed)
		} else if n > most {
			t.Errorf("%s holds %d KiB more at the end of a list of %d than at its beginning, want at most %d", path, n>>10, devices, most>>10)
		}
	}
	p.noticed()
	for _, list := range p.largePages() {
		if w := ask(list.path); w.Code != http.StatusOK || w.Body.Len() > mostPage {
			t.Errorf("%s: %d with %d bytes", list.path, w.Code, w.Body.Len())
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d pages were looked at: %s", len(seen), seen)
	}
}

// grows is how much more may be held at the end of a list than at its beginning,
// where thousands of rows lie between: less than a number for each.
const grows = 32 << 10

// leastWeighed is how often what lives is weighed at least while a list of a large
// school is read, of which leastCompared make a beginning and an end. A spreadsheet
// is read in parts, with one look at each.
const (
	leastWeighed  = 5
	leastCompared = 4
)

// settled is by how much less may live at the end of a list than at its beginning:
// more, and something else let go meanwhile. One look alone says little: while a
// school is folded beside, what lives is a little more at one and less at the next.
const settled = grows / 2

// grows returns how many bytes more are held at the end of a list of the view than
// at its beginning, while a page is made, and how often that was weighed. The view
// looks after each few hundred rows whether its answer is still wanted: that is when
// it is weighed what lives, with the page standing still. What something else holds
// or lets go of meanwhile is not there again the next time: it is tried until no
// more than a limit is held, some times at most, and the least of all counts. Where
// something let go each time, it was not weighed.
func (p *pagesOf) grows(path string, limit int64) (held int64, weighed int) {
	p.tb.Helper()
	p.ask(http.MethodGet, p.at(path), nil) // what is kept for the next page is kept
	held = math.MaxInt64
	for range 10 {
		lists := p.weigh(path)
		most, looks, still := int64(0), 0, true
		for _, at := range lists {
			if len(at) >= leastCompared {
				more := min(at[len(at)-1], at[len(at)-2]) - min(at[0], at[1])
				looks, most, still = looks+len(at), max(most, more), still && more > -settled
			}
		}
		if still {
			held, weighed = min(held, most), max(weighed, looks)
		}
		if held <= limit {
			break
		}
	}
	return held, weighed
}

// weigh returns what lives at each look, by the list that is read.
func (p *pagesOf) weigh(path string) map[string][]int64 {
	lists := map[string][]int64{}
	r := p.request(http.MethodGet, p.at(path), nil)
	r = r.WithContext(weighing{r.Context(), func() {
		if list, ok := readBy(); ok {
			lists[list] = append(lists[list], lives())
		}
	}})
	p.site.ServeHTTP(nowhere{}, r)
	return lists
}

// readBy names what reads the list of the view that asks just now whether it is
// still wanted; ok is false if something else asks.
func readBy() (names string, ok bool) {
	var callers [12]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for n := 0; ; n++ {
		f, more := frames.Next()
		if ok = ok || n < 6 && strings.HasSuffix(f.Function, ".eachFrom"); ok {
			names += f.Function + " "
		}
		if !more || n == 6 && !ok {
			return names, ok
		}
	}
}

// lives returns how many bytes are reachable.
func lives() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// weighing is a context that tells when somebody asks whether it ended.
type weighing struct {
	context.Context //nolint:containedctx // it is one
	f               func()
}

func (a weighing) Err() error { a.f(); return a.Context.Err() }

// nowhere is where an answer goes that is not kept.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

// noticed tries that who keeps a few words of each device before going on to the
// next is told from who does not: as things of their own, in one list, and in one
// map.
func (p *pagesOf) noticed() {
	p.tb.Helper()
	type few [5]uint64
	var things []*few
	var list []few
	var table map[int]few
	for _, keeps := range []struct {
		in   string
		keep func(n int)
	}{
		{"things", func(int) { things = append(things, &few{}) }},
		{"a list", func(int) { list = append(list, few{}) }},
		{"a map", func(n int) { table[n] = few{} }},
	} {
		const between = 256 // rows between two looks
		site, rows := p.site, 0
		p.site = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			things, list, table, rows = nil, nil, map[int]few{}, 0
			site.ServeHTTP(w, r.WithContext(weighing{r.Context(), func() {
				for range between {
					keeps.keep(rows)
					rows++
				}
			}}))
		})
		if n, weighed := p.grows("/policy/groups", grows); weighed < leastWeighed || n <= grows {
			p.tb.Errorf("who keeps 40 bytes of each device in %s holds %d KiB, weighed %d times", keeps.in, n>>10, weighed)
		}
		p.site = site
		runtime.KeepAlive(things)
		runtime.KeepAlive(list)
		runtime.KeepAlive(table)
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
