package system

import (
	"testing"

	"golang.org/x/sys/windows"
)

// TestASessionWithoutCredentials makes the token that the machine's own
// account walks with: the same account, in a logon session of its own.
func TestASessionWithoutCredentials(t *testing.T) {
	if underWine() {
		t.Skip("Wine has no logon sessions")
	}
	token, err := withoutCredentials()
	must(t, err)
	defer token.Close()
	own := windows.GetCurrentProcessToken()
	user, err := own.GetTokenUser()
	must(t, err)
	got, err := token.GetTokenUser()
	must(t, err)
	if !got.User.Sid.Equals(user.User.Sid) {
		t.Errorf("it is of %v, not of %v", got.User.Sid, user.User.Sid)
	}
	if session(t, token) == session(t, own) {
		t.Error("it is in the logon session of its parent, with its credentials")
	}
}

// session returns the number of a token's logon session: in TOKEN_STATISTICS
// it follows the token's own number.
func session(t *testing.T, token windows.Token) uint64 {
	t.Helper()
	data, err := tokenInformation(token, windows.TokenStatistics)
	must(t, err)
	return data[1]
}
