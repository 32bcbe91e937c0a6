//go:build unix

package app

import (
	"io/fs"
	"os"
	"syscall"
)

// giveTo gives a file to the account that owns another. Only root can, and only
// root has to.
func giveTo(path string, owner fs.FileInfo) error {
	st, ok := owner.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}
