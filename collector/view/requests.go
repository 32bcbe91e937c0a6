package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// famRequest is the family of the requests of people who ask what is kept about
// them: <identifier> → subject.Request.
const famRequest = "subject-request"

// requestRoom is more than the row of a request takes: each of its changes is
// bounded, and so is how many there are.
const requestRoom = 2 << 20

// TakeRequest adds a change to a request. What cannot be as things stand, such as
// when the beginning is forgotten, is an error of subject.
func (tx *Tx) TakeRequest(t subject.Taken) error {
	k := text(key(tx.school, famRequest), t.ID)
	var was subject.Request
	if _, err := tx.getJSON(k, &was); err != nil {
		return err
	}
	next, err := was.Take(t)
	if err != nil {
		return &RefusedChangeError{err}
	}
	if err := tx.room(requestRoom); err != nil {
		return err
	}
	return tx.putJSON(k, next)
}

// RefusedChangeError says why a change that is recorded changes nothing.
type RefusedChangeError struct{ Err error }

// Error implements error.
func (e *RefusedChangeError) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e *RefusedChangeError) Unwrap() error { return e.Err }

// mostRequests bounds how many requests are listed.
const mostRequests = 500

// Requests lists the requests of people at a school: those that are open first,
// by when they came.
func (q *Queries) Requests(ctx context.Context, school posture.SchoolID, now time.Time) ([]subject.Request, error) {
	list := []subject.Request{}
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(school, famRequest), nil, true, func(_ []byte, item *badger.Item) (bool, error) {
			var one subject.Request
			if err := item.Value(func(data []byte) error { return unmarshal(data, &one) }); err != nil {
				return false, fmt.Errorf("read a request of a person: %w", err)
			}
			list = append(list, one)
			return len(list) < mostRequests, nil
		})
	})
	slices.SortStableFunc(list, subject.ByUrgency)
	return list, err
}

// Request returns one request.
func (q *Queries) Request(ctx context.Context, school posture.SchoolID, id string, now time.Time) (one subject.Request, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		ok, err := r.getJSON(text(key(school, famRequest), id), &one)
		if err == nil && !ok {
			err = fmt.Errorf("request %.40q of school %s: %w", id, school, ErrNotFound)
		}
		return err
	})
	return one, err
}
