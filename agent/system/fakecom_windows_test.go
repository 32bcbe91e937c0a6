package system

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/go-ole/go-ole"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// A server of COM for tests: what Wine lacks, as its maker documents it. Every
// reference that it gives away is counted, and has to come back, once.

// object is a thing of the server's. Its first field is its table of methods,
// as COM has it.
type object struct {
	table *[12]uintptr
	refs  int
	world *world
	name  string
	// answer answers a property or a method, whose arguments are in order.
	answer func(name string, how uint16, args []ole.VARIANT) (any, uint32)
	// slots are what an object that is no IDispatch answers at a place of its
	// table, and items what an enumerator has still to tell.
	slots      map[int]any
	items      []*object
	enumerates bool
}

type world struct {
	t       *testing.T
	objects []*object
}

func (w *world) object(name string, answer func(string, uint16, []ole.VARIANT) (any, uint32)) *object {
	o := &object{table: dispatchTable(), world: w, name: name, answer: answer}
	w.objects = append(w.objects, o)
	return o
}

// with makes an object of properties.
func (w *world) with(name string, properties map[string]any) *object {
	return w.object(name, func(asked string, _ uint16, _ []ole.VARIANT) (any, uint32) {
		if v, ok := properties[asked]; ok {
			return v, 0
		}
		return nil, comNoName
	})
}

func (w *world) allReturned() {
	w.t.Helper()
	for _, o := range w.objects {
		if o.refs != 0 {
			w.t.Errorf("%s: %d references were not given back", o.name, o.refs)
		}
	}
}

func (o *object) take() *ole.IDispatch {
	o.refs++
	return (*ole.IDispatch)(unsafe.Pointer(o))
}

const (
	faultPointer = 0x8000_4003 // E_POINTER
	faultMethod  = 0x8004_102e // WBEM_E_INVALID_METHOD
)

var iunknownSlots = sync.OnceValue(func() []uintptr {
	return []uintptr{
		windows.NewCallback(func(o *object, _ *ole.GUID, into **object) uintptr {
			o.refs++
			*into = o
			return 0
		}),
		windows.NewCallback(func(o *object) uintptr {
			o.refs++
			return uintptr(o.refs)
		}),
		windows.NewCallback(func(o *object) uintptr {
			o.refs--
			if o.refs < 0 {
				o.world.t.Errorf("%s was released more than once", o.name)
			}
			return uintptr(o.refs)
		}),
	}
})

var dispatchTable = sync.OnceValue(func() *[12]uintptr {
	table := new([12]uintptr)
	copy(table[:], iunknownSlots())
	// A name's number is its place among those that were asked for.
	var names []string
	table[slotNames] = windows.NewCallback(func(_ *object, _ *ole.GUID, wide **uint16, _, _ uintptr, id *int32) uintptr {
		names = append(names, windows.UTF16PtrToString(*wide))
		*id = int32(len(names) - 1)
		return 0
	})
	table[slotInvoke] = windows.NewCallback(func(o *object, id uintptr, _ *ole.GUID, _, how uintptr, given *dispatchArguments, result *ole.VARIANT,
		exception *dispatchException, _ uintptr,
	) uintptr {
		args := slices.Clone(unsafe.Slice(given.values, given.count))
		slices.Reverse(args)
		v, failed := o.answer(names[int32(id)], uint16(how), args)
		switch {
		case failed == comNoName:
			return comNoName
		case failed != 0:
			exception.code = failed
			exception.description = ole.SysAllocStringLen("in any language")
			return comException
		}
		*result = variantOf(v)
		return 0
	})
	return table
})

// productTable is the table of IWSCProductList and IWscProduct: what stands at
// a place is answered from there.
var productTable = sync.OnceValue(func() *[12]uintptr {
	table := new([12]uintptr)
	copy(table[:], iunknownSlots())
	for slot := slotInitialize; slot < len(table); slot++ {
		table[slot] = windows.NewCallback(func(o *object, first, second uintptr) uintptr {
			into := first
			v, ok := o.slots[slot]
			if list, isList := v.([]*object); isList {
				if int(first) >= len(list) {
					return faultPointer
				}
				into, v = second, list[first]
			}
			switch x := v.(type) {
			case int32: // what it is given, or gives
				if slot == slotInitialize {
					if first != uintptr(x) {
						return faultPointer
					}
					return 0
				}
				store(into, x)
			case string:
				store(into, ole.SysAllocStringLen(x))
			case *object:
				x.refs++
				store(into, x)
			case uint32:
				return uintptr(x)
			}
			if !ok {
				o.world.t.Errorf("%s: nothing stands at place %d", o.name, slot)
			}
			return 0
		})
	}
	return table
})

// store writes where a caller wants an answer.
func store[T any](where uintptr, v T) { **(**T)(unsafe.Pointer(&where)) = v }

var enumeratorTable = sync.OnceValue(func() *[12]uintptr {
	table := new([12]uintptr)
	copy(table[:], iunknownSlots())
	table[slotNext] = windows.NewCallback(func(o *object, _ uintptr, into *ole.VARIANT, fetched *uint32) uintptr {
		if len(o.items) == 0 {
			*fetched = 0
			return 1
		}
		*into, *fetched = variantOf(o.items[0]), 1
		o.items = o.items[1:]
		return 0
	})
	return table
})

func variantOf(v any) ole.VARIANT {
	switch x := v.(type) {
	case string:
		return textArgument(x)
	case int32:
		return numberArgument(x)
	case bool:
		if x {
			return ole.NewVariant(ole.VT_BOOL, 0xffff)
		}
		return ole.NewVariant(ole.VT_BOOL, 0)
	case float64:
		v := ole.VARIANT{VT: ole.VT_DATE}
		*(*float64)(unsafe.Pointer(&v.Val)) = x
		return v
	case *object:
		v := objectArgument(x.take())
		if x.enumerates {
			v.VT = ole.VT_UNKNOWN
		}
		return v
	case []string:
		v := ole.VARIANT{VT: ole.VT_ARRAY | ole.VT_BSTR}
		*(*uintptr)(unsafe.Pointer(&v.Val)) = arrayOf(x)
		return v
	}
	return ole.VARIANT{VT: ole.VT_NULL}
}

// arrayOf makes a SAFEARRAY of texts.
func arrayOf(list []string) uintptr {
	automation := windows.NewLazySystemDLL("oleaut32.dll")
	array, _, _ := automation.NewProc("SafeArrayCreateVector").Call(uintptr(ole.VT_BSTR), 0, uintptr(len(list)))
	for i, s := range list {
		text := ole.SysAllocStringLen(s)
		at := int32(i)
		_, _, _ = automation.NewProc("SafeArrayPutElement").Call(array, uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(text)))
		_ = ole.SysFreeString(text)
	}
	return array
}

// volume makes a Win32_EncryptableVolume: methods by name, of what each
// returns for its argument.
func (w *world) volume(properties map[string]any, methods map[string]func(in any) map[string]any) *object {
	return w.object("volume", func(name string, _ uint16, args []ole.VARIANT) (any, uint32) {
		if name != "ExecMethod_" {
			if v, ok := properties[name]; ok {
				return v, 0
			}
			return nil, comNoName
		}
		method := methods[args[0].ToString()]
		if method == nil {
			return nil, faultMethod
		}
		var in any
		if len(args) > 1 {
			in = (*object)(unsafe.Pointer(args[1].ToIDispatch())).slots[0]
		}
		return w.with("outs of "+args[0].ToString(), method(in)), 0
	})
}

// class makes the description of a class, whose methods take one argument.
func (w *world) class(arguments map[string]string) *object {
	return w.with("class", map[string]any{"Methods_": w.object("methods", func(_ string, _ uint16, args []ole.VARIANT) (any, uint32) {
		argument, ok := arguments[args[0].ToString()]
		if !ok {
			return nil, wmiNotFound
		}
		in := w.object("in", nil)
		in.slots = map[int]any{}
		property := w.object("property", func(_ string, how uint16, args []ole.VARIANT) (any, uint32) {
			if how != ole.DISPATCH_PROPERTYPUT {
				return nil, faultPointer
			}
			in.slots[0] = args[0].Value()
			return nil, 0
		})
		properties := w.object("properties", func(_ string, _ uint16, args []ole.VARIANT) (any, uint32) {
			if args[0].ToString() != argument {
				return nil, wmiNotFound
			}
			return property, 0
		})
		in.answer = func(string, uint16, []ole.VARIANT) (any, uint32) { return properties, 0 }
		return w.with("method", map[string]any{"InParameters": w.with("parameters", map[string]any{"SpawnInstance_": in})}), 0
	})})
}

// services makes a connection to WMI that has one class and its instances.
func (w *world) services(name string, class *object, instances ...*object) *object {
	return w.object("services", func(asked string, _ uint16, args []ole.VARIANT) (any, uint32) {
		switch {
		case asked == "Get" && args[0].ToString() == name:
			return class, 0
		case asked == "ExecQuery" && args[0].ToString() == "SELECT * FROM "+name && args[1].ToString() == "WQL":
			enum := w.object("enumerator", nil)
			enum.table, enum.items, enum.enumerates = enumeratorTable(), instances, true
			return w.with("set", map[string]any{"_NewEnum": enum}), 0
		}
		return nil, 0x8004_1010 // WBEM_E_INVALID_CLASS
	})
}

func returning(outs ...any) func(any) map[string]any {
	return func(any) map[string]any {
		m := map[string]any{"ReturnValue": int32(0)}
		for i := 0; i < len(outs); i += 2 {
			m[outs[i].(string)] = outs[i+1]
		}
		return m
	}
}

func failing(code uint32) func(any) map[string]any {
	return func(any) map[string]any { return map[string]any{"ReturnValue": int32(code)} }
}

// TestBitLockerVolumes asks what documents say that Windows answers: a volume
// that is suspended, and a stick that is locked.
func TestBitLockerVolumes(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	openCOM()
	w := &world{t: t}
	kinds := map[any]int32{"{A}": 3, "{B}": 1}
	suspended := w.volume(map[string]any{"DeviceID": `\\?\Volume{1}\`, "DriveLetter": "C:", "VolumeType": int32(0), "ProtectionStatus": int32(1)},
		map[string]func(any) map[string]any{
			"GetProtectionStatus": returning("ProtectionStatus", int32(0)),
			"GetConversionStatus": func(in any) map[string]any {
				if in != int32(4) {
					t.Errorf("the precision is %v", in)
				}
				return returning("ConversionStatus", int32(1), "EncryptionPercentage", int32(1000000), "EncryptionFlags", int32(1), "WipingStatus", int32(0))(in)
			},
			"GetLockStatus":               returning("LockStatus", int32(0)),
			"GetEncryptionMethod":         returning("EncryptionMethod", int32(-1), "SelfEncryptionDriveEncryptionMethod", "x"),
			"GetHardwareEncryptionStatus": returning("HardwareEncryptionStatus", int32(2)),
			"GetSuspendCount":             returning("SuspendCount", int32(1)),
			"GetKeyProtectors": func(in any) map[string]any {
				if in != int32(0) {
					t.Errorf("the type of key protectors is %v", in)
				}
				return returning("VolumeKeyProtectorID", []string{"{A}", "{B}"})(in)
			},
			"GetKeyProtectorType": func(in any) map[string]any { return returning("KeyProtectorType", kinds[in])(in) },
		})
	locked := w.volume(map[string]any{"DeviceID": `\\?\Volume{2}\`, "DriveLetter": nil, "VolumeType": int32(2), "ProtectionStatus": int32(2)},
		map[string]func(any) map[string]any{
			"GetProtectionStatus": returning("ProtectionStatus", int32(2)),
			"GetConversionStatus": failing(0x80310000),
			"GetLockStatus":       returning("LockStatus", int32(1)),
			"GetEncryptionMethod": func(any) map[string]any { return map[string]any{"EncryptionMethod": int32(6)} },
			"GetKeyProtectors":    returning("VolumeKeyProtectorID", []string{"{A}"}),
			"GetKeyProtectorType": failing(0x80310000),
		})
	class := w.class(map[string]string{
		"GetConversionStatus": "PrecisionFactor", "GetKeyProtectors": "KeyProtectorType", "GetKeyProtectorType": "VolumeKeyProtectorID",
	})
	const namespace = `root\CIMV2\Security\MicrosoftVolumeEncryption`
	c := &com{services: map[string]*ole.IDispatch{namespace: w.services("Win32_EncryptableVolume", class, suspended, locked).take()}}
	spec, _ := BitLockerVolumes.spec(posture.Windows)
	rows, err := c.rows(spec)
	if err != nil {
		t.Fatal(err)
	}
	c.disconnect(namespace)
	w.allReturned()
	for _, row := range rows {
		for name := range row {
			if !slices.Contains(spec.Values, name) {
				t.Errorf("%s was not asked for", name)
			}
		}
	}
	lockedAway := FailedValue(newCodeError(0x80310000))
	noMethod := FailedValue(newCodeError(faultMethod))
	want := []Values{
		{
			"DeviceID": TextValue(`\\?\Volume{1}\`), "DriveLetter": TextValue("C:"), "VolumeType": NumberValue(0), "Stored": NumberValue(1),
			"ProtectionStatus": NumberValue(0), "ConversionStatus": NumberValue(1), "EncryptionPercentage": NumberValue(1000000),
			"EncryptionFlags": NumberValue(1), "WipingStatus": NumberValue(0), "LockStatus": NumberValue(0),
			"EncryptionMethod": NumberValue(0xffffffff), "HardwareEncryptionStatus": NumberValue(2),
			"KeyProtectorTypes": NumbersValue([]int64{1, 3}), "SuspendCount": NumberValue(1),
		},
		{
			"DeviceID": TextValue(`\\?\Volume{2}\`), "DriveLetter": {}, "VolumeType": NumberValue(2), "Stored": NumberValue(2),
			"ProtectionStatus": NumberValue(2), "ConversionStatus": lockedAway, "EncryptionPercentage": lockedAway, "EncryptionFlags": lockedAway,
			"WipingStatus": lockedAway, "LockStatus": NumberValue(1), "EncryptionMethod": {Absent: posture.Unreadable},
			"HardwareEncryptionStatus": noMethod, "KeyProtectorTypes": lockedAway, "SuspendCount": noMethod,
		},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestSecurityList reads Security Center's list by the places of its methods.
func TestSecurityList(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	openCOM()
	w := &world{t: t}
	listed := func(name string, slots map[int]any) *object {
		o := w.object(name, nil)
		o.table, o.slots = productTable(), slots
		return o
	}
	on := listed("on", map[int]any{slotName: "ESET Security", slotState: int32(0), slotSignature: int32(1), slotTimestamp: "Fri, 20 Nov 2026 12:29:01 GMT"})
	denied := listed("denied", map[int]any{slotName: uint32(0x80070005), slotState: int32(3), slotSignature: uint32(0x80070005), slotTimestamp: ""})
	list := listed("list", map[int]any{slotInitialize: int32(providerAntivirus), slotCount: int32(2), slotItem: []*object{on, denied}})
	rows, err := listedProducts(&list.take().IUnknown, 64)
	refused := FailedValue(newCodeError(0x80070005))
	want := []Values{
		{"Name": TextValue("ESET Security"), "State": NumberValue(0), "Signature": NumberValue(1), "Timestamp": TextValue("Fri, 20 Nov 2026 12:29:01 GMT")},
		{"Name": refused, "State": NumberValue(3), "Signature": refused, "Timestamp": TextValue("")},
	}
	if diff := cmp.Diff(want, rows); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	list.slots[slotCount] = int32(3) // one that cannot be had
	if rows, err := listedProducts((*ole.IUnknown)(unsafe.Pointer(list)), 64); rows != nil || CodeOf(err) != faultPointer {
		t.Errorf("a list that lacks one: got %v, %v", rows, err)
	}
	list.refs--
	w.allReturned()
}

// TestPendingUpdates and the values of an update.
func TestPendingUpdates(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	openCOM()
	w := &world{t: t}
	listOf := func(name string, items ...*object) *object {
		return w.object(name, func(asked string, _ uint16, args []ole.VARIANT) (any, uint32) {
			if asked == "Count" {
				return int32(len(items)), 0
			}
			return items[args[0].Value().(int32)], 0
		})
	}
	category := w.with("category", map[string]any{"CategoryID": "0FA1201D-4330-4FA8-8AE9-B877473B6441"})
	update := w.with("update", map[string]any{
		"Title": "of a person's language", "MsrcSeverity": "Critical", "Type": int32(1), "LastDeploymentChangeTime": 46346.75,
		"IsMandatory": false, "RebootRequired": true, "Categories": listOf("categories", category),
	})
	bare := w.with("bare", map[string]any{"MsrcSeverity": nil, "Categories": listOf("no categories")})
	rows, err := items(listOf("updates", update, bare).take(), 2, pendingUpdate)
	want := []Values{
		{
			"Severity": TextValue("Critical"), "Type": NumberValue(1), "Deployed": TextValue("2026-11-20T18:00:00Z"), "Mandatory": FlagValue(false),
			"RebootRequired": FlagValue(true), "Categories": TextsValue([]string{"0FA1201D-4330-4FA8-8AE9-B877473B6441"}),
		},
		{"Severity": {}, "Categories": TextsValue(nil)},
	}
	if diff := cmp.Diff(want, rows); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, o := range w.objects {
		if o.name == "updates" {
			o.refs--
		}
	}
	w.allReturned()
	if strings.Contains(string(answerOf(WindowsUpdateList, rows, nil)), "language") {
		t.Error("a title is told")
	}
}
