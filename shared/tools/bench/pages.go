package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pages measures the whole site on the record of a school of 100,000 devices, by
// the benchmark of the room that puts it together: in the middle, how long a page
// takes at the server, and what it weighs.
func (b *bench) pages(ctx context.Context) ([]row, error) {
	if err := os.Setenv("CARETAKER_PAGES_DIR", filepath.Join(b.dir, "pages")); err != nil {
		return nil, fmt.Errorf("say where the large school is: %w", err)
	}
	out, _, err := call(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkPages$", "-benchtime", "20x", "-timeout", "60m", "./collector/app")
	if err != nil {
		return nil, err
	}
	return pageRows(metricsOf(out))
}

// metricsOf returns what each benchmark that `go test` printed says of itself, by
// name and unit.
func metricsOf(out string) map[string]map[string]float64 {
	found := map[string]map[string]float64{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i >= 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		units := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				units[fields[i+1]] = v
			}
		}
		found[name] = units
	}
	return found
}

// pageRows are the rows of the table. The slowest of a kind counts.
func pageRows(found map[string]map[string]float64) ([]row, error) {
	const weight = 150_000
	page := func(what, kind string) row {
		r := row{what: "pages: " + what + " of 100,000 devices, in the middle", unit: "ms", limit: 100, want: atMost, bound: 1}
		for name, units := range found {
			one, among := "Pages/"+kind, strings.HasSuffix(kind, "/") || strings.HasSuffix(kind, "-")
			if (name == one || among && strings.HasPrefix(name, one)) && units["median-ms"] > r.ours {
				r.ours = units["median-ms"]
				r.note = fmt.Sprintf("%s; one in twenty took %.1f ms or more", strings.TrimPrefix(name, "Pages/"), units["p95-ms"])
			}
		}
		return r
	}
	rows := []row{
		page("overview", "overview"), page("list", "devices/first"), page("slowest filter", "devices/"), page("slowest search", "devices/search-"),
		page("slowest question about breaches", "breaches/"), page("page of one", "device"), page("schools at a glance", "schools"),
	}
	heaviest := row{what: "pages: the heaviest", unit: "KB", limit: weight / 1000, want: atMost, bound: 1}
	for name, units := range found {
		if strings.HasPrefix(name, "Pages/") && !strings.HasSuffix(name, ".csv") && units["bytes"]/1000 > heaviest.ours {
			heaviest.ours = units["bytes"] / 1000
			heaviest.note = fmt.Sprintf("%s; %.1f KB compressed", strings.TrimPrefix(name, "Pages/"), units["gzip-bytes"]/1000)
		}
	}
	rows = append(rows, heaviest)
	var missing []error
	for _, r := range rows {
		if r.ours == 0 {
			missing = append(missing, fmt.Errorf("there is no benchmark of %s", r.what))
		}
	}
	return rows, errors.Join(missing...)
}
