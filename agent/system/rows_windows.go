package system

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Rows implements Reader.
func (windowsReader) Rows(ctx context.Context, of Rowset) ([]Values, error) {
	spec, err := of.spec(posture.Windows)
	if err != nil {
		return nil, err
	}
	if spec.Apart {
		return rowsApart(ctx, spec) // its time begins with its turn
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer cancel()
	// What hangs is given up a little sooner, so that the rest can be told.
	sooner, stop := context.WithTimeout(ctx, spec.Deadline-spec.Deadline/10)
	defer stop()
	rows, err := within(ctx, func() ([]Values, error) { return rowsHere(sooner, of) })
	if err == nil && len(rows) > spec.Most {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", of, coded(err))
	}
	return rows, nil
}

// rowsHere answers what needs no process of its own.
func rowsHere(ctx context.Context, of Rowset) ([]Values, error) {
	switch of {
	case MachineRow:
		return []Values{machineValues()}, nil
	case Firmware:
		return []Values{firmwareValues()}, nil
	case Disks:
		return diskRows(ctx)
	case DiskVolumes:
		return volumeRows(ctx)
	case OpticalDrives:
		return opticalRows(ctx)
	case PortableDevices:
		return portableRows(ctx)
	case Services:
		return serviceRows(ctx)
	case Accounts:
		return accountRows()
	case Administrators:
		return administratorRows(ctx)
	case Sessions:
		return sessionRows()
	case Power:
		return powerRows()
	case SecurityHealth:
		return healthRows()
	}
	return nil, errors.ErrUnsupported
}

// machineValues answers MachineRow.
func machineValues() Values {
	v := windows.RtlGetVersion()
	row := Values{
		"Major": NumberValue(int64(v.MajorVersion)), "Minor": NumberValue(int64(v.MinorVersion)),
		"Build": NumberValue(int64(v.BuildNumber)), "ProductType": NumberValue(int64(v.ProductType)),
		"Elevated": FlagValue(windows.GetCurrentProcessToken().IsElevated()),
	}
	row["Hostname"] = valueOf(hostname())(TextValue)
	row["NativeMachine"] = valueOf(nativeMachine())(NumberValue)
	row["MinPasswordLength"] = valueOf(minPasswordLength())(NumberValue)
	return row
}

func hostname() (string, error) {
	buffer := make([]uint16, 512)
	size := uint32(len(buffer))
	if err := windows.GetComputerNameEx(windows.ComputerNamePhysicalDnsHostname, &buffer[0], &size); err != nil {
		return "", err
	}
	return windows.UTF16ToString(buffer), nil
}

// nativeMachine returns what kind of processor the kernel runs on, whatever
// this program was built for.
func nativeMachine() (int64, error) {
	if _, err := procedure("kernel32.dll", "IsWow64Process2"); err != nil {
		return 0, err
	}
	var own, native uint16
	if err := windows.IsWow64Process2(windows.CurrentProcess(), &own, &native); err != nil {
		return 0, err
	}
	return int64(native), nil
}

// securityProviders are those whose health is asked for.
var securityProviders = []int64{1, 2, 4, 0x20}

// healthRows answers SecurityHealth.
func healthRows() ([]Values, error) {
	ask, err := procedure("wscapi.dll", "WscGetSecurityProviderHealth")
	if err != nil {
		return nil, err
	}
	var rows []Values
	for _, provider := range securityProviders {
		var health uint32
		result, _, _ := ask.Call(uintptr(provider), uintptr(unsafe.Pointer(&health)))
		row := Values{"Provider": NumberValue(provider), "Result": NumberValue(int64(uint32(result))), "Health": {}}
		if uint32(result) == 0 {
			row["Health"] = NumberValue(int64(health))
		}
		rows = append(rows, row)
	}
	return rows, nil
}
