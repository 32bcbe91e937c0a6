package view

import (
	"encoding/binary"
	"errors"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// encodeStates writes the results of one rule on a device's subjects, of which
// there may be thousands: each is kind and key with their lengths, the result,
// whether a breach was followed and the subject is
// gone, and since when in milliseconds.
func encodeStates(states []State) []byte {
	var b []byte
	for _, s := range states {
		b = append(binary.AppendUvarint(b, uint64(len(s.Kind))), s.Kind...)
		b = append(binary.AppendUvarint(b, uint64(len(s.Key))), s.Key...)
		b = append(b, byte(s.Result), 0)
		if s.Cased {
			b[len(b)-1] |= 1
		}
		if s.Gone {
			b[len(b)-1] |= 2
		}
		b = binary.AppendUvarint(b, ms(s.Since))
	}
	return b
}

var errStates = errors.New("the row of a rule's results is cut short")

func decodeStates(b []byte) ([]State, error) {
	var states []State
	for len(b) > 0 {
		var s State
		var ok bool
		if s.Kind, b, ok = takeText(b); !ok {
			return nil, errStates
		}
		if s.Key, b, ok = takeText(b); !ok || len(b) < 2 {
			return nil, errStates
		}
		s.Result, s.Cased, s.Gone = posture.Result(b[0]), b[1]&1 != 0, b[1]&2 != 0
		since, n := binary.Uvarint(b[2:])
		if n <= 0 || since > 1<<53 {
			return nil, errStates
		}
		s.Since, b = at(since), b[2+n:]
		states = append(states, s)
	}
	return states, nil
}

func takeText(b []byte) (string, []byte, bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, false
	}
	return string(b[n : n+int(size)]), b[n+int(size):], true
}
