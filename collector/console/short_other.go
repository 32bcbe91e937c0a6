//go:build !linux

package console

import "errors"

// throughFolder is not to be had here: the address of a socket is a path.
func throughFolder(string) (address string, done func(), err error) {
	return "", nil, errors.ErrUnsupported
}
