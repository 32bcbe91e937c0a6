package web

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// kept gives evidence that was made once, by a real collector, and is kept as
// a file. It is about hollybank's d-014 and hollybank itself.
type kept struct {
	device, school []byte
	hostile        string // put into every text of the answer, unless empty
}

func newKept(t testing.TB) *kept {
	t.Helper()
	k := &kept{}
	for name, to := range map[string]*[]byte{"hb-lt-014": &k.device, "hollybank": &k.school} {
		var err error
		if *to, err = os.ReadFile(filepath.Join("..", "evidence", "testdata", "v2", name+".evidence")); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *kept) open(sealed []byte) (*evidence.Bundle, []byte, error) {
	b, _, err := evidence.Verify(sealed, evidence.Trust{})
	if err == nil && k.hostile != "" {
		poison(reflect.ValueOf(&b.Sheet).Elem(), k.hostile)
		if b.Position != nil {
			poison(reflect.ValueOf(b.Position).Elem(), k.hostile)
		}
		b.SchoolName, b.MadeBy = k.hostile, k.hostile
	}
	return b, sealed, err
}

func (k *kept) SealDevice(_ context.Context, school posture.SchoolID, q evidence.Question) (*evidence.Bundle, []byte, error) {
	switch {
	case (school != hollybank || q.Device != "d-014") && (school != oakfield || q.Device != elsewhere):
		return nil, nil, view.ErrNotFound
	case q.At.After(now):
		return nil, nil, evidence.ErrNotYet
	}
	return k.open(k.device)
}

func (k *kept) SealSchool(_ context.Context, school posture.SchoolID, q evidence.PositionQuestion) (*evidence.Bundle, []byte, error) {
	switch {
	case school != hollybank && school != oakfield:
		return nil, nil, view.ErrNotFound
	case q.At.Year() < 2026:
		return nil, nil, evidence.ErrNothingYet
	}
	return k.open(k.school)
}
