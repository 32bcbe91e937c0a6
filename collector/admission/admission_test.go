package admission

import (
	"strings"
	"testing"
)

func TestWhatAChangeHolds(t *testing.T) {
	for _, c := range []Change{
		{What: SetWindow, Days: 1},
		{What: SetWindow, Days: MostWindow},
		{What: ApproveRenewal, Device: "d1"},
		{What: SameHardware, Device: "d2", Earlier: "d1"},
		{What: OtherHardware, Device: "d2", Earlier: "d1"},
		{What: EndToken, Token: "0123456789abcdef"},
		{What: Approve, Device: "d1", Token: "0123456789abcdef", Code: "KF7Q-M2XP"},
		{What: Refuse, Token: "0123456789abcdef", Code: "KF7Q-M2XP"},
	} {
		body, err := Encode(c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if got, err := Decode(body); err != nil || got != c {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
	for words, c := range map[string]Change{
		"from 1 to 730 days":       {What: SetWindow},
		"not 731":                  {What: SetWindow, Days: MostWindow + 1},
		"no room":                  {What: SetWindow, Days: 3, Device: "d1"},
		"no identifier":            {What: ApproveRenewal, Device: "D1"},
		`"" is no identifier`:      {What: SameHardware, Device: "d2"},
		"is not two":               {What: OtherHardware, Device: "d2", Earlier: "d2"},
		"no identifier of a token": {What: EndToken, Token: "0123456789ABCDEF"},
		"that this version knows":  {What: "dance"},
		"no code of a laptop":      {What: Refuse, Token: "0123456789abcdef", Code: "KF7Q-M2X0"},
		"is no code":               {What: Approve, Device: "d1", Token: "0123456789abcdef", Code: "KF7QM-2XP"},
		`"d 2" is no identifier`:   {What: Approve, Device: "d 2", Token: "0123456789abcdef", Code: "KF7Q-M2XP"},
		"that it has no room for":  {What: Refuse, Device: "d1", Token: "0123456789abcdef", Code: "KF7Q-M2XP"},
	} {
		if _, err := Encode(c); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: got %v, want %q", c, err, words)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"what":"same-hardware","device":"d2","earlier":"d1"}`))
	f.Add([]byte(`{"what":"renewal-window","days":180}`))
	f.Add([]byte(`{"what":"end-token","token":"0123456789abcdef"}`))
	f.Add([]byte(`{"what":"approve","device":"d1","token":"0123456789abcdef","code":"KF7Q-M2XP"}`))
	f.Add([]byte(`{"what":"approve-renewal","device":"d1","new":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Encode(c)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if got, err := Decode(again); err != nil || got != c {
			t.Fatalf("%+v came back as %+v, %v", c, got, err)
		}
	})
}
