package register

import (
	"strings"
	"testing"
)

// TestWhatGuestsAreTold: a notice is the school's words in one version, written
// once, and a change that holds it is read as it was written.
func TestWhatGuestsAreTold(t *testing.T) {
	c := Change{What: SetNotice, Tag: "2026-09", Text: "This laptop is the school's.\nHand it back.\n"}
	body, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(body); err != nil || got.Text != c.Text || got.Tag != c.Tag {
		t.Errorf("got %+v, %v", got, err)
	}
	n, err := GuestNotice{}.Take(c, Made{At: september, By: "Morgan Ellis", Entry: 4})
	if err != nil || n.Version != "2026-09" || n.Text != c.Text || !n.Since.Equal(september) || n.By != "Morgan Ellis" {
		t.Fatalf("got %+v, %v", n, err)
	}
	if again, err := n.Take(c, Made{At: september, Entry: 4}); err != nil || again != n {
		t.Errorf("taken again it is %+v, %v", again, err)
	}
	if other, err := n.Take(Change{What: SetNotice, Tag: "2026-09", Text: "other"}, Made{At: september, Entry: 5}); err == nil || other != n {
		t.Errorf("a version was written twice: %+v, %v", other, err)
	}
	for _, wrong := range []Change{
		{What: SetNotice, Tag: "2026-09"},
		{What: SetNotice, Text: "words"},
		{What: SetNotice, Tag: "2026-09", Text: "a\u202eb"},
		{What: SetNotice, Tag: "2026-09", Text: "\xff"},
		{What: SetNotice, Tag: "2026-09", Text: strings.Repeat("a", mostNotice+1)},
	} {
		if _, err := Encode(wrong); err == nil {
			t.Errorf("%.60q is recorded", wrong.Text)
		}
	}
	list := []GuestNotice{{Version: "a", Entry: 1}, {Version: "c", Entry: 9}, {Version: "b", Entry: 4}}
	if Newest(list); list[0].Version != "c" || list[2].Version != "a" {
		t.Errorf("in order: %+v", list)
	}
}
