package notify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// FuzzSettings: any file is refused or is settings that are written back alike.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"pages":"https://caretaker.hollybank.example","digest":"06:15","mail":{"address":"h:25","protection":"tls","from":"a@b.example"},"channels":[{"id":"1","kind":"mail","school":"*","role":"technician","address":"a@b.example","added":"2026-11-02T06:00:00Z"}]}`))
	f.Add([]byte(`{"channels":[{"kind":"syslog","school":"s","role":"dpo","address":"tls://[::1]:99999"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, settingsFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(dir)
		if err != nil {
			return
		}
		if err := writeSettings(dir, s); err != nil {
			t.Fatalf("what was read is not written: %v", err)
		}
		for _, c := range s.Channels {
			_ = c.Place()
		}
	})
}

// FuzzBook: any record of what was told is refused or read, and never makes the
// program fail.
func FuzzBook(f *testing.F) {
	dir := f.TempDir()
	b, err := openBook(filepath.Join(dir, bookFile))
	if err != nil {
		f.Fatal(err)
	}
	q := &queued{Channel: "c", Notice: example(), Keys: make([]byte, keySize), Severities: []byte{4}, Before: []byte{untold}, Causes: []string{"x"}}
	for _, e := range []entry{
		{Queued: q},
		{Failed: &failed{Channel: "c", At: monday, Next: monday.Add(time.Minute), Why: "no"}},
		{GivenUp: &settled{Channel: "c", At: monday}},
		{Queued: q},
		{Delivered: &settled{Channel: "c", At: monday}},
		{Digested: &settled{Channel: "c", At: monday}},
	} {
		if err := b.write(e); err != nil {
			f.Fatal(err)
		}
	}
	if s := b.of("c"); s.delivered != 1 || !s.known(key{}, posture.Critical) || len(b.log) != 2 {
		f.Fatalf("the state is %+v", s)
	}
	raw, err := os.ReadFile(b.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	if err := b.compact(); err != nil {
		f.Fatal(err)
	}
	raw, err = os.ReadFile(b.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(frame(frame(nil, entry{Format: bookFormat}), entry{State: &stateRecord{Channel: "c", Keys: []byte{1}, Severities: []byte{1}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), bookFile)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBook(path)
		if err != nil {
			return
		}
		defer b.close()
		if err := b.compact(); err != nil {
			t.Fatal(err)
		}
		again, err := openBook(path)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		defer again.close()
		for id, s := range b.channels {
			if got := again.channels[id]; got == nil || len(got.marks) != len(s.marks) || (got.pending == nil) != (s.pending == nil) {
				t.Fatalf("the state of %q was %+v and is %+v", id, s, got)
			}
		}
	})
}
