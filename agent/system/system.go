// Package system is the agent's only door to the operating system: files
// under a root, an allow-list of commands, local sockets, people's folders,
// device events, and the child processes in which all of it is read.
//
// It reads and never changes the device, and it never interprets what it
// reads: that is the work of package probe.
package system

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Reader is what a probe may ask of a machine. Every method is bounded by its
// context's deadline and by a size, and fails with an error that Absence can
// name. A path is absolute and written with '/', also on Windows, where a file
// is "/C:/Windows/…" and a disk or volume, for Part alone, is
// "/device/PhysicalDrive1", "/device/CdRom0" or "/device/Volume{…}"; a part of
// it need not begin or end with a sector.
type Reader interface {
	// Platform says what kind of machine is read, which is not always the one
	// the program runs on: a recorded Mac can be read on Linux.
	Platform() posture.Platform
	// File returns the whole content of a file, or ErrTooLarge if it has more
	// than limit bytes.
	File(ctx context.Context, path string, limit int64) ([]byte, error)
	// Part returns up to length bytes of a file or block device from offset;
	// fewer only where it ends.
	Part(ctx context.Context, path string, offset int64, length int) ([]byte, error)
	// Dir returns the entries of a folder, sorted by name; ErrTooLarge if
	// there are more than 65,536.
	Dir(ctx context.Context, path string) ([]Entry, error)
	// Link returns what a symbolic link points to, unresolved.
	Link(ctx context.Context, path string) (string, error)
	// Stat describes what lies at path, following links. On Windows no link is
	// ever followed, by no method: it may lead to another machine.
	Stat(ctx context.Context, path string) (Stat, error)
	// Run runs a command of the allow-list and returns what it printed. A
	// command that is not installed fails with fs.ErrNotExist; an exit status
	// other than 0 is no error, it is in the Output.
	Run(ctx context.Context, c Command) (Output, error)
	// Ask sends a query of the allow-list to a local socket and returns the
	// answer. A socket that is not there fails with fs.ErrNotExist.
	Ask(ctx context.Context, q Query) ([]byte, error)
	// Key returns what a key of Windows' registry holds, in its 64-bit view:
	// HKLM\… or HKU\…, with '\' between names. A key that is not there, and
	// every key of another system, fails with fs.ErrNotExist.
	Key(ctx context.Context, path string) (RegistryKey, error)
	// Rows asks a question of the allow-list and returns the rows of the
	// answer, in no order. One of another system fails with fs.ErrNotExist.
	Rows(ctx context.Context, r Rowset) ([]Values, error)
	// Processes returns the names of the running processes, sorted, each once.
	Processes(ctx context.Context) ([]string, error)
	// Walk visits the regular files in people's folders, in temporary folders
	// and on media. See Walk's own documentation for what it never does.
	Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error)
}

// Entry is one name in a folder.
type Entry struct {
	Name string      `json:"name"`
	Type fs.FileMode `json:"type,omitempty"` // type bits only
}

// Stat describes a file.
type Stat struct {
	Type     fs.FileMode `json:"type"` // type and permission bits
	Size     int64       `json:"size"` // bytes
	Modified time.Time   `json:"modified"`
	Owner    uint32      `json:"owner"` // numeric user id; 0 where there are none
}

// Output is what a command printed.
type Output struct {
	Stdout []byte
	Stderr []byte
	Exit   int // exit status
}

// WalkLimits bounds one walk, and says what it may leave unread.
type WalkLimits struct {
	Depth int           // folders below the start of a walk
	Files int           // files looked at in all
	Time  time.Duration // for the whole walk
	// Known says whether a file need not be read: then it may be visited with
	// nothing to read. None is known if it is nil.
	Known func(FileIdentity) bool
	// NoMedia leaves removable media alone: nothing on them is listed or opened,
	// as on a machine that only says which medium is in it.
	NoMedia bool
}

// WalkedFile is one regular file met on a walk. It knows no name: what cannot
// be said cannot be sent.
type WalkedFile struct {
	Location posture.Location
	Identity FileIdentity
	io.ReaderAt
	// Signature says what the system itself makes of the file's signature,
	// without going online. It is nil where the system has no such judge, and
	// for a file that need not be read.
	Signature func(ctx context.Context) (Signature, error)
	// Again returns the identity that it has now: if that is another, what was
	// read is not the content of any one file. It is nil in a recording.
	Again func() (FileIdentity, error)
}

// Signature is what the system makes of a file's signature.
type Signature struct {
	// State is SignedUnproven if the file is as it was signed, but by whom
	// cannot be followed to a root that the system has.
	State posture.SignatureState `json:"state"`
	// Signer is whom the certificate names; "" if the file is not signed.
	Signer string `json:"signer,omitempty"`
	// Catalog says that the signature is in a catalogue of the system's, not
	// in the file.
	Catalog bool `json:"catalog,omitempty"`
}

// FileIdentity tells whether a file is the one that was seen before: if all of
// it is unchanged, so is the content.
type FileIdentity struct {
	Device, Inode     uint64
	Size              int64 // bytes; used to recognise, never reported
	Modified, Changed int64 // nanoseconds since 1970
}

// WalkSummary says how far a walk came.
type WalkSummary struct {
	Files   int             // files looked at
	Stopped posture.Absence // None if the walk came to its end, TimedOut if a limit stopped it
	Gaps    []posture.Gap   // classes of place that could not be read, with the reason
}

// Errors that Reader's methods wrap, beside those of io/fs and context.
var (
	// ErrTooLarge means that there is more than the caller allowed.
	ErrTooLarge = errors.New("it is larger than allowed")
	// ErrNobody means that what is asked is somebody's who is not signed in at
	// the screen.
	ErrNobody = errors.New("nobody is signed in at the screen")
	// ErrNotRecorded means that a recorded machine has no such reading.
	ErrNotRecorded = errors.New("it was not recorded")
)

// Absence names the reason behind an error of a Reader: posture.None for nil.
// That something does not exist is for the caller to interpret; here it is
// posture.Unreadable, so that a forgotten case cannot become a "no".
func Absence(err error) posture.Absence {
	switch {
	case err == nil:
		return posture.None
	case errors.Is(err, fs.ErrPermission):
		return posture.Denied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return posture.TimedOut
	case errors.Is(err, errors.ErrUnsupported):
		return posture.Unsupported
	case errors.Is(err, ErrNobody):
		return posture.NotVisible
	}
	return posture.Unreadable
}
