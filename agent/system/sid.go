package system

import "strings"

// isPersonSID reports whether an identifier of Windows' may be a person's: of
// an account of a machine or a domain, or of one in Microsoft's cloud.
func isPersonSID(sid string) bool {
	sid = strings.ToUpper(sid)
	return strings.HasPrefix(sid, "S-1-5-21-") || strings.HasPrefix(sid, "S-1-12-1-")
}
