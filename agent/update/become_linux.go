package update

import (
	"fmt"
	"os"
	"syscall"
)

// able says that releases are taken on this system.
const able = true

// become replaces this process by a program, under the same arguments: for the
// service manager it is the same one.
func become(path string, args []string) error {
	if err := syscall.Exec(path, append([]string{path}, args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
