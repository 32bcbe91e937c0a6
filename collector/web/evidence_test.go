package web

import (
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/evidence"
)

// TestALostLaptopIsAnswered: a tag and a moment lead to what is proven, with the
// deadline in wall-clock time across the end of summer time, and to the file
// that strangers verify.
func TestALostLaptopIsAnswered(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "dpo")
	c.want("/schools/hollybank/evidence", http.StatusOK, "was it encrypted?", "Times are local (BST today)")
	asked := c.get("/schools/hollybank/evidence?device=hb-lt-014&day=2026-10-23&time=16:20&aware-day=2026-10-23&aware-time=17:10")
	to := asked.Header().Get("Location")
	if asked.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/schools/hollybank/devices/d-014/evidence?") {
		t.Fatalf("the form led to %d %s", asked.Code, to)
	}
	c.want(to, http.StatusOK,
		"HB-LT-014: encrypted on Fri 23 Oct 2026 16:20 BST",
		"ENCRYPTED, and its keys were guarded, when it was last heard from, Fri 23 Oct 2026 15:52 BST: 28 minutes before.",
		"the regulator must be told by Mon 26 Oct 2026 16:10 GMT : 71 hours 58 minutes from now",
		"Not heard from between", "receipt: entry 13", "whether it was asleep, locked or switched off",
		"encrypted but not protected", "This is evidence, not certification.")
	file := c.get(strings.Replace(to, "/evidence?", "/evidence/file?", 1))
	if _, parameters, err := mime.ParseMediaType(file.Header().Get("Content-Disposition")); err != nil || !strings.HasSuffix(parameters["filename"], "-20261023T152000Z.evidence") {
		t.Errorf("the file is called %q: %v", file.Header().Get("Content-Disposition"), err)
	}
	if _, _, err := evidence.Verify(file.Body.Bytes(), evidence.Trust{}); err != nil {
		t.Errorf("the file does not verify: %v", err)
	}
}

// TestWhatIsAskedWronglyIsSaid: a form that cannot be answered says what to do,
// keeps what was typed, and is no error of the collector's.
func TestWhatIsAskedWronglyIsSaid(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/evidence?"
	for _, q := range []struct {
		query string
		code  int
		words string
	}{
		{"device=&day=2026-10-23&time=16:20", 422, "Enter the asset tag or the name of the laptop."},
		{"device=hb-lt-014&day=23/10/2026&time=16:20", 422, "Enter the day and the time at which it was lost"},
		{"device=hb-lt-014&day=2026-10-23&time=25:00", 422, "Enter the day and the time at which it was lost"},
		{"device=hb-lt-014&day=2026-10-24&time=09:00", 422, "has not come yet"},
		{"device=hb-lt-014&day=2026-10-23&time=16:20&aware-day=2026-10-23", 422, "or leave both empty"},
		{"device=zzz&day=2026-10-23&time=16:20", 422, "No laptop of this school has that tag or name"},
		{"device=lt-01&day=2026-10-23&time=16:20", 200, "Which of these is it? Laptops that fit"},
		{"device=lt-014&day=2026-10-23&time=16:20", 200, "Which of these is it? Laptops that fit"}, // of one alone a part
		{"school-day=tomorrow", 422, "Enter the day, such as"},
	} {
		text := c.want(at+q.query, q.code, q.words)
		if q.code == 422 && !strings.HasPrefix(text, "Error: Evidence") {
			t.Errorf("%s: the title does not begin with the error: %.60s", q.query, text)
		}
	}
	for _, path := range []string{
		"devices/d-014/evidence?at=yesterday", "devices/d-014/evidence?at=2026-10-24T00:00:00Z", "devices/no-such/evidence", "evidence/school?day=today",
	} {
		c.want("/schools/hollybank/"+path, http.StatusNotFound)
	}
	c.want("/schools/hollybank/evidence/school?day=2025-01-01", http.StatusNotFound, "Nothing was recorded by then")
	c.want("/schools/hollybank/evidence/school?day=2026-10-22", http.StatusOK, "2 of 3 registered devices by an agent", "whether there are backups")
}

// TestTheLineDrawsWhatIsKnown: each span and silence is a band of its own, none
// outside the line, and what the bands say stands in the table too.
func TestTheLineDrawsWhatIsKnown(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 10, day, 12, 0, 0, 0, time.UTC) }
	b := &evidence.Bundle{At: at(21), Sheet: evidence.Sheet{
		Spans: []evidence.Span{
			{From: at(1), To: at(11), State: evidence.Encrypted},
			{From: at(12), To: at(12), State: evidence.Unprotected},
			{From: at(13), To: at(21), State: evidence.NotProven, Why: "denied"},
		},
		Silences: []evidence.Silence{{From: at(2), To: at(6)}},
	}}
	l := newLifeline(b, clockwork{time.UTC, at(21)})
	want := []band{
		{"met", "0.00%", "50.00%"}, {"not-met", "55.00%", "0.60%"}, {"not-proven", "60.00%", "40.00%"}, {"gap", "5.00%", "20.00%"},
	}
	// The two times between spans are said, and nothing is drawn there.
	if len(l.Bands) != len(want) || len(l.Rows) != len(want)+2 || len(l.Keys) != len(want)+1 {
		t.Fatalf("drew %d bands, %d rows and %d keys, want %d, 2 more and 1 more", len(l.Bands), len(l.Rows), len(l.Keys), len(want))
	}
	for i := range want {
		if l.Bands[i] != want[i] {
			t.Errorf("band %d: got %+v, want %+v", i, l.Bands[i], want[i])
		}
	}
	if newLifeline(&evidence.Bundle{At: at(1)}, clockwork{time.UTC, at(1)}) != nil {
		t.Error("a device that never reported has a line")
	}
}

// TestSilenceProvesNothingOfAMoment: what a laptop said before it fell silent for
// longer than the policy allows is not what it was at the moment.
func TestSilenceProvesNothingOfAMoment(t *testing.T) {
	k := newKept(t)
	b, _, err := k.open(k.device)
	if err != nil {
		t.Fatal(err)
	}
	c := clockwork{time.UTC, now}
	if got := newEvidencePage(b, c).Look.Class; got != "met" {
		t.Fatalf("heard from shortly before: got %s, want met", got)
	}
	b.Sheet.Silences = append(b.Sheet.Silences, evidence.Silence{From: b.Sheet.LastSign(), To: b.At, Lasts: true})
	if got := newEvidencePage(b, c).Look; got.Class != "not-proven" {
		t.Errorf("silent for too long: got %+v, want not proven", got)
	}
}
