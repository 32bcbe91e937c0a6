package system

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"

	"github.com/go-ole/go-ole"
	"golang.org/x/sys/windows"
)

// The class and the interface of Security Center's list. Both interfaces are
// dual: behind the three methods of IUnknown stand the four of IDispatch.
const (
	classProductList = "{17072F7B-9ABE-4A74-A261-1EB76B55107A}"
	productList      = "{722A338C-6E8E-4E72-AC27-1417FB0C81C2}"

	slotInitialize = 7
	slotCount      = 8
	slotItem       = 9

	slotName      = 7
	slotState     = 8
	slotSignature = 9
	slotTimestamp = 11

	providerAntivirus = 4 // WSC_SECURITY_PROVIDER_ANTIVIRUS
)

// securityList answers SecurityList.
func securityList(spec RowsetSpec) ([]Values, error) {
	list, err := create(ole.NewGUID(classProductList), ole.NewGUID(productList))
	if err != nil {
		return nil, fmt.Errorf("make a list of products: %w", err)
	}
	defer list.Release()
	return listedProducts(list, spec.Most)
}

func listedProducts(list *ole.IUnknown, most int) ([]Values, error) {
	if err := call(list, slotInitialize, providerAntivirus); err != nil {
		return nil, fmt.Errorf("list the products: %w", err)
	}
	count := new(int32)
	if err := call(list, slotCount, uintptr(unsafe.Pointer(count))); err != nil {
		return nil, fmt.Errorf("count the products: %w", err)
	}
	if *count < 0 || int(*count) > most {
		return nil, fmt.Errorf("%d products: %w", *count, ErrTooLarge)
	}
	rows := []Values{}
	for i := range *count {
		var product *ole.IUnknown
		if err := call(list, slotItem, uintptr(i), uintptr(unsafe.Pointer(&product))); err != nil {
			return nil, fmt.Errorf("take product %d: %w", i, err)
		}
		if product == nil {
			return nil, fmt.Errorf("take product %d: there is no object", i)
		}
		rows = append(rows, listedProduct(product))
		product.Release()
	}
	return rows, nil
}

func listedProduct(product *ole.IUnknown) Values {
	text := func(slot int) Value {
		var s *int16
		if err := call(product, slot, uintptr(unsafe.Pointer(&s))); err != nil {
			return FailedValue(err)
		}
		v := &ole.VARIANT{VT: ole.VT_BSTR}
		*(**int16)(unsafe.Pointer(&v.Val)) = s
		return takeValue(v)
	}
	number := func(slot int) Value {
		n := new(uint32)
		if err := call(product, slot, uintptr(unsafe.Pointer(n))); err != nil {
			return FailedValue(err)
		}
		return NumberValue(int64(*n))
	}
	return Values{
		"Name": text(slotName), "State": number(slotState), "Signature": number(slotSignature), "Timestamp": text(slotTimestamp),
	}
}

// reportingExists adds to a row of Security Center whether the program that
// reports is there.
func reportingExists(object *ole.IDispatch, row Values) {
	path, _ := getValue(object, "pathToSignedReportingExe")
	if path.Text == nil {
		return // it does not say which
	}
	there, err := localProgramExists(*path.Text)
	if err != nil {
		row["ReportingExists"] = FailedValue(err)
		return
	}
	row["ReportingExists"] = FlagValue(there)
}

// localProgramExists looks for a program on a fixed drive of this machine, and
// follows no link on the way to it.
func localProgramExists(name string) (bool, error) {
	path, err := localProgram(name, systemFolder)
	if err != nil {
		return false, err
	}
	root, err := windows.UTF16PtrFromString(path[:3])
	if err != nil {
		return false, err
	}
	if windows.GetDriveType(root) != windows.DRIVE_FIXED {
		return false, fmt.Errorf("look for a program on a drive that is not fixed: %w", errors.ErrUnsupported)
	}
	for end := range path {
		// The folders on the way, and then the program itself.
		if end < 3 || path[end] != '\\' && end != len(path)-1 {
			continue
		}
		part := path[:end+1]
		wide, err := windows.UTF16PtrFromString(strings.TrimSuffix(part, `\`))
		if err != nil {
			return false, err
		}
		attributes, err := windows.GetFileAttributes(wide)
		if err = coded(err); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for a program: %w", err)
		}
		if attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
			return false, fmt.Errorf("look for a program behind a link: %w", errors.ErrUnsupported)
		}
	}
	return true, nil
}

// systemFolder returns the folder that a variable of the environment stands
// for, whatever this process's environment says.
func systemFolder(variable string) (string, error) {
	var id *windows.KNOWNFOLDERID
	switch strings.ToLower(variable) {
	case "programfiles", "programw6432":
		id = windows.FOLDERID_ProgramFiles
	case "programfiles(x86)":
		id = windows.FOLDERID_ProgramFilesX86
	case "commonprogramfiles", "commonprogramw6432":
		id = windows.FOLDERID_ProgramFilesCommon
	case "commonprogramfiles(x86)":
		id = windows.FOLDERID_ProgramFilesCommonX86
	case "programdata", "allusersprofile":
		id = windows.FOLDERID_ProgramData
	case "systemroot", "windir":
		id = windows.FOLDERID_Windows
	case "systemdrive":
		folder, err := windows.KnownFolderPath(windows.FOLDERID_Windows, 0)
		if err != nil || len(folder) < 2 {
			return "", coded(err)
		}
		return folder[:2], nil
	default:
		return "", fmt.Errorf("%.40q is not a folder of the system: %w", variable, errors.ErrUnsupported)
	}
	folder, err := windows.KnownFolderPath(id, 0)
	return folder, coded(err)
}
