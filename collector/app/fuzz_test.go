package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// FuzzGroups: any list of classes and groups is read, or every fault of it has a
// place.
func FuzzGroups(f *testing.F) {
	for _, list := range []string{"device,class,groups\nhb-lt-014,school-multi-user,Science lab; Year 6\n", "\xef\xbb\xbfgroups,device\n,\"x\n", "device\n\n", "", "device,class,groups\n\"00000"} {
		f.Add([]byte(list))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		list, wrong := parseGroups("groups.csv", source)
		for _, w := range wrong {
			if w.Line < 1 || w.Message == "" {
				t.Errorf("a fault without a place: %+v", w)
			}
		}
		for _, l := range list {
			if l.line < 2 {
				t.Errorf("a device in line %d", l.line)
			}
		}
	})
}

// FuzzOperation gives an operation of the command line any arguments: it
// answers with what can be written as JSON, or says why not.
func FuzzOperation(f *testing.F) {
	clock := clocktest.NewDriven(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	data := f.TempDir()
	c, err := open(f.Context(), data, false, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := c.Close(); err != nil {
			f.Error(err)
		}
	})
	if _, err := c.do(f.Context(), "init", json.RawMessage(`{"school":"Hollybank Primary School"}`)); err != nil {
		f.Fatal(err)
	}
	// Those that hash a password or make a school take long, and are left out.
	operations := []string{
		"token.create", "policy.show", "policy.publish", "device.list", "device.show", "device.assess", "breach.list",
		"ledger.verify", "ledger.show", "ledger.forget", "status", "account.list", "nonsense",
	}
	for i := range operations {
		f.Add(uint8(i), []byte(`{}`))
	}
	f.Add(uint8(0), []byte(`{"uses":-1,"lifetime":9223372036854775807,"ownership":"nobody's","addresses":["\u202e:0"]}`))
	f.Add(uint8(2), []byte(`{"source":"AAAA"}`))
	f.Add(uint8(3), []byte(`{"limit":-1,"after":"\u0000","school":"x","rule":"<","standing":"not"}`))
	f.Add(uint8(8), []byte(`{"first":18446744073709551615,"count":-5}`))
	f.Add(uint8(9), []byte(`{"class":"kept","month":"2026-13"}`))
	f.Add(uint8(4), []byte(`[`))
	f.Fuzz(func(t *testing.T, which uint8, arguments []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answer, err := c.do(ctx, operations[int(which)%len(operations)], arguments)
		if err != nil {
			if err.Error() == "" {
				t.Error("it does not say why")
			}
			return
		}
		if _, err := json.Marshal(answer); err != nil {
			t.Errorf("its answer cannot be written: %v", err)
		}
	})
}
