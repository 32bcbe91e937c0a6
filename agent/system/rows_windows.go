package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Rows implements Reader.
func (windowsReader) Rows(ctx context.Context, of Rowset) ([]Values, error) {
	spec, err := of.spec(posture.Windows)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer cancel()
	var rows []Values
	if spec.Apart {
		rows, err = rowsApart(ctx, spec)
	} else {
		rows, err = within(ctx, func() ([]Values, error) { return rowsHere(ctx, of) })
	}
	if err == nil && len(rows) > spec.Most {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", of, coded(err))
	}
	return rows, nil
}

// rowsHere answers what needs no process of its own.
func rowsHere(ctx context.Context, of Rowset) ([]Values, error) {
	return nil, errors.ErrUnsupported
}
