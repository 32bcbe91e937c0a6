package web

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// tablePage is how many devices are read at once for a table: no table holds a
// whole school in memory.
const tablePage = 500

// deviceTable gives the devices that a list's address selects as a table for
// spreadsheets.
func (s *site) deviceTable(w http.ResponseWriter, r *http.Request, v visit) error {
	query := deviceQuery(r.URL.Query())
	query.Limit, query.After = tablePage, ""
	found, err := s.Queries.Devices(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	out, err := beginTable(w, fmt.Sprintf("devices-%s-%s.csv", v.school.ID, v.now.In(s.Location).Format("2006-01-02")))
	if err != nil {
		return err
	}
	out.row("Asset tag", "Host name", "System", "Whose", "Last heard from", "Silent", "Rules not met", "Rules not proven", "Rules exempt", "Rules met", "Breaches to act on", "What was found")
	for {
		for _, d := range found.Devices {
			out.device(d, s.Location)
		}
		out.Flush()
		if err := out.Error(); err != nil || found.Next == "" {
			return err
		}
		query.After = found.Next
		if found, err = s.Queries.Devices(r.Context(), v.school.ID, query, v.now); err != nil {
			s.Logger.Error("a table of devices ends early", "school", v.school.ID, "error", err)
			out.cut()
			return out.Error()
		}
	}
}

// lasting gives whoever reads a long answer as long for each part of it as the
// server gives them for a page: a table of a hundred thousand devices takes longer
// than that over a slow line, and would be cut off without a word.
type lasting struct{ http.ResponseWriter }

// Write implements io.Writer.
func (l lasting) Write(p []byte) (int, error) {
	// By the machine's clock, as the server's own limits.
	err := http.NewResponseController(l.ResponseWriter).SetWriteDeadline(clock.System{}.Now().Add(pageTakes))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	return l.ResponseWriter.Write(p)
}

// table writes rows that spreadsheets show and never run.
type table struct{ *csv.Writer }

// beginTable begins an answer that is a table for spreadsheets.
func beginTable(w http.ResponseWriter, name string) (table, error) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	// With the mark of UTF-8, without which spreadsheets take it for something else.
	_, err := io.WriteString(w, "\ufeff")
	return table{csv.NewWriter(lasting{w})}, err
}

// cut ends a table of which the rest could not be read: the answer has begun, and
// says so itself.
func (t table) cut() {
	t.row("THE TABLE ENDS HERE: the rest could not be read. Load it again.")
	t.Flush()
}

// row writes a row. An error stays until the end.
func (t table) row(cells ...string) {
	for i := range cells {
		cells[i] = harmless(cells[i])
	}
	_ = t.Write(cells) // Error says it
}

// harmless makes text of what a spreadsheet would take for a formula.
func harmless(cell string) string {
	cell = visible(cell)
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func (t table) device(d view.Device, zone *time.Location) {
	heard, silent := "never", "no"
	if !d.LastContact.IsZero() {
		heard = d.LastContact.In(zone).Format("2006-01-02 15:04 MST")
	}
	if d.Silent {
		silent = "yes"
	}
	system := d.OSName
	if system == "" {
		system = platform(d.Platform)
	}
	var found []string
	for _, f := range d.Found {
		found = append(found, strings.TrimSpace(subjectLabel(f.Subject, f.Message)+" "+f.Message))
	}
	t.row(d.AssetTag, d.Hostname, system, ownership(d.Ownership), heard, silent,
		strconv.Itoa(d.NotMet), strconv.Itoa(d.NotProven), strconv.Itoa(d.Exempt), strconv.Itoa(d.Met), strconv.Itoa(d.Open), strings.Join(found, "; "))
}
