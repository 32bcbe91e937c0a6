package proof

import (
	"encoding/json"
	"testing"
)

// FuzzProofs reads proofs as evidence writes them: verifying never panics, and
// what was read is written alike.
func FuzzProofs(f *testing.F) {
	f.Add([]byte(`{"index":6,"size":11,"path":["00000000000000000000000000000000000000000000000000000000000000aa"]}`))
	f.Add([]byte(`{"older":5,"newer":11,"path":[]}`))
	f.Add([]byte(`{"index":18446744073709551615,"size":9223372036854775808,"path":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in Inclusion
		if json.Unmarshal(data, &in) == nil {
			_ = in.Verify(digest("leaf"), digest("root"))
			alike(t, in)
		}
		var both Consistency
		if json.Unmarshal(data, &both) == nil {
			_ = both.Verify(digest("older"), digest("newer"))
			alike(t, both)
		}
	})
}

// alike checks that a value is read as what it was written.
func alike[T any](t *testing.T, v T) {
	t.Helper()
	first, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again T
	if err := json.Unmarshal(first, &again); err != nil {
		t.Fatalf("%s cannot be read: %v", first, err)
	}
	if second, err := json.Marshal(again); err != nil || string(second) != string(first) {
		t.Errorf("%s became %s: %v", first, second, err)
	}
}
