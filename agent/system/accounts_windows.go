package system

import (
	"context"
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"
)

// userInfo is a USER_INFO_20.
type userInfo struct {
	_, _, _   *uint16 // names and a comment, which are people's
	flags, id uint32
}

// accountRows answers Accounts. No account is looked up by its name, which
// could ask another machine.
func accountRows() ([]Values, error) {
	const level, ordinary = 20, 2 // FILTER_NORMAL_ACCOUNT
	domain, err := accountDomain()
	if err != nil {
		return nil, err
	}
	var rows []Values
	err = netList(func(buffer **byte, read, total, resume *uint32) error {
		return windows.NetUserEnum(nil, level, ordinary, buffer, netChunk, read, total, resume)
	}, func(u *userInfo) {
		rows = append(rows, Values{
			"SID":   TextValue(domain + "-" + strconv.FormatUint(uint64(u.id), 10)),
			"Flags": NumberValue(int64(u.flags)),
		})
	})
	return rows, err
}

// netChunk is how much is asked for at once, in bytes.
const netChunk = 64 << 10

// netList goes through a list that the network interfaces give in pieces,
// those of this machine. What visit is given lasts as long as its call.
func netList[T any](ask func(buffer **byte, read, total, resume *uint32) error, visit func(*T)) error {
	var resume uint32
	for seen := uint32(0); seen <= someRows; {
		var buffer *byte
		var read, total uint32
		err := ask(&buffer, &read, &total, &resume)
		more := errors.Is(err, windows.ERROR_MORE_DATA)
		if buffer != nil {
			if err == nil || more {
				for i := range unsafe.Slice((*T)(unsafe.Pointer(buffer)), read) {
					visit(&unsafe.Slice((*T)(unsafe.Pointer(buffer)), read)[i])
				}
			}
			_ = windows.NetApiBufferFree(buffer)
		}
		if !more {
			return err
		}
		if read == 0 {
			break
		}
		seen += read
	}
	return ErrTooLarge
}

// modals asks for what holds of all local accounts.
func modals[T any](level uintptr, take func(*T) error) error {
	get, err := procedure("netapi32.dll", "NetUserModalsGet")
	if err != nil {
		return err
	}
	var info *T
	result, _, _ := get.Call(0, level, uintptr(unsafe.Pointer(&info)))
	if err := called(result); err != nil {
		return err
	}
	if info == nil {
		return errMalformed
	}
	defer func() { _ = windows.NetApiBufferFree((*byte)(unsafe.Pointer(info))) }()
	return take(info)
}

// accountDomain returns the SID that all local accounts begin with.
func accountDomain() (string, error) {
	type info struct {
		_   *uint16 // its name
		sid *windows.SID
	}
	domain := ""
	err := modals(2, func(i *info) error {
		if i.sid == nil || !i.sid.IsValid() {
			return errMalformed
		}
		domain = i.sid.String()
		return nil
	})
	return domain, err
}

// minPasswordLength returns how long a local account's password must be.
func minPasswordLength() (int64, error) {
	type info struct{ length, _, _, _, _ uint32 }
	length := int64(0)
	err := modals(0, func(i *info) error {
		length = int64(i.length)
		return nil
	})
	return length, err
}

// administratorRows answers Administrators. Who is a member is known here;
// what a member of another machine's domain is may have to be asked there, and
// is only said if that is answered in time.
func administratorRows(ctx context.Context) ([]Values, error) {
	group, err := administratorsName()
	if err != nil {
		return nil, err
	}
	var rows []Values
	err = netList(members(group, 0), func(m *struct{ sid *windows.SID }) {
		rows = append(rows, Values{"SID": sidValue(m.sid)})
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNone // the account that Windows makes for it cannot be taken out
	}
	ctx, cancel := context.WithTimeout(ctx, perDevice)
	defer cancel()
	uses, err := within(ctx, func() (map[string]int64, error) { return memberUses(group) })
	for _, row := range rows {
		sid := row["SID"].Text
		switch {
		case err != nil:
			row["Use"] = FailedValue(coded(err))
		case sid != nil && uses[*sid] != 0:
			row["Use"] = NumberValue(uses[*sid])
		default:
			row["Use"] = FailedValue(errMalformed)
		}
	}
	return rows, nil
}

func sidValue(sid *windows.SID) Value {
	if sid == nil || !sid.IsValid() {
		return FailedValue(errMalformed)
	}
	return TextValue(sid.String())
}

func memberUses(group *uint16) (map[string]int64, error) {
	type member struct {
		sid *windows.SID
		use uint32
		_   *uint16 // its name
	}
	uses := map[string]int64{}
	err := netList(members(group, 1), func(m *member) {
		if m.sid != nil && m.sid.IsValid() {
			uses[m.sid.String()] = int64(m.use)
		}
	})
	return uses, err
}

// members returns what asks for the members of a local group.
func members(group *uint16, level uintptr) func(buffer **byte, read, total, resume *uint32) error {
	var place uintptr
	return func(buffer **byte, read, total, _ *uint32) error {
		get, err := procedure("netapi32.dll", "NetLocalGroupGetMembers")
		if err != nil {
			return err
		}
		result, _, _ := get.Call(0, uintptr(unsafe.Pointer(group)), level, uintptr(unsafe.Pointer(buffer)), netChunk,
			uintptr(unsafe.Pointer(read)), uintptr(unsafe.Pointer(total)), uintptr(unsafe.Pointer(&place)))
		if result == 0 {
			return nil
		}
		return windows.Errno(result)
	}
}

// administratorsName returns what this machine calls its group of
// administrators, in its own language.
func administratorsName() (*uint16, error) {
	sid, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		return nil, err
	}
	name, domain := make([]uint16, 512), make([]uint16, 512)
	size, domainSize, use := uint32(len(name)), uint32(len(domain)), uint32(0)
	err = windows.LookupAccountSid(nil, sid, &name[0], &size, &domain[0], &domainSize, &use)
	return &name[0], err
}
