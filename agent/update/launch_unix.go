//go:build unix

package update

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Launch becomes the program that is to run in place of the installed one, if
// there is one: then it does not return. What fails leaves the installed one
// running, which is why it is told and not returned.
func (f Folder) Launch(i Installed, now time.Time, log *slog.Logger) {
	launched, err := f.launched()
	if launched {
		return
	}
	path := ""
	if err == nil {
		path, err = f.Choose(i, now, log)
	}
	if path != "" {
		err = become(path, os.Args)
	}
	if err != nil {
		log.Error("a newer version is not started; the installed one is", "reason", err)
	}
}

// launched reports whether this process runs a program of the folder.
func (f Folder) launched() (bool, error) {
	self, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	folder, err := filepath.EvalSymlinks(string(f))
	if err != nil {
		folder = string(f) // there is none yet
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	return strings.HasPrefix(self, folder+string(filepath.Separator)), nil
}

// become replaces this process by a program, under the same arguments: for the
// service manager it is the same one.
func become(path string, args []string) error {
	if err := syscall.Exec(path, append([]string{path}, args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
