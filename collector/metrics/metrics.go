// Package metrics answers Prometheus with counts: of laptops by rule and
// standing, of breaches, of what is recorded and shown, of notices, and of the
// program itself.
//
// It never names a school but by its identifier, and says nothing about one
// laptop or one person.
package metrics

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// School is one school at one moment.
type School struct {
	Overview  view.Overview
	ID        posture.SchoolID
	Connected int
	Recording bool
	Entries   uint64        // of its ledger
	Shown     uint64        // of these, in the view
	Behind    time.Duration // for how long the view has been behind
}

// Notices counts the notices on one kind of way.
type Notices struct {
	Delivered int // since the channels were added
	Waiting   int // notices that are not delivered yet
	Failing   int // channels of which the last attempt failed
	Failures  int // attempts that failed since the collector was started
}

// Figures are what is counted at one moment.
type Figures struct {
	Schools []School
	Notices map[string]Notices // by the kind of way
	Free    uint64             // bytes free on the disk of the data folder
	Known   bool               // Free is known
	// Certificate is that of the pages; nil if they are served without one.
	Certificate *Certificate
}

// Certificate is the pages' certificate.
type Certificate struct {
	Ends    time.Time // zero if there is none yet
	Failing bool      // somebody has to do something about it
}

// Config is what New needs. All but Token are required.
type Config struct {
	Figures func(ctx context.Context) (Figures, error)
	Version string
	Token   string // that a reader must show; "": none
	Log     *slog.Logger
}

// New returns what answers at /metrics.
func New(c Config) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &gatherer{c})
	answer := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 1, ErrorHandling: promhttp.HTTPErrorOnError,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", guarded(c.Token, answer))
	return mux
}

// guarded asks readers for the token.
func guarded(token string, inner http.Handler) http.Handler {
	if token == "" {
		return inner
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="caretaker"`)
			http.Error(w, "these figures need the token of --metrics-token", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// The metrics. Names and labels are what others build on: they are added to,
// and not changed.
var (
	build     = describe("build_info", "The running version; always 1.", "version")
	devices   = describe("devices", "Laptops that are known, connected now, or silent for longer than the policy allows.", "school", "state")
	ruled     = describe("rule_devices", "Laptops by where they stand on a rule, by their worst subject.", "school", "rule", "severity", "standing")
	breaches  = describe("breaches", "Policy breaches by status.", "school", "status", "severity")
	policy    = describe("policy_number", "Number of the policy in force; 0 is the baseline.", "school")
	recording = describe("recording", "1 while what laptops report is recorded.", "school")
	entries   = describe("ledger_entries", "Entries of the ledger.", "school")
	shown     = describe("view_entries", "Entries of the ledger that pages and notices are made of.", "school")
	behind    = describe("view_behind_seconds", "For how long something that is recorded has waited to be shown.", "school")
	delivered = describe("notices_delivered_total", "Notices that were delivered on the ways that there are.", "kind")
	waiting   = describe("notices_waiting", "Notices that are not delivered yet.", "kind")
	failing   = describe("notices_failing", "Ways for notices of which the last attempt failed.", "kind")
	failures  = describe("notice_failures_total", "Attempts to deliver a notice that failed, since the start.", "kind")
	free      = describe("disk_free_bytes", "Bytes free on the disk of the data folder.")
	ends      = describe("certificate_end_timestamp_seconds", "When the pages' certificate ends; 0 if there is none yet.")
	lapsing   = describe("certificate_trouble", "1 if somebody has to do something about the pages' certificate, such as when renewing it fails.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caretaker_"+name, help, labels, nil)
}

// gatherer asks for the figures when somebody reads them.
type gatherer struct{ c Config }

// patience bounds how long one reading takes.
const patience = 30 * time.Second

// Describe implements prometheus.Collector.
func (g *gatherer) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		build, devices, ruled, breaches, policy, recording, entries, shown, behind, delivered, waiting, failing, failures, free, ends, lapsing,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gatherer) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f, err := g.c.Figures(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(entries, fmt.Errorf("count what there is: %w", err))
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(build, 1, g.c.Version)
	for _, s := range f.Schools {
		schoolFigures(gauge, s)
	}
	for kind, n := range f.Notices {
		gauge(waiting, float64(n.Waiting), kind)
		gauge(failing, float64(n.Failing), kind)
		ch <- prometheus.MustNewConstMetric(delivered, prometheus.CounterValue, float64(n.Delivered), kind)
		ch <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, float64(n.Failures), kind)
	}
	if f.Known {
		gauge(free, float64(f.Free))
	}
	if c := f.Certificate; c != nil {
		gauge(lapsing, map[bool]float64{true: 1}[c.Failing])
		if c.Ends.IsZero() {
			gauge(ends, 0)
		} else {
			gauge(ends, float64(c.Ends.Unix()))
		}
	}
}

func schoolFigures(gauge func(*prometheus.Desc, float64, ...string), s School) {
	id := string(s.ID)
	gauge(recording, map[bool]float64{true: 1}[s.Recording], id)
	gauge(entries, float64(s.Entries), id)
	gauge(shown, float64(s.Shown), id)
	gauge(behind, s.Behind.Seconds(), id)
	gauge(policy, float64(s.Overview.Policy), id)
	gauge(devices, float64(s.Overview.Devices), id, "known")
	gauge(devices, float64(s.Connected), id, "connected")
	gauge(devices, float64(s.Overview.Silent), id, "silent")
	for _, r := range s.Overview.Rules {
		for standing, n := range map[view.Standing]int{view.Met: r.Met, view.NotMet: r.NotMet, view.NotProven: r.NotProven, view.Exempt: r.Exempt, view.NotFor: r.NotFor} {
			gauge(ruled, float64(n), id, r.Rule, r.Severity.String(), strings.ToLower(string(standing)))
		}
	}
	for _, b := range s.Overview.Breaches {
		gauge(breaches, float64(b.Count), id, b.Status.String(), b.Severity.String())
	}
}
