package e2e

import (
	"testing"

	"github.com/caretaker-school/caretaker/collector/view"
)

func TestAReportReachesLedgerViewAndPage(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })

	d := l.shown()
	if d.Hostname != "hb-lt-014" || !d.ReportedAt.Equal(monday) {
		t.Errorf("got %s of %v, want hb-lt-014 of %v", d.Hostname, d.ReportedAt, monday)
	}
	if got := standing(d, "ENC-01"); got != view.NotMet {
		t.Errorf("ENC-01 stands %q, want %q", got, view.NotMet)
	}
	reports := 0
	for _, e := range w.entries() {
		if e.Kind == "report" && e.Subject == l.device && e.Sequence == 1 && e.Signed {
			reports++
		}
	}
	if reports != 1 {
		t.Errorf("the ledger has the report %d times: %v", reports, w.entries())
	}
	if r := w.verified(); r.Statements == 0 || r.Bodies == 0 {
		t.Errorf("nothing was checked: %+v", r)
	}
	pages := w.signIn(c, "technician")
	pages.shows("/schools/"+string(d.School)+"/devices/"+l.device, "hb-lt-014", "System disk encrypted", "Not met")
}
