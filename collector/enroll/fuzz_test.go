package enroll

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzSchoolFile finds anything in the place of what says who a school is: one
// that loads is the one of its folder.
func FuzzSchoolFile(f *testing.F) {
	data := f.TempDir()
	s, err := CreateSchool(data, "Hollybank Primary School", time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(s.Dir, aboutFile)
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"id":"../..","name":"x"}`))
	f.Add([]byte(`{"id":"` + string(s.ID) + `","createdAt":"9999999-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, about []byte) {
		if err := os.WriteFile(path, about, 0o600); err != nil {
			t.Fatal(err)
		}
		if loaded, err := loadSchool(s.Dir); err == nil && loaded.ID != s.ID {
			t.Errorf("the folder of %s loads as %s", s.ID, loaded.ID)
		}
	})
}
