package app

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestWhereALossIsReportedIsShown to whoever sits at the laptop, in words and as JSON,
// as long as the collector says it; and nothing that is no address.
func TestWhereALossIsReportedIsShown(t *testing.T) {
	const page = "https://caretaker.school.example/report/k7qm2-xhd4r"
	l := newLaptop(t)
	must(t, l.inbox.ReportPage(page))
	var r running
	_, err := l.state.load(statusFile, &r)
	must(t, err)
	if r.ReportPage != page {
		t.Fatalf("the service keeps %q", r.ReportPage)
	}
	var out bytes.Buffer
	PrintStatus(&out, Status{Enrolled: true, SchoolName: "Hollybank", ReportPage: r.ReportPage, ReportedAt: time.Now()})
	if !strings.Contains(out.String(), "Lost or stolen?   Report it without signing in at "+page+"\n") {
		t.Errorf("status does not say it:\n%s", out.String())
	}
	must(t, l.inbox.ReportPage(""))
	if got := l.inbox.reportsAt(); got != "" {
		t.Errorf("it is said no more, and %q is kept", got)
	}
}

func TestWhatIsNoReportPage(t *testing.T) {
	for address, want := range map[string]string{
		"https://caretaker.school.example/report/k7qm2-xhd4r": "https://caretaker.school.example/report/k7qm2-xhd4r",
		"http://127.0.0.1:8080/report/k7qm2-xhd4r":            "http://127.0.0.1:8080/report/k7qm2-xhd4r",
		"javascript:alert(1)":                                 "",
		"file:///etc/passwd":                                  "",
		"https://school@elsewhere.example/":                   "",
		"https:///report":                                     "",
		"call the office":                                     "",
		"https://x.example/\x1b[2J":                           "",
		"https://x.example/" + strings.Repeat("a", 600):       "",
		"": "",
	} {
		if got := readReportPage(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

// FuzzReportPage: what is shown is one line that can be seen, and an address.
func FuzzReportPage(f *testing.F) {
	for _, s := range []string{"", "https://x.example/report/a", "http://[::1]/", "https://x\n", "javascript:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := readReportPage(s)
		if got != "" && (got != s || len(got) > mostReportPage || strings.ContainsAny(got, "\n\r\x1b") || !strings.HasPrefix(strings.ToLower(got), "http")) {
			t.Errorf("%q is shown as %q", s, got)
		}
	})
}
