package enroll

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
)

// tokenFile holds a token with which the service is to enrol, for itself alone,
// from when an installer could not reach the collector until the school answers.
const tokenFile = "token"

// mostToken bounds that file, in bytes.
const mostToken = 4096

// KeepToken keeps a token in the state folder for the service to enrol with. A
// laptop that is enrolled keeps none.
func KeepToken(o Options) error {
	if _, err := identity.ParseToken(o.Token); err != nil {
		return err
	}
	switch known, err := Load(o.State, o.Built); {
	case err == nil:
		return fmt.Errorf("%w with %s", ErrEnrolled, known.SchoolName)
	case !errors.Is(err, ErrNotEnrolled):
		return err
	}
	if err := durable.MakePrivate(o.State); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(o.State, tokenFile), []byte(o.Token+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the token until the collector can be reached: %w", err)
	}
	return nil
}

// KeptToken returns the token that is kept in a state folder, or "" if none is.
func KeptToken(state string) (string, error) {
	f, err := os.Open(filepath.Join(state, tokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the token that was kept: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostToken))
	if err != nil {
		return "", fmt.Errorf("read the token that was kept: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// forgetToken takes away a token that is of no more use: it was used, or the
// school does not admit this laptop with it.
func forgetToken(state string) error {
	if err := os.Remove(filepath.Join(state, tokenFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the token away that was kept: %w", err)
	}
	return nil
}
