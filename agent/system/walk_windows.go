package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"sync"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Walk implements Reader. It goes by handle: a folder is opened inside the
// folder above it, and nothing is ever found by its path, so that nobody can
// lead the walk elsewhere. No reparse point is followed, no file is opened that
// has another name or whose content lies elsewhere, nothing on another machine
// is touched, and nothing waits for who holds a file. A file that is known is
// recognised by the listing of its folder and not opened at all; whatever is to
// be read is judged anew by its own handle.
//
// It asks for no right to write. That is why it cannot keep Windows from noting
// the time at which a file that it does read was last read, where Windows does
// that.
func (r windowsReader) Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return WalkSummary{}, fmt.Errorf("find the folder of Windows: %w", coded(err))
	}
	starts, err := profiles{reader: r, systemRoot: root}.starts(ctx)
	if err != nil {
		return WalkSummary{}, fmt.Errorf("find people's folders: %w", err)
	}
	return walkFrom(ctx, starts, limits, visit)
}

func walkFrom(ctx context.Context, starts walkStarts, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	var found *judge
	defer func() {
		if found != nil {
			found.close()
		}
	}()
	w := walker{progress: newProgress(limits, visit), judge: sync.OnceValues(func() (j *judge, err error) {
		found, err = newJudge()
		return found, err
	})}
	w.gaps(starts.gaps)
	return w.walkAll(ctx, starts.list, w.start)
}

// walker is the state of one walk.
type walker struct {
	progress
	long    bool       // folders give the longer form of listing
	ids     bool       // a handle's own number says less than its FILE_ID_INFO
	volume  uint64     // of the start that is walked
	entries [][]uint64 // for the entries of the folders that are open, by depth
	judge   func() (*judge, error)
}

// walkedFolder is a folder on the walk.
type walkedFolder struct {
	windows.Handle
	name  string // its path from the start, with '/'
	depth int    // how many folders deeper the walk may go
}

// errOplock is STATUS_OPLOCK_BREAK_IN_PROGRESS, which x/sys does not name.
const errOplock = windows.NTStatus(0x108)

// failed records an error of the file system. What went away while it was
// looked at is no gap.
func (w *walker) failed(class posture.Location, err error) error {
	var status windows.NTStatus
	switch {
	case err == nil, errors.Is(err, errStopped):
		return err
	case errors.As(err, &status) && isGone(status):
		return nil
	}
	err = coded(err)
	source, why := string(class), Absence(err)
	if code := CodeWord(err); code != "" && why == posture.Unreadable {
		source += " (" + code + ")"
	}
	w.gap(source, why)
	return nil
}

// isGone tells what Windows says of a name behind which there is no longer
// what its folder said.
func isGone(status windows.NTStatus) bool {
	switch status {
	case windows.STATUS_OBJECT_NAME_NOT_FOUND, windows.STATUS_OBJECT_PATH_NOT_FOUND, windows.STATUS_NO_SUCH_FILE,
		windows.STATUS_DELETE_PENDING, windows.STATUS_FILE_DELETED, windows.STATUS_NOT_A_DIRECTORY,
		windows.STATUS_FILE_IS_A_DIRECTORY, windows.STATUS_REPARSE_POINT_ENCOUNTERED, windows.STATUS_NO_MEDIA_IN_DEVICE:
		return true
	}
	return false
}

// start walks one start.
func (w *walker) start(ctx context.Context, s walkStart) error {
	top, err := openStart(s)
	var status windows.NTStatus
	switch {
	case errors.Is(err, errLink), errors.Is(err, errPlaceholder), errors.Is(err, errRemote), s.expected && errors.As(err, &status) && isGone(status):
		// A well-known folder that leads elsewhere is not looked at, and that
		// is said: its owner may use what is there every day.
		w.gap(string(s.class), posture.NotVisible)
		return nil
	case err != nil:
		return w.failed(s.class, err)
	}
	defer func() { _ = windows.CloseHandle(top) }()
	if err := w.begin(top); err != nil {
		return w.failed(s.class, err)
	}
	return w.folder(ctx, walkedFolder{Handle: top, depth: w.limits.Depth}, s)
}

// begin finds out how the file system of a start tells of its files.
func (w *walker) begin(top windows.Handle) error {
	w.long = true
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(top, &info); err != nil {
		return err
	}
	number := uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	w.volume, w.ids = uint64(info.VolumeSerialNumber), false
	if volume, id, err := idOf(top); err == nil { // else it has no more than the old numbers
		w.volume, w.ids = volume, id != fileID{low: number}
	}
	return nil
}

// folder walks an open folder.
func (w *walker) folder(ctx context.Context, dir walkedFolder, s walkStart) error {
	if err := w.enter(); err != nil {
		return err
	}
	buffer := w.buffer(dir.depth)
	for {
		list, err := w.list(dir.Handle, buffer)
		if err != nil || list == nil {
			return w.failed(s.class, err)
		}
		for len(list) > 0 {
			var e listed
			if e, list, err = cutListed(list, w.long); err != nil {
				return w.failed(s.class, err)
			}
			if ctx.Err() != nil {
				return w.stop()
			}
			if err := w.entry(ctx, dir, &e, s); err != nil {
				return err
			}
		}
	}
}

// entriesBytes is how much is asked of a folder at once.
const entriesBytes = 64 << 10

// buffer returns the buffer of the folder at a depth, aligned as Windows wants
// it.
func (w *walker) buffer(depth int) []uint64 {
	for len(w.entries) <= depth {
		w.entries = append(w.entries, nil)
	}
	if w.entries[depth] == nil {
		w.entries[depth] = make([]uint64, entriesBytes/8)
	}
	return w.entries[depth]
}

// list reads the next names of a folder; nil at its end. A file system without
// the longer form of listing says so at the first folder.
func (w *walker) list(dir windows.Handle, buffer []uint64) ([]byte, error) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buffer))), len(buffer)*8)
	class := uint32(windows.FileIdBothDirectoryInfo)
	if w.long {
		class = windows.FileIdExtdDirectoryInfo
	}
	err := windows.GetFileInformationByHandleEx(dir, class, &b[0], uint32(len(b)))
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, windows.ERROR_NO_MORE_FILES), errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
		return nil, nil
	case w.long && (errors.Is(err, windows.ERROR_INVALID_PARAMETER) || errors.Is(err, windows.ERROR_INVALID_LEVEL) ||
		errors.Is(coded(err), errors.ErrUnsupported)):
		w.long = false
		return w.list(dir, buffer)
	}
	return nil, err
}

// entry looks at one name in a folder. What the folder says that it is decides
// only what need not be looked at.
func (w *walker) entry(ctx context.Context, dir walkedFolder, e *listed, s walkStart) error {
	switch {
	case e.isDots():
		return nil
	case !e.isName():
		w.gap(string(s.class), posture.Unreadable)
		return nil
	case w.elsewhere(e.attributes, e.tag, s.class):
		return nil
	case e.attributes&attributeDirectory != 0:
		return w.descend(ctx, dir, e, s)
	}
	if done, err := w.recognised(e.identity(w.volume), s.class); done {
		return err
	}
	return w.file(dir, e, s.class)
}

// elsewhere reports whether a file or folder must not be opened, because it
// leads elsewhere or its content is, and records what is missed by that.
func (w *walker) elsewhere(attributes, tag uint32, class posture.Location) bool {
	switch {
	case attributes&attributesAway != 0, attributes&attributeReparse != 0 && hidesContent(tag):
		w.gap(string(class)+" placeholders", posture.NotVisible)
		return true
	case attributes&attributeReparse != 0:
		return true
	}
	return false
}

func (w *walker) descend(ctx context.Context, dir walkedFolder, e *listed, s walkStart) error {
	next := walkedFolder{depth: dir.depth - 1}
	if len(s.except) > 0 {
		next.name = path.Join(dir.name, foldName(utf16Name(e.name)))
	}
	switch {
	case s.except[next.name]:
		return nil
	case next.depth < 0:
		w.summary.Stopped = posture.TimedOut
		return nil
	}
	var err error
	if next.Handle, err = openInside(dir.Handle, e.name, readFolder, windows.FILE_DIRECTORY_FILE); err != nil {
		return w.failed(s.class, err)
	}
	defer func() { _ = windows.CloseHandle(next.Handle) }()
	now, err := stateOf(next.Handle)
	if err != nil {
		return w.failed(s.class, err)
	}
	if w.elsewhere(now.attributes, now.tag, s.class) {
		return nil
	}
	return w.folder(ctx, next, s)
}

// file hands one file to the visitor, unless its handle shows that it must not
// be read.
func (w *walker) file(dir walkedFolder, e *listed, class posture.Location) error {
	if err := w.count(); err != nil {
		return err
	}
	// A handle that cannot read: it wakes nobody, and nobody can keep it
	// waiting.
	handle, err := openInside(dir.Handle, e.name, windows.FILE_READ_ATTRIBUTES, windows.FILE_NON_DIRECTORY_FILE)
	if err != nil {
		return w.failed(class, err)
	}
	defer func() { _ = windows.CloseHandle(handle) }()
	now, err := w.stateOf(handle)
	switch {
	case err != nil:
		return w.failed(class, err)
	case now.deleted, w.elsewhere(now.attributes, now.tag, class):
		return nil
	case now.links != 1:
		w.hardLink(class)
		return nil
	}
	content := &walkedContent{open: func() (openContent, error) { return openToRead(handle) }}
	defer content.close()
	return w.visit(WalkedFile{
		Location: class, Identity: now.identity(w.volume), ReaderAt: content,
		Again: func() (FileIdentity, error) {
			now, err := w.stateOf(handle)
			if err != nil {
				return FileIdentity{}, fmt.Errorf("look at a file on the walk again: %w", coded(err))
			}
			return now.identity(w.volume), nil
		},
		Signature: func(ctx context.Context) (Signature, error) {
			if err := content.opened(); err != nil {
				return Signature{}, err
			}
			j, err := w.judge()
			if err != nil {
				return Signature{}, fmt.Errorf("find the judge of signatures: %w", err)
			}
			return j.signature(ctx, content.file.(*readHandle).Handle)
		},
	})
}

// fileState is what a handle tells of its file.
type fileState struct {
	listed
	links   uint32
	deleted bool // it has no name any more
}

// stateOf asks as the file system of the start answers.
func (w *walker) stateOf(handle windows.Handle) (fileState, error) {
	s, err := stateOf(handle)
	if err == nil && w.ids {
		_, s.id, err = idOf(handle)
	}
	return s, err
}

// stateOf asks for everything at once.
func stateOf(handle windows.Handle) (s fileState, err error) {
	const (
		fileAllInformation = 18
		overflow           = windows.STATUS_BUFFER_OVERFLOW // of the name, which is not wanted
	)
	var all struct {
		created, read, modified, changed int64
		attributes, _                    uint32
		allocated, size                  int64
		links                            uint32
		deleted, directory               uint8
		number                           uint64
		_                                [64]uint64 // more of it, and the beginning of the name
	}
	var done windows.IO_STATUS_BLOCK
	err = windows.NtQueryInformationFile(handle, &done, (*byte)(unsafe.Pointer(&all)), uint32(unsafe.Sizeof(all)), fileAllInformation)
	if err != nil && !errors.Is(err, overflow) {
		return s, err
	}
	s.attributes, s.size, s.id = all.attributes, all.size, fileID{low: all.number}
	s.modified, s.changed = fileTime(all.modified), fileTime(all.changed)
	s.links, s.deleted = all.links, all.deleted != 0
	if s.attributes&attributeReparse != 0 {
		if s.tag, err = reparseTag(handle); err != nil {
			return s, err
		}
	}
	return s, nil
}

// idOf returns the numbers of a volume and of a file in it.
func idOf(handle windows.Handle) (volume uint64, id fileID, err error) {
	var info struct {
		volume uint64
		id     fileID
	}
	err = windows.GetFileInformationByHandleEx(handle, windows.FileIdInfo, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	return info.volume, info.id, err
}

const readFolder = windows.FILE_LIST_DIRECTORY | windows.FILE_TRAVERSE | windows.FILE_READ_ATTRIBUTES

// openInside opens a name, in UTF-16, inside an open folder; no name opens what
// the handle stands for again. The file itself is opened, never what it leads
// to.
func openInside(dir windows.Handle, name []byte, access, options uint32) (windows.Handle, error) {
	text := windows.NTUnicodeString{Length: uint16(len(name)), MaximumLength: uint16(len(name))}
	if len(name) > 0 {
		text.Buffer = (*uint16)(unsafe.Pointer(unsafe.SliceData(name)))
	}
	return openObject(dir, &text, windows.OBJ_CASE_INSENSITIVE|windows.OBJ_DONT_REPARSE, access, options)
}

func openObject(dir windows.Handle, name *windows.NTUnicodeString, attributes, access, options uint32) (windows.Handle, error) {
	const (
		always = windows.FILE_OPEN_REPARSE_POINT | windows.FILE_OPEN_NO_RECALL | windows.FILE_SYNCHRONOUS_IO_NONALERT |
			windows.FILE_COMPLETE_IF_OPLOCKED
	)
	object := windows.OBJECT_ATTRIBUTES{RootDirectory: dir, ObjectName: name, Attributes: attributes}
	object.Length = uint32(unsafe.Sizeof(object))
	var handle windows.Handle
	var done windows.IO_STATUS_BLOCK
	err := windows.NtCreateFile(&handle, access|windows.SYNCHRONIZE, &object, &done, nil, 0, shareAll, windows.FILE_OPEN, options|always, 0, 0)
	runtime.KeepAlive(name)
	if errors.Is(err, errOplock) {
		// It is open, but would have to wait until whoever holds it lets go,
		// which may be never.
		_ = windows.CloseHandle(handle)
	}
	if err != nil {
		return 0, err
	}
	return handle, nil
}

// readHandle is a file that is open for reading.
type readHandle struct{ windows.Handle }

// openToRead opens for reading exactly the file that a handle stands for.
func openToRead(handle windows.Handle) (openContent, error) {
	h, err := openInside(handle, nil, windows.FILE_READ_DATA|windows.FILE_READ_ATTRIBUTES, windows.FILE_NON_DIRECTORY_FILE)
	if err != nil {
		return nil, coded(err)
	}
	return &readHandle{h}, nil
}

// ReadAt implements io.ReaderAt.
func (r *readHandle) ReadAt(p []byte, off int64) (read int, err error) {
	for read < len(p) {
		at := windows.Overlapped{Offset: uint32(off), OffsetHigh: uint32(off >> 32)}
		var n uint32
		err := windows.ReadFile(r.Handle, p[read:], &n, &at)
		if errors.Is(err, windows.ERROR_HANDLE_EOF) || err == nil && n == 0 {
			return read, io.EOF
		}
		if err != nil {
			return read, coded(err)
		}
		read, off = read+int(n), off+int64(n)
	}
	return read, nil
}

// Close implements io.Closer.
func (r *readHandle) Close() error { return windows.CloseHandle(r.Handle) }

// utf16Name decodes a name that a folder gave.
func utf16Name(name []byte) string {
	units := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(name))), len(name)/2)
	return string(utf16.Decode(units))
}
