package durable

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

const testLimit = 1 << 10

func frames(payloads ...string) []byte {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, p := range payloads {
		if err := w.Write([]byte(p)); err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
	}
	return b.Bytes()
}

// scan reads all records of data.
func scan(data []byte) (payloads []string, end int64, err error) {
	s := NewScanner(bytes.NewReader(data), 0, int64(len(data)), testLimit)
	for s.Scan() {
		payloads = append(payloads, string(s.Payload()))
	}
	return payloads, s.Next(), s.Err()
}

func TestScanner(t *testing.T) {
	data := frames("first", "", "a longer third")
	got, end, err := scan(data)
	if err != nil || end != int64(len(data)) || len(got) != 3 || got[0] != "first" || got[1] != "" || got[2] != "a longer third" {
		t.Errorf("got %q to byte %d, %v", got, end, err)
	}
}

// TestTruncatedAnywhere cuts at every byte: what is left is whole, or torn.
func TestTruncatedAnywhere(t *testing.T) {
	data := frames("first", "second", "third")
	ends := map[int]int{0: 0, 13: 1, 27: 2}
	for at := range data {
		got, end, err := scan(data[:at])
		if n, whole := ends[at]; whole {
			if err != nil || len(got) != n {
				t.Errorf("cut at byte %d: got %d records, %v, want %d", at, len(got), err, n)
			}
			continue
		}
		var torn *TornError
		if !errors.As(err, &torn) || torn.Offset != end || ends[int(end)] != len(got) {
			t.Errorf("cut at byte %d: got %d records, %v, want a torn tail", at, len(got), err)
		}
	}
}

// TestFlippedAnywhere flips every bit: damage is named where it is, and only
// in the last record can it be a torn tail.
func TestFlippedAnywhere(t *testing.T) {
	data := frames("first", "second", "third")
	starts := []int64{0, 13, 27}
	for bit := range len(data) * 8 {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		in := 0
		for in+1 < len(starts) && int64(bit/8) >= starts[in+1] {
			in++
		}
		got, _, err := scan(flipped)
		var torn *TornError
		var corrupt *CorruptError
		switch {
		case len(got) != in:
			t.Errorf("bit %d: got %d records, want %d", bit, len(got), in)
		case in == 2 && (!errors.As(err, &torn) || torn.Offset != starts[in]):
			t.Errorf("bit %d: got %v, want a torn tail at byte %d", bit, err, starts[in])
		case in < 2 && (!errors.As(err, &corrupt) || corrupt.Offset != starts[in]):
			t.Errorf("bit %d: got %v, want damage at byte %d", bit, err, starts[in])
		}
	}
}

func TestZeroesAreNoRecords(t *testing.T) {
	data := append(frames("first"), make([]byte, 100)...)
	var torn *TornError
	if got, _, err := scan(data); len(got) != 1 || !errors.As(err, &torn) {
		t.Errorf("got %q, %v, want one record and a torn tail", got, err)
	}
}

func TestTooLong(t *testing.T) {
	data := append(frames(string(make([]byte, testLimit+1))), frames("after")...)
	var corrupt *CorruptError
	if _, _, err := scan(data); !errors.As(err, &corrupt) {
		t.Errorf("got %v, want damage", err)
	}
	if _, err := ReadFrame(bytes.NewReader(data), 0, testLimit); !errors.As(err, &corrupt) {
		t.Errorf("got %v, want damage", err)
	}
}

func TestReadFrame(t *testing.T) {
	data := frames("first", "second")
	if got, err := ReadFrame(bytes.NewReader(data), 13, testLimit); err != nil || string(got) != "second" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ReadFrame(bytes.NewReader(data), int64(len(data)), testLimit); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want io.EOF", err)
	}
	for at := 14; at < len(data); at++ {
		var corrupt *CorruptError
		if _, err := ReadFrame(bytes.NewReader(data[:at]), 13, testLimit); !errors.As(err, &corrupt) {
			t.Errorf("cut at byte %d: got %v, want damage", at, err)
		}
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReaderFails(t *testing.T) {
	broken := errors.New("the disk does not answer")
	s := NewScanner(failing{broken}, 0, 100, testLimit)
	if s.Scan() || !errors.Is(s.Err(), broken) {
		t.Errorf("got %v, want the reader's error", s.Err())
	}
	if _, err := ReadFrame(failing{broken}, 0, testLimit); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(frames("first", "second"))
	f.Add(frames("first", "second")[:20])
	f.Add(append(frames("first"), make([]byte, 40)...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewScanner(bytes.NewReader(data), 0, int64(len(data)), testLimit)
		var again []byte
		for s.Scan() {
			again = AppendFrame(again, s.Payload())
			one, err := ReadFrame(bytes.NewReader(data), s.Offset(), testLimit)
			if err != nil || !bytes.Equal(one, s.Payload()) {
				t.Errorf("read alone at byte %d: %q, %v, want %q", s.Offset(), one, err, s.Payload())
			}
		}
		if !bytes.Equal(again, data[:s.Next()]) {
			t.Errorf("what was read does not encode to what was there")
		}
		if s.Err() == nil && s.Next() != int64(len(data)) {
			t.Errorf("stopped at byte %d of %d without an error", s.Next(), len(data))
		}
	})
}
