package system

import (
	"context"
	"errors"

	"golang.org/x/sys/windows"
)

func signatureOf(context.Context, windows.Handle) (Signature, error) {
	return Signature{}, errors.ErrUnsupported
}
