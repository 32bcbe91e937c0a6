package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hand is somebody who has a keyboard and no mouse, in a browser that runs no
// scripts.
type hand struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // of the one browser that it has
	base string
	keys int // pressed so far, without what was typed into fields
}

// focus is what has the keyboard: its name as a screen reader says it, and whether
// who looks can see where they are.
type focus struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Radio  bool   `json:"radio"`
	Shown  bool   `json:"shown"`
	Marked bool   `json:"marked"`
}

const whereAmI = `(() => {
	const e = document.activeElement
	if (!e || e === document.body || e === document.documentElement) return {name: "", kind: "page", radio: false, shown: true, marked: true}
	const plain = s => (s ?? "").replace(/\s+/g, " ").trim()
	const label = e.labels?.[0]
	const marks = s => s.outlineStyle !== "none" && s.outlineWidth !== "0px" || s.boxShadow !== "none"
	const box = e.getBoundingClientRect()
	return {
		name: plain(e.getAttribute("aria-label") ?? (label ? label.textContent : e.textContent)),
		kind: e.localName, radio: e.type === "radio",
		shown: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
		marked: marks(getComputedStyle(e)) || label != null && marks(getComputedStyle(label, "::before")),
	}
})()`

func (h *hand) press(keys string) focus {
	h.t.Helper()
	h.keys++
	if err := chromedp.Do(h.ctx, chromedp.KeyEvent(keys)); err != nil {
		h.t.Fatal(err)
	}
	return eval[focus](h.t, h.ctx, whereAmI)
}

// find tabs to what has a name, or a name that begins so if it ends in "…".
func (h *hand) find(name string) {
	h.t.Helper()
	begin, open := strings.CutSuffix(name, "…")
	var passed []string
	for around := 0; around < 2; {
		f := h.press("\t")
		if f.Kind == "page" {
			around++
			continue
		}
		if !f.Shown || !f.Marked {
			h.t.Errorf("on %s, who tabs to %q cannot see where they are (in the window: %t, marked: %t)", h.title(), f.Name, f.Shown, f.Marked)
		}
		if f.Name == name || open && strings.HasPrefix(f.Name, begin) {
			return
		}
		for range 12 { // of a group of choices, Tab reaches one
			if !f.Radio || f.Name == "" || slices.Contains(passed, f.Name) {
				break
			}
			passed = append(passed, f.Name)
			if f = h.press(kb.ArrowDown); f.Name == name || open && strings.HasPrefix(f.Name, begin) {
				return
			}
		}
		passed = append(passed, f.Name)
	}
	slices.Sort(passed)
	h.t.Fatalf("on %s no key leads to %q, but to %q", h.title(), name, slices.Compact(passed))
}

func (h *hand) title() string { return eval[string](h.t, h.ctx, "document.title") }

// follow finds a link or a button and presses it, and waits for the page that it
// leads to, which is to begin with words.
func (h *hand) follow(name, title string) {
	h.t.Helper()
	h.find(name)
	before := eval[float64](h.t, h.ctx, "performance.timeOrigin")
	h.keys++
	if err := chromedp.Do(h.ctx, chromedp.KeyEvent("\r")); err != nil {
		h.t.Fatal(err)
	}
	h.arrive(before, name, title)
}

func (h *hand) arrive(before float64, name, title string) {
	h.t.Helper()
	for {
		now, err := chromedp.Run(h.ctx, chromedp.Evaluate[float64](`document.readyState === "complete" ? performance.timeOrigin : 0`))
		if err == nil && now > before {
			break
		}
		if h.ctx.Err() != nil {
			h.t.Fatalf("%q leads nowhere", name)
		}
	}
	if got := h.title(); !strings.HasPrefix(got, title) {
		h.t.Fatalf("%q leads to %q, want %q\n%s", name, got, title, eval[string](h.t, h.ctx, `document.querySelector("main")?.innerText.slice(0, 600) ?? ""`))
	}
}

// reads says that the page that is open holds words.
func (h *hand) reads(words string) {
	h.t.Helper()
	if text := eval[string](h.t, h.ctx, "document.querySelector('main').innerText"); !strings.Contains(text, words) {
		h.t.Errorf("%s does not say %q:\n%.600s", h.title(), words, text)
	}
}

// fill finds a field by its label and types into it.
func (h *hand) fill(label, text string) {
	h.t.Helper()
	h.find(label)
	if err := chromedp.Do(h.ctx, chromedp.KeyEvent(text)); err != nil {
		h.t.Fatal(err)
	}
}

// TestEachRoleByKeyboardWithoutScripts does what each role comes for with the keys
// of a keyboard alone, in a browser that runs no scripts: signs in, finds its way
// by the names of links, buttons and fields, and sees all the time where it is.
func TestEachRoleByKeyboardWithoutScripts(t *testing.T) {
	for _, j := range []struct {
		who, first string
		walk       func(*hand)
	}{
		{"technician", "Overview", (*hand).monday},
		{"dpo", "Overview", (*hand).friday},
		{"head", "Overview", (*hand).endOfTerm},
		{"business-manager", "Terms", (*hand).licences},
		{"governor", "Terms", (*hand).counts},
		{"administrator", "Overview", (*hand).firstDay},
		{"network-manager everywhere", "Schools", (*hand).glance},
		{"staff", "Your laptop", (*hand).own},
		{"", "", (*hand).report},
	} {
		t.Run(cmp.Or(j.who, "nobody"), func(t *testing.T) {
			h := sitDown(t)
			if j.who != "" {
				h.signIn(j.who, j.first)
			}
			j.walk(h)
			t.Logf("%s: %d keys, without what is typed into fields", cmp.Or(j.who, "nobody"), h.keys)
		})
	}
}

// monday: a laptop by its tag, why it fails a rule, and that somebody is on it.
func (h *hand) monday() {
	h.follow("Devices", "Devices")
	h.fill("Asset tag or host name", "HB-LT-009")
	h.follow("Show", "Devices")
	h.follow("HB-LT-009", "HB-LT-009")
	h.follow("System disk encrypted", "ENC-01 on HB-LT-009")
	h.fill("In a few words", "The disk is being encrypted")
	h.follow("Record that somebody is on it", "ENC-01 on HB-LT-009")
}

// friday: was it encrypted, since when, and how do we know.
func (h *hand) friday() {
	h.follow("Evidence", "Evidence")
	h.fill("Asset tag or name of the laptop", "HB-LT-014")
	h.date("Day", "2026-10-23")
	h.fill("Time", "0420PM")
	h.follow("Show what is proven", "HB-LT-014: encrypted on Fri 23 Oct 2026 16:20 BST")
	h.follow("Record the loss as an incident", "Incident")
}

// endOfTerm: the report of the term is made and signed.
func (h *hand) endOfTerm() {
	h.follow("Terms", "Terms")
	h.follow("Report 2", "Report of Autumn term")
	h.follow("Terms", "Terms")
	// The invented school's term is not over: that is said, on the page it was asked on.
	h.follow("Make the report of Summer term…", "Error: Terms")
}

// licences: the report of the term is signed, and what was bought compared.
func (h *hand) licences() {
	h.follow("Report 2", "Report of Autumn term")
	h.fill("What did you check?", "The laptops that were bought")
	// The invented school's report is signed already: that is said, beside it.
	h.follow("Sign as business manager", "Error: Report of Autumn term")
}

// counts: the signed report of a term.
func (h *hand) counts() {
	h.follow("Report 1", "Report of Autumn term, 3 September to 18 December 2026")
}

// firstDay: what is left to do, an account, a token.
func (h *hand) firstDay() {
	h.follow("Settings", "Settings")
	h.follow("People", "People")
	h.fill("Name to sign in with", "Morgan Ellis")
	h.fill("What they do at the school", "t")
	h.follow("Make the account", "People who sign in")
	h.reads("The account of Morgan Ellis is made")
	h.follow("Settings", "Settings")
	h.follow("Tokens…", "Tokens")
	h.fill("How many laptops", "30")
	h.follow("Make the token", "Tokens for laptops")
	h.reads("ctk1-")
}

// glance: schools at a glance, and who asks less than the trust.
func (h *hand) glance() {
	h.follow("Trusts", "Trusts")
	h.follow("Riverside Schools", "Riverside Schools")
	h.follow("Hollybank Primary School", "The trust’s baseline")
}

// own: what is wrong with one's own laptop, and that a fact is not so.
func (h *hand) own() {
	h.follow("What is written here about it is wrong", "Something is wrong about HB-LT-009")
	h.find("What is wrong")
	h.press(kb.ArrowDown)
	h.fill("How it is instead, and how you know", "It is encrypted: Settings says so")
	h.follow("Say that it is wrong", "Your laptop")
}

// report: a laptop that was lost, by somebody without an account.
func (h *hand) report() {
	goTo(h.t, h.ctx, h.base+"/report/k7qm2-xhd4r")
	h.fill("What is it about?", "A laptop")
	h.fill("What its sticker says, if you know", "HB-LT-014")
	h.fill("What happened, and when and where was it last seen?", "Left on the 16:20 train")
	h.follow("Send the report", "Your report was taken")
}

// date finds a field for a day and types it, as 2026-10-23, in the order in which
// the browser asks for it.
func (h *hand) date(label, day string) {
	h.t.Helper()
	y, m, d := day[:4], day[5:7], day[8:]
	h.fill(label, m+d+y)
	if got := eval[string](h.t, h.ctx, "document.activeElement.value"); got != day {
		h.t.Fatalf("%q holds %q, want %q", label, got, day)
	}
}

// sitDown opens a browser that runs no scripts on the pages of the invented school.
func sitDown(t *testing.T) *hand {
	t.Helper()
	ctx, cancel := context.WithTimeout(startBrowser(t), 3*time.Minute)
	t.Cleanup(cancel)
	h := &hand{t: t, ctx: ctx, base: serve(t)}
	err := chromedp.Do(ctx, looks[0].set(), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hand) signIn(name, title string) {
	h.t.Helper()
	goTo(h.t, h.ctx, h.base+"/sign-in")
	h.fill("Name", name)
	h.fill("Password", password)
	h.follow("Sign in", title)
}
