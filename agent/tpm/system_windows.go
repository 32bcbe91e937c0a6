package tpm

import (
	"errors"
	"fmt"
	"io"

	"github.com/google/go-tpm/tpmutil"
	"github.com/google/go-tpm/tpmutil/tbs"
	"golang.org/x/sys/windows"
)

// System returns this computer's TPM, whether or not there is one. Windows sets
// a password for what lies beneath the TPM's own seed and forgets it, so keys lie
// beneath the storage key that it keeps.
func System() *TPM {
	return &TPM{KeptOnly: true, Open: func() (io.ReadWriteCloser, error) {
		// The library asks for it by name alone: from here on that is the system's.
		if err := windows.NewLazySystemDLL("tbs.dll").Load(); err != nil {
			return nil, fmt.Errorf("open the TPM: %w", err)
		}
		info, err := tbs.GetDeviceInfo()
		if err != nil {
			return nil, fmt.Errorf("open the TPM: %w", err)
		}
		if info.TPMVersion != tbs.TPMVersion20 {
			return nil, fmt.Errorf("open the TPM: %w: it is an older one than TPM 2.0", errors.ErrUnsupported)
		}
		context, err := tbs.CreateContext(tbs.TPMVersion20, tbs.IncludeTPM20)
		if err != nil {
			return nil, fmt.Errorf("open the TPM: %w", err)
		}
		return tpmutil.FromContext(context), nil
	}}
}
