package system

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/windows"
)

// powerSetting is one setting of a power scheme.
type powerSetting struct {
	name         string
	group, value windows.GUID
}

var powerSettings = []powerSetting{
	{
		"ConsoleLock",
		windows.GUID{Data1: 0xfea3413e, Data2: 0x7e05, Data3: 0x4911, Data4: [8]byte{0x9a, 0x71, 0x70, 0x03, 0x31, 0xf1, 0xc2, 0x94}},
		windows.GUID{Data1: 0x0e796bdb, Data2: 0x100d, Data3: 0x47d6, Data4: [8]byte{0xa2, 0xd5, 0xf7, 0xd2, 0xda, 0xa5, 0x1f, 0x51}},
	},
	{
		"DisplayOff",
		windows.GUID{Data1: 0x7516b95f, Data2: 0xf776, Data3: 0x4464, Data4: [8]byte{0x8c, 0x53, 0x06, 0x16, 0x7f, 0x40, 0xcc, 0x99}},
		windows.GUID{Data1: 0x3c0bc021, Data2: 0xc8a8, Data3: 0x4e07, Data4: [8]byte{0xa9, 0x73, 0x6b, 0x14, 0xcb, 0xcb, 0x2b, 0x7e}},
	},
	{
		"Sleep",
		windows.GUID{Data1: 0x238c9fa8, Data2: 0x0aad, Data3: 0x41ed, Data4: [8]byte{0x83, 0xf4, 0x97, 0xbe, 0x24, 0x2c, 0x8f, 0x20}},
		windows.GUID{Data1: 0x29f6c1db, Data2: 0x86da, Data3: 0x48c5, Data4: [8]byte{0x9f, 0xdb, 0xf2, 0xb6, 0x7b, 0x1f, 0x44, 0xda}},
	},
}

// powerRows answers Power.
func powerRows() ([]Values, error) {
	scheme, err := activeScheme()
	if err != nil {
		return nil, err
	}
	row := Values{"ModernStandby": valueOf(modernStandby())(FlagValue)}
	for _, s := range powerSettings {
		row[s.name+"AC"] = valueOf(s.read("PowerReadACValueIndex", scheme))(NumberValue)
		row[s.name+"DC"] = valueOf(s.read("PowerReadDCValueIndex", scheme))(NumberValue)
	}
	return []Values{row}, nil
}

// activeScheme returns the power scheme in force.
func activeScheme() (windows.GUID, error) {
	get, err := procedure("powrprof.dll", "PowerGetActiveScheme")
	if err != nil {
		return windows.GUID{}, err
	}
	var scheme *windows.GUID
	result, _, _ := get.Call(0, uintptr(unsafe.Pointer(&scheme)))
	if err := called(result); err != nil {
		return windows.GUID{}, err
	}
	defer func() { _, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(scheme))) }()
	return *scheme, nil
}

func (s powerSetting) read(function string, scheme windows.GUID) (int64, error) {
	get, err := procedure("powrprof.dll", function)
	if err != nil {
		return 0, err
	}
	var index uint32
	result, _, _ := get.Call(0, uintptr(unsafe.Pointer(&scheme)), uintptr(unsafe.Pointer(&s.group)),
		uintptr(unsafe.Pointer(&s.value)), uintptr(unsafe.Pointer(&index)))
	return int64(index), called(result)
}

// modernStandby reports whether the machine sleeps without switching off.
func modernStandby() (bool, error) {
	const size, aoac = 76, 20 // SYSTEM_POWER_CAPABILITIES, and its AoAc
	get, err := procedure("powrprof.dll", "CallNtPowerInformation")
	if err != nil {
		return false, err
	}
	capabilities := make([]byte, size)
	status, _, _ := get.Call(4, 0, 0, uintptr(unsafe.Pointer(&capabilities[0])), size) // SystemPowerCapabilities
	if status := windows.NTStatus(uint32(status)); status != windows.STATUS_SUCCESS {
		return false, status
	}
	if binary.LittleEndian.Uint64(capabilities) == 0 && binary.LittleEndian.Uint64(capabilities[8:]) == 0 {
		return false, errMalformed // no machine has neither button nor any state to sleep in
	}
	return capabilities[aoac] != 0, nil
}
