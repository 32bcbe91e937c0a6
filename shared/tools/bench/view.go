package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// view measures what pages ask of the view, by the benchmarks of the room that
// fills it.
func (b *bench) view(ctx context.Context) ([]row, error) {
	out, _, err := call(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Overview20k|Device)$", "-timeout", "20m", "./collector/projection")
	if err != nil {
		return nil, err
	}
	return viewRows(benchmarks(out))
}

var benchmarkLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

// benchmarks returns the milliseconds of each benchmark that `go test` printed.
func benchmarks(out string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(out) {
		m := benchmarkLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if ns, err := strconv.ParseFloat(m[2], 64); err == nil {
			found[m[1]] = ns / 1e6
		}
	}
	return found
}

func viewRows(ms map[string]float64) ([]row, error) {
	var missing []error
	get := func(name string) float64 {
		v, ok := ms[name]
		if !ok {
			missing = append(missing, fmt.Errorf("there is no benchmark %s", name))
		}
		return v
	}
	page := func(what string, names ...string) row {
		r := row{what: what, unit: "ms", limit: 50, want: atMost, bound: 1}
		for _, name := range names {
			r.ours = max(r.ours, get(name))
		}
		return r
	}
	few, many := get("Device/20"), get("Device/20000")
	rows := []row{
		page("collector: overview of 20,000 devices, the worst day", "Overview20k/day", "Overview20k/weekend", "Overview20k/summer"),
		page("collector: list of 20,000 devices, the worst question", "Overview20k/devices/first", "Overview20k/devices/search"),
		page("collector: list of breaches of 20,000 devices, a school day", "Overview20k/breaches/first", "Overview20k/breaches/none"),
		page("collector: list of breaches of 20,000 devices, all silent", "Overview20k/breaches/summer"),
		page("collector: page of one of 20,000 devices", "Device/20000"),
		{
			what: "collector: that page, as many times as with 20 devices", ours: many / max(few, 1e-9), unit: "times",
			limit: math.Log(20_000) / math.Log(20), against: "logarithmic", want: atMost, bound: 1,
		},
	}
	return rows, errors.Join(missing...)
}
