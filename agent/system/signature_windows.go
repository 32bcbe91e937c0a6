package system

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// errUnsigned says that there is no signature in one place.
var errUnsigned = errors.New("there is no signature")

// judge is Windows' own judge of signatures, wintrust.dll. Its functions are
// found by name, because a Windows of fewer parts lacks some.
type judge struct {
	verify, stateData, signerOf, certOf             *windows.LazyProc
	acquire, release, hash, find, drop, catalogPath *windows.LazyProc

	catalogues []*catalogues
	none       func() bool // whether it is known that the system keeps no catalogue
}

// catalogues are the system's catalogues by one kind of hash. Opening them is
// dear, so that they stay open from the first question to the last.
type catalogues struct {
	algorithm string
	admin     windows.Handle // 0: not opened yet
	err       error          // why they cannot be asked by this kind of hash
}

// newJudge makes a judge for one walk. It is for one question at a time.
func newJudge() (j *judge, err error) {
	// Those from before Windows 8 list files by their SHA-1 only.
	j = &judge{catalogues: []*catalogues{{algorithm: "SHA256"}, {algorithm: "SHA1"}}}
	j.none = sync.OnceValue(func() bool {
		some, err := anyCatalogue()
		return err == nil && !some // where they could not be looked for, the system is asked
	})
	for _, f := range []struct {
		name string
		into **windows.LazyProc
	}{
		{"WinVerifyTrustEx", &j.verify},
		{"WTHelperProvDataFromStateData", &j.stateData},
		{"WTHelperGetProvSignerFromChain", &j.signerOf},
		{"WTHelperGetProvCertFromChain", &j.certOf},
		{"CryptCATAdminAcquireContext2", &j.acquire},
		{"CryptCATAdminReleaseContext", &j.release},
		{"CryptCATAdminCalcHashFromFileHandle2", &j.hash},
		{"CryptCATAdminEnumCatalogFromHash", &j.find},
		{"CryptCATAdminReleaseCatalogContext", &j.drop},
		{"CryptCATCatalogInfoFromContext", &j.catalogPath},
	} {
		if *f.into, err = procedure("wintrust.dll", f.name); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// signature judges the signature of an open file: the one in it, or else the
// one in a catalogue that lists it. It asks for nothing on the screen and
// nothing from the network: revocation is not looked up, and what is not on
// this machine is not fetched.
func (j *judge) signature(ctx context.Context, file windows.Handle) (Signature, error) {
	if err := ctx.Err(); err != nil {
		return Signature{}, err
	}
	s, err := Signature{}, errUnsigned
	if !bareImage(file) {
		s, err = j.embedded(file)
	}
	if errors.Is(err, errUnsigned) {
		s, err = j.catalogued(file)
	}
	if errors.Is(err, errUnsigned) {
		return Signature{State: posture.Unsigned}, nil
	}
	if err != nil {
		return Signature{}, fmt.Errorf("judge a signature: %w", err)
	}
	return s, nil
}

// bareImage reports whether a file is a program that holds no signature: there
// is nothing for the judge to look for in it.
func bareImage(file windows.Handle) bool {
	state, err := stateOf(file)
	if err != nil {
		return false
	}
	_, end, ok, err := imageParts(&readHandle{Handle: file}, state.size)
	return err == nil && ok && end == state.size
}

// embedded judges the signature in the file.
func (j *judge) embedded(file windows.Handle) (Signature, error) {
	name, err := windows.UTF16PtrFromString(pathOf(file))
	if err != nil {
		return Signature{}, err
	}
	info := windows.WinTrustFileInfo{FilePath: name, File: file}
	info.Size = uint32(unsafe.Sizeof(info))
	return j.ask(file, windows.WTD_CHOICE_FILE, unsafe.Pointer(&info))
}

// pathOf returns the path of an open file. The judge wants one, though it reads
// the handle: it is where the file is now.
func pathOf(file windows.Handle) string {
	const opened = 8 // FILE_NAME_OPENED: without opening the folders above it
	var name [4096]uint16
	n, err := windows.GetFinalPathNameByHandle(file, &name[0], uint32(len(name)), opened)
	if err != nil || int(n) >= len(name) {
		return "program.exe"
	}
	return windows.UTF16ToString(name[:n])
}

// ask asks the judge about a subject, and always lets go of what it keeps.
func (j *judge) ask(file windows.Handle, choice uint32, subject unsafe.Pointer) (Signature, error) {
	if _, err := windows.Seek(file, 0, io.SeekStart); err != nil {
		return Signature{}, coded(err)
	}
	data := windows.WinTrustData{
		UIChoice: windows.WTD_UI_NONE, RevocationChecks: windows.WTD_REVOKE_NONE,
		UnionChoice: choice, FileOrCatalogOrBlobOrSgnrOrCert: subject,
		StateAction: windows.WTD_STATEACTION_VERIFY, UIContext: windows.WTD_UICONTEXT_EXECUTE,
		ProvFlags: windows.WTD_CACHE_ONLY_URL_RETRIEVAL | windows.WTD_REVOCATION_CHECK_NONE,
	}
	data.Size = uint32(unsafe.Sizeof(data))
	answer, _, behind := j.call(&data)
	signer := j.signer(data.StateData)
	data.StateAction = windows.WTD_STATEACTION_CLOSE
	_, _, _ = j.call(&data)
	if isUnsigned(uint32(answer), lastCode(behind)) {
		return Signature{}, errUnsigned
	}
	if uint32(answer) == trustNoSignature {
		return Signature{}, newCodeError(lastCode(behind))
	}
	state, err := judged(uint32(answer))
	if err != nil {
		return Signature{}, err
	}
	return Signature{State: state, Signer: signer}, nil
}

func (j *judge) call(data *windows.WinTrustData) (uintptr, uintptr, error) {
	action := windows.WINTRUST_ACTION_GENERIC_VERIFY_V2
	nobody := ^uintptr(0) // INVALID_HANDLE_VALUE: there is no user
	return j.verify.Call(nobody, uintptr(unsafe.Pointer(&action)), uintptr(unsafe.Pointer(data)))
}

// lastCode returns the code behind a failure.
func lastCode(err error) uint32 {
	if number, ok := errors.AsType[windows.Errno](err); ok {
		return uint32(number)
	}
	return 0
}

// signer returns whom the certificate of the first signer names: its common
// name, or else its organisation; "" if the judge found none.
func (j *judge) signer(state windows.Handle) string {
	if state == 0 {
		return ""
	}
	provider, _, _ := j.stateData.Call(uintptr(state))
	if provider == 0 {
		return ""
	}
	signer, _, _ := j.signerOf.Call(provider, 0, 0, 0)
	if signer == 0 {
		return ""
	}
	found, _, _ := j.certOf.Call(signer, 0)
	if found == 0 {
		return ""
	}
	cert := (*struct {
		size    uint32
		context *windows.CertContext
	})(pointer(found))
	if cert.context == nil {
		return ""
	}
	for _, part := range []string{"2.5.4.3\x00", "2.5.4.10\x00"} {
		const attribute = 3 // CERT_NAME_ATTR_TYPE
		var name [256]uint16
		n := windows.CertGetNameString(cert.context, attribute, 0, unsafe.Pointer(unsafe.StringData(part)), &name[0], uint32(len(name)))
		if n > 1 {
			return windows.UTF16ToString(name[:n])
		}
	}
	return ""
}

// pointer makes a pointer of an address that Windows gave, of memory that is
// not Go's.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// close lets go of the catalogues.
func (j *judge) close() {
	for _, c := range j.catalogues {
		if c.admin != 0 {
			_, _, _ = j.release.Call(uintptr(c.admin), 0)
		}
	}
}

// open opens the catalogues, once.
func (j *judge) open(c *catalogues) (windows.Handle, error) {
	if c.admin != 0 || c.err != nil {
		return c.admin, c.err
	}
	name, err := windows.UTF16PtrFromString(c.algorithm)
	if err != nil {
		return 0, err
	}
	if ok, _, err := j.acquire.Call(uintptr(unsafe.Pointer(&c.admin)), 0, uintptr(unsafe.Pointer(name)), 0, 0); ok == 0 {
		c.admin, c.err = 0, fmt.Errorf("open the catalogues: %w", coded(err))
	}
	return c.admin, c.err
}

// catalogued judges a file by the first catalogue of the system's that lists
// it: by its SHA-256, or, as catalogues from before Windows 8 do, by its SHA-1.
func (j *judge) catalogued(file windows.Handle) (s Signature, last error) {
	if j.none() {
		return Signature{}, errUnsigned
	}
	own, tidy, err := imageDigest{}, false, error(nil)
	if state, stateErr := stateOf(file); stateErr == nil {
		own, tidy, err = digestImage(&readHandle{Handle: file}, state.size)
	}
	if err != nil {
		return Signature{}, fmt.Errorf("hash for the catalogues: %w", coded(err))
	}
	for _, c := range j.catalogues {
		admin, err := j.open(c)
		var hash []byte
		switch {
		case err != nil:
		case tidy && c.algorithm == "SHA256":
			hash = own.sha256[:]
		case tidy:
			hash = own.sha1[:]
		default:
			hash, err = j.hashed(file, admin)
		}
		if err == nil {
			s, err = j.listed(file, admin, hash)
		}
		// A system whose catalogues have no SHA-256 says so of every file.
		none := CodeOf(err) == uint32(windows.ERROR_INVALID_PARAMETER)
		if none {
			c.err = err
		}
		if !none && !errors.Is(err, errUnsigned) {
			return s, err
		}
		last = err
	}
	return Signature{}, last
}

// hashed has Windows hash a file that is not laid out as linkers do.
func (j *judge) hashed(file, admin windows.Handle) ([]byte, error) {
	if _, err := windows.Seek(file, 0, io.SeekStart); err != nil {
		return nil, coded(err)
	}
	var hash [64]byte
	size := uint32(len(hash))
	if ok, _, err := j.hash.Call(uintptr(admin), uintptr(file), uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&hash)), 0); ok == 0 {
		return nil, fmt.Errorf("hash for the catalogues: %w", coded(err))
	}
	return hash[:size], nil
}

// listed judges a file by the first catalogue that lists its hash.
func (j *judge) listed(file, admin windows.Handle, hash []byte) (Signature, error) {
	found, _, err := j.find.Call(uintptr(admin), uintptr(unsafe.Pointer(unsafe.SliceData(hash))), uintptr(len(hash)), 0, 0)
	if found == 0 {
		switch {
		case errors.Is(err, windows.ERROR_NOT_FOUND), errors.Is(err, windows.ERROR_FILE_NOT_FOUND), errors.Is(err, windows.ERROR_NO_MORE_FILES):
			return Signature{}, errUnsigned // none lists it, or there are none
		}
		return Signature{}, fmt.Errorf("look in the catalogues: %w", coded(err))
	}
	defer func() { _, _, _ = j.drop.Call(uintptr(admin), found, 0) }()
	return j.byCatalog(file, admin, found, hash)
}

// byCatalog has a catalogue judged that lists a file by its hash.
func (j *judge) byCatalog(file, admin windows.Handle, found uintptr, hash []byte) (Signature, error) {
	var where struct {
		size uint32
		path [windows.MAX_PATH]uint16
	}
	where.size = uint32(unsafe.Sizeof(where))
	if ok, _, err := j.catalogPath.Call(found, uintptr(unsafe.Pointer(&where)), 0); ok == 0 {
		return Signature{}, fmt.Errorf("find a catalogue: %w", coded(err))
	}
	tag, err := windows.UTF16PtrFromString(strings.ToUpper(hex.EncodeToString(hash)))
	if err != nil {
		return Signature{}, err
	}
	name, err := windows.UTF16PtrFromString(pathOf(file))
	if err != nil {
		return Signature{}, err
	}
	info := struct { // WINTRUST_CATALOG_INFO
		size, version           uint32
		catalog, tag, name      *uint16
		file                    windows.Handle
		hash                    *byte
		hashSize                uint32
		context, administration uintptr
	}{catalog: &where.path[0], tag: tag, name: name, file: file, hash: unsafe.SliceData(hash), hashSize: uint32(len(hash)), administration: uintptr(admin)}
	info.size = uint32(unsafe.Sizeof(info))
	s, err := j.ask(file, windows.WTD_CHOICE_CATALOG, unsafe.Pointer(&info))
	s.Catalog = err == nil
	return s, err
}
