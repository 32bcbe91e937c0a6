package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Those whom Windows itself trusts with its own folders: LocalSystem, the
// administrators and the installer of Windows; and the two stand-ins for
// whoever owns a thing.
var trustedSIDs = []string{
	"S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", "S-1-3-0", "S-1-3-4",
}

// changes are all rights with which a file, a folder, or who may do what with
// it can be changed: FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_WRITE_EA,
// FILE_DELETE_CHILD, FILE_WRITE_ATTRIBUTES and the general ones.
const changes = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 |
	windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL

// MakePrivate makes the folder at path, with those above it, for LocalSystem
// and the administrators alone; for this account too if it is neither. Nothing
// is inherited from the folder above. One that is there already must be as
// CheckWriters demands, or be empty and belong to them: then it is made so.
func MakePrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	sd, err := private()
	if err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: sd}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	err = windows.CreateDirectory(name, &attributes)
	if errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		err = shut(path, sd)
	}
	if err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	return CheckWriters(path)
}

// private describes who may use a private folder and all below it.
func private() (*windows.SECURITY_DESCRIPTOR, error) {
	// SY is LocalSystem, BA the administrators; OICI passes it on, P takes
	// nothing from above.
	const ours = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	token := windows.GetCurrentProcessToken()
	if token.IsElevated() {
		return windows.SecurityDescriptorFromString("O:BA" + ours)
	}
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return windows.SecurityDescriptorFromString(ours + "(A;OICI;FA;;;" + user.User.Sid.String() + ")")
}

// shut closes a folder that is there to others, if nobody else can have put
// anything into it.
func shut(path string, sd *windows.SECURITY_DESCRIPTOR) error {
	if err := CheckWriters(path); !errors.Is(err, ErrShared) {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) > 0 {
		return err // CheckWriters says it again
	}
	if owned, err := ours(path); err != nil || !owned {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
}

// ours reports whether what lies at path belongs to one who is trusted.
func ours(path string) (bool, error) {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return false, err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return false, err
	}
	return trusted(owner)
}

// CheckWriters fails with ErrShared unless the file or folder at path belongs
// to LocalSystem, the administrators, Windows itself or this account, and no
// other may change it, or what will be made in it. It does not look at the
// folders above.
func CheckWriters(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("see who may change %s: %w", path, err)
	}
	if info.Mode()&(os.ModeSymlink|os.ModeIrregular) != 0 {
		return fmt.Errorf("%s leads elsewhere: %w", path, ErrShared)
	}
	owned, err := ours(path)
	if err != nil {
		return fmt.Errorf("see who may change %s: %w", path, err)
	}
	if !owned {
		return fmt.Errorf("%s belongs to another account: %w", path, ErrShared)
	}
	shared, err := othersMay(path)
	if err != nil {
		return fmt.Errorf("see who may change %s: %w", path, err)
	}
	if shared {
		return fmt.Errorf("%s is open to other accounts: %w", path, ErrShared)
	}
	return nil
}

// othersMay reports whether others than those trusted are given a right to
// change what lies at path. What cannot be understood gives it.
func othersMay(path string) (bool, error) {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return false, err
	}
	dacl, _, err := sd.DACL()
	if errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) || err == nil && dacl == nil {
		return true, nil // without a list everybody may do everything
	}
	if err != nil {
		return false, err
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return false, err
		}
		switch ace.Header.AceType {
		case windows.ACCESS_DENIED_ACE_TYPE:
		case windows.ACCESS_ALLOWED_ACE_TYPE:
			known, err := trusted((*windows.SID)(unsafe.Pointer(&ace.SidStart)))
			if err != nil || !known && ace.Mask&changes != 0 {
				return true, err
			}
		default:
			return true, nil
		}
	}
	return false, nil
}

func trusted(sid *windows.SID) (bool, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return false, err
	}
	return sid.Equals(user.User.Sid) || slices.Contains(trustedSIDs, sid.String()), nil
}
