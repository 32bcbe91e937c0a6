package system

import (
	"context"
	"errors"
)

// Walk implements Reader. It is not built here yet.
func (windowsReader) Walk(context.Context, WalkLimits, func(WalkedFile) error) (WalkSummary, error) {
	return WalkSummary{}, errors.ErrUnsupported
}
