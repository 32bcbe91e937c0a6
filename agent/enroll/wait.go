package enroll

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// waitingFile says of a laptop that asked to be admitted that it waits, and with
// what it asks again. There is no token in it.
const waitingFile = "waiting.json"

// mostWaiting bounds that file, in bytes.
const mostWaiting = 16 << 10

// Waiting is a laptop that asked to be admitted and waits until somebody at the
// school approves it.
type Waiting struct {
	School      posture.SchoolID `json:"school"`
	SchoolName  string           `json:"schoolName"`
	Addresses   []string         `json:"addresses"` // of the collector
	Fingerprint proof.Digest     `json:"fingerprint"`
	Claim       []byte           `json:"claim"` // with which it asks, in place of the token
	Asked       time.Time        `json:"asked"`
	Until       time.Time        `json:"until"` // then the school forgets it
	Reason      string           `json:"reason,omitempty"`
	// Code is how people recognise it. It follows from the laptop's key, whatever
	// is written here.
	Code string `json:"code"`
}

// WaitingError says that the school was asked, and that somebody has to approve
// this laptop.
type WaitingError struct{ Waiting }

func (e *WaitingError) Error() string {
	return fmt.Sprintf("this laptop waits until somebody at %s approves it, by the code %s", e.SchoolName, e.Code)
}

// LoadWaiting reads who waits in a state folder; ok is false if nobody does.
func LoadWaiting(state string) (w Waiting, ok bool, err error) {
	file := filepath.Join(state, waitingFile)
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Waiting{}, false, nil
	}
	if err == nil && info.Size() > mostWaiting {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err == nil {
		w, err = decodeWaiting(data)
	}
	if err != nil {
		return Waiting{}, false, fmt.Errorf("read what this laptop waits for: %w", err)
	}
	return w, true, nil
}

func decodeWaiting(data []byte) (w Waiting, err error) {
	if err := json.Unmarshal(data, &w); err != nil {
		return Waiting{}, err
	}
	if len(w.Claim) != identity.SecretSize || w.School == "" || len(w.Addresses) == 0 {
		return Waiting{}, errors.New("a part of it is missing")
	}
	for _, a := range w.Addresses {
		if err := identity.CheckAddress(a); err != nil {
			return Waiting{}, err
		}
	}
	w.SchoolName, w.Reason, w.Code = wire.Visible(w.SchoolName, 256), wire.Visible(w.Reason, 500), wire.Visible(w.Code, 16)
	return w, nil
}

// asking is with what a laptop asks to be admitted: a token, or the claim of one
// that waits, which asks with no token.
type asking struct {
	token identity.Token // without an identifier and a secret, if it waits
	claim []byte
	asked time.Time // when it first asked; zero if it did not
}

// asks returns with what to ask.
func (o Options) asks() (asking, error) {
	waits, waiting, err := LoadWaiting(o.State)
	if o.Token == "" {
		switch {
		case err != nil:
			return asking{}, err
		case !waiting:
			return asking{}, errors.New("enrolling needs a token: ask the school's technician for one")
		}
		return asking{identity.Token{Addresses: waits.Addresses, School: waits.School, Fingerprint: waits.Fingerprint}, waits.Claim, waits.Asked}, nil
	}
	token, err := identity.ParseToken(o.Token)
	if err != nil {
		return asking{}, err
	}
	a := asking{token: token, claim: waits.Claim, asked: waits.Asked}
	if !waiting || waits.School != token.School {
		a.asked, a.claim = time.Time{}, make([]byte, identity.SecretSize)
		if _, err := rand.Read(a.claim); err != nil {
			return asking{}, fmt.Errorf("make the laptop's claim: %w", err)
		}
	}
	return a, nil
}

func (a asking) secret() []byte {
	if a.token.ID == "" {
		return nil
	}
	return a.token.Secret[:]
}

// hide returns what is said of the computer's serial number: nothing without a
// token, for then the school has heard it already.
func (a asking) hide(serial string) []byte {
	if a.token.ID == "" || serial == "" {
		return nil
	}
	return identity.HideSerial(a.token.Hash(), serial)
}

// wait keeps that this laptop waits, and with what it asks again. From then on
// its token is of no more use.
func (a asking) wait(o Options, key *identity.DeviceKey, answer *pb.EnrollResponse) error {
	if posture.SchoolID(answer.GetSchool()) != a.token.School {
		return fmt.Errorf("it is of school %.70q, and the token is of %s", answer.GetSchool(), a.token.School)
	}
	code, err := identity.ShortCode(a.token.School, key.Public())
	if err != nil {
		return err
	}
	w := Waiting{
		School: a.token.School, SchoolName: wire.Visible(answer.GetSchoolName(), 256), Addresses: a.token.Addresses, Fingerprint: a.token.Fingerprint,
		Claim: a.claim, Asked: a.asked, Until: time.UnixMilli(answer.GetWaiting().GetUntilUnixMs()).UTC(),
		Reason: wire.Visible(answer.GetWaiting().GetReason(), 500), Code: code,
	}
	if w.Asked.IsZero() {
		w.Asked = o.Clock.Now().UTC()
	}
	data, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return fmt.Errorf("keep that this laptop waits: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(o.State, waitingFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep that this laptop waits: %w", err)
	}
	return &WaitingError{w}
}

// forgetWaiting takes away what said that this laptop waits.
func forgetWaiting(state string) error {
	if err := durable.Remove(filepath.Join(state, waitingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take away that this laptop waits: %w", err)
	}
	return nil
}

// settle takes away what is of no more use, as the school answered: the token, if
// it answered at all, and what said that the laptop waits, if it does not any
// more.
func (o Options) settle(err error) error {
	waits := new(WaitingError)
	refused := errors.Is(err, ErrRefused)
	done := err == nil || errors.Is(err, ErrEnrolled)
	if done || refused || errors.As(err, &waits) {
		err = errors.Join(err, forgetToken(o.State))
	}
	if done || refused && o.Token == "" {
		err = errors.Join(err, forgetWaiting(o.State))
	}
	return err
}
