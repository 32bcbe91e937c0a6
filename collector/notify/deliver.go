package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// send begins an attempt at each notice whose time has come, one a channel, and
// waits for none.
func (t *Teller) send(ctx context.Context, under *sync.WaitGroup, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.settings.Channels {
		s := t.book.of(c.ID)
		if s.pending == nil || t.sending[c.ID] || now.Before(s.next) {
			continue
		}
		t.sending[c.ID] = true
		settings, zone, notice := t.settings, t.zone, s.pending.Notice
		under.Go(func() {
			err := attempt(ctx, t.o.Clock, settings, c, notice, zone)
			t.attempted(ctx, c, notice, err)
		})
	}
}

// attempt tries to deliver a notice, for no longer than the deadline.
func attempt(ctx context.Context, clk clock.Clock, settings Settings, c Channel, n Notice, zone *time.Location) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late, stop := clk.After(deadline)
	defer stop()
	over := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-late:
			cancel(errLate)
		case <-over:
		}
	}()
	err := transmit(ctx, clk.Now(), settings, c, n, zone)
	close(over)
	<-watched
	if err != nil && errors.Is(context.Cause(ctx), errLate) {
		return errLate
	}
	return err
}

var errLate = fmt.Errorf("it did not answer within %s", deadline)

// transmit hands a notice to a receiver.
func transmit(ctx context.Context, now time.Time, settings Settings, c Channel, n Notice, zone *time.Location) error {
	switch c.Kind {
	case Mail:
		return sendMail(ctx, settings, c, n, zone)
	case Webhook:
		return sendWebhook(ctx, settings, c, n, now)
	case Teams:
		return sendTeams(ctx, settings, c, n, zone)
	case Syslog:
		return sendSyslog(ctx, settings, c, n)
	}
	return fmt.Errorf("%q is no way for notices", c.Kind)
}

// attempted records how an attempt ended. One that was broken off because the
// collector ends is none: it is made again when it starts.
func (t *Teller) attempted(ctx context.Context, c Channel, n Notice, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sending, c.ID)
	s := t.book.of(c.ID)
	if s.pending == nil || s.pending.Notice.ID != n.ID {
		return // the channel was removed meanwhile
	}
	now := t.o.Clock.Now()
	var recorded error
	switch {
	case err == nil:
		recorded = t.book.happened(entry{Delivered: &settled{Channel: c.ID, At: now}})
		t.o.Log.Info("a notice was delivered", "channel", c.ID, "kind", c.Kind, "notice", n.ID)
	case ctx.Err() != nil:
		return
	default:
		t.failures[c.Kind]++
		why := reason(err)
		t.o.Log.Warn("a notice could not be delivered", "channel", c.ID, "to", c.Place(), "notice", n.ID, "attempt", s.attempts+1, "reason", why)
		recorded = t.book.happened(entry{Failed: &failed{Channel: c.ID, At: now, Next: now.Add(pause(s.attempts)), Why: why}})
		if s.attempts >= leastTries && now.Sub(s.failing) >= givenUpAfter {
			t.o.Log.Error("a notice is given up; what it told is told by the next", "channel", c.ID, "to", c.Place(), "notice", n.ID)
			recorded = errors.Join(recorded, t.book.happened(entry{GivenUp: &settled{Channel: c.ID, At: now}}))
		}
	}
	if recorded != nil {
		t.o.Log.Error("what became of a notice could not be recorded; after a crash it may be sent once more", "notice", n.ID, "reason", recorded)
	}
}

// pause is how long the next attempt waits after some that failed.
func pause(before int) time.Duration {
	p := firstPause
	for range before {
		if p *= 2; p >= longestPause {
			return longestPause
		}
	}
	return p
}

// mostReason bounds what is kept of a receiver's words.
const mostReason = 300

// reason is why an attempt failed, on one line and without the address, which
// may be a secret.
func reason(err error) string {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "\uFFFD"))
	if short := []rune(text); len(short) > mostReason {
		text = string(short[:mostReason]) + "…"
	}
	return text
}
