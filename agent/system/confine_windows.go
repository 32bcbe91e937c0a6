package system

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Of what x/sys does not name.
var (
	advapi32                  = windows.NewLazySystemDLL("advapi32.dll")
	procCreateRestrictedToken = advapi32.NewProc("CreateRestrictedToken")
	procLogonUser             = advapi32.NewProc("LogonUserW")
	kernel32                  = windows.NewLazySystemDLL("kernel32.dll")
	procGetProcessMemoryInfo  = kernel32.NewProc("K32GetProcessMemoryInfo")
	procIsProcessInJob        = kernel32.NewProc("IsProcessInJob")
)

const (
	writeRestricted = 0x8 // a flag of CreateRestrictedToken

	logonNewCredentials   = 9
	logonProviderWinNT50  = 3
	writeRestrictedGroup  = "S-1-5-33"
	changeNotifyPrivilege = "SeChangeNotifyPrivilege"
)

// confinement is the token of a child.
type confinement struct {
	token windows.Token
	// missing says in words what the system did not take from it; "" if it
	// took all that it should.
	missing string
}

// confine makes the token of a child.
//
// A FolderChild reads what this process's account reads and can do nothing
// else with it:
//   - It has no privilege but to pass through folders, which everybody has. It
//     needs none: LocalSystem stands in the access list of every profile that
//     Windows made. Not SeBackupPrivilege: a folder from which somebody took
//     LocalSystem away is not read, and counts as denied.
//   - It is restricted for writing as Windows restricts services of its own
//     (SERVICE_SID_TYPE_RESTRICTED): it may change only what everybody may.
//   - If the account is the machine's own, it is in a logon session of its
//     own, whose network credentials belong to nobody: whatever path it were
//     made to open, the machine's credentials are not there to be sent.
//
// What this cannot do: keep it from connecting at all, or from being taken
// for LocalSystem by a program on this machine that only asks who it is. If
// the account is a person's own, as in `check`, its network credentials stay
// the person's: to replace them takes a right that people do not have.
//
// A SystemChild has no other privilege either. It is not restricted for
// writing: the providers behind WMI act in its name, and open for writing
// what they only read.
//
// If the account is the machine's own, what cannot be taken away is
// ErrNotConfined. A person's program may go on with what the person may do.
func (r Role) confine() (confinement, error) {
	var own windows.Token
	const access = windows.TOKEN_QUERY | windows.TOKEN_DUPLICATE | windows.TOKEN_ASSIGN_PRIMARY
	if err := windows.OpenProcessToken(windows.CurrentProcess(), access, &own); err != nil {
		return confinement{}, fmt.Errorf("open its own token: %w", err)
	}
	defer own.Close()
	machine, err := ofMachine(own)
	if err != nil {
		return confinement{}, err
	}
	var c confinement
	var missing []string
	switch r {
	case FolderChild:
		c.token, missing, err = folderToken(own, machine)
	case SystemChild:
		c.token, missing, err = systemToken(own)
	default:
		return confinement{}, fmt.Errorf("%d is not a role", r)
	}
	if err != nil {
		return confinement{}, fmt.Errorf("%w: %w", ErrNotConfined, err)
	}
	if c.missing = strings.Join(missing, ", "); c.missing != "" && machine {
		return confinement{}, errors.Join(fmt.Errorf("%w: %s", ErrNotConfined, c.missing), c.token.Close())
	}
	return c, nil
}

// ofMachine reports whether a token is of an account that speaks for this
// machine on the network, or that is one of its services.
func ofMachine(token windows.Token) (bool, error) {
	user, err := token.GetTokenUser()
	if err != nil {
		return false, fmt.Errorf("read whose account this is: %w", err)
	}
	sid := user.User.Sid
	return sid.IsWellKnown(windows.WinLocalSystemSid) || sid.IsWellKnown(windows.WinNetworkServiceSid) ||
		sid.IsWellKnown(windows.WinLocalServiceSid), nil
}

// folderToken makes the token of a FolderChild, and looks at what came of it.
func folderToken(own windows.Token, machine bool) (_ windows.Token, missing []string, err error) {
	base := own
	if machine {
		if base, err = withoutCredentials(); err != nil {
			return 0, nil, fmt.Errorf("make a logon session without credentials: %w", err)
		}
		defer base.Close()
	}
	restrict, err := writers(base)
	if err != nil {
		return 0, nil, err
	}
	remove, err := privileges(base)
	if err != nil {
		return 0, nil, err
	}
	token, err := restrictToken(base, writeRestricted, remove, restrict)
	if err != nil {
		return 0, nil, err
	}
	if left, err := privileges(token); err != nil || len(left) > 0 {
		missing = append(missing, reason("it keeps privileges of its account", err))
	}
	if restricted, err := isRestricted(token); err != nil || !restricted {
		missing = append(missing, reason("it may write what its account may", err))
	}
	return token, missing, nil
}

// systemToken makes the token of a SystemChild, and looks at what came of it.
func systemToken(own windows.Token) (_ windows.Token, missing []string, err error) {
	remove, err := privileges(own)
	if err != nil {
		return 0, nil, err
	}
	token, err := restrictToken(own, 0, remove, nil)
	if err != nil {
		return 0, nil, err
	}
	if left, err := privileges(token); err != nil || len(left) > 0 {
		missing = append(missing, reason("it keeps privileges of its account", err))
	}
	return token, missing, nil
}

// reason says why something must be taken to be so: what cannot be seen to
// have worked has not worked.
func reason(what string, err error) string {
	if err != nil {
		return what + ", as far as can be seen: " + err.Error()
	}
	return what
}

// withoutCredentials returns a token like that of this process in a new logon
// session, whose network credentials are those of a user who exists nowhere,
// with a password that nobody knows.
func withoutCredentials() (windows.Token, error) {
	user, err := windows.UTF16PtrFromString("nobody")
	if err != nil {
		return 0, err
	}
	domain, err := windows.UTF16PtrFromString("caretaker.invalid")
	if err != nil {
		return 0, err
	}
	password, err := windows.UTF16PtrFromString(rand.Text())
	if err != nil {
		return 0, err
	}
	var token windows.Token
	ok, _, err := procLogonUser.Call(uintptr(unsafe.Pointer(user)), uintptr(unsafe.Pointer(domain)), uintptr(unsafe.Pointer(password)),
		logonNewCredentials, logonProviderWinNT50, uintptr(unsafe.Pointer(&token)))
	if ok == 0 {
		return 0, err
	}
	return token, nil
}

// writers are those in whose name something must be open for writing before a
// restricted process may write it: the same as for Windows' own restricted
// services, without a service's own name.
func writers(token windows.Token) ([]windows.SIDAndAttributes, error) {
	everyone, err := windows.CreateWellKnownSid(windows.WinWorldSid)
	if err != nil {
		return nil, fmt.Errorf("name everyone: %w", err)
	}
	restricted, err := windows.StringToSid(writeRestrictedGroup)
	if err != nil {
		return nil, fmt.Errorf("name those who are restricted for writing: %w", err)
	}
	all := []windows.SIDAndAttributes{{Sid: everyone}, {Sid: restricted}}
	groups, err := token.GetTokenGroups()
	if err != nil {
		return nil, fmt.Errorf("read its groups: %w", err)
	}
	for _, g := range groups.AllGroups() {
		if g.Attributes&windows.SE_GROUP_LOGON_ID == windows.SE_GROUP_LOGON_ID {
			logon, err := g.Sid.Copy()
			if err != nil {
				return nil, fmt.Errorf("name its logon session: %w", err)
			}
			all = append(all, windows.SIDAndAttributes{Sid: logon})
		}
	}
	return all, nil
}

// restrictToken makes a token from another, with less.
func restrictToken(from windows.Token, flags uintptr, remove []windows.LUIDAndAttributes, restrict []windows.SIDAndAttributes) (windows.Token, error) {
	var token windows.Token
	ok, _, err := procCreateRestrictedToken.Call(uintptr(from), flags, 0, 0,
		uintptr(len(remove)), uintptr(unsafe.Pointer(unsafe.SliceData(remove))),
		uintptr(len(restrict)), uintptr(unsafe.Pointer(unsafe.SliceData(restrict))), uintptr(unsafe.Pointer(&token)))
	if ok == 0 {
		return 0, fmt.Errorf("restrict its token: %w", err)
	}
	return token, nil
}

// privileges returns the privileges of a token beside the one to pass through
// folders.
func privileges(token windows.Token) ([]windows.LUIDAndAttributes, error) {
	text, err := windows.UTF16PtrFromString(changeNotifyPrivilege)
	if err != nil {
		return nil, err
	}
	var kept windows.LUID
	if err := windows.LookupPrivilegeValue(nil, text, &kept); err != nil {
		return nil, fmt.Errorf("look up %s: %w", changeNotifyPrivilege, err)
	}
	data, err := tokenInformation(token, windows.TokenPrivileges)
	if err != nil {
		return nil, fmt.Errorf("read its privileges: %w", err)
	}
	all := (*windows.Tokenprivileges)(unsafe.Pointer(unsafe.SliceData(data))).AllPrivileges()
	return slices.DeleteFunc(slices.Clone(all), func(p windows.LUIDAndAttributes) bool { return p.Luid == kept }), nil
}

// isRestricted reports whether a token has a list of those in whose name it
// is restricted.
func isRestricted(token windows.Token) (bool, error) {
	data, err := tokenInformation(token, windows.TokenRestrictedSids)
	if err != nil {
		return false, fmt.Errorf("read how it is restricted: %w", err)
	}
	return (*windows.Tokengroups)(unsafe.Pointer(unsafe.SliceData(data))).GroupCount > 0, nil
}

// tokenInformation reads one class of what a token holds, in eight-byte units
// so that it is aligned.
func tokenInformation(token windows.Token, class uint32) ([]uint64, error) {
	data := make([]uint64, 64)
	for {
		size := uint32(len(data) * 8)
		err := windows.GetTokenInformation(token, class, (*byte)(unsafe.Pointer(unsafe.SliceData(data))), size, &size)
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) {
			return data, err
		}
		data = make([]uint64, size/8+1)
	}
}
