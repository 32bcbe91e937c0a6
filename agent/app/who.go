package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/shared/release"
)

// errWho ends the service of a machine that has to ask who it is, or was told.
var errWho = errors.New("it is not known who this machine is")

// machineFile holds the hashes of the numbers in the firmware of the computer
// that enrolled.
const machineFile = "machine.json"

// askAgain is how often a machine asks who it is.
const askAgain = 5 * time.Minute

// numbers returns the keyed hashes of the numbers in this computer's firmware,
// as reports say them; "" for what there is not or cannot be read, and none if the
// school has given no key.
func (s *service) numbers(ctx context.Context, c Config) ([]string, error) {
	t := s.inbox.currentTerms()
	if t.unread != nil {
		return nil, fmt.Errorf("read what the school signed: %w", t.unread)
	}
	if len(t.mediaKey) == 0 {
		return nil, nil
	}
	told, err := askAbout(ctx, c, aboutRequest{MediaKey: t.mediaKey})
	return told.Numbers, err
}

// other reports whether more numbers differ than are the same, of those that are
// known of both. What is not known says nothing.
func other(was, is []string) bool {
	agree, differ := 0, 0
	for i := range min(len(was), len(is)) {
		switch {
		case was[i] == "" || is[i] == "":
		case was[i] == is[i]:
			agree++
		default:
			differ++
		}
	}
	return differ > agree
}

// sameComputer finds out whether this is the computer that enrolled, before
// anything is said in its name. Disks, networks and memory may change; what is
// compared is what its maker wrote into it.
func (s *service) sameComputer(ctx context.Context, c Config) error {
	var was []string
	if _, err := s.state.load(machineFile, &was); err != nil {
		c.Log.Warn("which computer enrolled is not known any more", "reason", err)
		was = nil
	}
	is, err := s.numbers(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.Log.Warn("whether this is the computer that enrolled cannot be told", "reason", err)
		return nil
	}
	if len(is) == 0 {
		return nil // what is known of before stays
	}
	if other(was, is) {
		c.Log.Error("this is not the computer that enrolled: its state was copied, or its disk was moved; it asks the school for a name of its own")
		if err := enroll.StoreAsking(c.State, enroll.Asking{Moved: true}); err != nil {
			return err
		}
		return errWho
	}
	now := slices.Clone(is)
	for i := range min(len(was), len(now)) {
		if was[i] != "" {
			now[i] = was[i]
		}
	}
	if slices.Equal(was, now) {
		return nil
	}
	return s.state.save(machineFile, now)
}

// uplinks says what this machine has to say, once it is known to be the one that
// enrolled.
func (s *service) uplinks(ctx context.Context, c Config) error {
	if err := s.sameComputer(ctx, c); err != nil {
		return unlessDone(ctx, err)
	}
	return s.uplink.Run(ctx)
}

// twiceTold waits until the collector says that two machines answer to this
// name.
func (s *service) twiceTold(ctx context.Context, c Config) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.inbox.twice:
	}
	c.Log.Error("two machines answer to this laptop's name; it asks the school which of them it is")
	if err := enroll.StoreAsking(c.State, enroll.Asking{}); err != nil {
		return err
	}
	return errWho
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	return err
}

// askWho asks who this machine is until it is told. It says nothing else
// meanwhile.
func (s *service) askWho(ctx context.Context, c Config, a enroll.Asking) error {
	said := ""
	for {
		told, err := s.asksOnce(ctx, c, a)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case err == nil:
			if err := enroll.StoreAsking(c.State, told); err != nil {
				return err
			}
			return errWho
		case err.Error() != said:
			said = err.Error()
			c.Log.Warn("who this machine is, is not known yet", "reason", said)
			s.inbox.report(func(r *running) { r.Waits = said })
		}
		again, stop := s.clock.After(askAgain)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-again:
		case <-s.reachable:
			stop()
		}
	}
}

func (s *service) asksOnce(ctx context.Context, c Config, a enroll.Asking) (enroll.Asking, error) {
	code, err := s.device.Code()
	if err != nil {
		return a, err
	}
	numbers, err := s.numbers(ctx, c)
	if err != nil {
		c.Log.Info("this computer's numbers are not known", "reason", err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		return a, fmt.Errorf("read this machine's name: %w", err)
	}
	told, err := s.device.AskWho(ctx, enroll.Machine{Numbers: numbers, Hostname: hostname, Platform: platform(), Moved: a.Moved}, s.clock)
	if err != nil {
		return a, fmt.Errorf("this machine shows the code %s: %w", code, err)
	}
	return told, nil
}

// becomes takes in what a machine was told that asked who it is. It may be
// interrupted anywhere, and goes on at the next start. It returns what the
// machine has to ask still; nil if nothing.
func becomes(c Config) (*enroll.Asking, error) {
	a, err := enroll.LoadAsking(c.State)
	if err != nil || a == nil || a.Kept == nil && a.Own == nil {
		return a, err
	}
	s := state{c.State}
	if a.Own != nil {
		for _, name := range []string{
			spoolFolder, newSpool, oldSpool, chainFile, newChain, sectionsFile, knownFile, statusFile, witnessFile, contradictionFile, machineFile, mediaLogFile,
		} {
			if err := os.RemoveAll(s.path(name)); err != nil {
				return nil, fmt.Errorf("leave the name of another laptop: %w", err)
			}
		}
		c.Log.Info("this machine is a laptop of its own from now on")
		return nil, enroll.BecomeOwn(c.State, *a, release.Built())
	}
	if !a.Kept.Ready {
		d, err := enroll.LoadWith(c.State, release.Built(), c.TPM)
		if err != nil {
			return nil, err
		}
		if err := renumber(s, *a.Kept, d.Key.Sign, c.Log); err != nil {
			return nil, err
		}
		a.Kept.Ready = true
		if err := enroll.StoreAsking(c.State, *a); err != nil {
			return nil, err
		}
	}
	if err := swap(s, *a.Kept); err != nil {
		return nil, err
	}
	if a.Moved { // somebody said that it is the same computer, with other numbers
		if err := os.RemoveAll(s.path(machineFile)); err != nil {
			return nil, fmt.Errorf("learn this computer's numbers anew: %w", err)
		}
	}
	c.Log.Info("this machine keeps its name")
	return nil, enroll.Keep(c.State, release.Built())
}

// asking runs a machine that does not know who it is: it goes on checking, and
// keeps what it has to report. One whose state was copied has nothing to say in
// that name.
func (s *service) asking(ctx context.Context, c Config, a enroll.Asking, begin func(func() error)) {
	begin(func() error { return s.askWho(ctx, c, a) })
	if !a.Moved {
		begin(func() error { return s.loop(ctx) })
	}
}
