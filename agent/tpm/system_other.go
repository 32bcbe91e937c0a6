//go:build !linux && !windows

package tpm

import (
	"errors"
	"fmt"
	"io"
)

// System returns this computer's TPM, whether or not there is one. A Mac has
// none, and its Secure Enclave serves no program without a person's session.
func System() *TPM {
	return &TPM{Open: func() (io.ReadWriteCloser, error) {
		return nil, fmt.Errorf("open the TPM: %w", errors.ErrUnsupported)
	}}
}
