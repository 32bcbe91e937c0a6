package system

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"reflect"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestValuesAreWrittenAsRead(t *testing.T) {
	for text, want := range map[string]Value{
		`null`:                    {},
		`""`:                      TextValue(""),
		`"a\u0000é\u2028"`:        TextValue("a\x00é\u2028"),
		`0`:                       NumberValue(0),
		`-9223372036854775808`:    NumberValue(math.MinInt64),
		`true`:                    FlagValue(true),
		`false`:                   FlagValue(false),
		`["a",""]`:                TextsValue([]string{"a", ""}),
		`[1,-2]`:                  NumbersValue([]int64{1, -2}),
		`{"hex":""}`:              BytesValue(nil),
		`{"hex":"00ff"}`:          BytesValue([]byte{0, 0xff}),
		`{"absent":"denied"}`:     FailedValue(fs.ErrPermission),
		`{"absent":"timed out"}`:  FailedValue(context.DeadlineExceeded),
		`{"absent":"unreadable"}`: FailedValue(fs.ErrNotExist),
		`{"absent":"unreadable","code":"0x80310000"}`:  FailedValue(&CodeError{Code: 0x80310000}),
		`{"absent":"unsupported","code":"0x80004001"}`: FailedValue(&CodeError{Code: 0x80004001, Like: errors.ErrUnsupported}),
	} {
		var got Value
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %s: got %+v, %v, want %+v", text, got, err, want)
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var back Value
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("write %+v: got %s, which is read as %+v, %v", want, again, back, err)
		}
	}
	for _, bad := range []string{
		"", " ", "1.5", "1e3", "9223372036854775808", `[1,"a"]`, `[true]`, `[[1]]`, `{}`, `{"hex":"0"}`, `{"hex":1}`, `{"hex":"00","x":1}`,
		`{"absent":""}`, `{"absent":"present"}`, `{"absent":"denied","code":"5"}`, `{"absent":"denied","code":"0x0"}`, `{"code":"0x5"}`,
		`{"absent":"denied","code":"0x123456789"}`, `"\ud800`,
	} {
		var got Value
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("read %s: got %+v, want an error", bad, got)
		}
	}
}

// TestAnEmptyListIsOneOfEither: nobody wrote whether it is of numbers or of
// texts.
func TestAnEmptyListIsOneOfEither(t *testing.T) {
	var v Value
	if err := json.Unmarshal([]byte(" [ ] "), &v); err != nil {
		t.Fatal(err)
	}
	row := Values{"x": v}
	numbers, texts := row.Numbers("X"), row.Texts("x")
	if numbers.Absent != posture.None || texts.Absent != posture.None || len(numbers.Value)+len(texts.Value) != 0 {
		t.Errorf("got %+v and %+v", numbers, texts)
	}
}

func TestValuesClaimNothing(t *testing.T) {
	row := Values{
		"text": TextValue("a"), "Null": {}, "failed": FailedValue(&CodeError{Code: 5, Like: fs.ErrPermission}), "number": NumberValue(1),
		"bytes": BytesValue([]byte{1}),
	}
	for _, c := range []struct {
		name string
		want posture.Absence
	}{
		{"TEXT", posture.None},
		{"null", posture.Unsupported},
		{"nothing", posture.Unsupported},
		{"failed", posture.Denied},
		{"number", posture.Unreadable},
		{"bytes", posture.Unreadable},
	} {
		if got := row.Text(c.name); got.Absent != c.want {
			t.Errorf("the text %q: got %v, want %v", c.name, got.Absent, c.want)
		}
	}
	for _, got := range []posture.Absence{
		row.Number("text").Absent, row.Flag("text").Absent, row.Numbers("text").Absent, row.Texts("text").Absent,
	} {
		if got != posture.Unreadable {
			t.Errorf("of another type: got %v", got)
		}
	}
	if v := FailedValue(nil); v.Absent != posture.Unreadable || v.IsNull() {
		t.Errorf("a failure without a reason: got %+v", v)
	}
	if _, ok := row.Get("nothing"); ok {
		t.Error("got a value that is not there")
	}
	if v, ok := row.Get("null"); !ok || !v.IsNull() {
		t.Errorf("null: got %+v, %v", v, ok)
	}
}

func FuzzValue(f *testing.F) {
	for _, seed := range []string{
		"null", `"x"`, "-1", "true", `["a"]`, "[1]", "[]", `{"hex":"00ff"}`, `{"absent":"denied","code":"0x80070005"}`, `{"absent":"timed out"}`, "[1,\"a\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v Value
		if json.Unmarshal(data, &v) != nil {
			return
		}
		written, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%q became %+v, which cannot be written: %v", data, v, err)
		}
		var again Value
		if err := json.Unmarshal(written, &again); err != nil || !reflect.DeepEqual(v, again) {
			t.Errorf("%q became %+v, written %s, read %+v, %v", data, v, written, again, err)
		}
		if v.Absent == posture.None {
			t.Errorf("%q failed for no reason", data)
		}
	})
}
