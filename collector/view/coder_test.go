package view

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// fill gives every field a value of its own.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<40), r.Int64N(1e9)).UTC()))
			return
		}
		if v.Type() == reflect.TypeFor[Vector]() {
			v.Set(reflect.ValueOf(Vector{LastContact: r.Uint64N(1 << 40), HeldAt: 1, EncryptionAt: 2, Rules: []RuleState{{Slot: 3, Bits: failing}}}))
			return
		}
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(r, v.Index(0))
		fill(r, v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(string(rune('a' + r.IntN(26))))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64N(1<<40) - 1<<39)
	case reflect.Uint64:
		v.SetUint(r.Uint64())
	case reflect.Uint8:
		v.SetUint(uint64(1 + r.IntN(4)))
	default:
		panic(v.Type().String())
	}
}

// TestRowsComeBackWhole writes rows in which every field has a value, and reads
// them back: a field that is not in the list of the layout would be lost.
func TestRowsComeBackWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var d, back DeviceRow
		fill(r, reflect.ValueOf(&d).Elem())
		if err := decode(encode(&d), &back); err != nil || !cmp.Equal(d, back) {
			t.Errorf("%v: %s", err, cmp.Diff(d, back))
		}
		var b, again breach.Breach
		fill(r, reflect.ValueOf(&b).Elem())
		if err := decode(encode(breachRow{Breach: &b}), breachRow{Breach: &again}); err != nil || b != again {
			t.Errorf("%v: %s", err, cmp.Diff(b, again))
		}
		var day, same CountedDay
		fill(r, reflect.ValueOf(&day).Elem())
		if err := decode(encode(&day), &same); err != nil || !cmp.Equal(day, same) {
			t.Errorf("%v: %s", err, cmp.Diff(day, same))
		}
	}
	var empty, back DeviceRow
	if err := decode(encode(&empty), &back); err != nil || !cmp.Equal(empty, back, cmpopts.EquateEmpty()) {
		t.Errorf("an empty row: %v, %+v", err, back)
	}
}

// FuzzRows reads anything as a row: it fails or is written as it was read.
func FuzzRows(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	var d DeviceRow
	var b breach.Breach
	fill(r, reflect.ValueOf(&d).Elem())
	fill(r, reflect.ValueOf(&b).Elem())
	f.Add(encode(&d))
	f.Add(encode(breachRow{Breach: &b}))
	var day CountedDay
	fill(r, reflect.ValueOf(&day).Elem())
	f.Add(encode(&day))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		var counted, same CountedDay
		if decode(data, &counted) == nil {
			if err := decode(encode(&counted), &same); err != nil || !cmp.Equal(counted, same) {
				t.Errorf("%v: %s", err, cmp.Diff(counted, same))
			}
		}
		var row, again DeviceRow
		if decode(data, &row) == nil {
			if err := decode(encode(&row), &again); err != nil || !cmp.Equal(row, again) {
				t.Errorf("%v: %s", err, cmp.Diff(row, again))
			}
		}
		var b, back breach.Breach
		if decode(data, breachRow{Breach: &b}) == nil {
			if err := decode(encode(breachRow{Breach: &b}), breachRow{Breach: &back}); err != nil || b != back {
				t.Errorf("%v: %s", err, cmp.Diff(b, back))
			}
		}
	})
}

// TestARowWeighsEnough compares what is reckoned for a device's rows with what
// they take, because a transaction that is larger than was reckoned is refused.
func TestARowWeighsEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	v := inMemory(t)
	for n := range 20 {
		d := device("hb-lt-014")
		for range n {
			var p Place
			var f posture.Finding
			fill(r, reflect.ValueOf(&p).Elem())
			fill(r, reflect.ValueOf(&f).Elem())
			f.Message = strings.Repeat("x", n*20)
			d.Places, d.Own = append(d.Places, p), append(d.Own, f)
		}
		d.Hostname = strings.Repeat("n", n*10)
		for i := range n * 20 {
			d.Vector.Rules = append(d.Vector.Rules, RuleState{Slot: uint16(i), Bits: passing})
		}
		tx := &Tx{view: v, school: "hollybank", txn: v.db.NewTransaction(false)}
		keys := append(tx.vectorKeys(&d), tx.nameKey(&d))
		taken := len(encode(&d)) + 100
		for _, k := range keys {
			taken += len(k) + len(d.Vector.bytes()) + rowOverhead
		}
		if w := d.weight(); w < taken {
			t.Errorf("with %d of each: reckoned %d bytes, took %d", n, w, taken)
		}
		tx.txn.Discard()
	}
}
