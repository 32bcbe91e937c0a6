package notify

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// monthKind is the kind of what stands in for the summary of a month. No rule has
// subjects of that kind.
const monthKind = "month"

// MonthSummary is the last month that is over in which anything was heard at a school,
// in counts: after the summer that is July, if the laptops lay in their cupboard.
type MonthSummary struct {
	Month  string    // such as "2026-10"; "": there is none
	Words  string    // such as "October 2026"
	Ended  time.Time // by the school's own zone
	Counts []Count
}

// Count is one count with how it differs from that of the month before.
type Count struct {
	Words string `json:"words"`
	Now   int    `json:"now"`
	Since string `json:"since"`
}

// month is the summary of a month, as something to be told: to
// each way once. That it was is remembered as of a breach, so that neither a restart
// nor a view that is made again sends it twice.
func (t *Teller) month(ctx context.Context, school posture.SchoolID, now time.Time) ([]item, error) {
	m, err := t.o.Source.LastMonth(ctx, school, now)
	if err != nil || m.Month == "" {
		return nil, err
	}
	b := &view.Breach{
		Rule: m.Month, Title: m.Words, Number: 1, Subject: posture.Subject{Kind: monthKind, Key: m.Month}, Severity: posture.Info, FirstFailed: m.Ended,
	}
	return []item{{
		key: keyOf(school, b), severity: b.Severity, breach: b, what: Monthly, counts: m.Counts,
	}}, nil
}

// withoutCounts takes out what governors are not told: two months of a small school
// differ by one laptop, and that is somebody. They have the signed reports.
func (n *Notice) withoutCounts() {
	for _, p := range n.Parts {
		for i := range p.Causes {
			p.Causes[i].Counts, p.Causes[i].Signed = nil, p.Causes[i].What == Monthly
		}
	}
}

// monthDetail says what a month is summed up to.
func (c Cause) monthDetail() string {
	if c.Signed {
		return "Counts of a month are for those who answer for the school. The reports of terms and years that are signed can be read by you."
	}
	words := make([]string, len(c.Counts))
	for i, n := range c.Counts {
		words[i] = fmt.Sprintf("%s: %d, %s", n.Words, n.Now, n.Since)
	}
	return strings.Join(words, "; ") + "."
}

// monthLink leads to the summary of a month, and governors to the signed reports; ""
// if it is not known where the pages are.
func (n Notice) monthLink(p Part, c Cause) string {
	if n.Pages == "" {
		return ""
	}
	at := strings.TrimSuffix(n.Pages, "/") + "/schools/" + url.PathEscape(string(p.School))
	if c.Signed {
		return at + "/terms"
	}
	return at + "/trends/months/" + url.PathEscape(c.Rule)
}
