package system

import (
	"errors"

	"golang.org/x/sys/windows"
)

// coded gives an error of a call to Windows its code. Every other error, and
// one that has its code already, stays as it is.
func coded(err error) error {
	var number windows.Errno
	var status windows.NTStatus
	var library *windows.DLLError
	var configuration windows.CONFIGRET
	switch {
	case err == nil, CodeOf(err) != 0:
		return err
	case errors.As(err, &configuration):
		// It has codes of its own, which mean other things elsewhere.
		return newCodeError(uint32(configuration.Win32Error(windows.ERROR_GEN_FAILURE)))
	case errors.As(err, &library) && !errors.As(library.Err, &number):
		return newCodeError(uint32(windows.ERROR_PROC_NOT_FOUND))
	case errors.As(err, &status):
		errors.As(status.Errno(), &number)
		if number == 0 || number == windows.ERROR_MR_MID_NOT_FOUND {
			return newCodeError(uint32(status))
		}
	case !errors.As(err, &number) || number == 0:
		return err
	}
	return newCodeError(uint32(number))
}

// procedure returns a function of a library of the system's own folder, or
// why it is not there.
func procedure(library, name string) (*windows.LazyProc, error) {
	p := windows.NewLazySystemDLL(library).NewProc(name)
	if err := p.Find(); err != nil {
		return nil, coded(err)
	}
	return p, nil
}

// called returns the code that a function answered as an error, nil for 0.
func called(result uintptr) error {
	if code := uint32(result); code != 0 {
		return newCodeError(code)
	}
	return nil
}
