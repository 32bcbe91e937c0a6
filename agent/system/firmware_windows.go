package system

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// firmwareValues answers Firmware. Each value is read by itself, in a way that
// needs no privilege.
func firmwareValues() Values {
	row := Values{
		"FirmwareType": valueOf(firmwareType())(NumberValue),
		"SecureBoot":   valueOf(secureBoot())(FlagValue),
		"TPMVersion":   tpmVersion(),
		"PlatformRole": valueOf(platformRole())(NumberValue),
	}
	table, err := readSMBIOS()
	if err != nil {
		for _, name := range []string{"Manufacturer", "Model", "Version", "ChassisType", "SystemUUID", "SystemSerial", "BoardSerial", "ChassisSerial"} {
			row[name] = FailedValue(coded(err))
		}
		return row
	}
	row["Manufacturer"], row["Model"], row["Version"] = textOrNull(table.manufacturer), textOrNull(table.model), textOrNull(table.version)
	row["SystemUUID"], row["SystemSerial"] = textOrNull(table.uuid), textOrNull(table.serial)
	row["BoardSerial"], row["ChassisSerial"] = textOrNull(table.board), textOrNull(table.enclosure)
	row["ChassisType"] = Value{}
	if table.chassis != 0 {
		row["ChassisType"] = NumberValue(int64(table.chassis))
	}
	return row
}

func readSMBIOS() (smbios, error) {
	const provider, most = 0x52534d42, 1 << 20 // 'RSMB'
	get, err := procedure("kernel32.dll", "GetSystemFirmwareTable")
	if err != nil {
		return smbios{}, err
	}
	table := make([]byte, 64<<10)
	for {
		n, _, failed := get.Call(provider, 0, uintptr(unsafe.Pointer(&table[0])), uintptr(len(table)))
		switch {
		case n == 0:
			return smbios{}, failed
		case n <= uintptr(len(table)):
			return parseSMBIOS(table[:n])
		case n > most:
			return smbios{}, ErrTooLarge
		}
		table = make([]byte, n)
	}
}

func firmwareType() (int64, error) {
	get, err := procedure("kernel32.dll", "GetFirmwareType")
	if err != nil {
		return 0, err
	}
	var kind uint32
	if ok, _, failed := get.Call(uintptr(unsafe.Pointer(&kind))); ok == 0 {
		return 0, failed
	}
	return int64(kind), nil
}

// secureBoot reports whether this start of Windows was a secure one, as the
// kernel says.
func secureBoot() (bool, error) {
	var info struct{ enabled, capable uint8 }
	err := windows.NtQuerySystemInformation(windows.SystemSecureBootInformation, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info)), nil)
	return info.enabled != 0, err
}

// tpmVersion returns which standard the TPM follows, null if there is none.
func tpmVersion() Value {
	const none = 0x8028400f // TBS_E_TPM_NOT_FOUND
	get, err := procedure("tbs.dll", "Tbsi_GetDeviceInfo")
	if err != nil {
		return FailedValue(err)
	}
	var info struct{ structure, version, connection, revision uint32 }
	result, _, _ := get.Call(unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)))
	switch uint32(result) {
	case 0:
		return NumberValue(int64(info.version))
	case none:
		return Value{}
	}
	return FailedValue(newCodeError(uint32(result)))
}

func platformRole() (int64, error) {
	get, err := procedure("powrprof.dll", "PowerDeterminePlatformRoleEx")
	if err != nil {
		return 0, err
	}
	role, _, _ := get.Call(2) // POWER_PLATFORM_ROLE_V2
	if int32(role) < 0 {
		return 0, errors.New("the system told no role")
	}
	return int64(int32(role)), nil
}
