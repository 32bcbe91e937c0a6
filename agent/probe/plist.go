package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/caretaker-school/caretaker/agent/plist"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var errPlist = plist.ErrUnknown

// deepest bounds trees that are walked.
const deepest = 64

// dictionary is one dictionary of a property list or of a JSON document. Its values
// are string, int64, float64, bool, time.Time, []byte, []any or dictionary.
type dictionary map[string]any

// parsePlist reads a property list, as XML or binary, whose root is a
// dictionary.
func parsePlist(data []byte) (dictionary, error) {
	root, err := parsePlistValue(data)
	if err != nil {
		return nil, err
	}
	d, ok := root.(dictionary)
	if !ok {
		return nil, errPlist
	}
	return d, nil
}

// parsePlists reads a property list whose root is a list of dictionaries.
func parsePlists(data []byte) ([]dictionary, error) {
	root, err := parsePlistValue(data)
	if err != nil {
		return nil, err
	}
	list, ok := root.([]any)
	if !ok {
		return nil, errPlist
	}
	return dictionaries(list)
}

func parsePlistValue(data []byte) (any, error) {
	v, err := plist.Parse(data)
	if errors.Is(err, plist.ErrTooLarge) {
		err = system.ErrTooLarge
	}
	return named(v), err
}

// parseJSON reads a JSON document whose root is an object.
func parseJSON(data []byte) (dictionary, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var root map[string]any
	if err := d.Decode(&root); err != nil || root == nil {
		return nil, errUnknown
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errUnknown
	}
	return named(root).(dictionary), nil
}

// named turns what a document holds into dictionaries and numbers.
func named(v any) any {
	switch v := v.(type) {
	case map[string]any:
		d := make(dictionary, len(v))
		for key, value := range v {
			d[key] = named(value)
		}
		return d
	case []any:
		for i := range v {
			v[i] = named(v[i])
		}
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// valueOf returns a value of a dictionary. That there is none is Unsupported:
// this system does not tell. One of another type is Unreadable.
func valueOf[T any](d dictionary, key string) posture.Reading[T] {
	v, ok := d[key]
	if !ok {
		return unsupported[T]()
	}
	if t, ok := v.(T); ok {
		return posture.Read(t)
	}
	return posture.Unread[T](posture.Unreadable)
}

// text returns a string; "" if there is none.
func (d dictionary) text(key string) string {
	s, _ := d[key].(string)
	return s
}

// flag returns a yes or no. Preferences write it as a number, too.
func (d dictionary) flag(key string) posture.Reading[bool] {
	if n, ok := d[key].(int64); ok {
		return posture.Read(n != 0)
	}
	return valueOf[bool](d, key)
}

// is reports whether a yes or no is there and is yes.
func (d dictionary) is(key string) bool { return d.flag(key) == posture.Read(true) }

// list returns the dictionaries of a list: none if there is no such list, an
// error if it holds anything else.
func (d dictionary) list(key string) ([]dictionary, error) {
	v, ok := d[key]
	if !ok {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errPlist
	}
	return dictionaries(list)
}

func dictionaries(list []any) ([]dictionary, error) {
	out := make([]dictionary, 0, len(list))
	for _, v := range list {
		d, ok := v.(dictionary)
		if !ok {
			return nil, errPlist
		}
		out = append(out, d)
	}
	return out, nil
}

// texts returns the strings of a list.
func (d dictionary) texts(key string) []string {
	list, _ := d[key].([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
