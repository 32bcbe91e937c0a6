package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func read(t *testing.T, h http.Handler, token string) (int, string) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	r, err := http.NewRequest(http.MethodGet, s.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestTheFiguresAreReadByPrometheus(t *testing.T) {
	h := New(Config{Version: "1.2", Token: "word", Log: slog.New(slog.DiscardHandler), Figures: func(context.Context) (Figures, error) {
		return Figures{
			Schools: []School{{
				ID: "s1", Connected: 3, Recording: true, Entries: 70, Shown: 69, Behind: 2 * time.Second,
				Overview: view.Overview{
					SchoolName: "Hollybank Primary School", Devices: 5, Silent: 1, Policy: 2,
					Rules:    []view.RuleCount{{Rule: "ENC-01", Severity: posture.Critical, Met: 3, NotMet: 1, NotProven: 1}},
					Breaches: []view.BreachCount{{Status: breach.Open, Severity: posture.Critical, Count: 1}},
				},
			}},
			Notices: map[string]Notices{"mail": {Delivered: 4, Waiting: 1, Failing: 1, Failures: 7}},
			Free:    1 << 30, Known: true,
		}, nil
	}})
	if status, _ := read(t, h, "another"); status != http.StatusUnauthorized {
		t.Errorf("with another token: %d", status)
	}
	status, body := read(t, h, "word")
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil || families["go_goroutines"] == nil {
		t.Fatalf("it is not the text format: %v", err)
	}
	for _, line := range []string{
		`caretaker_build_info{version="1.2"} 1`,
		`caretaker_devices{school="s1",state="connected"} 3`,
		`caretaker_rule_devices{rule="ENC-01",school="s1",severity="critical",standing="not proven"} 1`,
		`caretaker_breaches{school="s1",severity="critical",status="open"} 1`,
		`caretaker_view_behind_seconds{school="s1"} 2`,
		`caretaker_recording{school="s1"} 1`,
		`caretaker_notice_failures_total{kind="mail"} 7`,
		`caretaker_ledger_entries{school="s1"} 70`,
		`caretaker_disk_free_bytes 1.073741824e+09`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, body)
		}
	}
	if strings.Contains(body, "Hollybank") {
		t.Error("the figures have a school's name")
	}
}

// TestFiguresThatCannotBeReadAreNoZeros: an answer that is not known is an
// error, so that a graph has a gap and not a good day.
func TestFiguresThatCannotBeReadAreNoZeros(t *testing.T) {
	h := New(Config{Version: "1", Log: slog.New(slog.DiscardHandler), Figures: func(context.Context) (Figures, error) {
		return Figures{}, errors.New("the view is closed")
	}})
	if status, body := read(t, h, ""); status != http.StatusInternalServerError || strings.Contains(body, "caretaker_devices") {
		t.Errorf("%d: %s", status, body)
	}
}
