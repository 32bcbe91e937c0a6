package app

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// The pause between attempts to enrol with a token that was kept: a laptop is
// often installed before it has a network. One that waits until somebody approves
// it asks often at first, because that may be done while somebody stands by, and
// later as often as a school has patience.
const (
	firstEnrolPause   = 5 * time.Second
	longestEnrolPause = 5 * time.Minute
	firstWaitPause    = 15 * time.Second
	longestWaitPause  = 10 * time.Minute
)

// Approval says that this laptop waits until somebody at the school approves it.
type Approval struct {
	Code       string    `json:"code"` // by which it is recognised
	SchoolName string    `json:"schoolName"`
	Asked      time.Time `json:"asked"`
	Until      time.Time `json:"until"` // then the school forgets it
	Reason     string    `json:"reason,omitempty"`
}

// NewApproval is what people are told of a laptop that waits.
func NewApproval(w enroll.Waiting) *Approval {
	return &Approval{Code: w.Code, SchoolName: w.SchoolName, Asked: w.Asked, Until: w.Until, Reason: w.Reason}
}

// attempts is a laptop that is not enrolled and asks until it is.
type attempts struct {
	config Config
	clock  clock.Clock
	state  state
	pause  time.Duration
	waits  bool   // the school has answered, and somebody has to approve it
	told   string // what was last said of it
}

// enrolKept enrols with a token that was kept, or for a laptop that waits to be
// approved, if there is such a thing, as often as it takes. It returns once this
// machine is a device of a school, was refused, has nothing to ask with, or ctx
// has ended.
func enrolKept(ctx context.Context, c Config, clk clock.Clock) error {
	a := attempts{config: c, clock: clk, state: state{c.State}, pause: firstEnrolPause}
	for {
		token, err := enroll.KeptToken(c.State)
		if err != nil {
			return err
		}
		_, waits, err := enroll.LoadWaiting(c.State)
		if token == "" && (err != nil || !waits) {
			return err
		}
		done, err := a.ask(ctx, token)
		if done || ctx.Err() != nil {
			return err
		}
		// Not all of a room full of laptops at once.
		again, stop := clk.After(a.pause/2 + rand.N(a.pause/2+1))
		select {
		case <-again:
			a.pause = min(2*a.pause, a.longest())
		case <-c.Woken:
		case <-ctx.Done():
			stop()
			return nil
		}
		stop()
	}
}

func (a *attempts) longest() time.Duration {
	if a.waits {
		return longestWaitPause
	}
	return longestEnrolPause
}

// ask asks once, and reports whether there is nothing more to ask.
func (a *attempts) ask(ctx context.Context, token string) (done bool, err error) {
	enrolled, err := Enroll(ctx, EnrollConfig{State: a.config.State, Token: token, About: &a.config, TPM: a.config.TPM, InFile: func(reason error) {
		a.config.Log.Info("the laptop's key is kept in a file, which this service alone may read", "reason", reason)
	}}, a.clock)
	waits := new(enroll.WaitingError)
	switch {
	case err == nil:
		a.config.Log.Info("enrolled", "school", enrolled.School, "device", enrolled.Device)
		return true, a.unsay()
	case errors.Is(err, enroll.ErrEnrolled), ctx.Err() != nil:
		return true, nil //nolint:nilerr // nothing has failed: it is a device, or was told to stop
	case errors.As(err, &waits):
		if !a.waits || a.told != "" {
			a.waits, a.told, a.pause = true, "", firstWaitPause
			a.config.Log.Info("waits until somebody approves it", "school", waits.School, "code", waits.Code)
			a.say(running{})
		}
	case errors.Is(err, enroll.ErrRefused):
		if _, still, unread := enroll.LoadWaiting(a.config.State); token != "" && still && unread == nil {
			a.config.Log.Warn("the school does not admit this laptop with a later token", "reason", err)
			return false, nil
		}
		return true, errors.Join(err, a.unsay())
	case err.Error() != a.told:
		a.told = err.Error()
		a.config.Log.Warn("not enrolled yet", "reason", a.told)
		a.say(running{Trouble: a.told, Obstacles: obstacles(err)})
	}
	return false, nil
}

// say writes down for everybody at this machine how it stands, once.
func (a *attempts) say(r running) {
	if w, waits, err := enroll.LoadWaiting(a.config.State); err == nil && waits {
		r.SchoolName, r.Approval = w.SchoolName, NewApproval(w)
	}
	if r.Approval != nil {
		if err := a.state.open(); err != nil {
			a.config.Log.Warn("only the service's own account can read its status", "reason", err)
		}
	}
	r.WrittenAt = wall(a.clock)
	if err := a.state.publish(r); err != nil {
		a.config.Log.Warn("status not written", "reason", err)
	}
}

// unsay takes that away again.
func (a *attempts) unsay() error {
	var before running
	if found, err := a.state.load(statusFile, &before); err != nil || !found || before.Approval == nil {
		return nil //nolint:nilerr // what cannot be read is no such word
	}
	if err := os.Remove(a.state.path(statusFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unenrolled says how a laptop stands that is no device yet. Who may not read
// what the service keeps reads what it wrote for everybody.
func (s *Status) unenrolled(dir string) error {
	var r running
	if _, err := (state{dir}).load(statusFile, &r); err != nil {
		return err
	}
	w, waits, err := enroll.LoadWaiting(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.Approval, s.Waits = r.Approval, r.Approval == nil && r.Trouble != ""
		s.Trouble, s.Obstacles = r.trouble(), r.Obstacles
		return nil
	case err != nil:
		return err
	case waits:
		s.Approval = NewApproval(w)
	}
	token, err := enroll.KeptToken(dir)
	if s.Waits = token != ""; s.Waits || waits {
		s.Trouble, s.Obstacles = r.trouble(), r.Obstacles
	}
	return err
}
