package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// releases are those of the school of the tests, as far as they have come.
type releases struct {
	*school
}

func updatesOf(q Queries) Updater {
	s, _ := q.(*school)
	return &releases{s}
}

func (u *releases) Updates(_ context.Context, id posture.SchoolID) (release.Standing, error) {
	if u.school != nil && u.fail != nil {
		return release.Standing{}, u.fail
	}
	if id != "hollybank" {
		return release.Standing{School: id, Silent: 1}, nil
	}
	return release.Standing{
		School: id, Trusted: true, By: "Sam Okafor", At: now.Add(-30 * time.Hour), Reason: "the first ten <b>laptops</b>", Entry: 40, Share: 30,
		Offer: release.Offer{Version: "v1.3.0", Share: 10, PerDay: 20},
		Releases: []release.Kept{
			{Version: "v1.3.0", Systems: []string{"linux-amd64", "windows-amd64"}, Until: now.AddDate(0, 5, 0)},
			{Version: "v1.2.0", Systems: []string{"linux-amd64"}, Until: now.AddDate(0, -1, 0), Over: true},
		},
		Runs: []release.Count{{Version: "v1.3.0", Devices: 9}, {Version: "v1.2.0", Devices: 21}}, Silent: 3, Fixed: 2,
		Failed: []release.Failure{{Version: "v1.3.0", Why: "it was started 3 times and did not report to the collector", Devices: 1}, {Why: "the disk has no room <script>", Devices: 1}},
	}, nil
}

func (u *releases) OfferRelease(_ context.Context, _ posture.SchoolID, d decision.Decision) (uint64, error) {
	if u.school != nil && u.fail != nil {
		return 0, u.fail
	}
	if d.Release.Version == "v1.2.0" {
		return 0, &decision.RefusedError{Why: "no laptop takes v1.2.0 any more"}
	}
	u.decided = append(u.decided, d)
	return 41, nil
}

func TestWordsOfAnUpdate(t *testing.T) {
	for want, st := range map[string]release.Standing{
		"Nothing is offered.": {},
		"v1.3.0 is offered to 30 in every hundred of the laptops.":                                  {Offer: release.Offer{Version: "v1.3.0"}, Share: 30},
		"v1.3.0 is offered to 5 in every hundred of the group Year 6. Some laptops do not take it.": {Offer: release.Offer{Version: "v1.3.0", Group: "Year 6"}, Share: 5, Failed: []release.Failure{{}}},
	} {
		if got := updateWords(st); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestReleaseIsOfferedAndStoppedOnAPage: by whom it may be, and nobody else; what is
// wrong is said at its field, and nothing that was typed is lost.
func TestReleaseIsOfferedAndStoppedOnAPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/settings/updates"
	c.want(at, http.StatusOK, "New versions of the agent", "v1.3.0 is offered to 30 in every hundred of the laptops.", "Some laptops do not take it.",
		"started 3 times", "Over: laptops take it no more, until the publisher gives its list out anew", "Stop: offer nothing any more", "<b>laptops</b>", "<script>")
	form := func(version, ring string) url.Values {
		return url.Values{"deed": {"offer"}, "version": {version}, "ring": {ring}, "per-day": {"20"}, "group": {"Year 6"}, "reason": {"the first"}}
	}
	r := c.post(at, form("v1.3.0", "10"))
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"?done=offered" || len(s.decided) != 1 {
		t.Fatalf("offering led to %d: %s", r.Code, plainText(r.Body.String()))
	}
	want := release.Offer{Version: "v1.3.0", Group: "Year 6", Share: 10, PerDay: 20}
	if d := s.decided[0]; d.Kind != decision.OfferRelease || d.By != "technician" || *d.Release != want || d.Reason != "the first" {
		t.Errorf("recorded %+v: %+v", d, d.Release)
	}
	if r := c.post(at, url.Values{"deed": {"stop"}}); r.Code != http.StatusSeeOther || len(s.decided) != 2 || *s.decided[1].Release != (release.Offer{}) {
		t.Errorf("stopping led to %d: %+v", r.Code, s.decided)
	}
	for words, wrong := range map[string]url.Values{
		"Write a number from 1 to 100.": form("v1.3.0", "all"), "Choose a version.": form("", "10"), "takes v1.2.0 any more": form("v1.2.0", "10"),
	} {
		r := c.post(at, wrong)
		if text := plainText(r.Body.String()); r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, words) || !strings.Contains(r.Body.String(), `value="Year 6"`) {
			t.Errorf("%s: answered with %d: %.600s", words, r.Code, text)
		}
	}
	dpo := newClient(t, h, "dpo")
	if page := dpo.want(at, http.StatusOK, "What runs"); strings.Contains(page, "Stop:") || strings.Contains(page, "Offer it") {
		t.Error("who may not offer is shown the form")
	}
	if r := dpo.post(at, form("v1.3.0", "10")); r.Code != http.StatusForbidden && r.Code != http.StatusNotFound || len(s.decided) != 2 {
		t.Errorf("who may not offer: %d", r.Code)
	}
	newClient(t, h, "head everywhere").want("/schools/oakfield/settings/updates", http.StatusOK, "built without its publisher", "There is none.")
}
