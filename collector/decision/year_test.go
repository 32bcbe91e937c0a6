package decision

import (
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestYearReport(t *testing.T) {
	d := Decision{Kind: YearReport, By: "Sam Okafor", At: november, Reason: "the school year"}
	signed := YearSignature{Entry: 7, Digest: strings.Repeat("a", 64), As: "dpo"}
	sections, err := YearSignatureSections(d, signed, [2][proof.SaltSize]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeYearSignature(sections[0].Body); err != nil || got != signed {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := Decode(sections[1].Body); err != nil || got.Kind != YearReport || got.By != d.By {
		t.Errorf("got %+v, %v", got, err)
	}
	if sections[0].Class != proof.Kept || sections[1].Class != proof.People {
		t.Error("what is signed is kept, and who signed can be forgotten")
	}
	for name, s := range map[string]YearSignature{
		"of no entry":       {Digest: signed.Digest, As: "head"},
		"of no digest":      {Entry: 7, As: "head"},
		"of another's role": {Entry: 7, Digest: signed.Digest, As: "business-manager"},
	} {
		if _, err := YearSignatureSections(d, s, [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("a signature %s", name)
		}
	}
	d.Kind = TermReport
	if _, err := YearReportSections(d, []byte("{}"), [2][proof.SaltSize]byte{}); err == nil {
		t.Error("the report of a year by a decision about a term's")
	}
}

func FuzzDecodeYearSignature(f *testing.F) {
	f.Add([]byte(`{"entry":7,"digest":"` + strings.Repeat("a", 64) + `","as":"dpo"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := DecodeYearSignature(data); err == nil && s.Check() != nil {
			t.Fatalf("%+v", s)
		}
	})
}
