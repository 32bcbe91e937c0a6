package system

import (
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sessionRows answers Sessions: those in which somebody is signed in.
func sessionRows() ([]Values, error) {
	var list *windows.WTS_SESSION_INFO
	var count uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &list, &count); err != nil {
		return nil, err
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(list)))
	if count > someRows {
		return nil, ErrTooLarge
	}
	console := windows.WTSGetActiveConsoleSessionId()
	rows := []Values{}
	for _, s := range unsafe.Slice(list, count) {
		if s.SessionID == 0 || s.State == windows.WTSListen {
			continue // services, and waiting for somebody
		}
		sid, administrator, err := sessionUser(s.SessionID)
		if err == nil && sid == "" {
			continue // a screen on which nobody is signed in yet
		}
		rows = append(rows, Values{
			"SID":     valueOf(sid, err)(TextValue),
			"State":   NumberValue(int64(s.State)),
			"Console": FlagValue(s.SessionID == console),

			"Administrator": administrator,
		})
	}
	return rows, nil
}

// sessionUser returns whose session it is, "" if it is nobody's, and whether
// that is an administrator, which only a token tells.
func sessionUser(session uint32) (string, Value, error) {
	var token windows.Token
	err := windows.WTSQueryUserToken(session, &token)
	if errors.Is(err, windows.ERROR_NO_TOKEN) {
		return "", Value{}, nil
	}
	if err != nil {
		// Only the system itself is given such tokens.
		sid, err := loggedOn(session, err)
		return sid, Value{}, err
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return "", Value{}, err
	}
	administrator, err := isAdministratorToken(token)
	return user.User.Sid.String(), valueOf(administrator, err)(FlagValue), nil
}

// isAdministratorToken reports whether the administrators are among a token's
// groups, in force or not: those of who has not been asked for consent are
// there to be denied.
func isAdministratorToken(token windows.Token) (bool, error) {
	administrators, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		return false, err
	}
	groups, err := token.GetTokenGroups()
	if err != nil {
		return false, err
	}
	for _, g := range groups.AllGroups() {
		if g.Sid.Equals(administrators) {
			return true, nil
		}
	}
	return false, nil
}

// logon is a SECURITY_LOGON_SESSION_DATA, as far as it is read.
type logon struct {
	size                        uint32
	id                          windows.LUID
	user, domain, authenticated windows.NTUnicodeString
	kind, session               uint32
	sid                         *windows.SID
	began                       int64
}

// loggedOn looks for a session's user among the logons, if this process may
// see them all: it is the first who came. A program can be run in the session
// as somebody else, but only later. If there is none, it stays with why the
// token was refused: that is not to say that there is nobody.
func loggedOn(session uint32, refused error) (string, error) {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return "", refused
	}
	enumerate, err := procedure("secur32.dll", "LsaEnumerateLogonSessions")
	if err != nil {
		return "", errors.Join(refused, err)
	}
	get, err := procedure("secur32.dll", "LsaGetLogonSessionData")
	if err != nil {
		return "", errors.Join(refused, err)
	}
	free, err := procedure("secur32.dll", "LsaFreeReturnBuffer")
	if err != nil {
		return "", errors.Join(refused, err)
	}
	var count uint32
	var list *windows.LUID
	if status, _, _ := enumerate.Call(uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&list))); status != 0 || list == nil {
		return "", refused
	}
	defer func() { _, _, _ = free.Call(uintptr(unsafe.Pointer(list))) }()
	user, began := "", int64(0)
	for _, id := range unsafe.Slice(list, min(count, someRows)) {
		var data *logon
		if status, _, _ := get.Call(uintptr(unsafe.Pointer(&id)), uintptr(unsafe.Pointer(&data))); status != 0 || data == nil {
			continue // it ended since it was listed
		}
		if data.session == session && isInteractive(data.kind) && data.sid != nil && data.sid.IsValid() {
			if sid := data.sid.String(); isPersonSID(sid) && (user == "" || data.began < began) {
				user, began = sid, data.began
			}
		}
		_, _, _ = free.Call(uintptr(unsafe.Pointer(data)))
	}
	if user == "" {
		return "", refused
	}
	return user, nil
}

// isInteractive tells the kinds of logon that a person at a screen has.
func isInteractive(kind uint32) bool {
	switch kind {
	case 2, 10, 11, 12: // interactive, remote, and either from what is remembered
		return true
	}
	return false
}

// isPersonSID reports whether an identifier of Windows' may be a person's: of
// an account of a machine or a domain, or of one in Microsoft's cloud.
func isPersonSID(sid string) bool {
	sid = strings.ToUpper(sid)
	return strings.HasPrefix(sid, "S-1-5-21-") || strings.HasPrefix(sid, "S-1-12-1-")
}
