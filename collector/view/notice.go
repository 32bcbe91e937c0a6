package view

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// famNotice is the family of the notices for guests: <version> in lower case →
// register.GuestNotice.
const famNotice = "guest-notice"

// GuestNotice returns the notice of a version; without one it has none.
func (tx *Tx) GuestNotice(version string) (n register.GuestNotice, err error) {
	_, err = tx.getJSON(text(key(tx.school, famNotice), register.Key(version)), &n)
	return n, err
}

// PutGuestNotice records a notice.
func (tx *Tx) PutGuestNotice(n register.GuestNotice) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(text(key(tx.school, famNotice), register.Key(n.Version)), n)
}

// GuestNotices are what guests were told, newest first: the first is in use.
type GuestNotices struct {
	Notices []register.GuestNotice `json:"notices"`
}

// GuestNotices returns what guests of a school are told, and were.
func (q *Queries) GuestNotices(ctx context.Context, school posture.SchoolID, now time.Time) (GuestNotices, error) {
	list := GuestNotices{Notices: []register.GuestNotice{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(school, famNotice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var n register.GuestNotice
			if err := item.Value(func(data []byte) error { return unmarshal(data, &n) }); err != nil {
				return false, fmt.Errorf("read the notice %q: %w", k, err)
			}
			list.Notices = append(list.Notices, n)
			return true, nil
		})
	})
	register.Newest(list.Notices)
	return list, err
}
