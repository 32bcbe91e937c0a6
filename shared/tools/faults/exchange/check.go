package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// checked is how much of the ledger was looked at.
type checked struct {
	next uint64 // entry
	last uint64 // report
}

// page is how many entries are asked for at a time.
const page = 1000

// Recorded looks at the entries that the ledger has grown by, and returns what
// is wrong with them: a report of the laptop that is missing, that is there
// twice or out of order, or was acknowledged and is not there.
func (x *Exchange) Recorded(ctx context.Context, acknowledged uint64) (wrong []string, err error) {
	for {
		out, err := x.collect(ctx, "ledger", "show", "--json", "--from", strconv.FormatUint(x.checked.next, 10), "--count", strconv.Itoa(page))
		if err != nil {
			return wrong, err
		}
		var entries []collectorapp.EntryView
		if err := json.Unmarshal([]byte(out), &entries); err != nil {
			return wrong, fmt.Errorf("read what the ledger holds: %w", err)
		}
		wrong = append(wrong, x.checked.add(x.Device, entries)...)
		if len(entries) < page {
			break
		}
	}
	if x.checked.last < acknowledged {
		wrong = append(wrong, fmt.Sprintf("the ledger ends with report %d, and %d was acknowledged", x.checked.last, acknowledged))
	}
	return wrong, nil
}

// add looks at the entries that follow those it looked at.
func (c *checked) add(device string, entries []collectorapp.EntryView) (wrong []string) {
	for _, e := range entries {
		switch {
		case uint64(e.Index) != c.next:
			wrong = append(wrong, fmt.Sprintf("entry %d follows where entry %d should", e.Index, c.next))
		case e.Kind == "gap":
			wrong = append(wrong, fmt.Sprintf("entry %d says that reports are missing", e.Index))
		case e.Kind == "report" && e.Subject == device && e.Sequence <= c.last:
			wrong = append(wrong, fmt.Sprintf("entry %d is report %d once more, after %d", e.Index, e.Sequence, c.last))
		case e.Kind == "report" && e.Subject == device && e.Sequence != c.last+1:
			wrong = append(wrong, fmt.Sprintf("entry %d is report %d, after %d", e.Index, e.Sequence, c.last))
		}
		if c.next = uint64(e.Index) + 1; e.Kind == "report" && e.Subject == device {
			c.last = max(c.last, e.Sequence)
		}
	}
	return wrong
}

// Whole kills both programs and looks at everything that they leave: the whole
// ledger from its beginning, that it verifies, and that the view which
// followed is byte for byte the one that a rebuild makes. It returns what is
// wrong.
func (x *Exchange) Whole(ctx context.Context, acknowledged uint64) ([]string, error) {
	for _, p := range []*Process{x.Agent(), x.Collector()} {
		if err := p.Kill(); err != nil {
			return nil, err
		}
	}
	x.checked = checked{}
	wrong, err := x.Recorded(ctx, acknowledged)
	if err != nil {
		return wrong, err
	}
	verified, err := Command(ctx, x.o.Collector, "ledger", "verify", "--data", x.Data)
	if err != nil {
		return wrong, err
	}
	if verified.Status != 0 {
		wrong = append(wrong, "the ledger does not verify: "+verified.Stdout+verified.Stderr)
	}
	followed, err := x.shown(ctx)
	if err != nil {
		return wrong, err
	}
	if _, err := x.collect(ctx, "view", "rebuild"); err != nil {
		return wrong, err
	}
	rebuilt, err := x.shown(ctx)
	for what, is := range rebuilt {
		if was := followed[what]; is != was {
			wrong = append(wrong, fmt.Sprintf("rebuilt, %s shows\n%s\nand showed\n%s", what, is, was))
		}
	}
	return wrong, err
}

// shown is all that the command line shows of the view, and of what it is made
// from.
func (x *Exchange) shown(ctx context.Context) (map[string]string, error) {
	shown := map[string]string{}
	for what, args := range map[string][]string{
		"device list": {"device", "list"},
		"device show": {"device", "show", x.Device},
		"breach list": {"breach", "list", "--limit", "1000"},
		"ledger show": {"ledger", "show", "--count", strconv.Itoa(page)},
	} {
		out, err := x.collect(ctx, append(args, "--json")...)
		if err != nil {
			return nil, err
		}
		shown[what] = out
	}
	return shown, nil
}
