// Package body writes and reads a JSON document that is the whole body of a
// section, as the ledger keeps it.
//
// It never says what a document means.
package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Decode reads a document of at most so many bytes, which nothing follows. Fields
// that this version does not know are passed over: a later version may have
// written them.
func Decode[T any](data []byte, most int) (T, error) {
	var v, none T
	if len(data) > most {
		return none, fmt.Errorf("%d bytes are more than the %d allowed", len(data), most)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&v); err != nil {
		return none, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) { // More is silent about a bracket
		return none, errors.New("something follows its end")
	}
	return v, nil
}

// Checked is what says itself what is wrong with it.
type Checked interface{ Check() error }

// Of is one sort of document. What is wrong with itself is neither written nor
// read.
type Of[T Checked] struct {
	What string // in errors, such as "a change of the register"
	Most int    // bytes
}

// Encode returns the body of a document.
func (o Of[T]) Encode(v T) ([]byte, error) {
	err := v.Check()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err == nil && len(data) > o.Most {
		err = fmt.Errorf("%d bytes are more than the %d allowed", len(data), o.Most)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.What, err)
	}
	return data, nil
}

// Decode reads what Encode wrote, as the function Decode does.
func (o Of[T]) Decode(data []byte) (T, error) {
	v, err := Decode[T](data, o.Most)
	if err == nil {
		err = v.Check()
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("read %s: %w", o.What, err)
	}
	return v, nil
}
