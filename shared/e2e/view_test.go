package e2e

import (
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// TestADamagedViewIsMadeAgain: the view is worth nothing but time. Gone, cut or
// changed anywhere while no collector runs, it shows what it showed before.
func TestADamagedViewIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop-with-stick", c.agents)
	until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 1 })
	l.becomes("encrypted-laptop")
	w.clock.Advance(2 * time.Hour)
	until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 2 })
	until(t, "it shows", func() bool { s := w.status(w.only()); return s.Shown == s.Entries })
	must(t, l.stop())
	must(t, c.stop())
	shown := func() string {
		t.Helper()
		text, err := json.MarshalIndent(ask[any](w, "device.show", collectorapp.ListArguments{Device: l.device}), "", " ")
		must(t, err)
		return string(text)
	}
	want := shown()
	view := filepath.Join(w.data, "view")
	names := func() []string {
		t.Helper()
		var list []string
		must(t, filepath.WalkDir(view, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				list = append(list, path)
			}
			return err
		}))
		return list
	}
	hurt := func(what string, do func()) {
		t.Helper()
		do()
		if got := shown(); got != want {
			t.Errorf("%s: it shows\n%s\nand showed\n%s", what, got, want)
		}
	}
	hurt("gone", func() { must(t, os.RemoveAll(view)) })
	hurt("empty", func() { must(t, os.RemoveAll(view)); must(t, os.Mkdir(view, 0o700)) })
	times := 2
	if os.Getenv("CARETAKER_THOROUGH") != "" {
		times = 200
	}
	dice := rand.New(rand.NewPCG(20270111, 3))
	kinds := map[string]bool{}
	for _, name := range names() {
		if kinds[filepath.Ext(name)+strings.TrimLeft(filepath.Base(name), "0123456789")] {
			continue
		}
		kinds[filepath.Ext(name)+strings.TrimLeft(filepath.Base(name), "0123456789")] = true
		for range times {
			info, err := os.Stat(name)
			if err != nil || info.Size() == 0 {
				break // it was made again under another name
			}
			at := dice.Int64N(min(info.Size(), 64<<10))
			hurt("a bit of "+filepath.Base(name), func() { flip(t, name, at) })
		}
		if info, err := os.Stat(name); err == nil && info.Size() > 1 {
			hurt(filepath.Base(name)+" cut", func() { must(t, os.Truncate(name, dice.Int64N(info.Size()))) })
		}
	}
}
