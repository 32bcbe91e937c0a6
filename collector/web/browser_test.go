package web

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write a picture of each page into this directory")

// browserPages are the pages that people look at, by the name of their picture.
var browserPages = []struct{ name, path string }{
	{"sign-in", "/sign-in"},
	{"what-is-collected", "/what-is-collected"},
	{"what-the-school-can-see", "/schools/hollybank/what-is-collected"},
	{"overview", "/schools/hollybank"},
	{"devices", "/schools/hollybank/devices"},
	{"device", "/schools/hollybank/devices/d-014"},
	{"device-lost", "/schools/hollybank/devices/d-010"},
	{"device-set-up-anew", "/schools/hollybank/devices/d-011"},
	{"device-not-encrypted", "/schools/hollybank/devices/d-009"},
	{"device-silent", "/schools/hollybank/devices/d-007"},
	{"device-many-programs", "/schools/hollybank/devices/d-033"},
	{"device-not-reported", "/schools/hollybank/devices/d-062"},
	{"device-not-proven", "/schools/hollybank/devices/d-063"},
	{"devices-not-met", "/schools/hollybank/devices?rule=EXE-03&standing=not-met"},
	{"devices-none", "/schools/hollybank/devices?q=zzz"},
	{"programs", "/schools/hollybank/devices/d-014/programs"},
	{"incidents", "/schools/hollybank/incidents"},
	{"incident", "/schools/hollybank/incidents/2026-03"},
	{"report", "/report/k7qm2-xhd4r"},
	{"report-taken", "/report/k7qm2-xhd4r/K7QM-2XHD"},
	{"reports", "/schools/hollybank/incidents/reports"},
	{"report-of-a-loss", "/schools/hollybank/incidents/reports/K7QM-2XHD"},
	{"report-set-aside", "/schools/hollybank/incidents/reports/0000-0001"},
	{"report-address", "/schools/hollybank/incidents/address"},
	{"report-poster", "/schools/hollybank/incidents/poster"},
	{"mine", "/schools/hollybank/mine"},
	{"restricted", "/schools/hollybank/restricted"},
	{"restricted-open", "/schools/hollybank/restricted/open"},
	{"restricted-asked", "/schools/hollybank/restricted/r-k3m2p7qa"},
	{"restricted-hold", "/schools/hollybank/restricted/r-k3m2p7qa/hold"},
	{"enrolments", "/schools/hollybank/enrolments"},
	{"revocation", "/schools/hollybank/devices/d-014/revocation"},
	{"matter", "/schools/hollybank/devices/d-009/rules/ENC-01"},
	{"matter-many", "/schools/hollybank/devices/d-033/rules/EXE-03?done=acknowledge"},
	{"matter-one", "/schools/hollybank/devices/d-033/rules/EXE-03?of=none"},
	{"exemptions", "/schools/hollybank/exemptions?done=exempt"},
	{"evidence-ask", "/schools/hollybank/evidence"},
	{"evidence-ask-wrong", "/schools/hollybank/evidence?device=zzz&day=2026-10-23&time=16:20"},
	{"evidence-ask-several", "/schools/hollybank/evidence?device=lt-01&day=2026-10-23&time=16:20"},
	{"evidence", "/schools/hollybank/devices/d-014/evidence?at=2026-10-23T15:20:00Z&aware=2026-10-23T16:10:00Z"},
	{"evidence-school", "/schools/hollybank/evidence/school?day=2026-10-22"},
	{"trends", "/schools/hollybank/trends"},
	{"trends-term", "/schools/hollybank/trends?of=2026-04-13"},
	{"trends-silent", "/schools/hollybank/trends?of=2025"},
	{"rule-trend", "/schools/hollybank/trends/rules/ENC-01"},
	{"month", "/schools/hollybank/trends/months/2026-09"},
	{"changed", "/schools/hollybank/trends/changes"},
	{"changed-wrong", "/schools/hollybank/trends/changes?since=soon&what=silent"},
	{"terms", "/schools/hollybank/terms"},
	{"term", "/schools/hollybank/terms/2026-09-03"},
	{"term-many-laptops", "/schools/hollybank/terms/2026-01-06"},
	{"year", "/schools/hollybank/years/2025-26"},
	{"breaches", "/schools/hollybank/breaches"},
	{"breaches-none", "/schools/hollybank/breaches?status=resolved"},
	{"rule", "/schools/hollybank/rules/ENC-01"},
	{"rule-programs", "/schools/hollybank/rules/EXE-03"},
	{"schools", "/"},
	{"recover", "/sign-in/recover"},
	{"account", "/account"},
	{"password", "/account/password"},
	{"authenticator", "/account/authenticator"},
	{"passkey", "/account/passkey"},
	{"particulars", "/schools/hollybank/settings/particulars"},
	{"views", "/schools/hollybank/privacy/views"},
	{"views-wrong", "/schools/hollybank/privacy/views?laptop=zzz&from=soon"},
	{"views-none", "/schools/hollybank/privacy/views?by=nobody"},
	{"privacy", "/schools/hollybank/privacy"},
	{"privacy-notice", "/schools/hollybank/privacy/notice"},
	{"processing", "/schools/hollybank/privacy/processing"},
	{"assessment", "/schools/hollybank/privacy/assessment"},
	{"processors", "/schools/hollybank/privacy/processors"},
	{"requests", "/schools/hollybank/privacy/requests"},
	{"device-disputed", "/schools/hollybank/devices/d-009?done=raised"},
	{"device-dispute", "/schools/hollybank/devices/d-009/disputes"},
	{"disputes", "/schools/hollybank/privacy/disputes"},
	{"dispute", "/schools/hollybank/privacy/disputes/dp-1"},
	{"dispute-answered", "/schools/hollybank/privacy/disputes/dp-3"},
	{"mine-dispute", "/schools/hollybank/mine/disputes"},
	{"request", "/schools/hollybank/privacy/requests/sr-1"},
	{"export", "/schools/hollybank/privacy/requests/sr-1/export"},
	{"export-forgotten", "/schools/hollybank/privacy/requests/sr-2/export"},
	{"updates", "/schools/hollybank/settings/updates?done=offered"},
	{"updates-none", "/schools/oakfield/settings/updates"},
	{"settings", "/schools/hollybank/settings"},
	{"set-up", "/schools/hollybank/settings/set-up"},
	{"people", "/schools/hollybank/settings/people"},
	{"person", "/schools/hollybank/settings/people/technician"},
	{"sign-in-changes", "/schools/hollybank/settings/sign-in-changes"},
	{"tokens", "/schools/hollybank/settings/tokens"},
	{"waiting", "/schools/hollybank/enrolments/waiting?all=yes"},
	{"keys", "/schools/hollybank/settings/keys"},
	{"calendar", "/schools/hollybank/settings/calendar"},
	{"retention", "/schools/hollybank/settings/retention"},
	{"notices", "/schools/hollybank/settings/notices"},
	{"health", "/schools/hollybank/settings/health"},
	{"not-found", "/no-such-page"},
}

// look is a way of looking at a page.
type look struct {
	name   string
	width  int64
	dark   bool
	text   int // percent
	medium string
}

var looks = []look{
	{"light", 1280, false, 100, "screen"},
	{"dark", 1280, true, 100, "screen"},
	{"phone", 360, false, 100, "screen"},
	{"phone-dark", 360, true, 100, "screen"},
	{"large-text", 1280, false, 200, "screen"},
	{"phone-large-text", 360, false, 200, "screen"},
	{"print", 794, false, 100, "print"},
}

// tool returns the path of something that a test needs and `make test`
// installs. Without it the test is left out, except in CI.
func tool(t *testing.T, what, path string, err error) string {
	t.Helper()
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed: %v", what, err)
	}
	t.Skipf("the pages are not tested in a browser: %s is not installed (make test installs it on Debian)", what)
	return ""
}

func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	path = tool(t, "chromium", path, err)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true), chromedp.Flag("no-first-run", true),
		// Only this machine may be asked for anything.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// serve puts the pages of the invented school on a port of this machine.
func serve(t *testing.T) string {
	t.Helper()
	h, _ := newSite(t, newSchool(t), false)
	server := httptest.NewUnstartedServer(h)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = ln
	server.Start()
	t.Cleanup(server.Close)
	return byName(server.URL)
}

// byName is an address of this machine under its name: browsers know passkeys of
// names alone.
func byName(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

func signInAs(t *testing.T, ctx context.Context, base, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := chromedp.Do(ctx,
		looks[0].set(), // in print there is no account to be seen
		chromedp.Navigate(base+"/sign-in"),
		chromedp.SendKeys(chromedp.CSS("#name"), name), chromedp.SendKeys(chromedp.CSS("#password"), password),
		chromedp.Click(chromedp.CSS("main button")),
		chromedp.WaitVisible(chromedp.CSS(".ct-header__account")))
	if err != nil {
		t.Fatalf("sign in as %s: %v", name, err)
	}
}

func (l look) set() chromedp.Action[chromedp.Void] {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return chromedp.Steps(
		chromedp.EmulateViewport(l.width, 900),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Media: l.medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
			})
			return err
		}),
	)
}

// widest names the elements that reach out of the window.
const widest = `[...document.querySelectorAll("main *")].filter(e => !e.closest(".ct-scroll") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
	.slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join("; ")`

// barrier is something that axe-core found wrong with a page.
type barrier struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// What comes from elsewhere is not fetched first: nothing does.
const runAxe = `axe.run(document, {resultTypes: ["violations"], preload: false}).then(r => JSON.stringify(r.violations))`

func TestPagesHaveNoBarriers(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	for _, p := range browserPages {
		t.Run(p.name, func(t *testing.T) { lookAt(t, ctx, base, p.name, p.path) })
		if p.name == "sign-in" { // the first: once signed in it leads away
			signInAs(t, ctx, base, "dpo everywhere")
		}
	}
}

// lookAt opens a page and looks at it in every look.
func lookAt(t *testing.T, ctx context.Context, base, name, path string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(base+path)); err != nil {
		t.Fatal(err)
	}
	inspectAll(t, ctx, name)
}

// inspect looks at the page that is open, which knows axe-core already.
func inspect(t *testing.T, ctx context.Context, l look, name string) {
	t.Helper()
	eval[chromedp.Void](t, ctx, fmt.Sprintf(`document.documentElement.style.fontSize = "%d%%"; document.fonts.ready.then(() => 0)`, l.text))
	// What opens is looked at open.
	folded := eval[int](t, ctx, `(() => { const all = document.querySelectorAll("details:not([open])"); all.forEach(d => { d.open = true; d.dataset.folded = "" }); return all.length })()`)
	wide := eval[bool](t, ctx, `document.documentElement.scrollWidth > document.documentElement.clientWidth`)
	found := eval[string](t, ctx, runAxe)
	var barriers []barrier
	if err := json.Unmarshal([]byte(found), &barriers); err != nil {
		t.Fatal(err)
	}
	for _, b := range barriers {
		for _, n := range b.Nodes[:min(len(b.Nodes), 3)] {
			t.Errorf("%s: %s\n\t%.300s\n\t%s", b.ID, b.Help, n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n\t"))
		}
	}
	if wide && l.medium == "screen" {
		t.Errorf("the page is wider than its window of %d: %s", l.width, eval[string](t, ctx, widest))
	}
	if *screenshots != "" && *pictureOf == "" {
		if folded > 0 {
			eval[chromedp.Void](t, ctx, `document.querySelectorAll("details[data-folded]").forEach(d => { d.open = false })`)
		}
		picture(t, ctx, filepath.Join(*screenshots, name+"-"+l.name+".png"))
	}
}

// eval runs a script in the page from outside, as the page's own policy would
// not let it.
func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func picture(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		t.Errorf("take a picture: %v", err)
	}
}

// until asks a page until it says yes. While one page gives way to the next
// there is nothing to ask, which is no error.
func until(t *testing.T, ctx context.Context, what, script string) {
	t.Helper()
	for {
		if yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script)); err == nil && yes {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: it does not", what)
		}
	}
}

func TestSignInInABrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(startBrowser(t), time.Minute)
	defer cancel()
	base := serve(t)
	device := "/schools/hollybank/devices/d-014"
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(a chromedp.Action[string]) string {
		t.Helper()
		s, err := chromedp.Run(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	name, pass, button := chromedp.CSS("#name"), chromedp.CSS("#password"), chromedp.CSS("main button")
	do(chromedp.Navigate(base+device), chromedp.SendKeys(name, "dpo"), chromedp.SendKeys(pass, "not the password"), chromedp.Click(button))
	until(t, ctx, "a wrong password is answered", `document.querySelector(".govuk-error-message")?.textContent.includes("name or the password is wrong") ?? false`)
	do(chromedp.SendKeys(pass, password), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS(".ct-verdict")))
	if got, want := text(chromedp.Location()), base+device; got != want {
		t.Errorf("signed in to %s, want %s", got, want)
	}
	want := "HB-LT-014: encrypted when it last reported, Fri 23 Oct 2026 15:52 BST – Hollybank Primary School – Caretaker"
	if got := text(chromedp.Title()); got != want {
		t.Errorf("got title %q, want %q", got, want)
	}
	do(chromedp.Click(chromedp.CSS(".ct-header__button")), chromedp.WaitVisible(pass), chromedp.Navigate(base+device))
	if got := text(chromedp.Location()); !strings.HasPrefix(got, base+"/sign-in?") {
		t.Errorf("after signing out the page is at %s", got)
	}
}

var (
	pictureOf = flag.String("picture-of", "", "with -screenshots: the address of a running collector's pages to take pictures of")
	pictureAs = flag.String("picture-as", "", "with -picture-of: the account to sign in with; its password is read from CARETAKER_PASSWORD")
)

// TestPictures takes the pictures for the documentation, of a collector that
// somebody has started:
//
//	CARETAKER_PASSWORD=… go test ./collector/web -run TestPictures -args \
//		-screenshots "$PWD/shared/docs/images" -picture-of http://127.0.0.1:8080 -picture-as NAME
func TestPictures(t *testing.T) {
	if *pictureOf == "" {
		t.Skip("no picture was asked for with -picture-of")
	}
	ctx := startBrowser(t)
	base := strings.TrimSuffix(*pictureOf, "/")
	err := chromedp.Do(ctx, looks[0].set(), chromedp.Navigate(base+"/sign-in"),
		chromedp.SendKeys(chromedp.CSS("#name"), *pictureAs), chromedp.SendKeys(chromedp.CSS("#password"), os.Getenv("CARETAKER_PASSWORD")),
		chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(chromedp.CSS(".ct-header__account")))
	if err != nil {
		t.Fatalf("sign in at %s: %v", base, err)
	}
	school := eval[string](t, ctx, `document.querySelector(".ct-header__name").href`)
	device := func() string {
		if err := chromedp.Do(ctx, chromedp.Navigate(school+"/devices")); err != nil {
			t.Fatal(err)
		}
		return eval[string](t, ctx, `document.querySelector("th[scope=row] a").href`)
	}()
	for _, p := range []struct {
		name, address string
		width, height int64
	}{
		{"overview", school, 1120, 1560},
		{"device", device, 1120, 1180},
		{"evidence", device + "/evidence?aware=" + time.Now().UTC().Format(time.RFC3339), 1120, 1400},
		{"breaches-phone", school + "/breaches", 390, 844},
	} {
		err := chromedp.Do(ctx, chromedp.EmulateViewport(p.width, p.height, chromedp.EmulateScale(2)), chromedp.Navigate(p.address))
		if err != nil {
			t.Fatal(err)
		}
		eval[chromedp.Void](t, ctx, `document.fonts.ready.then(() => 0)`)
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err == nil {
			shot, err = fewerColours(shot)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(*screenshots, p.name+".png"), shot, 0o644)
		}
		if err != nil {
			t.Errorf("take a picture: %v", err)
		}
		if len(shot) > 250_000 {
			t.Errorf("the picture %s has %d bytes, want at most 250,000", p.name, len(shot))
		}
	}
}

// fewerColours writes a picture with the 256 colours that it uses most: pages
// have few, and edges of letters do not miss the others.
func fewerColours(shot []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	uses := map[color.Color]int{}
	box := full.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			uses[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(uses), func(a, b color.Color) int { return uses[b] - uses[a] })
	few := image.NewPaletted(box, color.Palette(colours[:min(len(colours), 256)]))
	nearest := map[color.Color]uint8{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			c := full.At(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(few.Palette.Index(c))
				nearest[c] = i
			}
			few.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
