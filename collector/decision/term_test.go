package decision

import (
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestTermReport(t *testing.T) {
	d := Decision{Kind: TermReport, By: "Sam Okafor", At: november, Reason: "the autumn term"}
	signed := TermSignature{Entry: 7, Digest: strings.Repeat("a", 64), As: "head"}
	sections, err := TermSignatureSections(d, signed, [2][proof.SaltSize]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeTermSignature(sections[0].Body); err != nil || got != signed {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := Decode(sections[1].Body); err != nil || got.Kind != TermReport || got.By != d.By {
		t.Errorf("got %+v, %v", got, err)
	}
	if sections[0].Class != proof.Kept || sections[1].Class != proof.People {
		t.Error("what is signed is kept, and who signed can be forgotten")
	}
	for name, s := range map[string]TermSignature{
		"of no entry":        {Digest: signed.Digest, As: "head"},
		"of no digest":       {Entry: 7, As: "head"},
		"of another's role":  {Entry: 7, Digest: signed.Digest, As: "technician"},
		"of nobody's at all": {Entry: 7, Digest: signed.Digest},
	} {
		if _, err := TermSignatureSections(d, s, [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("a signature %s", name)
		}
	}
	d.Person = "Kim Doyle"
	if err := d.Check(); err == nil {
		t.Error("a report of a term about a person")
	}
}

func FuzzDecodeTermSignature(f *testing.F) {
	f.Add([]byte(`{"entry":7,"digest":"` + strings.Repeat("a", 64) + `","as":"head"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := DecodeTermSignature(data); err == nil && s.Check() != nil {
			t.Fatalf("%+v", s)
		}
	})
}
