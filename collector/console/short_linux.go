package console

import (
	"fmt"
	"os"
)

// throughFolder returns an address of the socket by way of the open folder,
// which is short however long the folder's path is.
func throughFolder(data string) (address string, done func(), err error) {
	folder, err := os.Open(data)
	if err != nil {
		return "", nil, err
	}
	return SocketPath(fmt.Sprintf("/proc/self/fd/%d", folder.Fd())), func() { folder.Close() }, nil
}
