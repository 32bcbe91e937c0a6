package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/view"
)

// concernDeeds are the commands about what is reported without signing in.
var concernDeeds = []string{"concern address", "concern list", "concern show", "concern set-aside"}

// doingConcerns does them, each once. Only pages take reports, so those that are
// looked at while no collector runs were made while one did.
func doingConcerns(t *testing.T, x *talk, person string, do func(args ...string) string) {
	t.Helper()
	school := []string{"--school", schoolName}
	of := func(args ...string) string { return do(append(args, school...)...) }
	address := asJSON[view.ConcernAddress](t, of("concern", "address", "--renew"))
	if person == "person-one" {
		for range 2 {
			answer, err := http.PostForm(strings.TrimSuffix(x.Web, "/")+"/report/"+address.Address, url.Values{"kind": {"lost"}, "thing": {"HB-LT-014"}, "reason": {"left on the train"}, "from": {"Alex Rowan"}, "reach": {"01632 960 014"}})
			must(t, err)
			must(t, answer.Body.Close())
			if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Request.URL.Path, "/report/"+strings.ToLower(address.Address)+"/") {
				t.Fatalf("a report led to %s %s", answer.Status, answer.Request.URL)
			}
		}
	}
	var waiting []view.Concern
	until(t, "a report waits", func() bool {
		waiting = asJSON[view.ConcernPage](t, of("concern", "list")).Concerns
		return len(waiting) == map[string]int{"person-one": 2, "person-two": 1}[person]
	})
	of("concern", "show", waiting[0].ID)
	of("concern", "set-aside", waiting[0].ID, "--reason", "rung back: it was in the cupboard")
}
