package system

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What Plug and Play is asked for of a device.
const (
	pnpService       = 0x05 // CM_DRP_SERVICE
	pnpManufacturer  = 0x0c // CM_DRP_MFG
	pnpRemovalPolicy = 0x20 // CM_DRP_REMOVAL_POLICY
	maxParents       = 32
	maxPNP           = 4096 // bytes of one answer
)

// Classes of interfaces.
var (
	diskInterface     = windows.GUID{Data1: 0x53f56307, Data2: 0xb6bf, Data3: 0x11d0, Data4: [8]byte{0x94, 0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b}}
	opticalInterface  = windows.GUID{Data1: 0x53f56308, Data2: 0xb6bf, Data3: 0x11d0, Data4: [8]byte{0x94, 0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b}}
	portableInterface = windows.GUID{Data1: 0x6ac27878, Data2: 0xa6fa, Data3: 0x4155, Data4: [8]byte{0xba, 0x85, 0xf9, 0x8f, 0x49, 0x1d, 0x4f, 0x33}}
)

// propertyKey is a DEVPROPKEY.
type propertyKey struct {
	group windows.GUID
	id    uint32
}

var (
	instanceOf = propertyKey{windows.GUID{Data1: 0x78c34fc8, Data2: 0x104a, Data3: 0x4aca, Data4: [8]byte{0x9e, 0xa4, 0x52, 0x4d, 0x52, 0x99, 0x6e, 0x57}}, 256}
	// reportedBy is the name that a device tells of its own kind, never the
	// one that its owner gave it.
	reportedBy = propertyKey{windows.GUID{Data1: 0x540b947e, Data2: 0x8b40, Data3: 0x45bc, Data4: [8]byte{0xa8, 0xa2, 0x6a, 0x0b, 0x89, 0x4c, 0xbd, 0xa2}}, 4}
)

// configured turns the answer of the configuration manager into an error.
func configured(answer uintptr) error {
	if code := windows.CONFIGRET(uint32(answer)); code != windows.CR_SUCCESS {
		return code
	}
	return nil
}

// interfacesOf lists the interfaces of a class that are there now. None is an
// empty list.
func interfacesOf(class windows.GUID) ([]string, error) {
	if _, err := procedure("cfgmgr32.dll", "CM_Get_Device_Interface_List_SizeW"); err != nil {
		return nil, err
	}
	list, err := windows.CM_Get_Device_Interface_List("", &class, windows.CM_GET_DEVICE_INTERFACE_LIST_PRESENT)
	if errors.Is(err, windows.ERROR_NO_SUCH_DEVICE_INTERFACE) {
		return nil, nil
	}
	return list, err
}

// device is a device as Plug and Play knows it.
type device struct {
	instance string
	node     uint32
}

// deviceOf finds the device of an interface.
func deviceOf(path string) (device, error) {
	get, err := procedure("cfgmgr32.dll", "CM_Get_Device_Interface_PropertyW")
	if err != nil {
		return device{}, err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return device{}, err
	}
	key, buffer := instanceOf, make([]byte, maxPNP)
	kind, size := uint32(0), uint32(len(buffer))
	answer, _, _ := get.Call(uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&kind)),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	if err := configured(answer); err != nil {
		return device{}, err
	}
	d := device{instance: pnpText(buffer, size)}
	locate, err := procedure("cfgmgr32.dll", "CM_Locate_DevNodeW")
	if err != nil {
		return device{}, err
	}
	if name, err = windows.UTF16PtrFromString(d.instance); err != nil {
		return device{}, err
	}
	answer, _, _ = locate.Call(uintptr(unsafe.Pointer(&d.node)), uintptr(unsafe.Pointer(name)), 0)
	return d, configured(answer)
}

// parents returns the instances of the devices above this one, the nearest
// first.
func (d device) parents() ([]string, error) {
	up, err := procedure("cfgmgr32.dll", "CM_Get_Parent")
	if err != nil {
		return nil, err
	}
	id, err := procedure("cfgmgr32.dll", "CM_Get_Device_IDW")
	if err != nil {
		return nil, err
	}
	list := []string{}
	for node := d.node; len(list) < maxParents; {
		var above uint32
		answer, _, _ := up.Call(uintptr(unsafe.Pointer(&above)), uintptr(node), 0)
		if windows.CONFIGRET(uint32(answer)) == windows.CR_NO_SUCH_DEVNODE {
			return list, nil // the root of the tree
		}
		if err := configured(answer); err != nil {
			return nil, err
		}
		buffer := make([]uint16, maxPNP/2)
		answer, _, _ = id.Call(uintptr(above), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0)
		if err := configured(answer); err != nil {
			return nil, err
		}
		list = append(list, windows.UTF16ToString(buffer))
		node = above
	}
	return nil, ErrTooLarge
}

// property returns one of the properties that every device may have; nothing
// if it has not.
func (d device) property(which uint32) ([]byte, error) {
	get, err := procedure("cfgmgr32.dll", "CM_Get_DevNode_Registry_PropertyW")
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, maxPNP)
	kind, size := uint32(0), uint32(len(buffer))
	answer, _, _ := get.Call(uintptr(d.node), uintptr(which), uintptr(unsafe.Pointer(&kind)),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	return pnpAnswer(answer, buffer, size)
}

// told returns a property by its key; nothing if the device has not got it.
func (d device) told(key propertyKey) ([]byte, error) {
	get, err := procedure("cfgmgr32.dll", "CM_Get_DevNode_PropertyW")
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, maxPNP)
	kind, size := uint32(0), uint32(len(buffer))
	answer, _, _ := get.Call(uintptr(d.node), uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&kind)),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	return pnpAnswer(answer, buffer, size)
}

func pnpAnswer(answer uintptr, buffer []byte, size uint32) ([]byte, error) {
	if windows.CONFIGRET(uint32(answer)) == windows.CR_NO_SUCH_VALUE {
		return nil, nil
	}
	if err := configured(answer); err != nil {
		return nil, err
	}
	return buffer[:min(int(size), len(buffer))], nil
}

func pnpText(buffer []byte, size uint32) string {
	return firstText(utf16Units(buffer[:min(int(size), len(buffer))]))
}

// textOf makes a value of a property that is a text, null if there is none.
func textOf(data []byte, err error) Value {
	switch {
	case err != nil:
		return FailedValue(coded(err))
	case data == nil:
		return Value{}
	}
	return textOrNull(firstText(utf16Units(data)))
}

// numberOf makes a value of a property that is a number, null if there is none.
func numberOf(data []byte, err error) Value {
	switch {
	case err != nil:
		return FailedValue(coded(err))
	case data == nil:
		return Value{}
	case len(data) != 4:
		return FailedValue(errMalformed)
	}
	return NumberValue(int64(binary.LittleEndian.Uint32(data)))
}
