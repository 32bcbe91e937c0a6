package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
)

const (
	sessionsFile = "sessions.json"
	maxSessions  = 1024
	// One account has no more than these, signed in and halfway, so that neither
	// it nor whoever knows its password pushes others out.
	maxOwn  = 20
	maxHalf = 4
	// A session's last use is written this often at most, so that reading
	// pages does not wear the disk. After a crash a session may seem idle for
	// that much longer than it was.
	touchEvery = 5 * time.Minute
)

type sessions struct {
	manager *scs.SessionManager
	store   *sessionStore
}

func newSessions(store *sessionStore, o Options) *sessions {
	m := scs.New()
	m.Store = store
	m.HashTokenInStore = true
	// The store measures both limits by our own clock; scs, which asks the
	// machine's, only bounds the cookie.
	m.Lifetime = 2 * AbsoluteLimit
	m.Cookie.Name = "caretaker"
	m.Cookie.HttpOnly = true
	m.Cookie.Path = "/"
	m.Cookie.Persist = false // a shared computer forgets it with its window
	m.Cookie.SameSite = http.SameSiteLaxMode
	if o.Secure {
		m.Cookie.Name = "__Host-caretaker"
		m.Cookie.Secure = true
	}
	return &sessions{manager: m, store: store}
}

// Sessions wraps a handler so that Current, Begin and End work inside it.
// failed answers when a session cannot be read or stored.
func (a *Access) Sessions(next http.Handler, failed func(http.ResponseWriter, *http.Request, error)) http.Handler {
	a.sessions.manager.ErrorFunc = failed
	return a.sessions.manager.LoadAndSave(next)
}

// sessionRow is a session as it is stored, by the hash of its token.
type sessionRow struct {
	Data    []byte    `json:"data"`
	BegunAt time.Time `json:"begunAt"`
	SeenAt  time.Time `json:"seenAt"`
}

type sessionsJSON struct {
	Sessions map[string]sessionRow `json:"sessions"`
	Latest   time.Time             `json:"latest,omitzero"` // that it has ever been, as far as is known
}

// sessionStore keeps sessions in one file, whole: there are few and they are
// small. It implements scs.Store.
type sessionStore struct {
	path  string
	clock clock.Clock

	mu     sync.Mutex // guards all below and the file
	rows   map[string]sessionRow
	kept   map[string]time.Time // SeenAt as the file has it
	latest time.Time            // that it has ever been, as far as is known
	ended  map[string]time.Time // tokens that were ended from elsewhere, and when
}

// openSessions opens the sessions. If they cannot be understood there are none, and
// all have to sign in again.
func openSessions(dir string, c clock.Clock, log *slog.Logger) (*sessionStore, error) {
	s := &sessionStore{path: filepath.Join(dir, sessionsFile), clock: c, rows: map[string]sessionRow{}, kept: map[string]time.Time{}, ended: map[string]time.Time{}}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	j, err := parseSessions(data)
	if err != nil {
		log.Warn("the sessions cannot be read: all have to sign in again", "reason", err)
	}
	s.latest = j.Latest
	for token, row := range j.Sessions {
		s.rows[token], s.kept[token] = row, row.SeenAt
		s.latest = later(s.latest, row.SeenAt)
	}
	s.prune(s.now())
	return s, nil
}

func parseSessions(data []byte) (sessionsJSON, error) {
	var j sessionsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return sessionsJSON{}, fmt.Errorf("read the sessions: %w", err)
	}
	if len(j.Sessions) > maxSessions {
		return sessionsJSON{}, fmt.Errorf("read the sessions: %d of them, more than %d", len(j.Sessions), maxSessions)
	}
	return j, nil
}

// clockTolerance is how far the clock may be set back before nobody knows any
// more which sessions are over.
const clockTolerance = 5 * time.Minute

// now returns the time. When the clock was set back every session ends: one
// that was over must not begin to count again. It is called with mu held, or
// before anybody else has the store.
func (s *sessionStore) now() time.Time {
	now := s.clock.Now()
	if now.Before(s.latest.Add(-clockTolerance)) {
		clear(s.rows)
		s.latest = now
	}
	s.latest = later(s.latest, now)
	return now
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Find implements scs.Store. Finding a session is using it.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	row, ok := s.rows[token]
	if !ok || row.over(now) {
		return nil, false, nil
	}
	row.SeenAt = now
	s.rows[token] = row
	if now.Sub(s.kept[token]) >= touchEvery {
		if err := s.write(); err != nil {
			return nil, false, err
		}
	}
	return row.Data, true, nil
}

// Commit implements scs.Store.
func (s *sessionStore) Commit(token string, data []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.prune(now)
	if _, over := s.ended[token]; over {
		return nil // a page that was being made then must not bring it back
	}
	row, ok := s.rows[token]
	if !ok {
		row.BegunAt = now
	}
	row.Data, row.SeenAt = data, now
	for !ok && len(s.rows) >= maxSessions {
		s.dropOldest()
	}
	s.rows[token] = row
	return s.write()
}

// Delete implements scs.Store.
func (s *sessionStore) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rows[token]; !ok {
		return nil
	}
	delete(s.rows, token)
	return s.write()
}

func (r sessionRow) over(now time.Time) bool {
	return now.Sub(r.SeenAt) >= IdleLimit || now.Sub(r.BegunAt) >= AbsoluteLimit
}

func (s *sessionStore) prune(now time.Time) {
	for token, row := range s.rows {
		if row.over(now) {
			delete(s.rows, token)
		}
	}
	for token, at := range s.ended {
		if now.Sub(at) >= AbsoluteLimit {
			delete(s.ended, token)
		}
	}
}

// all returns every session that is not over.
func (s *sessionStore) all() []sessionRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var rows []sessionRow
	for _, row := range s.rows {
		if !row.over(now) {
			rows = append(rows, row)
		}
	}
	return rows
}

// end ends the sessions that is is true of, and says how many.
func (s *sessionStore) end(is func(data []byte) bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, n := s.now(), 0
	for token, row := range s.rows {
		if is(row.Data) {
			delete(s.rows, token)
			s.ended[token] = now
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, s.write()
}

// makeRoom drops those of the sessions that is is true of that were not used for
// the longest time, until one more makes as many as there may be. What is
// committed next has it written.
func (s *sessionStore) makeRoom(most int, is func(data []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []string
	for token, row := range s.rows {
		if is(row.Data) {
			own = append(own, token)
		}
	}
	slices.SortFunc(own, func(x, y string) int { return s.rows[x].SeenAt.Compare(s.rows[y].SeenAt) })
	for _, token := range own[:max(0, len(own)+1-most)] {
		delete(s.rows, token)
	}
}

func (s *sessionStore) dropOldest() {
	var oldest string
	for token, row := range s.rows {
		if oldest == "" || row.SeenAt.Before(s.rows[oldest].SeenAt) {
			oldest = token
		}
	}
	delete(s.rows, oldest)
}

func (s *sessionStore) write() error {
	data, err := json.Marshal(sessionsJSON{Sessions: s.rows, Latest: s.latest})
	if err != nil {
		return fmt.Errorf("encode the sessions: %w", err)
	}
	if err := durable.WriteFile(s.path, data, 0o600); err != nil {
		return fmt.Errorf("store the sessions: %w", err)
	}
	clear(s.kept)
	for token, row := range s.rows {
		s.kept[token] = row.SeenAt
	}
	return nil
}

var _ scs.Store = (*sessionStore)(nil)
