package main

import (
	"testing"
	"time"
)

// TestMomentsAreReadWithoutGuessing: an hour that clocks show twice or never is
// not one that evidence can be about.
func TestMomentsAreReadWithoutGuessing(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-10-23 16:20":          "2026-10-23T15:20:00Z",
		"2026-10-23T16:20":          "2026-10-23T15:20:00Z",
		"2026-12-01 09:00:30":       "2026-12-01T09:00:30Z",
		"2026-10-25T01:30:00+01:00": "2026-10-25T00:30:00Z",
		"2026-10-25 01:30":          "", // twice
		"2026-03-29 01:30":          "", // never
		"23 Oct 2026":               "",
		"":                          "",
	} {
		got, err := parseMoment(text, london)
		if (err != nil) != (want == "") || err == nil && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %q", text, got.UTC(), err, want)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	f.Add("2026-10-25 01:30")
	f.Add("2026-10-23T16:20:00+01:00")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseMoment(text, time.UTC); err == nil && got.IsZero() && text != "0001-01-01 00:00" && len(text) < 10 {
			t.Errorf("%q is %v", text, got)
		}
	})
}
