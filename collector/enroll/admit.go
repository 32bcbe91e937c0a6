package enroll

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// entering is a device that is being recorded. Until that is done it counts
// as a use of its token, and its key waits for it.
type entering struct {
	token string
	done  chan struct{}
}

// admit returns the device that holds the key, recording it if it is new. Many
// are recorded at once and share the ledger's syncs; how often a token was used
// is counted exactly all the same.
func (s *Service) admit(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, says told, now time.Time) (roster.Device, error) {
	if err := checkOwnership(token.Ownership); err != nil {
		return roster.Device{}, status.Error(codes.PermissionDenied, err.Error())
	}
	point, err := key.Bytes()
	if err != nil {
		return roster.Device{}, fmt.Errorf("read the device's key: %w", err)
	}
	for {
		if err := d.Roster.CatchUp(ctx); err != nil {
			return roster.Device{}, err
		}
		mine, wait, err := d.reserve(string(point), key, token, now)
		switch {
		case err != nil:
			return roster.Device{}, err
		case mine != nil:
			defer d.release(string(point), mine)
			return s.enter(ctx, d, token, key, says, now)
		case wait == nil:
			known, _ := d.Roster.Holder(key)
			return known, nil // asked again after a lost answer
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return roster.Device{}, ctx.Err()
		}
	}
}

// reserve takes one use of a token for a key. If that depends on how an
// admission ends that is under way, it returns what to wait for. It returns
// neither for a key that is known: which is looked up here, because whoever was
// under way with the same key is in the roster before it no longer is.
func (d *desk) reserve(name string, key *ecdsa.PublicKey, token roster.Token, now time.Time) (mine *entering, wait <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.Roster.Holder(key)
	same, under := d.admitting[name]
	switch {
	case ok && known.Revoked:
		return nil, nil, errRevoked
	case ok && known.Lost:
		return nil, nil, errPaused // it is given nothing
	case ok:
		return nil, nil, nil
	case !now.Before(token.Ends), d.Roster.TokenOver(token.ID):
		return nil, nil, errEnded
	case under:
		return nil, same.done, nil
	}
	return d.take(name, token)
}

// take is called with mu held.
func (d *desk) take(name string, token roster.Token) (mine *entering, wait <-chan struct{}, err error) {
	under := 0
	for _, other := range d.admitting {
		if other.token == token.ID {
			under, wait = under+1, other.done
		}
	}
	// Those under way may be in the roster by now, and count twice until they
	// are done: then it is looked at again.
	_, used, _ := d.Roster.Token(token.ID)
	switch {
	case used >= token.Uses:
		return nil, nil, errUsed
	case used+under >= token.Uses:
		return nil, wait, nil
	}
	mine = &entering{token: token.ID, done: make(chan struct{})}
	d.admitting[name] = mine
	return mine, nil, nil
}

// release says that an admission is done: the roster knows of it, or nobody
// does.
func (d *desk) release(name string, mine *entering) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.admitting, name)
	close(mine.done)
}

// newDevice makes the identifier of a device.
func newDevice() posture.DeviceID { return posture.DeviceID("d" + random(16)) }

// enter records a device and waits until the roster has it.
func (s *Service) enter(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, says told, now time.Time) (roster.Device, error) {
	id := newDevice()
	if err := s.record(ctx, d, id, token, key, says, now); err != nil {
		return roster.Device{}, err
	}
	if err := d.Roster.CatchUp(context.WithoutCancel(ctx)); err != nil {
		return roster.Device{}, err
	}
	device, ok := d.Roster.Device(id)
	if !ok {
		return roster.Device{}, fmt.Errorf("device %s was recorded and is not in the roster", id)
	}
	s.log.Info("device enrolled", "school", d.School.ID, "device", id, "token", token.ID)
	return device, nil
}
