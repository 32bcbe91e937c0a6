package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ChannelStatus is how things stand with a channel, without what is secret.
type ChannelStatus struct {
	ID           string           `json:"id"`
	Kind         Kind             `json:"kind"`
	School       posture.SchoolID `json:"school"` // "*": every school
	Role         access.Role      `json:"role"`
	To           string           `json:"to"`
	Added        time.Time        `json:"added"`
	Delivered    int              `json:"delivered"`
	LastDelivery time.Time        `json:"lastDelivery,omitzero"`
	Waiting      string           `json:"waiting,omitempty"`  // identifier of the notice on its way
	Attempts     int              `json:"attempts,omitempty"` // that failed, of it
	Failing      time.Time        `json:"failing,omitzero"`   // since when
	Next         time.Time        `json:"next,omitzero"`      // when it is tried again
	Why          string           `json:"why,omitempty"`
}

// Status says how things stand with every channel.
func (t *Teller) Status() []ChannelStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]ChannelStatus, 0, len(t.settings.Channels))
	for _, c := range t.settings.Channels {
		list = append(list, t.status(c))
	}
	return list
}

func (t *Teller) status(c Channel) ChannelStatus {
	one := ChannelStatus{ID: c.ID, Kind: c.Kind, School: c.School, Role: c.Role, To: c.Place(), Added: c.Added}
	if s := t.book.channels[c.ID]; s != nil {
		one.Delivered, one.LastDelivery, one.Attempts, one.Failing, one.Next, one.Why = s.delivered, s.last, s.attempts, s.failing, s.next, s.why
		if s.pending != nil {
			one.Waiting = s.pending.Notice.ID
		}
	}
	return one
}

// Failures counts attempts that failed since the collector was started.
func (t *Teller) Failures() map[Kind]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[Kind]int{Mail: 0, Webhook: 0, Teams: 0, Syslog: 0}
	for k, n := range t.failures {
		all[k] = n
	}
	return all
}

// Log lists what was delivered or given up, newest first.
func (t *Teller) Log() []Logged {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := append([]Logged{}, t.book.log...)
	slices.Reverse(list)
	return list
}

// Add adds a channel, with an identifier of its own.
func (t *Teller) Add(c Channel) (ChannelStatus, error) {
	id, err := random(4)
	if err != nil {
		return ChannelStatus{}, err
	}
	c.ID, c.Added = id, t.o.Clock.Now().UTC()
	err = t.change(func(s *Settings) error {
		s.Channels = append(s.Channels, c)
		return nil
	})
	if err != nil {
		return ChannelStatus{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status(c), nil
}

// Remove removes a channel with all that was told to it.
func (t *Teller) Remove(id string) (ChannelStatus, error) {
	var removed ChannelStatus
	err := t.change(func(s *Settings) error {
		c, ok := s.channel(id)
		if !ok {
			return unknownChannel(id)
		}
		removed = t.status(c)
		s.Channels = slices.DeleteFunc(s.Channels, func(c Channel) bool { return c.ID == id })
		return nil
	})
	if err != nil {
		return ChannelStatus{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.book.channels[id] == nil {
		return removed, nil
	}
	return removed, t.book.write(entry{Removed: &settled{Channel: id, At: t.o.Clock.Now()}})
}

func unknownChannel(id string) error {
	return fmt.Errorf("there is no way for notices %.20q: notice list names them", id)
}

// Set changes the settings but for the channels.
func (t *Teller) Set(amend func(*Settings) error) error {
	return t.change(amend)
}

// Settings returns the settings without what is secret.
func (t *Teller) Settings() Settings {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.settings
	s.Mail.Password, s.Channels = "", nil
	return s
}

func (t *Teller) change(amend func(*Settings) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != nil {
		return t.broken
	}
	next := t.settings.clone()
	if err := amend(&next); err != nil {
		return err
	}
	if err := writeSettings(t.o.Dir, next); err != nil {
		return err
	}
	t.settings = next
	select {
	case t.wake <- struct{}{}:
	default: // it is about to look anyway
	}
	return nil
}

// Test sends a notice that says that it is a test, at once and once.
func (t *Teller) Test(ctx context.Context, id string) (ChannelStatus, error) {
	t.mu.Lock()
	c, ok := t.settings.channel(id)
	settings, zone, broken := t.settings, t.zone, t.broken
	t.mu.Unlock()
	if broken != nil {
		return ChannelStatus{}, broken
	}
	if !ok {
		return ChannelStatus{}, unknownChannel(id)
	}
	notice, err := random(16)
	if err != nil {
		return ChannelStatus{}, err
	}
	err = attempt(ctx, t.o.Clock, settings, c, Notice{ID: notice, At: t.o.Clock.Now(), Test: true}, zone)
	if err != nil {
		return ChannelStatus{}, fmt.Errorf("the test could not be delivered to %s: %w", c.Place(), errors.New(reason(err)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status(c), nil
}
