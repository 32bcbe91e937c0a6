package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
)

func TestRatiosAreHeldAgainstTheirBounds(t *testing.T) {
	for _, story := range []struct {
		name string
		row  row
		ok   bool
		says string
	}{
		{"at the bound", row{ours: 18, limit: 18, want: atMost, bound: 1}, true, "yes"},
		{"above it", row{ours: 18.1, limit: 18, want: atMost, bound: 1}, false, "NO"},
		{"fast enough", row{ours: 9, limit: 10, want: atLeast, bound: 0.9}, true, "yes"},
		{"too slow", row{ours: 8.9, limit: 10, want: atLeast, bound: 0.9}, false, "NO"},
		{"only told", row{ours: 8.9, limit: 10, want: justTold}, true, ""},
		{"nothing to hold it against", row{ours: 1, want: atLeast, bound: 0.5}, false, "NO"},
	} {
		if ok, says := story.row.ok(), story.row.verdict(); ok != story.ok || says != story.says {
			t.Errorf("%s: got %t, %q", story.name, ok, says)
		}
	}
}

func TestTableIsOneLineForEach(t *testing.T) {
	var out bytes.Buffer
	err := printTable(&out, []row{
		{what: "agent: resident", ours: 17.25, unit: "MiB", limit: 18, want: atMost, bound: 1},
		{what: "collector: reports", ours: 12_345, unit: "/s", limit: 30_000, against: "signatures", want: atLeast, bound: 0.5, note: "of 3,000 bytes"},
		{what: "told", ours: 0.5, unit: "/s", want: justTold},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"17.2 MiB", "| 0.96", "| ≤ 1.00", "12345 /s", "30000 /s (signatures)", "| 0.41", "| NO", "0.50 /s", "collector: reports: of 3,000 bytes"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n| "); n != 3 {
		t.Errorf("got %d lines after the first:\n%s", n, text)
	}
}

const status = "Name:\tcaretaker-agent\nVmPeak:\t 1264000 kB\nVmRSS:\t   17764 kB\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t3\n"

func TestStatusOfAProcess(t *testing.T) {
	for name, want := range map[string]float64{"VmRSS": 17764, "voluntary_ctxt_switches": 42, "nonvoluntary_ctxt_switches": 3} {
		if got, err := statusField(status, name); err != nil || got != want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "VmRSS:", "VmRSS:\tmuch kB\n", "Name:\tzombie\n"} {
		if got, err := statusField(text, "VmRSS"); err == nil {
			t.Errorf("%q gave %v", text, got)
		}
	}
}

// A name may hold anything, also what looks like the end of one.
const stat = "4242 (a) b) S 1 4242 4242 0 -1 4194560 900 1000 0 0 12 34 56 78 30 10 9 0 123456 1294336000 4441 18446744073709551615"

func TestTimesOfAProcess(t *testing.T) {
	own, children, err := statTimes(stat)
	if err != nil || own != 460*time.Millisecond || children != 1340*time.Millisecond {
		t.Errorf("got %s, %s, %v", own, children, err)
	}
	for n := range len(stat) {
		if _, _, err := statTimes(stat[:n]); err == nil && n < strings.Index(stat, " 78") {
			t.Errorf("cut at %d it is accepted", n)
		}
	}
}

func TestBenchmarksAreRead(t *testing.T) {
	got := benchmarks("goos: linux\nBenchmarkOverview20k/day-2         \t    2277\t    500522 ns/op\n" +
		"BenchmarkDevice/20000-2   100\t  1250000.5 ns/op\t 12 B/op\nBenchmarkBroken-2 x ns/op\nPASS\n")
	if len(got) != 2 || got["Overview20k/day"] != 0.500522 || math.Abs(got["Device/20000"]-1.25) > 1e-3 {
		t.Errorf("got %v", got)
	}
	if _, err := viewRows(got); err == nil {
		t.Error("benchmarks that are missing are not missed")
	}
}

func TestLaptopHasOnePersonAndItsPackages(t *testing.T) {
	got := string(withPupil([]byte("root:x:0:0:root:/root:/bin/sh\nmegan:x:1001:1001::/home/megan:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nodd\n")))
	if want := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n" + pupil; got != want {
		t.Errorf("got\n%s", got)
	}
	if n := bytes.Count(packageList(packages), []byte("\nStatus: install ok installed\n")); n != packages {
		t.Errorf("the list has %d packages", n)
	}
	if got := emptied("/tmp/bench/agent", "/home/x/bin"); got != "/var/tmp /dev/shm" {
		t.Errorf("got %q", got)
	}
}

func TestHurriedClockStaysInThePast(t *testing.T) {
	began := time.Now()
	c := hurried{System: clock.System{}, began: began.Add(-time.Minute)}
	if now := c.Now(); now.After(began) || now.Before(began.Add(-early)) {
		t.Errorf("after a minute it is %s from the beginning", now.Sub(began))
	}
}

func TestWindowsRowsSayWhatWasMeasured(t *testing.T) {
	rows, err := windowsRows([]byte(`{"assessment":1.5,"processes":[1.2,0.3],"server":0.6,"peak":52428800,"resident":41943040,"private":31457280}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].ours != 1.5 || rows[1].ours != 50 || rows[2].ours != 40 {
		t.Errorf("got %+v", rows)
	}
	for _, r := range rows {
		if r.want != justTold || r.limit == 0 {
			t.Errorf("%s is judged, or has no limit beside it", r.what)
		}
	}
	if _, err := windowsRows([]byte("no measure")); err == nil {
		t.Error("what is no measure is taken for one")
	}
}

func TestPagesAreReadFromBenchmarks(t *testing.T) {
	const out = `BenchmarkPages/schools-2         	       5	  11555960 ns/op	     17810 bytes	      2560 gzip-bytes	         2.338 median-ms	        47.61 p95-ms	 5417579 B/op	   20803 allocs/op
BenchmarkPages/overview-2 	5	2864950 ns/op	42956 bytes	4975 gzip-bytes	2.471 median-ms	4.305 p95-ms
BenchmarkPages/devices/first-2 	5	5332247 ns/op	168044 bytes	4421 gzip-bytes	4.876 median-ms	6.944 p95-ms
BenchmarkPages/devices/search-tag-2 	5	3401750 ns/op	9116 bytes	2770 gzip-bytes	103.259 median-ms	4.185 p95-ms
BenchmarkPages/device-2 	5	2919982 ns/op	39351 bytes	5688 gzip-bytes	2.770 median-ms	3.962 p95-ms
BenchmarkPages/breaches/all-2 	5	4130889 ns/op	53869 bytes	3431 gzip-bytes	4.196 median-ms	4.849 p95-ms
BenchmarkPages/devices.csv-2 	5	102836484 ns/op	12818000 bytes	27662656 B/op
`
	rows, err := pageRows(metricsOf(out))
	if err != nil || len(rows) != 8 {
		t.Fatalf("%v, %v", rows, err)
	}
	for i, want := range map[int]struct {
		ours float64
		ok   bool
	}{0: {2.471, true}, 3: {103.259, false}, 6: {2.338, true}, 7: {168.044, false}} {
		if rows[i].ours != want.ours || rows[i].ok() != want.ok {
			t.Errorf("%+v, want %v", rows[i], want)
		}
	}
	if _, err := pageRows(nil); err == nil {
		t.Error("nothing was measured, and that is no error")
	}
}
