package systemtest_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const machine = `
{"file":"/a","text":"abcd"}
{"part":"/a","offset":0,"length":4,"text":"abcd"}
{"dir":"/d","entries":[{"name":"x"},{"name":"y"}]}
{"link":"/l","target":"abcd"}
{"stat":"/a","info":{"type":420,"size":4,"modified":"2026-11-20T12:00:00Z","owner":0}}
{"run":"nft-ruleset","stdout":"abcd"}
{"ask":"clamd-version","text":"abcd"}
{"key":"HKLM\\K","holds":{"values":{"a":"x","b":"y"},"keys":["c","d"]}}
{"rows":"services","list":[{"Name":"a","State":4},{"Name":"b","State":1}]}
{"processes":["a","b"]}
{"walk":{"files":[{"location":"home","text":"a"},{"location":"home","text":"b"}]}}
`

// readings are one of each kind; each returns how much it got.
var readings = []func(context.Context, system.Reader) (int, error){
	func(ctx context.Context, r system.Reader) (int, error) {
		b, err := r.File(ctx, "/a", 9)
		return len(b), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		b, err := r.Part(ctx, "/a", 0, 4)
		return len(b), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		l, err := r.Dir(ctx, "/d")
		return 2 * len(l), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		l, err := r.Link(ctx, "/l")
		return len(l), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		s, err := r.Stat(ctx, "/a")
		return int(s.Size), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		o, err := r.Run(ctx, system.NFTRuleset)
		return len(o.Stdout), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		b, err := r.Ask(ctx, system.ClamdAnswersVersion)
		return len(b), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		k, err := r.Key(ctx, `HKLM\K`)
		return len(k.Values) + len(k.Keys), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		rows, err := r.Rows(ctx, system.Services)
		n := 0
		for _, row := range rows {
			n += len(row)
		}
		return n, err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		l, err := r.Processes(ctx)
		return 2 * len(l), err
	},
	func(ctx context.Context, r system.Reader) (int, error) {
		n := 0
		s, err := r.Walk(ctx, system.WalkLimits{Files: 9}, func(system.WalkedFile) error { n += 2; return nil })
		if err == nil && n < 4 && s.Stopped != posture.TimedOut {
			return n, errors.New("a cut walk does not say so")
		}
		return n, err
	},
}

func TestEachFault(t *testing.T) {
	seen := map[systemtest.Fault]int{}
	systemtest.EachFault(t, systemtest.Replay(t, posture.Windows, machine), func(t *testing.T, r system.Reader, fault systemtest.Fault) {
		wrong := 0
		for i, read := range readings {
			got, err := read(t.Context(), r)
			if got == 4 && err == nil {
				continue
			}
			wrong++
			want := map[systemtest.Fault]error{
				systemtest.Denied: fs.ErrPermission, systemtest.TimedOut: context.DeadlineExceeded,
				systemtest.Unsupported: errors.ErrUnsupported, systemtest.Absent: fs.ErrNotExist,
			}[fault]
			switch {
			case fault == systemtest.Truncated && (got != 2 || err != nil):
				t.Errorf("reading %d: got %d, %v; want half of it", i, got, err)
			case fault != systemtest.Truncated && (err == nil || want != nil && !errors.Is(err, want)):
				t.Errorf("reading %d: got %v, want %v", i, err, want)
			}
		}
		if want := min(len(fault), 1); wrong != want {
			t.Errorf("%d readings went wrong, want %d", wrong, want)
		}
		seen[fault]++
	})
	for _, fault := range systemtest.Faults() {
		if seen[fault] != len(readings) {
			t.Errorf("fault %s: tried %d times, want %d", fault, seen[fault], len(readings))
		}
	}
}
