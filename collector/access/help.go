package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lost is what a person cannot sign in for want of.
type Lost string

// What can be lost.
const (
	LostPassword Lost = "password"
	LostSecond   Lost = "second step"
)

const (
	helpLife  = time.Hour
	maxHelps  = 8
	maxReason = 300 // characters
	console   = "console"
)

// Help is a code by which one person lets another in again. It stands in for
// one thing that was lost; whatever else the account has is asked for all the
// same, so that whoever gives it out cannot be the other.
type Help struct {
	Lost   Lost      `json:"lost"`
	Hash   string    `json:"hash"`
	By     string    `json:"by"` // identifier of an account, or "console"
	ByName string    `json:"byName"`
	Reason string    `json:"reason"`
	Made   time.Time `json:"made"`
	Ends   time.Time `json:"ends"`
}

// MayHelp reports whether one account may let another in again: the right is
// needed wherever the other belongs, and nobody helps themselves.
func (a Account) MayHelp(other Account) bool {
	if a.ID == "" || a.ID == other.ID {
		return false
	}
	return !slices.ContainsFunc(other.Grants, func(g Grant) bool { return !a.May(g.School, HelpPeople) })
}

// ErrHelp says that one may not let the other in again.
var ErrHelp = errors.New("only another person whose role lets people back in, at every school of the account, may do that")

// OfferHelp makes a code by which the account of that identifier is let in
// again. It is told this once, and given in person.
func (a *Access) OfferHelp(by Account, id string, lost Lost, reason string) (Account, string, time.Time, error) {
	other, ok := a.byID(id)
	if !ok {
		return Account{}, "", time.Time{}, ErrNoAccount
	}
	if !by.MayHelp(other) {
		return Account{}, "", time.Time{}, ErrHelp
	}
	code, ends, err := a.offerHelp(other, by.ID, by.Name, lost, reason)
	other.Hash = ""
	return other, code, ends, err
}

// OfferHelpAtConsole makes such a code for whoever holds the data folder, named
// by the account of the system. It is nobody's second approval.
func (a *Access) OfferHelpAtConsole(operator, name string, lost Lost, reason string) (string, time.Time, error) {
	other, ok := a.byName(name)
	if !ok {
		return "", time.Time{}, ErrNoAccount
	}
	return a.offerHelp(other, console, operator, lost, reason)
}

func (a *Access) offerHelp(other Account, by, byName string, lost Lost, reason string) (string, time.Time, error) {
	if lost != LostPassword && lost != LostSecond {
		return "", time.Time{}, fmt.Errorf("%.40q is nothing that can be lost: it is %q or %q", lost, LostPassword, LostSecond)
	}
	if n := utf8.RuneCountInString(reason); n == 0 || n > maxReason || !printable(reason) {
		return "", time.Time{}, fmt.Errorf("say in up to %d characters why, and how it is known who asks", maxReason)
	}
	code, err := makeWord(5)
	if err != nil {
		return "", time.Time{}, err
	}
	now := a.clock.Now().UTC().Truncate(time.Second)
	help := Help{Lost: lost, Hash: hashCode(other.ID, code), By: by, ByName: byName, Reason: reason, Made: now, Ends: now.Add(helpLife)}
	err = a.changeSteps(other.ID, func(s *Steps) error {
		if lost == LostSecond && !s.Second() {
			return fmt.Errorf("%s has no second step that could be lost", other.Name)
		}
		if by != console && s.helpedBy(by, lost, now) {
			return ErrBoth
		}
		// The code before it, of the same person for the same thing, is void.
		s.Helps = slices.DeleteFunc(s.Helps, func(h Help) bool { return h.Lost == lost && h.By == by || !now.Before(h.Ends) })
		if len(s.Helps) >= maxHelps {
			return fmt.Errorf("%d codes for %s have been given out already: wait until one ends", len(s.Helps), other.Name)
		}
		s.Helps = append(s.Helps, help)
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	a.note(Event{What: HelpOffered, Account: other.ID, By: byName, Words: string(lost) + ": " + reason})
	return code, help.Ends, nil
}

// ErrBoth says that one person would stand in for all that another has.
var ErrBoth = errors.New("one person gives out a code for one thing that was lost: for the other it takes another person, or the console")

// helpedBy reports whether that person has given out a code for the other thing,
// and it may still be, or is being, used.
func (s *Steps) helpedBy(by string, lost Lost, now time.Time) bool {
	if lost == LostSecond && s.NewPassword && slices.Contains(strings.Fields(s.LetInBy), by) {
		return true
	}
	return slices.ContainsFunc(s.Helps, func(h Help) bool { return h.By == by && h.Lost != lost && now.Before(h.Ends) })
}

// printable reports whether a text holds nothing that is not seen.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// spendHelp uses up a code that another gave out, and says who did.
func (s *Steps) spendHelp(lost Lost, hash string, now time.Time) (by string, ok bool) {
	for i, h := range s.Helps {
		if h.Lost == lost && now.Before(h.Ends) && subtle.ConstantTimeCompare([]byte(h.Hash), []byte(hash)) == 1 {
			s.Helps = slices.Delete(s.Helps, i, i+1)
			return h.By, true
		}
	}
	return "", false
}

// Recover checks a code that stands in for a lost password: t.Password is the
// code. From then on the account owes a new password. The error is ErrWrong or
// a *TooManyError if the answer is no.
func (a *Access) Recover(_ context.Context, t Attempt) (Account, error) {
	account, known := a.byName(t.Name)
	from := source{address: t.Address, browser: a.browserOf(account, t.Proofs)}
	if wait := a.limits.wait(from, fold(t.Name)); wait > 0 {
		return Account{}, &TooManyError{RetryAfter: wait}
	}
	err := ErrWrong
	if known {
		err = a.changeSteps(account.ID, func(s *Steps) error {
			by, ok := s.spendHelp(LostPassword, hashCode(account.ID, t.Password), a.clock.Now())
			if !ok {
				return ErrWrong
			}
			if !slices.Contains(strings.Fields(s.LetInBy), by) {
				s.LetInBy = strings.TrimSpace(s.LetInBy + " " + by)
			}
			s.NewPassword = true
			return nil
		})
	}
	if errors.Is(err, ErrWrong) {
		a.limits.failed(from, fold(t.Name))
	}
	if err != nil {
		return Account{}, err
	}
	a.note(Event{What: HelpUsed, Account: account.ID, By: account.Name, Address: t.Address, Words: string(LostPassword)})
	account.Hash = ""
	return account, nil
}

// DropSecond takes every second step of an account away, at the console.
func (a *Access) DropSecond(operator, name string) error {
	account, ok := a.byName(name)
	if !ok {
		return ErrNoAccount
	}
	err := a.changeSteps(account.ID, func(s *Steps) error {
		s.Authenticator, s.Passkeys, s.Codes = nil, nil, nil
		return nil
	})
	if err != nil {
		return err
	}
	a.note(Event{What: SecondDropped, Account: account.ID, By: operator})
	return a.EndSessions(operator, account.ID)
}

// knowsPassword notes that an account has a password that its owner knows: no
// code that was given out for want of it is worth anything any more.
func (a *Access) knowsPassword(id string) error {
	steps, err := a.StepsOf(id)
	if _, unread := errors.AsType[*UnreadableError](err); unread {
		return nil // nobody is let in by what cannot be read
	}
	if err != nil || !steps.NewPassword && len(steps.Helps) == 0 {
		return err
	}
	return a.changeSteps(id, func(s *Steps) error {
		s.NewPassword, s.LetInBy = false, ""
		s.Helps = slices.DeleteFunc(s.Helps, func(h Help) bool { return h.Lost == LostPassword })
		return nil
	})
}
