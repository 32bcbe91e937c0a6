package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// line is the line of an open page: what the collector writes comes out of it.
type line struct {
	head  http.Header
	words chan string
}

func (l *line) Header() http.Header              { return l.head }
func (l *line) WriteHeader(int)                  {}
func (l *line) Write(p []byte) (int, error)      { l.words <- string(p); return len(p), nil }
func (l *line) Flush()                           {}
func (l *line) SetWriteDeadline(time.Time) error { return nil }

// listen opens a line inside of a bubble of time, and returns what ends with
// it.
func listen(t *testing.T, s *site, query string) (*line, <-chan struct{}) {
	t.Helper()
	l, ended := &line{http.Header{}, make(chan string, 100)}, make(chan struct{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/schools/hollybank/changes"+query, nil)
	go func() {
		defer close(ended)
		if err := s.changes(l, r, visit{school: view.School{ID: hollybank}, now: s.Clock.Now()}); err != nil {
			t.Errorf("the line failed: %v", err)
		}
	}()
	l.said(t, "retry: 5000\n\n")
	return l, ended
}

// said checks what was written last; "" if nothing was.
func (l *line) said(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	got := ""
	select {
	case got = <-l.words:
	default:
	}
	if got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func newLive(school *school) *site {
	return &site{Config: Config{Queries: school, Records: &standing{}, Clock: clock.System{}, Logger: slog.New(slog.DiscardHandler)}, streams: make(chan struct{}, 2)}
}

const changed = "event: changed\ndata:\n\n"

// TestAnOpenPageHearsOfWhatChanges: of a breach that opens and not of a mere
// sign of life, of the device that is shown and of no other.
func TestAnOpenPageHearsOfWhatChanges(t *testing.T) {
	school := newSchool(t)
	synctest.Test(t, func(t *testing.T) {
		s := newLive(school)
		page, ended := listen(t, s, "")
		one, _ := listen(t, s, "?device=d-014")
		time.Sleep(sayEvery)
		page.said(t, ": nothing changed\n\n")
		one.said(t, ": nothing changed\n\n")
		school.change(func(devices []view.DeviceDetail) {
			devices[0].LastContact = now.Add(time.Minute)
			devices[13].LastContact = now.Add(time.Minute)
		})
		time.Sleep(lookEvery)
		page.said(t, "")
		one.said(t, "")
		school.change(func(devices []view.DeviceDetail) {
			devices[0].Breaches = append(devices[0].Breaches, devices[8].Breaches[0])
		})
		time.Sleep(lookEvery)
		page.said(t, changed)
		one.said(t, "")
		school.change(func(devices []view.DeviceDetail) { devices[13].LastReport++ })
		time.Sleep(lookEvery)
		one.said(t, changed)
		// Each line ends by itself, so that whose page it is is asked again.
		time.Sleep(streamEnds)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the line is open for longer than it may be")
		}
	})
}

// TestOpenPagesAreBounded: beyond the bound a page is refused, and a place is
// free again once a line ends. A collector that stops ends them all.
func TestOpenPagesAreBounded(t *testing.T) {
	school := newSchool(t)
	synctest.Test(t, func(t *testing.T) {
		s := newLive(school)
		stopped := make(chan struct{})
		ctx := context.WithValue(t.Context(), stoppingKey{}, (<-chan struct{})(stopped))
		for range cap(s.streams) {
			go func() {
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/schools/hollybank/changes", nil)
				if err := s.changes(&line{http.Header{}, make(chan string, 9)}, r, visit{school: view.School{ID: hollybank}, now: s.Clock.Now()}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/schools/hollybank/changes", nil)
		if err := s.changes(&line{http.Header{}, make(chan string, 9)}, r, visit{school: view.School{ID: hollybank}}); !errors.Is(err, errCrowded) {
			t.Errorf("one too many was answered %v", err)
		}
		close(stopped)
		synctest.Wait()
		if len(s.streams) > 0 {
			t.Errorf("%d lines are open when the collector stops", len(s.streams))
		}
	})
}

// looking is a clock that says when a line waits to look again.
type looking struct {
	*clocktest.Driven
	waits chan struct{}
}

func (l looking) After(d time.Duration) (<-chan time.Time, func()) {
	c, cancel := l.Driven.After(d)
	if d == lookEvery {
		l.waits <- struct{}{}
	}
	return c, cancel
}

// TestAPageUpdatesItself in a browser: a breach opens and the page shows it,
// with what somebody typed and opened as it was.
func TestAPageUpdatesItself(t *testing.T) {
	ctx, cancel := context.WithTimeout(startBrowser(t), time.Minute)
	defer cancel()
	school, c := newSchool(t), looking{clocktest.NewDriven(now), make(chan struct{}, 100)}
	h, _ := newSiteAt(t, c, school, &standing{}, false)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	signInAs(t, ctx, server.URL, "technician")
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/schools/hollybank/devices"), chromedp.WaitVisible(chromedp.CSS("#q")), chromedp.SendKeys(chromedp.CSS("#q"), "lt-01")); err != nil {
		t.Fatal(err)
	}
	eval[chromedp.Void](t, ctx, `document.querySelectorAll("details").forEach(d => { d.open = true })`)
	until := func(what, script string) {
		t.Helper()
		for !eval[bool](t, ctx, script) {
			if ctx.Err() != nil {
				t.Fatalf("%s: it does not", what)
			}
			select {
			case <-c.waits: // time passes for whoever waits, and for nobody else
				c.Advance(lookEvery)
			default:
			}
		}
	}
	until("it listens", `document.getElementById("live").textContent == "This page updates itself."`)
	school.change(func(devices []view.DeviceDetail) {
		devices[0].Breaches, devices[0].Open = append(devices[0].Breaches, devices[8].Breaches[0]), 77
	})
	until("it changes", `document.querySelector("tbody").textContent.includes("77")`)
	if got := eval[string](t, ctx, `document.getElementById("q").value + " " + (document.activeElement && document.activeElement.id)`); got != "lt-01 q" {
		t.Errorf("what was typed became %q", got)
	}
	if !eval[bool](t, ctx, `[...document.querySelectorAll("details")].every(d => d.open)`) {
		t.Error("what was opened was closed")
	}
}
