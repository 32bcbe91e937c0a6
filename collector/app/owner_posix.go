//go:build unix

package app

import (
	"io/fs"
	"os"
	"syscall"
)

// foreign reports whether a folder is another account's, to which this program, as
// root, can give what it made there.
func foreign(folder fs.FileInfo) bool {
	st, ok := folder.Sys().(*syscall.Stat_t)
	return ok && os.Geteuid() == 0 && st.Uid != 0
}

// giveTo gives a file to the account that owns another. Only root can, and only
// root has to.
func giveTo(path string, owner fs.FileInfo) error {
	st, ok := owner.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}
