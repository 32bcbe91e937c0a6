package web

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// A page that is open is told when what it shows has changed, and fetches
// itself again. It is told nothing else: what it may show is decided when it is
// fetched.
const (
	lookEvery  = 5 * time.Second  // how often is looked, while a page is open
	sayEvery   = 30 * time.Second // how often is said that nothing changed, so that a line that died is seen
	streamEnds = 15 * time.Minute // after which the page asks anew, and is asked again who it is
	mostOpen   = 1000             // streams at once
)

// changes tells a page when the school, or the device that it names, looks
// otherwise than before.
func (s *site) changes(w http.ResponseWriter, r *http.Request, v visit) error {
	device := posture.DeviceID(r.URL.Query().Get("device"))
	return s.stream(w, r, v, lookEvery, func(ctx context.Context, v visit) ([sha256.Size]byte, error) { return s.looks(ctx, v, device) })
}

// stream looks ever so often how something looks, and tells a page when that is
// otherwise than before.
func (s *site) stream(w http.ResponseWriter, r *http.Request, v visit, every time.Duration, looks func(context.Context, visit) ([sha256.Size]byte, error)) error {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return errCrowded
	}
	was, err := looks(r.Context(), v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	line := http.NewResponseController(w)
	said := s.Clock.Now()
	tell := func(words string) error {
		said = s.Clock.Now()
		// By the machine's clock: it bounds how long a line may be dead unseen.
		if err := line.SetWriteDeadline(clock.System{}.Now().Add(3 * sayEvery)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if _, err := io.WriteString(w, words); err != nil {
			return err
		}
		return line.Flush()
	}
	err = tell("retry: 5000\n\n")
	stopped := stopping(r.Context())
	for end := v.now.Add(streamEnds); err == nil && s.Clock.Now().Before(end); {
		tick, cancel := s.Clock.After(every)
		select {
		case <-tick:
		case <-r.Context().Done():
			cancel()
			return nil
		case <-stopped:
			cancel()
			return nil
		}
		v.now = s.Clock.Now()
		is, failed := looks(r.Context(), v)
		switch {
		case failed != nil:
			s.Logger.Warn("an open page is not kept up to date", "path", r.URL.Path, "error", failed)
			return nil
		case is != was:
			was, err = is, tell("event: changed\ndata:\n\n")
		case v.now.Sub(said) >= sayEvery:
			err = tell(": nothing changed\n\n")
		}
	}
	return nil // whoever listened has gone, or asks again
}

// looks sums up what pages show of the school or of one device, without what
// changes with every sign of life.
func (s *site) looks(ctx context.Context, v visit, device posture.DeviceID) ([sha256.Size]byte, error) {
	var shown any
	if device == "" {
		o, err := s.Queries.Overview(ctx, v.school.ID, v.now)
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return [sha256.Size]byte{}, err
		}
		o.At = time.Time{}
		shown = o
	} else {
		d, err := s.Queries.Device(ctx, v.school.ID, device, v.now)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		d.LastContact, d.Skew = time.Time{}, posture.Reading[time.Duration]{}
		shown = d
	}
	body, err := json.Marshal(struct {
		Shown  any
		Record Record
	}{shown, s.Records.Record(v.school.ID)})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("sum up what a page shows: %w", err)
	}
	return sha256.Sum256(body), nil
}
