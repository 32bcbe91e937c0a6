package system

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Values are named values of one thing: of a registry key, or of a row of a
// Rowset. A name that is not there was not told. Names differ by more than
// their case.
type Values map[string]Value

// Value is one value as the system gave it, or why it did not. The zero value
// is one that is there and empty (NULL).
type Value struct {
	// At most one of these is set; none for NULL and for a value that failed.
	Text    *string
	Number  *int64
	Flag    *bool
	Texts   []string // not nil, if it is a list of texts
	Numbers []int64  // not nil, if it is a list of numbers
	Bytes   []byte   // not nil, if it is bytes

	Absent posture.Absence // why it could not be read; NotAsked (zero) if it was
	Code   uint32          // the system's own code of that failure; 0 if it gave none
}

// Makers of values, for the doors that read them.

// TextValue makes a value of a text.
func TextValue(s string) Value { return Value{Text: &s} }

// NumberValue makes a value of a number.
func NumberValue(n int64) Value { return Value{Number: &n} }

// FlagValue makes a value of a yes or no.
func FlagValue(b bool) Value { return Value{Flag: &b} }

// TextsValue makes a value of a list of texts.
func TextsValue(list []string) Value { return Value{Texts: append([]string{}, list...)} }

// NumbersValue makes a value of a list of numbers.
func NumbersValue(list []int64) Value { return Value{Numbers: append([]int64{}, list...)} }

// BytesValue makes a value of bytes.
func BytesValue(b []byte) Value { return Value{Bytes: append([]byte{}, b...)} }

// FailedValue makes a value of why it could not be read.
func FailedValue(err error) Value {
	v := Value{Absent: Absence(err), Code: CodeOf(err)}
	if v.Absent == posture.None {
		v.Absent = posture.Unreadable
	}
	return v
}

// Get returns the value of that name, whatever its case, and whether there is
// one. A value that failed is there.
func (v Values) Get(name string) (Value, bool) {
	if value, ok := v[name]; ok {
		return value, true
	}
	for have, value := range v {
		if strings.EqualFold(have, name) {
			return value, true
		}
	}
	return Value{}, false
}

// IsNull reports whether the value is there and empty.
func (v Value) IsNull() bool {
	return v.Text == nil && v.Number == nil && v.Flag == nil && v.Texts == nil && v.Numbers == nil && v.Bytes == nil &&
		v.Absent == posture.NotAsked
}

// Text returns a text. That there is no such value, or an empty one, is
// Unsupported: this system does not tell. One of another type is Unreadable.
func (v Values) Text(name string) posture.Reading[string] {
	return typed(v, name, func(v Value) *string { return v.Text })
}

// Number returns a whole number, as Text does a text.
func (v Values) Number(name string) posture.Reading[int64] {
	return typed(v, name, func(v Value) *int64 { return v.Number })
}

// Flag returns a yes or no, as Text does a text.
func (v Values) Flag(name string) posture.Reading[bool] {
	return typed(v, name, func(v Value) *bool { return v.Flag })
}

// Numbers returns a list of numbers, as Text does a text.
func (v Values) Numbers(name string) posture.Reading[[]int64] {
	return typed(v, name, func(v Value) *[]int64 {
		if v.Numbers == nil {
			return nil
		}
		return &v.Numbers
	})
}

// Texts returns a list of texts, as Text does a text.
func (v Values) Texts(name string) posture.Reading[[]string] {
	return typed(v, name, func(v Value) *[]string {
		if v.Texts == nil {
			return nil
		}
		return &v.Texts
	})
}

func typed[T any](v Values, name string, pick func(Value) *T) posture.Reading[T] {
	value, ok := v.Get(name)
	switch {
	case !ok, value.IsNull():
		return posture.Unread[T](posture.Unsupported)
	case value.Absent != posture.NotAsked:
		return posture.Unread[T](value.Absent)
	}
	if got := pick(value); got != nil {
		return posture.Read(*got)
	}
	return posture.Unread[T](posture.Unreadable)
}

// failedValue is how a value that failed is written in a recording, and
// bytesValue how bytes are.
type (
	failedValue struct {
		Absent string `json:"absent"`
		Code   string `json:"code,omitempty"` // such as "0x80310000"
	}
	bytesValue struct {
		Hex *string `json:"hex"`
	}
)

// MarshalJSON writes the value as JSON's own: a text, a whole number, true or
// false, a list of one of the first two, null; {"hex":…} for bytes, and
// {"absent":…,"code":…} for a value that failed.
func (v Value) MarshalJSON() ([]byte, error) {
	switch {
	case v.Absent != posture.NotAsked:
		f := failedValue{Absent: v.Absent.String()}
		if v.Code != 0 {
			f.Code = codeWord(v.Code)
		}
		return json.Marshal(f)
	case v.Text != nil:
		return json.Marshal(*v.Text)
	case v.Number != nil:
		return json.Marshal(*v.Number)
	case v.Flag != nil:
		return json.Marshal(*v.Flag)
	case v.Texts != nil:
		return json.Marshal(v.Texts)
	case v.Numbers != nil:
		return json.Marshal(v.Numbers)
	case v.Bytes != nil:
		text := hex.EncodeToString(v.Bytes)
		return json.Marshal(bytesValue{&text})
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads what MarshalJSON writes. An empty list is one of
// numbers and of texts.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return errors.New("a value is empty")
	}
	switch {
	case bytes.Equal(data, []byte("null")):
		return nil
	case data[0] == '"':
		v.Text = new(string)
		return json.Unmarshal(data, v.Text)
	case data[0] == 't', data[0] == 'f':
		v.Flag = new(bool)
		return json.Unmarshal(data, v.Flag)
	case data[0] == '{':
		return v.unmarshalObject(data)
	case data[0] != '[':
		v.Number = new(int64)
		return json.Unmarshal(data, v.Number)
	}
	if bytes.Equal(bytes.Join(bytes.Fields(data), nil), []byte("[]")) {
		v.Texts, v.Numbers = []string{}, []int64{}
		return nil
	}
	if json.Unmarshal(data, &v.Numbers) == nil {
		return nil
	}
	v.Numbers = nil
	return json.Unmarshal(data, &v.Texts)
}

func (v *Value) unmarshalObject(data []byte) error {
	var raw bytesValue
	if decodeStrict(data, &raw) == nil && raw.Hex != nil {
		b, err := hex.DecodeString(*raw.Hex)
		if err != nil {
			return fmt.Errorf("read a value's bytes: %w", err)
		}
		v.Bytes = append([]byte{}, b...)
		return nil
	}
	var f failedValue
	if err := decodeStrict(data, &f); err != nil {
		return err
	}
	if err := v.Absent.UnmarshalText([]byte(f.Absent)); err != nil {
		return err
	}
	if v.Absent == posture.None || v.Absent == posture.NotAsked {
		return fmt.Errorf("%q is not why a value could not be read", f.Absent)
	}
	if f.Code == "" {
		return nil
	}
	code, err := parseCode(f.Code)
	v.Code = code
	return err
}

// codeWord writes a code as Windows' documents do, such as "0x8004100e".
func codeWord(code uint32) string { return fmt.Sprintf("0x%08x", code) }

func parseCode(s string) (uint32, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	code, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil || code == 0 {
		return 0, fmt.Errorf("%.20q is not a code such as 0x8004100e", s)
	}
	return uint32(code), nil
}
