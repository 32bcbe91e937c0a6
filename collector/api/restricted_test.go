package api

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/view"
)

// TestNoLogTellsOfARestrictedIncident: whatever goes wrong when a senior asks, the
// log has no word of it; the senior has.
func TestNoLogTellsOfARestrictedIncident(t *testing.T) {
	for want, err := range map[int]error{
		http.StatusInternalServerError: errors.New("read r-abcdefgh-people-2026-01.age: input/output error"),
		http.StatusNotFound:            fmt.Errorf("no restricted incident r-abcdefgh: %w", view.ErrNotFound),
		http.StatusForbidden:           ErrPassphrase,
	} {
		var log bytes.Buffer
		d := &door{Config: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		w := httptest.NewRecorder()
		d.fail(w, httptest.NewRequest(http.MethodPost, Prefix+"/schools/hollybank/restricted/held", nil), unsaid(err))
		if w.Code != want || log.Len() > 0 {
			t.Errorf("%v: answered with %d, and the log says %q", err, w.Code, log.String())
		}
		if told := strings.Contains(w.Body.String(), "input/output"); told != (want == http.StatusInternalServerError) {
			t.Errorf("%v: answered with %s", err, w.Body)
		}
	}
}
