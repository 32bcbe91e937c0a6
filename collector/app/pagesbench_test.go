package app

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/tools/bigschool"
)

// largePages are the pages of a large school that people look at, and the
// questions that they ask of its lists.
func (p *pagesOf) largePages() []struct{ name, path string } {
	last := bigschool.Hostname(p.devices - 1)
	device := "/devices/" + string(bigschool.Device(3))
	pages := []struct{ name, path string }{
		{"schools", "/"},
		{"overview", p.at("")},
		{"devices/first", p.at("/devices")},
		{"devices/search-tag", p.at("/devices?q=" + bigschool.Tag(p.devices-1))},
		{"devices/search-begins", p.at("/devices?q=" + last[:len(last)-2])},
		{"devices/search-part", p.at("/devices?q=" + last[len(last)-4:])},
		{"devices/search-nothing", p.at("/devices?q=no-such-laptop")},
		{"devices/silent", p.at("/devices?heard=silent")},
		{"device", p.at(device)},
		{"device/rule", p.at(device + "/rules/ENC-01")},
		{"breaches/all", p.at("/breaches")},
		{"breaches/rule", p.at("/breaches?rule=ENC-01")},
		{"breaches/open", p.at("/breaches?status=open")},
		{"breaches/exempt", p.at("/breaches?status=exempt")},
		{"breaches/resolved", p.at("/breaches?status=resolved")},
		{"breaches/severity", p.at("/breaches?severity=low")},
		{"exemptions", p.at("/exemptions")},
		{"incidents", p.at("/incidents")},
		{"incident", p.at("/incidents/2026-01")},
		{"terms", p.at("/terms")},
		{"rule", p.at("/rules/ENC-01")},
	}
	for _, standing := range []string{"not-met", "not-proven", "exempt", "met", "not-for"} {
		pages = append(pages, struct{ name, path string }{"devices/any-" + standing, p.at("/devices?standing=" + standing)})
		for _, rule := range []string{"ENC-01", "AV-01", "CFG-01"} {
			pages = append(pages, struct{ name, path string }{"devices/" + rule + "-" + standing, p.at("/devices?" + url.Values{"rule": {rule}, "standing": {standing}}.Encode())})
		}
	}
	return pages
}

// BenchmarkPages asks the whole site for the pages of a school of 100,000 devices,
// each with all findings of the baseline. CARETAKER_PAGES_DEVICES makes it another
// number, and CARETAKER_PAGES_DIR keeps what is made for the next time.
func BenchmarkPages(b *testing.B) {
	p := benchPages(b)
	for _, page := range p.largePages() {
		b.Run(page.name, func(b *testing.B) { p.measure(b, page.path) })
	}
	b.Run("devices.csv", p.measureTable)
}

// benchPages opens the site of the school of BenchmarkPages.
func benchPages(b *testing.B) *pagesOf {
	devices, err := strconv.Atoi(os.Getenv("CARETAKER_PAGES_DEVICES"))
	if err != nil {
		devices = 100_000
	}
	dir := os.Getenv("CARETAKER_PAGES_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("caretaker-pages-%d", devices))
	}
	began := time.Now()
	return openPages(b, dir, devices, func(what string) {
		fmt.Fprintf(os.Stderr, "pages: %4.0f s: %s\n", time.Since(began).Seconds(), what)
	})
}

// BenchmarkSchoolStood asks where the school of BenchmarkPages stood on a day, whose
// whole record is folded for it, and tells how much more lives at most meanwhile than
// before.
func BenchmarkSchoolStood(b *testing.B) {
	p := benchPages(b)
	live := func() uint64 {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, most := live(), uint64(0)
	for b.Loop() {
		made := make(chan int)
		go func() { made <- p.ask(http.MethodGet, p.at("/evidence/school?date=2026-11-20"), nil).Code }()
		code := 0
		for look := time.NewTicker(100 * time.Millisecond); code == 0; {
			select {
			case code = <-made:
				look.Stop()
			case <-look.C:
				most = max(most, live())
			}
		}
		if code != http.StatusOK {
			b.Fatalf("where the school stood: %d", code)
		}
	}
	b.ReportMetric(float64(most-min(before, most))/(1<<20), "MB-more")
}

// measure asks for a page again and again, and tells how long the middle one and
// the twentieth slowest took and what they weigh.
func (p *pagesOf) measure(b *testing.B, path string) {
	var took []time.Duration
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		w := p.ask(http.MethodGet, path, nil)
		took = append(took, time.Since(began))
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %d\n%s", path, w.Code, w.Body)
		}
		body = w.Body.Bytes()
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(took[len(took)/2]), "median-ms")
	b.ReportMetric(ms(took[len(took)*95/100]), "p95-ms")
	b.ReportMetric(float64(len(body)), "bytes")
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write(body); err != nil || z.Close() != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(small.Len()), "gzip-bytes")
}

// passing is whoever reads a table as it comes and keeps nothing of it.
type passing struct {
	head  http.Header
	code  int
	bytes int
}

func (c *passing) Header() http.Header         { return c.head }
func (c *passing) WriteHeader(code int)        { c.code = code }
func (c *passing) Write(p []byte) (int, error) { c.bytes += len(p); return len(p), nil }

// measureTable has the whole school written as a table.
func (p *pagesOf) measureTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		w := &passing{head: http.Header{}}
		p.site.ServeHTTP(w, p.request(http.MethodGet, p.at("/devices.csv"), nil))
		if w.bytes < 50*p.devices {
			b.Fatalf("the table has %d bytes", w.bytes)
		}
		b.ReportMetric(float64(w.bytes), "bytes")
	}
}
