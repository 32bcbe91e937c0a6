package system

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unsafe"

	"github.com/go-ole/go-ole"
)

const (
	wmiNotFound = 0x8004_1002 // WBEM_E_NOT_FOUND

	maxWait     = 0x80 // wbemConnectFlagUseMaxWait: a connection fails after two minutes
	forwardOnly = 0x30 // wbemFlagReturnImmediately | wbemFlagForwardOnly: no more is kept than one row
)

// connection returns the connection to a namespace of this machine's WMI. It
// stays com's.
func (c *com) connection(namespace string) (*ole.IDispatch, error) {
	if s := c.services[namespace]; s != nil {
		return s, nil
	}
	locator, err := createNamed("WbemScripting.SWbemLocator")
	if err != nil {
		return nil, err
	}
	defer locator.Release()
	if err := secure(locator); err != nil {
		return nil, err
	}
	services, err := doObject(locator, "ConnectServer", textArgument("."), textArgument(namespace), textArgument(""), textArgument(""),
		textArgument(""), textArgument(""), numberArgument(maxWait))
	if err != nil {
		return nil, err
	}
	if err := secure(services); err != nil {
		services.Release()
		return nil, err
	}
	c.services[namespace] = services
	return services, nil
}

// secure has an object of WMI encrypt what it says and hears, without which
// some namespaces do not answer.
func secure(object *ole.IDispatch) error {
	security, err := getObject(object, "Security_")
	if err != nil {
		return err
	}
	defer security.Release()
	if err := put(security, "AuthenticationLevel", numberArgument(packetPrivacy)); err != nil {
		return err
	}
	return put(security, "ImpersonationLevel", numberArgument(impersonate))
}

// disconnect gives up a connection, as after a failure: the service may have
// been started anew.
func (c *com) disconnect(namespace string) {
	if s := c.services[namespace]; s != nil {
		s.Release()
		delete(c.services, namespace)
	}
}

// instances returns a row of each instance of a class: those of its properties
// that the question names. All are selected, because a class that lacks one
// that is selected by name may answer that there are no instances.
func (c *com) instances(namespace, class string, spec RowsetSpec, finish func(*ole.IDispatch, Values)) ([]Values, error) {
	return c.eachInstance(namespace, class, spec.Most, func(object *ole.IDispatch) Values {
		row := Values{}
		for _, name := range spec.Values {
			if v, ok := getValue(object, name); ok {
				row[name] = v
			}
		}
		if finish != nil {
			finish(object, row)
		}
		return row
	})
}

// eachInstance visits the instances of a class. The object is released when
// visit returns.
func (c *com) eachInstance(namespace, class string, most int, visit func(*ole.IDispatch) Values) (rows []Values, err error) {
	services, err := c.connection(namespace)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", namespace, err)
	}
	defer func() {
		if err != nil {
			c.disconnect(namespace)
			err = fmt.Errorf("query %s: %w", class, err)
		}
	}()
	// A query for a class that there is not may answer that it has no
	// instances.
	description, err := doObject(services, "Get", textArgument(class))
	if err != nil {
		return nil, err
	}
	description.Release()
	set, err := doObject(services, "ExecQuery", textArgument("SELECT * FROM "+class), textArgument("WQL"), numberArgument(forwardOnly))
	if err != nil {
		return nil, err
	}
	defer set.Release()
	enum, err := enumerator(set)
	if err != nil {
		return nil, err
	}
	defer enum.Release()
	for {
		object, err := next(enum)
		if object == nil || err != nil {
			return rows, err
		}
		if len(rows) == most {
			object.Release()
			return nil, ErrTooLarge
		}
		rows = append(rows, visit(object))
		object.Release()
	}
}

// enumerator returns what visits the items of a set.
func enumerator(set *ole.IDispatch) (*ole.IEnumVARIANT, error) {
	v, err := get(set, "_NewEnum")
	if err != nil {
		return nil, err
	}
	defer func() { _ = v.Clear() }() // the enumerator is another reference
	unknown := v.ToIUnknown()
	if unknown == nil {
		if d := v.ToIDispatch(); d != nil {
			unknown = &d.IUnknown
		}
	}
	if unknown == nil {
		return nil, errors.New("visit the items of a set: there is no enumerator")
	}
	enum, err := unknown.IEnumVARIANT(ole.IID_IEnumVariant)
	return enum, oleError(err)
}

const slotNext = 3 // IEnumVARIANT::Next

// next returns the next object, which is the caller's, or nil after the last.
func next(enum *ole.IEnumVARIANT) (*ole.IDispatch, error) {
	v, fetched := new(ole.VARIANT), new(uint32)
	if err := call(&enum.IUnknown, slotNext, 1, uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(fetched))); err != nil {
		return nil, err
	}
	if *fetched == 0 {
		return nil, nil
	}
	return asObject("the next item", *v)
}

// threatNumber makes a number of what WMI gives as a text because automation's
// numbers are too small.
func threatNumber(_ *ole.IDispatch, row Values) {
	const name = "ThreatID"
	if text, ok := row[name]; ok && text.Text != nil {
		if n, err := strconv.ParseInt(*text.Text, 10, 64); err == nil {
			row[name] = NumberValue(n)
		}
	}
}

// method is a method of a class that only reads, and the values that are taken
// of what it returns.
type method struct {
	name string
	with *argument
	outs []string
}

type argument struct {
	name  string
	value func() ole.VARIANT
}

// volumeMethods are the methods of Win32_EncryptableVolume that are ever
// called, beside GetKeyProtectors and GetKeyProtectorType. There are others
// that return secrets, or change the volume.
func volumeMethods() []method {
	// In ten-thousandths: the percentage is rounded otherwise.
	precision := &argument{"PrecisionFactor", func() ole.VARIANT { return numberArgument(4) }}
	return []method{
		{"GetProtectionStatus", nil, []string{"ProtectionStatus"}},
		{"GetConversionStatus", precision, []string{"ConversionStatus", "EncryptionPercentage", "EncryptionFlags", "WipingStatus"}},
		{"GetLockStatus", nil, []string{"LockStatus"}},
		{"GetEncryptionMethod", nil, []string{"EncryptionMethod"}},
		{"GetHardwareEncryptionStatus", nil, []string{"HardwareEncryptionStatus"}},
		{"GetSuspendCount", nil, []string{"SuspendCount"}},
	}
}

// bitLockerVolumes answers BitLockerVolumes.
func (c *com) bitLockerVolumes(spec RowsetSpec) ([]Values, error) {
	const namespace, class = `root\CIMV2\Security\MicrosoftVolumeEncryption`, "Win32_EncryptableVolume"
	services, err := c.connection(namespace)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", namespace, err)
	}
	description, err := doObject(services, "Get", textArgument(class))
	if err != nil {
		c.disconnect(namespace)
		return nil, fmt.Errorf("get %s: %w", class, err)
	}
	defer description.Release()
	return c.eachInstance(namespace, class, spec.Most, func(object *ole.IDispatch) Values {
		row := Values{}
		for name, property := range map[string]string{
			"DeviceID": "DeviceID", "DriveLetter": "DriveLetter", "VolumeType": "VolumeType", "Stored": "ProtectionStatus",
		} {
			if v, ok := getValue(object, property); ok {
				row[name] = v
			}
		}
		for _, m := range volumeMethods() {
			callMethod(description, object, m, row)
		}
		row["KeyProtectorTypes"] = keyProtectorTypes(description, object)
		return row
	})
}

// keyProtectorTypes returns the types of a volume's key protectors.
func keyProtectorTypes(class, volume *ole.IDispatch) Value {
	const ids, kind = "VolumeKeyProtectorID", "KeyProtectorType"
	row := Values{}
	every := &argument{kind, func() ole.VARIANT { return numberArgument(0) }}
	callMethod(class, volume, method{"GetKeyProtectors", every, []string{ids}}, row)
	list := row[ids]
	switch {
	case list.IsNull():
		return NumbersValue(nil) // an empty list, as WMI writes it
	case list.Texts == nil:
		return failedInstead(list)
	}
	types := []int64{}
	for _, id := range list.Texts {
		this := &argument{ids, func() ole.VARIANT { return textArgument(id) }}
		callMethod(class, volume, method{"GetKeyProtectorType", this, []string{kind}}, row)
		t := row[kind]
		if t.Number == nil {
			return failedInstead(t)
		}
		types = append(types, *t.Number)
	}
	slices.Sort(types)
	return NumbersValue(types)
}

// failedInstead keeps why a value failed, and makes a failure of one that is
// of the wrong kind.
func failedInstead(v Value) Value {
	if v.Absent != 0 {
		return v
	}
	return FailedValue(errUnreadable)
}

// callMethod calls a method of an instance and puts the values that it returns
// into the row, or why it failed. A method that returns anything but 0 has
// failed with that code.
func callMethod(class, instance *ole.IDispatch, m method, row Values) {
	outs, err := execMethod(class, instance, m)
	if err != nil {
		for _, name := range m.outs {
			row[name] = FailedValue(err)
		}
		return
	}
	defer outs.Release()
	for _, name := range m.outs {
		v, ok := getValue(outs, name)
		if !ok {
			v = Value{}
		}
		row[name] = v
	}
}

// execMethod calls a method and returns the object with what it returned.
func execMethod(class, instance *ole.IDispatch, m method) (*ole.IDispatch, error) {
	args := []ole.VARIANT{textArgument(m.name)}
	if m.with != nil {
		in, err := methodArguments(class, m)
		if err != nil {
			clearTexts(args)
			return nil, err
		}
		defer in.Release()
		args = append(args, objectArgument(in))
	}
	outs, err := doObject(instance, "ExecMethod_", args...)
	if err != nil {
		return nil, err
	}
	returned, ok := getValue(outs, "ReturnValue")
	switch {
	case ok && returned.Number != nil && *returned.Number == 0:
		return outs, nil
	case ok && returned.Number != nil:
		err = newCodeError(uint32(*returned.Number))
	default:
		err = fmt.Errorf("call %s: it does not say whether it succeeded", m.name)
	}
	outs.Release()
	return nil, err
}

// methodArguments returns an object with the one argument of a method.
func methodArguments(class *ole.IDispatch, m method) (*ole.IDispatch, error) {
	methods, err := getObject(class, "Methods_")
	if err != nil {
		return nil, err
	}
	defer methods.Release()
	description, err := doObject(methods, "Item", textArgument(m.name))
	if err != nil {
		return nil, err
	}
	defer description.Release()
	parameters, err := getObject(description, "InParameters")
	if err != nil {
		return nil, err
	}
	defer parameters.Release()
	in, err := doObject(parameters, "SpawnInstance_")
	if err != nil {
		return nil, err
	}
	properties, err := getObject(in, "Properties_")
	if err == nil {
		defer properties.Release()
		var property *ole.IDispatch
		if property, err = doObject(properties, "Item", textArgument(m.with.name)); err == nil {
			defer property.Release()
			err = put(property, "Value", m.with.value())
		}
	}
	if err != nil {
		in.Release()
		return nil, err
	}
	return in, nil
}
