package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/console"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// PreviewArguments ask what a policy would find, or are about a draft.
type PreviewArguments struct {
	School string `json:"school"`
	File   string `json:"file,omitempty"` // name of the text, for errors
	Source []byte `json:"source,omitempty"`
	Draft  string `json:"draft,omitempty"`  // name of a draft
	Number uint64 `json:"number,omitempty"` // of a policy that was published, instead of Source
	Days   int    `json:"days,omitempty"`   // for how many days back reports are judged too
	ID     string `json:"id,omitempty"`     // by which "policy.progress" asks how far it is

	Key       string `json:"key,omitempty"` // of the account that decides; "": the console's operator
	Reason    string `json:"reason,omitempty"`
	Approvers int    `json:"approvers,omitempty"` // 0: only say how many
}

// ProgressAnswer is how far a preview is.
type ProgressAnswer struct {
	Done  int `json:"done"`
	Total int `json:"total"` // 0: it has not begun, or is over
}

// PolicyStanding is how the policy in force came to be, and what is drafted.
type PolicyStanding struct {
	Number      uint64                `json:"number"` // 0: the baseline
	Publication *decision.Publication `json:"publication,omitempty"`
	ReviewDue   bool                  `json:"reviewDue,omitempty"` // the day by which it is to be looked at again is over
	Approvers   int                   `json:"approvers"`           // people that it takes to publish
	OneAskedBy  string                `json:"oneAskedBy,omitempty"`
	Drafts      []decision.Draft      `json:"drafts"`
}

// previews bounds what is previewed at the same time, and tells how far it is.
type previews struct {
	running sync.Mutex

	mu  sync.Mutex // guards all below
	id  string
	now ProgressAnswer
}

var errPreviewing = &decision.RefusedError{Why: "another preview is being made: ask again in a moment"}

func (p *previews) told(id string) func(done, total int) {
	return func(done, total int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.id, p.now = id, ProgressAnswer{Done: done, Total: total}
	}
}

func (p *previews) progress(id string) ProgressAnswer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == "" || p.id != id {
		return ProgressAnswer{}
	}
	return p.now
}

// pollEvery is how often a command asks how far a preview is.
const pollEvery = time.Second

// toldKey is where a call without a running collector says whom to tell.
type toldKey struct{}

// preview says what a policy would find at a school. It writes nothing.
func (c *collector) preview(ctx context.Context, s *school, a PreviewArguments) (view.Preview, error) {
	text, err := c.drafted(ctx, s, a)
	if err != nil {
		return view.Preview{}, err
	}
	not, _, _, err := s.below(ctx, text, c.clock.Now())
	if err != nil {
		return view.Preview{}, err
	}
	if !c.previews.running.TryLock() {
		return view.Preview{}, errPreviewing
	}
	defer c.previews.running.Unlock()
	told := c.previews.told(a.ID)
	if direct, ok := ctx.Value(toldKey{}).(func(done, total int)); ok {
		told = direct
	}
	p, err := s.projection.Preview(ctx, s.ID, projection.Draft{Policy: text.Policy, Now: c.clock.Now(), Days: a.Days, Progress: told})
	for _, l := range not {
		p.Below = append(p.Below, l.Fault(text.File).String())
	}
	return p, err
}

// drafted compiles what is to be previewed.
func (c *collector) drafted(ctx context.Context, s *school, a PreviewArguments) (text rulebook.Text, err error) {
	switch {
	case a.Draft != "":
		text.File = a.Draft
		if _, text.Source, err = s.draft(ctx, a.Draft); err != nil {
			return text, err
		}
	case a.Number > 0:
		p, err := s.policy(ctx, a.Number)
		return rulebook.Text{File: fmt.Sprintf("policy %d", a.Number), Source: p.source, Policy: p.policy}, err
	default:
		text.File, text.Source = a.File, a.Source
	}
	text.Policy, err = rulebook.Compile(text.File, text.Source)
	return text, err
}

// Preview asks what a policy would find, and tells how far that is meanwhile. It
// ends with ctx.
func Preview(ctx context.Context, data string, a PreviewArguments, told func(done, total int), clk clock.Clock) (view.Preview, error) {
	var answer view.Preview
	asking, stop := context.WithCancel(ctx)
	var polls sync.WaitGroup
	polls.Go(func() { poll(asking, data, a.ID, told, clk) })
	err := console.Call(ctx, data, "policy.preview", a, &answer)
	stop()
	polls.Wait()
	if !errors.Is(err, console.ErrNotRunning) {
		return answer, err
	}
	var raw json.RawMessage
	err = Do(context.WithValue(ctx, toldKey{}, told), data, "policy.preview", a, &raw, clk)
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	return answer, err
}

// poll asks a running collector how far a preview is, until ctx ends.
func poll(ctx context.Context, data, id string, told func(done, total int), clk clock.Clock) {
	for {
		tick, stop := clk.After(pollEvery)
		select {
		case <-tick:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return
		}
		var far ProgressAnswer
		if err := console.Call(ctx, data, "policy.progress", PreviewArguments{ID: id}, &far); err == nil && far.Total > 0 {
			told(far.Done, far.Total)
		}
	}
}
