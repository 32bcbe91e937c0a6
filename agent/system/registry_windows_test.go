package system

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

const (
	testRoot = `SOFTWARE\CaretakerReaderTest`
	testHive = `S-1-5-21-1-2-3-991001_CaretakerReaderTest`
)

// makeKey makes a key of the test's own below one of the roots, and takes it
// away in the end.
func makeKey(t *testing.T, root registry.Key, name string) registry.Key {
	t.Helper()
	k, _, err := registry.CreateKey(root, name, registry.ALL_ACCESS|registry.WOW64_64KEY)
	if err != nil {
		t.Fatalf("make the key %s: %v", name, err)
	}
	t.Cleanup(func() {
		k.Close()
		removeKey(t, root, name)
	})
	return k
}

func removeKey(t *testing.T, root registry.Key, name string) {
	k, err := registry.OpenKey(root, name, registry.ALL_ACCESS|registry.WOW64_64KEY)
	if err != nil {
		t.Fatalf("remove the key %s: %v", name, err)
	}
	list, err := k.ReadSubKeyNames(0)
	if err != nil {
		t.Errorf("remove the key %s: %v", name, err)
	}
	for _, child := range list {
		removeKey(t, k, child)
	}
	k.Close()
	if err := registry.DeleteKey(root, name); err != nil {
		t.Errorf("remove the key %s: %v", name, err)
	}
}

// setRaw sets a value of any type, right for it or not.
func setRaw(t *testing.T, k registry.Key, name string, kind uint32, data []byte) {
	t.Helper()
	set, err := procedure("advapi32.dll", "RegSetValueExW")
	if err != nil {
		t.Fatal(err)
	}
	text, err := windows.UTF16PtrFromString(name)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, _ := set.Call(uintptr(k), uintptr(unsafe.Pointer(text)), 0, uintptr(kind), uintptr(unsafe.Pointer(&append(data, 0)[0])), uintptr(len(data))); code != 0 {
		t.Fatalf("set the value %q: %v", name, windows.Errno(code))
	}
}

func TestWindowsReadsKeys(t *testing.T) {
	k := makeKey(t, registry.LOCAL_MACHINE, testRoot)
	unit := func(s string, zero bool) []byte {
		var b []byte
		for _, u := range windows.StringToUTF16(s) {
			b = append(b, byte(u), byte(u>>8))
		}
		if !zero {
			b = b[:len(b)-2]
		}
		return b
	}
	want := Values{}
	for _, v := range []struct {
		name string
		kind uint32
		data []byte
		want Value
	}{
		{"", regText, unit("the key's own", true), TextValue("the key's own")},
		{"text", regText, unit("Ystafell Ddosbarth ŵ 教室 😀", true), TextValue("Ystafell Ddosbarth ŵ 教室 😀")},
		{"no zero", regText, unit("abc", false), TextValue("abc")},
		{"odd", regText, append(unit("abc", false), 'd'), TextValue("abc")},
		{"left over", regText, append(unit("abc", true), unit("def", true)...), TextValue("abc")},
		{"empty", regText, nil, TextValue("")},
		{"expand", regExpand, unit(`%SystemRoot%\x.exe`, true), TextValue(`%SystemRoot%\x.exe`)},
		{"Größe", regNumber, []byte{1, 0, 0, 0x80}, NumberValue(0x80000001)},
		{"big endian", regBigEndian, []byte{0x80, 0, 0, 1}, NumberValue(0x80000001)},
		{"long", regLong, []byte{1, 0, 0, 0, 1, 0, 0, 0}, NumberValue(1<<32 + 1)},
		{"too long", regLong, []byte{0, 0, 0, 0, 0, 0, 0, 0x80}, FailedValue(ErrTooLarge)},
		{"short number", regNumber, []byte{1, 0}, FailedValue(errMalformed)},
		{"texts", regTexts, append(append(unit("a", true), unit("b c", true)...), 0, 0), TextsValue([]string{"a", "b c"})},
		{"no texts", regTexts, []byte{0, 0}, TextsValue(nil)},
		{"open texts", regTexts, unit("a", false), TextsValue([]string{"a"})},
		{"bytes", regBinary, []byte{0, 1, 0xff}, BytesValue([]byte{0, 1, 0xff})},
		{"no bytes", regBinary, nil, BytesValue(nil)},
		{"none", regNone, []byte{7}, BytesValue([]byte{7})},
		{"many bytes", regBinary, make([]byte, 100_000), BytesValue(make([]byte, 100_000))},
		{"too many bytes", regBinary, make([]byte, maxValueBytes+1), FailedValue(ErrTooLarge)},
	} {
		setRaw(t, k, v.name, v.kind, v.data)
		want[v.name] = v.want
	}
	setRaw(t, k, "resources", regResources, []byte{1, 2, 3})
	for _, name := range []string{"zeta", "Alpha", "a/b"} {
		child, _, err := registry.CreateKey(k, name, registry.ALL_ACCESS)
		if err != nil {
			t.Fatal(err)
		}
		child.Close()
	}
	got, err := New("/").Key(t.Context(), `hklm\software\caretakerREADERtest`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Keys, []string{"Alpha", "a/b", "zeta"}) {
		t.Errorf("keys: got %q", got.Keys)
	}
	for name, value := range want {
		if !reflect.DeepEqual(got.Values[name], value) {
			t.Errorf("value %q: got %+v, want %+v", name, got.Values[name], value)
		}
	}
	if len(got.Values) != len(want) {
		t.Errorf("values: got %d, want %d", len(got.Values), len(want))
	}
	if _, err := New("/").Key(t.Context(), `HKLM\`+testRoot+`\a/b`); err != nil {
		t.Error(err)
	}
}

func TestWindowsReadsHives(t *testing.T) {
	if k, _, err := registry.CreateKey(registry.USERS, testHive, registry.ALL_ACCESS); err != nil {
		t.Skipf("this system takes no hive of a test's: %v", err)
	} else {
		k.Close()
	}
	hive := makeKey(t, registry.USERS, testHive)
	k, _, err := registry.CreateKey(hive, `Control Panel\Desktop`, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.SetStringValue("ScreenSaveTimeOut", "600"); err != nil {
		t.Fatal(err)
	}
	r := New("/")
	users, err := r.Key(t.Context(), "HKU")
	if err != nil || !slices.Contains(users.Keys, testHive) {
		t.Errorf("the loaded hives: got %q, %v", users.Keys, err)
	}
	desktop, err := r.Key(t.Context(), `HKU\`+testHive+`\Control Panel\Desktop`)
	if err != nil || desktop.Values.Text("ScreenSaveTimeOut").Value != "600" {
		t.Errorf("a user's key: got %+v, %v", desktop, err)
	}
	if _, err := r.Key(t.Context(), `HKU\S-1-5-21-9-9-9-9\Control Panel`); !errors.Is(err, fs.ErrNotExist) || CodeOf(err) != 2 {
		t.Errorf("a hive that is not loaded: got %v", err)
	}
}

func TestWindowsRefusesOtherKeys(t *testing.T) {
	r := New("/")
	for _, name := range []string{"", "HKCU", `HKCU\Software`, `HKLM\\SOFTWARE`, `HKLM\SOFTWARE\`, `\HKLM`, `HKLM/SOFTWARE`, `\\other\HKLM\SOFTWARE`, "HKLM\\SOFT\x00WARE"} {
		if _, err := r.Key(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v", name, err)
		}
	}
	_, err := r.Key(t.Context(), `HKLM\SOFTWARE\CaretakerNothing\Here`)
	if !errors.Is(err, fs.ErrNotExist) || CodeWord(err) != "0x00000002" {
		t.Errorf("a key that is not there: got %v", err)
	}
	if _, err := r.Key(t.Context(), `HKLM\SOFTWARE\`+strings.Repeat("x", 300)); err == nil {
		t.Error("a name that no key can have was found")
	}
}

func TestWindowsBoundsKeys(t *testing.T) {
	const many = 10_000
	k := makeKey(t, registry.LOCAL_MACHINE, testRoot+`Many`)
	for i := range many {
		child, _, err := registry.CreateKey(k, strconv.Itoa(i), registry.ALL_ACCESS)
		if err != nil {
			t.Fatal(err)
		}
		child.Close()
	}
	r := New("/")
	key, err := r.Key(t.Context(), `HKLM\`+testRoot+`Many`)
	if err != nil || len(key.Keys) != many || !slices.IsSorted(key.Keys) {
		t.Errorf("%d keys: got %d, %v", many, len(key.Keys), err)
	}
	values := makeKey(t, registry.LOCAL_MACHINE, testRoot+`Values`)
	for i := range maxKeyValues + 1 {
		if err := values.SetDWordValue(strconv.Itoa(i), uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Key(t.Context(), `HKLM\`+testRoot+`Values`); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more values than allowed: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Key(ctx, `HKLM\SOFTWARE`); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: got %v", err)
	}
}
