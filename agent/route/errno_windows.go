package route

import "golang.org/x/sys/windows"

// What the system says of a connection that does not come about.
const (
	errRefused   = windows.WSAECONNREFUSED
	errTimedOut  = windows.WSAETIMEDOUT
	errNoNetwork = windows.WSAENETUNREACH
	errNoHost    = windows.WSAEHOSTUNREACH
)
