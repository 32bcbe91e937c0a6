package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// Record is what a collector has recorded of its laptops. It looks at it with
// the collector's own commands.
type Record struct {
	Collector string // path of the program
	Data      string // its folder

	next uint64            // entry that was not looked at yet
	last map[string]uint64 // the last report of each device
}

// page is how many entries are asked for at a time.
const page = 1000

func (r *Record) ask(ctx context.Context, args ...string) (string, error) {
	return Good(ctx, r.Collector, append(args, "--data", r.Data)...)
}

// Grown looks at the entries that the ledger has grown by, and returns what is
// wrong: a report that is missing, is there twice or is out of order, or one
// that was acknowledged to a device and is not there.
func (r *Record) Grown(ctx context.Context, acknowledged map[string]uint64) (wrong []string, err error) {
	for {
		out, err := r.ask(ctx, "ledger", "show", "--json", "--from", strconv.FormatUint(r.next, 10), "--count", strconv.Itoa(page))
		if err != nil {
			return wrong, err
		}
		var entries []collectorapp.EntryView
		if err := json.Unmarshal([]byte(out), &entries); err != nil {
			return wrong, fmt.Errorf("read what the ledger holds: %w", err)
		}
		wrong = append(wrong, r.add(entries)...)
		if len(entries) < page {
			break
		}
	}
	for _, device := range slices.Sorted(maps.Keys(acknowledged)) {
		if a := acknowledged[device]; r.last[device] < a {
			wrong = append(wrong, fmt.Sprintf("the ledger ends with report %d of %s, and %d was acknowledged", r.last[device], device, a))
		}
	}
	return wrong, nil
}

// Last returns the last report that it found of each device.
func (r *Record) Last() map[string]uint64 { return maps.Clone(r.last) }

// add looks at the entries that follow those it looked at.
func (r *Record) add(entries []collectorapp.EntryView) (wrong []string) {
	if r.last == nil {
		r.last = map[string]uint64{}
	}
	for _, e := range entries {
		if uint64(e.Index) != r.next {
			wrong = append(wrong, fmt.Sprintf("entry %d follows where entry %d should", e.Index, r.next))
		}
		r.next = uint64(e.Index) + 1
		if e.Kind == "gap" {
			wrong = append(wrong, fmt.Sprintf("entry %d says that reports of %s are missing", e.Index, e.Subject))
		}
		if e.Kind != "report" {
			continue
		}
		last := r.last[e.Subject]
		if e.Sequence != last+1 {
			wrong = append(wrong, fmt.Sprintf("entry %d is report %d of %s, after %d", e.Index, e.Sequence, e.Subject, last))
		}
		r.last[e.Subject] = max(last, e.Sequence)
	}
	return wrong
}

// Whole looks at everything, while no collector runs: the whole ledger from
// its beginning, that it verifies, and that the view which followed is byte for
// byte the one that a rebuild makes. It returns what is wrong.
func (r *Record) Whole(ctx context.Context, acknowledged map[string]uint64) ([]string, error) {
	r.next, r.last = 0, nil
	wrong, err := r.Grown(ctx, acknowledged)
	if err != nil {
		return wrong, err
	}
	verified, err := Command(ctx, r.Collector, "ledger", "verify", "--data", r.Data)
	if err != nil {
		return wrong, err
	}
	if verified.Status != 0 {
		wrong = append(wrong, "the ledger does not verify: "+verified.Stdout+verified.Stderr)
	}
	followed, err := r.shown(ctx)
	if err != nil {
		return wrong, err
	}
	if _, err := r.ask(ctx, "view", "rebuild"); err != nil {
		return wrong, err
	}
	rebuilt, err := r.shown(ctx)
	for what, is := range rebuilt {
		if was := followed[what]; is != was {
			wrong = append(wrong, fmt.Sprintf("rebuilt, %s shows\n%s\nand showed\n%s", what, is, was))
		}
	}
	return wrong, err
}

// shrinks is what of an answer grows less while time passes.
var shrinks = regexp.MustCompile(`(?m)^\s*"graceLeft": \d+,?\n`)

// shown is all that the command line shows of the view, and of what it is made
// from.
func (r *Record) shown(ctx context.Context) (map[string]string, error) {
	commands := [][]string{
		{"device", "list", "--limit", strconv.Itoa(page)},
		{"breach", "list", "--limit", strconv.Itoa(page)},
		{"ledger", "show", "--count", strconv.Itoa(page)},
	}
	for device := range r.last {
		commands = append(commands, []string{"device", "show", device})
	}
	shown := map[string]string{}
	for _, args := range commands {
		out, err := r.ask(ctx, append(args, "--json")...)
		if err != nil {
			return nil, err
		}
		if args[0] == "ledger" {
			if out, err = withoutLooks(out); err != nil {
				return nil, err
			}
		}
		shown[fmt.Sprint(args)] = shrinks.ReplaceAllString(out, "")
	}
	return shown, nil
}

// withoutLooks leaves out of the entries of a ledger that somebody looked, as each
// of these questions does.
func withoutLooks(out string) (string, error) {
	var entries []collectorapp.EntryView
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		return "", fmt.Errorf("read what the ledger holds: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e collectorapp.EntryView) bool { return e.Kind == "look" })
	for i := range entries {
		entries[i].Index = 0 // by how many looks came between
	}
	text, err := json.MarshalIndent(entries, "", "  ")
	return string(text), err
}
