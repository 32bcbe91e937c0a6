//go:build !windows

package route

import "syscall"

// What the system says of a connection that does not come about.
const (
	errRefused   = syscall.ECONNREFUSED
	errTimedOut  = syscall.ETIMEDOUT
	errNoNetwork = syscall.ENETUNREACH
	errNoHost    = syscall.EHOSTUNREACH
)
