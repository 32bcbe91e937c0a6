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

// disputeKind is the kind of what stands in for a recorded fact that somebody says is
// wrong, and disputeRule the place of its rule. No rule has subjects of that kind.
const (
	disputeKind = "dispute"
	disputeRule = "disputes"
)

// disputes are what is disputed at a school and not answered yet, as something to be
// told, each once. A notice says how many there are and since when: not what is said,
// of which laptop, or by whom.
func (t *Teller) disputes(ctx context.Context, school posture.SchoolID, now time.Time) ([]item, error) {
	var list []item
	for q := (view.DisputeQuery{Open: true, Limit: 500}); ; {
		page, err := t.o.Source.Disputes(ctx, school, q, now)
		if err != nil {
			return nil, err
		}
		for _, d := range page.Disputes {
			b := &view.Breach{
				Rule: disputeRule, Title: "what is said to be recorded wrongly", Number: 1, Subject: posture.Subject{Kind: disputeKind, Key: d.ID},
				Severity: posture.Moderate, FirstFailed: d.Raised,
			}
			list = append(list, item{key: keyOf(school, b), severity: b.Severity, breach: b, what: Disputed})
		}
		if q.After = page.Next; q.After == "" {
			return list, nil
		}
	}
}

func disputed(n int) string {
	if n == 1 {
		return "1 recorded fact"
	}
	return fmt.Sprintf("%d recorded facts", n)
}

// disputeLink leads to what is disputed at a school; "" if it is not known where the
// pages are.
func (n Notice) disputeLink(p Part) string {
	if n.Pages == "" {
		return ""
	}
	return strings.TrimSuffix(n.Pages, "/") + "/schools/" + url.PathEscape(string(p.School)) + "/privacy/disputes"
}
