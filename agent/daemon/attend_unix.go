//go:build unix

package daemon

import "syscall"

// unseen needs nothing here: a program has no window by itself.
func unseen() *syscall.SysProcAttr { return nil }
