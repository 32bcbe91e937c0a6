package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Given is a checkpoint of a school's record, or why there is none.
type Given struct {
	School     posture.SchoolID `json:"school"`
	Name       string           `json:"name"`
	Checkpoint string           `json:"checkpoint,omitempty"` // a signed note
	Missing    string           `json:"missing,omitempty"`    // why there is none
}

// weekly is after how long mail brings checkpoints of which there is nothing
// else to tell. It is a little less than a week, for a digest can be late.
const weekly = 7*24*time.Hour - 12*time.Hour

// keeps reports whether checkpoints are given to a channel: to the
// data-protection officer, by mail for a person to keep and to a program of
// theirs.
func (c Channel) keeps() bool {
	return c.Role == access.DPO && (c.Kind == Mail || c.Kind == Webhook)
}

// checkpoint signs what a school's record holds, if that is due to be given to
// somebody. It does not depend on the view.
func (t *Teller) checkpoint(ctx context.Context, s view.School, channels []Channel, now time.Time) *Given {
	if !t.givingOf(s.ID, channels, now) {
		return nil
	}
	g := &Given{School: s.ID, Name: s.Name}
	note, err := t.o.Source.Checkpoint(ctx, s.ID)
	switch {
	case err != nil:
		g.Missing = reason(err)
	case note == nil:
		return nil
	default:
		g.Checkpoint = string(note)
	}
	return g
}

func (t *Teller) givingOf(school posture.SchoolID, channels []Channel, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range channels {
		if s := t.book.of(c.ID); c.keeps() && c.covers(school) && s.pending == nil && t.boundary(now).After(s.since(c)) {
			return true
		}
	}
	return false
}

// since is when the last digest was made, or the channel.
func (s *state) since(c Channel) time.Time {
	if s.digested.IsZero() {
		return c.Added
	}
	return s.digested
}

// given are the checkpoints that go with a digest that was due at a moment: each
// day to a program; by mail if something is told anyway, and once a week, so
// that a silence is seen.
func given(c Channel, s *state, looks []look, telling bool, due time.Time) []Given {
	if !c.keeps() || c.Kind == Mail && !telling && due.Sub(s.given) < weekly {
		return nil
	}
	var list []Given
	for _, l := range looks {
		if l.given != nil && c.covers(l.school) {
			list = append(list, *l.given)
		}
	}
	return list
}

// The lines between which a checkpoint stands in a text.
const (
	beginCheckpoint = "-----BEGIN CARETAKER CHECKPOINT-----"
	endCheckpoint   = "-----END CARETAKER CHECKPOINT-----"
)

// text is a checkpoint for people to keep.
func (g Given) text() string {
	var w strings.Builder
	title := "Checkpoint of the record of " + g.Name
	fmt.Fprintf(&w, "\n%s\n%s\n\n", title, strings.Repeat("-", len([]rune(title))))
	if g.Missing != "" {
		fmt.Fprintf(&w, "NONE COULD BE MADE: %s\nAsk whoever looks after the collector why: its status says more.\n", g.Missing)
		return w.String()
	}
	fmt.Fprintf(&w, "Keep this: with it anybody can prove later that nothing recorded before it was rewritten.\n"+
		"Save the text of this mail, or the lines from BEGIN to END, to a file, and on the collector:\n"+
		"  caretaker-collector ledger verify --school %s --against FILE\n\n%s\n%s%s\n",
		g.School, beginCheckpoint, g.Checkpoint, endCheckpoint)
	return w.String()
}
