package system

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"github.com/go-ole/go-ole"
	"golang.org/x/sys/windows"
)

// Codes of COM that are no failure of what was asked.
const (
	comAlready   = 0x0000_0001 // S_FALSE: this thread has it already
	comTooLate   = 0x8001_0119 // RPC_E_TOO_LATE: this process has chosen its security
	comException = 0x8002_0009 // DISP_E_EXCEPTION: the failure has a code of its own
	comNoName    = 0x8002_0006 // DISP_E_UNKNOWNNAME
)

// How this process speaks to servers of COM: everything it says and hears is
// encrypted, and they may act in its name on this machine.
const (
	packetPrivacy = 6 // RPC_C_AUTHN_LEVEL_PKT_PRIVACY
	impersonate   = 3 // RPC_C_IMP_LEVEL_IMPERSONATE
)

// com asks through COM. All of it belongs to the thread that opened it: calls
// from another fail.
//
// An object that a function here returns is the caller's, who releases it,
// once. A VARIANT that holds one is never cleared then: both are the same
// reference.
type com struct {
	failed   error                     // why there is no COM, if there is none
	services map[string]*ole.IDispatch // connections to WMI that are kept, by namespace
}

// openCOM opens COM on this thread.
func openCOM() *com {
	c := &com{services: map[string]*ole.IDispatch{}}
	if err := oleError(ole.CoInitializeEx(0, ole.COINIT_MULTITHREADED)); err != nil && CodeOf(err) != comAlready {
		c.failed = fmt.Errorf("open COM: %w", err)
		return c
	}
	if err := oleError(ole.CoInitializeSecurity(-1, packetPrivacy, impersonate, 0)); err != nil && CodeOf(err) != comTooLate {
		c.failed = fmt.Errorf("choose COM's security: %w", err)
	}
	return c
}

// rows answers a question of the allow-list.
func (c *com) rows(spec RowsetSpec) ([]Values, error) {
	if c.failed != nil {
		return nil, c.failed
	}
	const securityCenter, defender = `root\SecurityCenter2`, `root\Microsoft\Windows\Defender`
	switch spec.Name {
	case BitLockerVolumes:
		return c.bitLockerVolumes(spec)
	case SecurityProducts:
		return c.instances(securityCenter, "AntiVirusProduct", spec, reportingExists)
	case FirewallProducts:
		return c.instances(securityCenter, "FirewallProduct", spec, reportingExists)
	case DefenderStatus:
		return c.instances(defender, "MSFT_MpComputerStatus", spec, nil)
	case DefenderThreats:
		return c.instances(defender, "MSFT_MpThreat", spec, threatNumber)
	case SecurityList:
		return securityList(spec)
	case WindowsUpdate:
		return windowsUpdate(spec)
	case WindowsUpdateList:
		return pendingUpdates(spec)
	}
	return nil, fmt.Errorf("it is not asked through COM: %w", errors.ErrUnsupported)
}

// oleError gives an error of go-ole's its code.
func oleError(err error) error {
	var e *ole.OleError
	if !errors.As(err, &e) {
		return err
	}
	return newCodeError(uint32(e.Code()))
}

// failedResult returns the failure that an HRESULT stands for, or nil.
func failedResult(hr uintptr) error {
	if int32(uint32(hr)) >= 0 {
		return nil
	}
	return newCodeError(uint32(hr))
}

// create makes an object of a class and asks it for an interface.
func create(class, as *ole.GUID) (*ole.IUnknown, error) {
	object, err := ole.CreateInstance(class, as)
	if err != nil {
		return nil, oleError(err)
	}
	if object == nil {
		return nil, errors.New("there is no object")
	}
	return object, nil
}

// createNamed makes an object of a class that is known by its name.
func createNamed(name string) (*ole.IDispatch, error) {
	class, err := ole.CLSIDFromProgID(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, oleError(err))
	}
	object, err := create(class, ole.IID_IDispatch)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", name, err)
	}
	return (*ole.IDispatch)(unsafe.Pointer(object)), nil
}

// call calls a method by its place in the object's table. Pointers among the
// arguments are converted in the call itself.
//
//go:uintptrescapes
func call(object *ole.IUnknown, slot int, args ...uintptr) error {
	table := (*[64]uintptr)(unsafe.Pointer(object.RawVTable))
	hr, _, _ := syscall.SyscallN(table[slot], append([]uintptr{uintptr(unsafe.Pointer(object))}, args...)...)
	return failedResult(hr)
}

// The places of IDispatch's methods.
const (
	slotNames  = 5 // GetIDsOfNames
	slotInvoke = 6
)

// dispatchArguments is DISPPARAMS.
type dispatchArguments struct {
	values     *ole.VARIANT // the last first
	names      *int32
	count      uint32
	namesCount uint32
}

// dispatchException is EXCEPINFO.
type dispatchException struct {
	_                             uint16
	_                             uint16
	source, description, helpFile *int16
	_                             uint32
	_                             uintptr
	fill                          uintptr
	code                          uint32
}

// anyLocale is the locale that names are looked up in: no text that comes of
// it is read.
const anyLocale = 0x0800 // LOCALE_SYSTEM_DEFAULT

// invoke calls a method or a property of an object by its name. It consumes
// the texts among the arguments. A failure of what was called has that
// failure's own code.
func invoke(object *ole.IDispatch, how uint16, name string, args ...ole.VARIANT) (ole.VARIANT, error) {
	defer clearTexts(args)
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return ole.VARIANT{}, err
	}
	var none ole.GUID
	var id int32
	if err := call(&object.IUnknown, slotNames, uintptr(unsafe.Pointer(&none)), uintptr(unsafe.Pointer(&wide)), 1, anyLocale,
		uintptr(unsafe.Pointer(&id))); err != nil {
		return ole.VARIANT{}, fmt.Errorf("find %s: %w", name, err)
	}
	given := &dispatchArguments{count: uint32(len(args))}
	if len(args) > 0 {
		turned := make([]ole.VARIANT, len(args))
		for i, a := range args {
			turned[len(args)-1-i] = a
		}
		given.values = &turned[0]
	}
	if how == ole.DISPATCH_PROPERTYPUT {
		put := int32(ole.DISPID_PROPERTYPUT)
		given.names, given.namesCount = &put, 1
	}
	result, exception := new(ole.VARIANT), new(dispatchException)
	err = call(&object.IUnknown, slotInvoke, uintptr(id), uintptr(unsafe.Pointer(&none)), anyLocale, uintptr(how),
		uintptr(unsafe.Pointer(given)), uintptr(unsafe.Pointer(result)), uintptr(unsafe.Pointer(exception)), 0)
	if CodeOf(err) == comException {
		err = exception.error()
	}
	if err != nil {
		return ole.VARIANT{}, fmt.Errorf("ask for %s: %w", name, err)
	}
	return *result, nil
}

// error returns the failure behind an exception, and frees its texts.
func (e *dispatchException) error() error {
	if e.fill != 0 {
		_, _, _ = syscall.SyscallN(e.fill, uintptr(unsafe.Pointer(e)))
	}
	for _, text := range []*int16{e.source, e.description, e.helpFile} {
		_ = ole.SysFreeString(text) // nothing for none
	}
	if e.code == 0 {
		return newCodeError(comException)
	}
	return newCodeError(e.code)
}

// clearTexts frees the texts among arguments. Objects among them are still
// their owner's.
func clearTexts(args []ole.VARIANT) {
	for i := range args {
		if args[i].VT == ole.VT_BSTR {
			_ = args[i].Clear()
		}
	}
}

func get(object *ole.IDispatch, name string, args ...ole.VARIANT) (ole.VARIANT, error) {
	return invoke(object, ole.DISPATCH_PROPERTYGET, name, args...)
}

// getObject and doObject return the object that a property holds and a method
// returns; it is the caller's.
func getObject(object *ole.IDispatch, name string, args ...ole.VARIANT) (*ole.IDispatch, error) {
	v, err := get(object, name, args...)
	if err != nil {
		return nil, err
	}
	return asObject(name, v)
}

func doObject(object *ole.IDispatch, name string, args ...ole.VARIANT) (*ole.IDispatch, error) {
	v, err := invoke(object, ole.DISPATCH_METHOD, name, args...)
	if err != nil {
		return nil, err
	}
	return asObject(name, v)
}

func asObject(name string, v ole.VARIANT) (*ole.IDispatch, error) {
	if v.VT != ole.VT_DISPATCH || v.Val == 0 {
		_ = v.Clear()
		return nil, fmt.Errorf("ask for %s: it is no object", name)
	}
	return v.ToIDispatch(), nil
}

func put(object *ole.IDispatch, name string, value ole.VARIANT) error {
	v, err := invoke(object, ole.DISPATCH_PROPERTYPUT, name, value)
	if err == nil {
		_ = v.Clear()
	}
	return err
}

// Arguments.

func textArgument(s string) ole.VARIANT {
	v := ole.VARIANT{VT: ole.VT_BSTR}
	*(**int16)(unsafe.Pointer(&v.Val)) = ole.SysAllocStringLen(s)
	return v
}

func numberArgument(n int32) ole.VARIANT { return ole.NewVariant(ole.VT_I4, int64(n)) }

func objectArgument(o *ole.IDispatch) ole.VARIANT {
	v := ole.VARIANT{VT: ole.VT_DISPATCH}
	*(**ole.IDispatch)(unsafe.Pointer(&v.Val)) = o
	return v
}

// getValue returns a property as a value, and whether there is one of that
// name.
func getValue(object *ole.IDispatch, name string) (Value, bool) {
	v, err := get(object, name)
	switch code := CodeOf(err); {
	case code == comNoName, code == wmiNotFound:
		return Value{}, false
	case err != nil:
		return FailedValue(err), true
	}
	return takeValue(&v), true
}

// takeValue returns what a VARIANT holds and clears it. Whole numbers are
// taken as unsigned: automation has no unsigned ones of its own, and none of
// what is asked for is less than nothing.
func takeValue(v *ole.VARIANT) Value {
	defer func() { _ = v.Clear() }()
	switch v.VT {
	case ole.VT_EMPTY, ole.VT_NULL:
		return Value{}
	case ole.VT_BSTR:
		return TextValue(v.ToString())
	case ole.VT_BOOL:
		return FlagValue(int16(v.Val) != 0)
	case ole.VT_I1, ole.VT_UI1:
		return NumberValue(int64(uint8(v.Val)))
	case ole.VT_I2, ole.VT_UI2:
		return NumberValue(int64(uint16(v.Val)))
	case ole.VT_I4, ole.VT_UI4, ole.VT_INT, ole.VT_UINT:
		return NumberValue(int64(uint32(v.Val)))
	case ole.VT_I8, ole.VT_UI8:
		return NumberValue(v.Val)
	case ole.VT_DATE:
		return dateValue(*(*float64)(unsafe.Pointer(&v.Val)))
	}
	if v.VT&ole.VT_ARRAY != 0 && v.VT&ole.VT_BYREF == 0 && v.Val != 0 {
		return listValue(v.ToArray().ToValueArray())
	}
	return FailedValue(fmt.Errorf("it is of type %#x: %w", v.VT, errors.ErrUnsupported))
}

// listValue makes a value of a list whose items are of one kind.
func listValue(items []any) Value {
	texts, numbers := []string{}, []int64{}
	for _, item := range items {
		switch x := item.(type) {
		case string:
			texts = append(texts, x)
		case int8:
			numbers = append(numbers, int64(uint8(x)))
		case uint8:
			numbers = append(numbers, int64(x))
		case int16:
			numbers = append(numbers, int64(uint16(x)))
		case uint16:
			numbers = append(numbers, int64(x))
		case int32:
			numbers = append(numbers, int64(uint32(x)))
		case uint32:
			numbers = append(numbers, int64(x))
		}
	}
	switch len(items) {
	case 0:
		return Value{Texts: texts, Numbers: numbers} // of either kind
	case len(texts):
		return Value{Texts: texts}
	case len(numbers):
		return Value{Numbers: numbers}
	}
	return FailedValue(fmt.Errorf("it is a list of several kinds: %w", errors.ErrUnsupported))
}

func dateValue(days float64) Value {
	t, ok := automationTime(days)
	switch {
	case !ok:
		return FailedValue(fmt.Errorf("%g is no time: %w", days, errUnreadable))
	case t.IsZero():
		return Value{}
	}
	return TextValue(t.Format(time.RFC3339))
}
