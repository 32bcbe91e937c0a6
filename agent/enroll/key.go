package enroll

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// A laptop's key is made in its TPM if that can be, and else in the file itself.
// Where it was made it stays: a TPM that fails later is an error in words and
// never a reason to make another.

// loadKey reads the key whose file is at path. It asks no TPM.
func loadKey(path string, of *tpm.TPM) (*identity.DeviceKey, error) {
	kept, err := tpm.Load(path, of)
	if errors.Is(err, errors.ErrUnsupported) {
		return identity.LoadDeviceKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("load device key: %w", err)
	}
	return identity.NewDeviceKey(kept, posture.InTPM)
}

// makeKey reads the key whose file is at path, or makes one: in the TPM, unless
// of is nil or the TPM makes none, which inFile is told. Called again after a
// crash it returns the same key.
func makeKey(path string, of *tpm.TPM, inFile func(reason error)) (*identity.DeviceKey, error) {
	key, err := loadKey(path, of)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if of != nil {
		kept, err := tpm.Make(path, of)
		if err == nil {
			return identity.NewDeviceKey(kept, posture.InTPM)
		}
		if inFile != nil {
			inFile(err)
		}
	}
	return identity.MakeDeviceKey(path)
}

// makePart makes the key by which a machine asks who it is. It lies where the
// device's own does: a laptop that has its key in a file may yet go back to a
// version of this program that knows no other.
func (d *Device) makePart() (*identity.DeviceKey, error) {
	of := d.tpm
	if d.Key.Place() != posture.InTPM {
		of = nil
	}
	return makeKey(d.path(partKeyFile), of, nil)
}

// Usable reports why this laptop's key cannot be used now; nil if it can.
func (d *Device) Usable() error {
	err := d.Key.Try()
	if errors.Is(err, tpm.ErrLost) {
		return fmt.Errorf("%w; nothing that this laptop says is believed without its key: move %s away and enrol again with a new token", err, d.state)
	}
	return err
}
