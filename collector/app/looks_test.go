package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// TestEveryOperationSaysWhoseRecordItShows: what is not in the table is not
// answered, and nothing is in it that there is not.
func TestEveryOperationSaysWhoseRecordItShows(t *testing.T) {
	all := operations(t)
	for _, name := range all {
		if what, ok := shown[name]; !ok || what != viewing.Nobody && !what.Known() {
			t.Errorf("%s does not say whose record it shows: add it to the table shown", name)
		}
	}
	for name := range shown {
		if !slices.Contains(all, name) {
			t.Errorf("there is no operation %s", name)
		}
	}
}

func looksWalls(mine string) map[string]wall {
	return map[string]wall{"views.list": {
		school: func(s string) any { return ViewsArguments{School: s} },
		device: func(d string) any { return ViewsArguments{School: mine, Device: d} },
	}}
}

// BenchmarkLook is what recording a look adds to a page: the first of an hour, on
// the disk at hand, and all that follow. It tells how much the record grows.
func BenchmarkLook(b *testing.B) {
	data := b.TempDir()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	if _, err := alone(ctx, data, "init", json.RawMessage(`{"school":"Hollybank Primary School"}`), clock.System{}, log); err != nil {
		b.Fatal(err)
	}
	c, err := open(ctx, data, false, clock.System{}, log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}()
	school := c.all()[0].id
	size := func() (n int64) {
		err := filepath.WalkDir(filepath.Join(data, "schools"), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				var info fs.FileInfo
				if info, err = e.Info(); err == nil {
					n += info.Size()
				}
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	look := viewing.Look{By: "Morgan Ellis", Way: viewing.Page, What: viewing.Device}
	b.Run("first", func(b *testing.B) {
		before := size()
		for b.Loop() {
			look.Name = fmt.Sprintf("d%016d", rand.Uint32())
			if err := c.Look(ctx, school, look); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(size()-before)/float64(b.N), "disk-B/op")
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if err := c.Look(ctx, school, look); err != nil {
				b.Fatal(err)
			}
		}
	})
}
