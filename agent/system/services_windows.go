package system

import (
	"context"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// maxServiceBytes is the most that Windows answers at once.
const maxServiceBytes = 256 << 10

// serviceRows answers Services.
func serviceRows(ctx context.Context) ([]Values, error) {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|windows.SC_MANAGER_ENUMERATE_SERVICE)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseServiceHandle(manager) }()
	var rows []Values
	buffer := make([]byte, maxServiceBytes)
	var resume uint32
	for {
		var needed, count uint32
		err := windows.EnumServicesStatusEx(manager, windows.SC_ENUM_PROCESS_INFO, windows.SERVICE_WIN32, windows.SERVICE_STATE_ALL,
			&buffer[0], uint32(len(buffer)), &needed, &count, &resume, nil)
		more := errors.Is(err, windows.ERROR_MORE_DATA)
		if err != nil && !more {
			return nil, err
		}
		if uint64(count)*uint64(unsafe.Sizeof(windows.ENUM_SERVICE_STATUS_PROCESS{})) > uint64(len(buffer)) {
			return nil, ErrTooLarge
		}
		for _, s := range unsafe.Slice((*windows.ENUM_SERVICE_STATUS_PROCESS)(unsafe.Pointer(&buffer[0])), count) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			rows = append(rows, Values{
				"Name":  TextValue(windows.UTF16PtrToString(s.ServiceName)),
				"State": NumberValue(int64(s.ServiceStatusProcess.CurrentState)),
				"Start": valueOf(startOf(manager, s.ServiceName))(NumberValue),
			})
		}
		switch {
		case !more:
			return rows, nil
		case count == 0 || len(rows) > someRows:
			return nil, ErrTooLarge
		}
	}
}

// startOf returns when a service is started.
func startOf(manager windows.Handle, name *uint16) (int64, error) {
	service, err := windows.OpenService(manager, name, windows.SERVICE_QUERY_CONFIG)
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseServiceHandle(service) }()
	buffer := make([]byte, 8<<10) // the most that it can be
	config := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buffer[0]))
	var needed uint32
	if err := windows.QueryServiceConfig(service, config, uint32(len(buffer)), &needed); err != nil {
		return 0, err
	}
	return int64(config.StartType), nil
}
