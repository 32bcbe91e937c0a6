package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestAnApprovedLaptopIsItsAsset: at the console, on the page and by programs; whose
// asset is another laptop by then, or had its number changed, is admitted without,
// and is said to be. Who decided is who approved.
func TestAnApprovedLaptopIsItsAsset(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	bulk := tokenFor(c.agents)
	bulk.Uses, bulk.Way = 30, admission.OnApproval
	token := ask[collectorapp.TokenAnswer](w, "token.create", bulk).Token
	w.allShown()
	w.imports("tag,what,serial\nHB-LT-014,Classbook 14,pf2x 9q7r\nHB-LT-015,Classbook 14,PF3ABCD1\nHB-LT-016,Classbook 14,PF3ABCD2\nHB-LT-017,Classbook 14,PF3ABCD3\n", time.Time{})
	_, first := w.says("first", "PF2X9Q7R", token)
	_, copied := w.says("copied", "PF2X9Q7R", token)
	_, second := w.says("second", "PF3ABCD1", token)
	_, changed := w.says("changed", "PF3ABCD2", token)
	_, third := w.says("third", "PF3ABCD3", token)
	_, stranger := w.says("stranger", "PF9ZZZZ9", token)
	tags := map[string]string{}
	for _, p := range ask[collectorapp.PendingList](w, "enrolment.list", collectorapp.ListArguments{}).Pending {
		tags[p.Code] = p.Asset
	}
	if len(tags) != 6 || tags[first] != "HB-LT-014" || tags[copied] != "HB-LT-014" || tags[second] != "HB-LT-015" || tags[changed] != "HB-LT-016" || tags[stranger] != "" {
		t.Errorf("they wait as %v", tags)
	}
	school := "/schools/" + string(w.only())
	p := w.signIn(c, "technician")
	p.shows(school+"/enrolments/waiting", "HB-LT-014", "HB-LT-015", "by its serial number", stranger)
	w.imports("tag,what,serial\nHB-LT-016,Classbook 14,PF3ABCDX\n", time.Time{})

	done := ask[collectorapp.DecidedList](w, "enrolment.approve", collectorapp.PendingArguments{Codes: []string{first, copied, changed, stranger}}).Decided
	if done[0].Asset != "HB-LT-014" || done[0].Untied != "" || done[1].Device == "" || done[1].Asset != "" || !strings.Contains(done[1].Untied, "another laptop") ||
		!strings.Contains(done[2].Untied, "another serial number") || done[3].Device == "" || done[3].Asset+done[3].Untied != "" {
		t.Errorf("approved: %+v", done)
	}
	p.post(school+"/enrolments/waiting", url.Values{"deed": {"approve"}, "code": {second}}, school+"/enrolments/waiting")
	var by api.DecidedEnrolments
	caller := w.callerOf(c, "Morgan Ellis", access.Technician)
	if status := caller.ask(school+"/enrolments/waiting/approval", api.NewPendingDecision{Codes: []string{third}}, &by); status != http.StatusCreated || len(by.Decided) != 1 || by.Decided[0].Asset != "HB-LT-017" {
		t.Errorf("by API: %d, %+v", status, by)
	}
	w.allShown()
	for tag, tied := range map[string]bool{"HB-LT-014": true, "HB-LT-015": true, "HB-LT-016": false, "HB-LT-017": true} {
		if one := ask[view.Registered](w, "register.show", collectorapp.AssetArguments{Tag: tag}); (one.Device != "") != tied || !one.BySerial.IsZero() {
			t.Errorf("the asset is %+v", one)
		}
	}

	// One set up anew is its earlier self only when somebody says so.
	_, anew := w.says("anew", "PF2X9Q7R", token)
	done = ask[collectorapp.DecidedList](w, "enrolment.approve", collectorapp.PendingArguments{Codes: []string{anew}}).Decided
	if done[0].Device == "" || done[0].Asset != "" || done[0].Untied != "the register's HB-LT-014 has enrolled already" {
		t.Errorf("set up anew: %+v", done)
	}
}
