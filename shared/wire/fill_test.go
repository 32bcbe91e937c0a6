package wire

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// filler gives every field of a value a content of its own, so that one that
// does not travel, or lands in another, is noticed.
type filler struct{ n int }

// words that a field of a closed list may hold.
var closed = map[reflect.Type][]any{
	reflect.TypeFor[posture.Platform]():        {posture.MacOS},
	reflect.TypeFor[posture.Chassis]():         {posture.Virtual},
	reflect.TypeFor[posture.KeyPlace]():        {posture.InTPM},
	reflect.TypeFor[posture.VolumeRole]():      {posture.SwapVolume},
	reflect.TypeFor[posture.EncryptionState](): {posture.Decrypting},
	reflect.TypeFor[posture.ProtectionState](): {posture.ProtectionClearKey},
	reflect.TypeFor[posture.MediumKind]():      {posture.PhoneMedium},
	reflect.TypeFor[posture.MediumAction]():    {posture.Gone},
	reflect.TypeFor[posture.Location]():        {posture.OnMedia},
	reflect.TypeFor[posture.Format]():          {posture.JAR},
	reflect.TypeFor[posture.SignatureState]():  {posture.SignedInvalid},
	reflect.TypeFor[posture.Result]():          {posture.NotChecked},
	reflect.TypeFor[posture.Severity]():        {posture.Critical},
}

func (f *filler) fill(t testing.TB, v reflect.Value) {
	t.Helper()
	f.n++
	if words, ok := closed[v.Type()]; ok {
		v.Set(reflect.ValueOf(words[0]))
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(readAt.Add(time.Duration(f.n) * time.Second)))
		return
	case time.Duration:
		v.SetInt(int64(time.Duration(f.n) * time.Second))
		return
	case posture.Absence:
		v.Set(reflect.ValueOf(posture.None))
		return
	case []posture.Gap:
		v.Set(reflect.ValueOf([]posture.Gap{{Source: fmt.Sprint("gap", f.n), Absent: posture.Denied}}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		f.fillStruct(t, v)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			f.fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint64:
		v.SetUint(uint64(f.n))
	default:
		t.Fatalf("the test cannot fill a %s", v.Type())
	}
}

func (f *filler) fillStruct(t testing.TB, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f.fill(t, v.Field(i))
	}
	switch e := v.Addr().Interface().(type) {
	case *posture.Medium:
		e.Serial = posture.Read(hash(f.n))
	case *posture.MediumEvent:
		e.Serial = posture.Read(hash(f.n))
	case *posture.System:
		e.AgentProgram = posture.Read(hash(f.n))
	case *posture.Executable:
		e.SHA256 = posture.Read(hash(f.n))
	case *posture.Facts:
		e.Scripts.ReadAt = e.Executables.ReadAt // they share a section
	}
}

func hash(n int) string { return fmt.Sprintf("%064x", n) }
