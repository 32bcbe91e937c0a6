package access

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What can happen to how an account is proven. That somebody signed in is not
// among it: the hours that people work are nobody's business here.
type What string

// The kinds.
const (
	AuthenticatorSet     What = "authenticator set up"
	AuthenticatorRemoved What = "authenticator removed"
	PasskeyAdded         What = "passkey added"
	PasskeyRemoved       What = "passkey removed"
	CodesMade            What = "recovery codes made"
	CodeUsed             What = "recovery code used"
	HelpOffered          What = "code given out by another person"
	HelpUsed             What = "let in by another person's code"
	SecondDropped        What = "second steps removed at the console"
	PasswordChanged      What = "password changed"
	SessionsEnded        What = "signed out by another person"
	Linked               What = "sign-on linked"
	Unlinked             What = "sign-on unlinked"
	AccountMade          What = "account made"
	AccountRemoved       What = "account removed"
	RoleGiven            What = "role given"
	RoleTaken            What = "role taken away"
	KeyMade              What = "key for a program made"
	KeyTaken             What = "key for a program taken back"
)

// Event is one thing that happened to how an account is proven.
type Event struct {
	At      time.Time          `json:"at"`
	What    What               `json:"what"`
	Account string             `json:"account"` // identifier
	Name    string             `json:"name"`    // of the account then
	Schools []posture.SchoolID `json:"schools"` // it belonged to then
	By      string             `json:"by"`      // name of who did it
	Address string             `json:"address,omitempty"`
	Words   string             `json:"words,omitempty"`
}

const (
	eventsPrefix = "events-"
	eventsSuffix = ".jsonl"
	eventMonths  = 24      // kept beside the current one
	maxEvents    = 8 << 20 // bytes of a month
	maxEventLine = 4 << 10
)

// note writes an event down. What cannot be written is logged: what happened
// has happened.
func (a *Access) note(e Event) {
	e.At = a.clock.Now().UTC().Truncate(time.Second)
	if account, ok := a.byID(e.Account); ok {
		e.Name = account.Name
		for _, g := range account.Grants {
			e.Schools = append(e.Schools, g.School)
		}
	}
	if err := a.writeEvent(e); err != nil {
		a.log.Error("what happened to an account could not be written down", "what", e.What, "account", e.Account, "error", err)
		return
	}
	a.log.Info("an account's sign-in was changed", "what", e.What, "account", e.Account)
}

func (a *Access) writeEvent(e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	a.events.Lock()
	defer a.events.Unlock()
	name := eventsPrefix + e.At.Format("2006-01") + eventsSuffix
	path := filepath.Join(a.dir, name)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the events: %w", err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		a.forgetEvents(name)
	}
	if len(data)+len(line) > maxEvents {
		return fmt.Errorf("write an event: this month has %d bytes of them already", len(data))
	}
	if n := len(data); n > 0 && data[n-1] != '\n' {
		data = append(data, '\n')
	}
	return durable.WriteFile(path, append(append(data, line...), '\n'), 0o600)
}

// forgetEvents removes the months that need not be kept any more, when the
// month of that file begins.
func (a *Access) forgetEvents(current string) {
	now, err := time.Parse("2006-01", strings.TrimSuffix(strings.TrimPrefix(current, eventsPrefix), eventsSuffix))
	if err != nil {
		return
	}
	oldest := eventsPrefix + now.AddDate(0, -eventMonths, 0).Format("2006-01") + eventsSuffix
	for _, name := range a.eventFiles() {
		if name < oldest {
			if err := os.Remove(filepath.Join(a.dir, name)); err != nil {
				a.log.Warn("events that need not be kept could not be removed", "file", name, "error", err)
			}
		}
	}
}

// eventFiles lists the months, the earliest first.
func (a *Access) eventFiles() []string {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), eventsPrefix) && strings.HasSuffix(e.Name(), eventsSuffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Events returns the latest events that concern accounts, the newest first, and
// how many lines could not be read.
func (a *Access) Events(limit int, concerns func(Event) bool) ([]Event, int, error) {
	a.events.Lock()
	defer a.events.Unlock()
	list, unread := []Event{}, 0
	names := a.eventFiles()
	for _, name := range slices.Backward(names) {
		data, err := os.ReadFile(filepath.Join(a.dir, name))
		if err != nil {
			return nil, 0, fmt.Errorf("read the events: %w", err)
		}
		events, bad := parseEvents(data)
		unread += bad
		for _, e := range slices.Backward(events) {
			if len(list) == limit {
				return list, unread, nil
			}
			if concerns(e) {
				list = append(list, e)
			}
		}
	}
	return list, unread, nil
}

// parseEvents reads the lines of a month and counts those that are damaged.
func parseEvents(data []byte) (events []Event, bad int) {
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(make([]byte, 0, maxEventLine), 4*maxEventLine)
	for s.Scan() {
		var e Event
		if err := json.Unmarshal(s.Bytes(), &e); err != nil || e.At.IsZero() || e.What == "" {
			bad++
			continue
		}
		events = append(events, e)
	}
	if s.Err() != nil {
		bad++
	}
	return events, bad
}
