package durable

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// While an antivirus or a backup has a file open, it can be neither replaced
// nor removed. They are done with it soon: it is tried again, at growing
// intervals, for patience in all.
const (
	patience   = 2 * time.Second
	firstPause = 5 * time.Millisecond
	longest    = 200 * time.Millisecond
)

func patiently(do func() error) error {
	pause := firstPause
	for waited := time.Duration(0); ; waited += pause {
		err := do()
		busy := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED) ||
			errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_USER_MAPPED_FILE)
		if !busy || waited >= patience {
			return err
		}
		rest(pause)
		pause = min(2*pause, longest)
	}
}

// Remove removes a file, with patience if another program has it open.
func Remove(path string) error { return patiently(func() error { return os.Remove(path) }) }

// RemoveAll removes a file, or a folder with all that is in it, with patience if
// another program has something of it open.
func RemoveAll(path string) error { return patiently(func() error { return os.RemoveAll(path) }) }

// rename puts a file in place of another, or where there is none. It is on the
// disk when rename returns.
func rename(from, to string) error {
	info, err := os.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: windows.ERROR_DIRECTORY}
	case info.Mode().Perm()&0o200 == 0:
		// Somebody made it read-only, which protects it from its owner too.
		if err := os.Chmod(to, 0o600); err != nil {
			return err
		}
	}
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	err = patiently(func() error {
		return windows.MoveFileEx(old, name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	})
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// admit lets everybody read a file whose mode says so: here a file takes who
// may read it from its folder.
func admit(path string, perm fs.FileMode) error {
	if perm&0o004 == 0 {
		return nil
	}
	users, err := windows.CreateWellKnownSid(windows.WinBuiltinUsersSid)
	if err != nil {
		return err
	}
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	dacl, err = windows.ACLFromEntries([]windows.EXPLICIT_ACCESS{{
		AccessPermissions: windows.GENERIC_READ, AccessMode: windows.GRANT_ACCESS, Inheritance: windows.NO_INHERITANCE,
		Trustee: windows.TRUSTEE{TrusteeForm: windows.TRUSTEE_IS_SID, TrusteeType: windows.TRUSTEE_IS_GROUP, TrusteeValue: windows.TrusteeValueFromSID(users)},
	}}, dacl)
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
}
