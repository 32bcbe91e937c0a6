package system

import (
	"context"
	"errors"
	"io/fs"
)

// codesLike are the codes of Windows' interfaces whose meaning a caller
// branches on. What is not here is like nothing: it could not be read.
var codesLike = map[uint32]error{
	2:          fs.ErrNotExist,           // ERROR_FILE_NOT_FOUND
	3:          fs.ErrNotExist,           // ERROR_PATH_NOT_FOUND
	0x8004100e: fs.ErrNotExist,           // WBEM_E_INVALID_NAMESPACE
	0x80041010: fs.ErrNotExist,           // WBEM_E_INVALID_CLASS
	0x80041002: fs.ErrNotExist,           // WBEM_E_NOT_FOUND
	0x80040154: fs.ErrNotExist,           // REGDB_E_CLASSNOTREG
	0x800401f3: fs.ErrNotExist,           // CO_E_CLASSSTRING
	5:          fs.ErrPermission,         // ERROR_ACCESS_DENIED
	1314:       fs.ErrPermission,         // ERROR_PRIVILEGE_NOT_HELD
	0x80041003: fs.ErrPermission,         // WBEM_E_ACCESS_DENIED
	0x80041062: fs.ErrPermission,         // WBEM_E_PRIVILEGE_NOT_HELD
	1260:       fs.ErrPermission,         // ERROR_ACCESS_DISABLED_BY_POLICY
	121:        context.DeadlineExceeded, // ERROR_SEM_TIMEOUT
	258:        context.DeadlineExceeded, // WAIT_TIMEOUT
	1460:       context.DeadlineExceeded, // ERROR_TIMEOUT
	0x80043001: context.DeadlineExceeded, // WBEM_S_TIMEDOUT, as an error
	0x8001011f: context.DeadlineExceeded, // RPC_E_TIMEOUT
	1:          errors.ErrUnsupported,    // ERROR_INVALID_FUNCTION
	50:         errors.ErrUnsupported,    // ERROR_NOT_SUPPORTED
	120:        errors.ErrUnsupported,    // ERROR_CALL_NOT_IMPLEMENTED
	126:        errors.ErrUnsupported,    // ERROR_MOD_NOT_FOUND
	127:        errors.ErrUnsupported,    // ERROR_PROC_NOT_FOUND
	0x80004001: errors.ErrUnsupported,    // E_NOTIMPL
	0x8004100c: errors.ErrUnsupported,    // WBEM_E_NOT_SUPPORTED
	0x80041024: errors.ErrUnsupported,    // WBEM_E_PROVIDER_NOT_CAPABLE
	0x80041055: errors.ErrUnsupported,    // WBEM_E_METHOD_NOT_IMPLEMENTED
	0x8004105b: errors.ErrUnsupported,    // WBEM_E_METHOD_DISABLED
}

// facilityWin32 begins an HRESULT that stands for one of Win32's own codes.
const facilityWin32 = 0x8007_0000

// newCodeError returns the failure that a code of Windows stands for: one of
// Win32 (5), an HRESULT (0x80070005) or one of WMI (0x80041003).
func newCodeError(code uint32) error {
	like := codesLike[code]
	if like == nil && code&0xffff_0000 == facilityWin32 {
		like = codesLike[code&0xffff]
	}
	return &CodeError{Code: code, Like: like}
}
