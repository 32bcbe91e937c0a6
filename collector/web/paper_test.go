package web

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	paper "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// aPage is where a file of Chromium's begins a page.
var aPage = regexp.MustCompile(`/Type /Page[^s]`)

// The report of a term is one sheet of paper, of nine laptops and of sixty, with
// every rule of the shipped policy.
func TestAReportOfATermIsOneSheet(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	signInAs(t, ctx, base, "head")
	for name, path := range map[string]string{"nine": "/schools/hollybank/terms/2026-09-03?number=1", "sixty": "/schools/hollybank/terms/2026-01-06"} {
		t.Run(name, func(t *testing.T) {
			if got := len(aPage.FindAll(printed(t, ctx, base+path, name), -1)); got != 1 {
				t.Errorf("printed it has %d pages, want one", got)
			}
		})
	}
}

// printed is a page of the site as it is printed on A4.
func printed(t *testing.T, ctx context.Context, address, name string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, looks[len(looks)-1].set(), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	eval[chromedp.Void](t, ctx, `document.fonts.ready.then(() => 0)`)
	var file []byte
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		const a4Wide, a4High = 8.27, 11.69 // inches
		got, err := cdp.Call(ctx, target, paper.PrintToPDF, paper.PrintToPDFParams{PaperWidth: a4Wide, PaperHeight: a4High, PreferCSSPageSize: new(true)})
		if err == nil {
			file = got.Data
		}
		return err
	}))
	if err != nil {
		t.Fatalf("print %s: %v", address, err)
	}
	if !bytes.HasPrefix(file, []byte("%PDF-")) {
		t.Fatalf("printed it begins %.20q", file)
	}
	if *screenshots != "" {
		if err := os.WriteFile(filepath.Join(*screenshots, name+".pdf"), file, 0o644); err != nil {
			t.Error(err)
		}
	}
	return file
}
