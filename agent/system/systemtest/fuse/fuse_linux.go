// Package fuse makes file systems in user space that do not answer, for tests:
// a real mount and a real kernel, as a program meets a dying disk or a server
// that went away. It is tests only.
package fuse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Request is what the kernel asks of a file system in user space, by the
// numbers of linux/fuse.h.
type Request uint32

// The requests that a test keeps unanswered.
const (
	Lookup  Request = 1
	GetAttr Request = 3
	Open    Request = 14
	Read    Request = 15
	StatFS  Request = 17
	OpenDir Request = 27
	ReadDir Request = 28
)

// Requests are all of them.
func Requests() []Request { return []Request{Lookup, GetAttr, Open, Read, StatFS, OpenDir, ReadDir} }

func (r Request) String() string {
	return map[Request]string{
		Lookup: "lookup", GetAttr: "getattr", Open: "open", Read: "read", StatFS: "statfs", OpenDir: "opendir", ReadDir: "readdir",
	}[r]
}

// The requests that are always answered, or need no answer.
const (
	fuseForget      = 2
	fuseRelease     = 18
	fuseFlush       = 25
	fuseInit        = 26
	fuseReleaseDir  = 29
	fuseAccess      = 34
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

// Content is the content of a file.
type Content struct {
	io.ReaderAt
	Size int64
}

// System is a real file system in user space, of one folder with files in it,
// whose answers can be kept back: whoever asks then waits, and if the kernel
// has handed its question over, not even kill -9 ends it. That is also how a
// program meets a dying disk, or a server that went away.
type System struct {
	device *os.File
	names  []string // of the files: the node of a name is its place, from 2
	files  map[string]Content
	done   chan struct{} // closed when nothing is answered any more
	kept   chan Request

	mu    sync.Mutex // guards all below
	hangs map[Request]bool
	asked int
}

// Mount mounts a file system of these files at a folder, or an empty one at a
// file. It is there until
// the test ends; whoever still waits for it then gets an error. The test is
// skipped where that is not permitted.
func Mount(t *testing.T, point string, files map[string]Content) *System {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there are no file systems in user space here: %v", err)
	}
	f := &System{
		files: files, done: make(chan struct{}),
		kept: make(chan Request, 1000), hangs: map[Request]bool{},
	}
	for name := range files {
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
	mode := unix.S_IFDIR
	if info, err := os.Stat(point); err == nil && info.Mode().IsRegular() {
		mode = unix.S_IFREG
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", fd, mode)
	if err := unix.Mount("hanging", point, "fuse.hanging", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		_ = unix.Close(fd)
		t.Skipf("mounting is not permitted here: %v", err)
	}
	f.device = os.NewFile(uintptr(fd), "fuse") // now it can be waited for
	go func() {
		defer close(f.done)
		f.serve()
	}()
	t.Cleanup(func() {
		f.Abort()
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			t.Error(err)
		}
	})
	return f
}

// Abort ends it: whoever waits for it, and whoever asks from now on, gets an
// error.
func (f *System) Abort() {
	_ = f.device.Close() // it may be closed already
	<-f.done
}

// Hang leaves requests of these kinds without an answer from now on.
func (f *System) Hang(on ...Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range on {
		f.hangs[r] = true
	}
}

// Kept receives each request that gets no answer: who asked is waiting.
func (f *System) Kept() <-chan Request { return f.kept }

// Asked returns how many requests there were since it was mounted.
func (f *System) Asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// serve answers until the device is closed.
func (f *System) serve() {
	buffer := make([]byte, 1<<20)
	for {
		n, err := f.device.Read(buffer)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			continue // it was called back before it was read
		}
		if err != nil || n < 40 {
			return
		}
		f.answer(buffer[:n])
	}
}

// answer answers one request: a head of 40 bytes, and what belongs to its kind.
func (f *System) answer(message []byte) {
	kind := binary.NativeEndian.Uint32(message[4:])
	node := binary.NativeEndian.Uint64(message[16:])
	switch kind {
	case fuseInit:
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return
	default:
		if f.keeps(Request(kind)) {
			return
		}
	}
	body, errno := f.body(kind, node, message[40:])
	head := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	head = binary.NativeEndian.AppendUint32(head, uint32(-int32(errno)))
	head = append(head, message[8:16]...)
	_, _ = f.device.Write(append(head, body...)) // who asked may have gone
}

func (f *System) keeps(r Request) bool {
	f.mu.Lock()
	f.asked++
	hang := f.hangs[r]
	f.mu.Unlock()
	if hang {
		select {
		case f.kept <- r:
		default:
		}
	}
	return hang
}

func (f *System) body(kind uint32, node uint64, in []byte) ([]byte, unix.Errno) {
	switch kind {
	case fuseInit:
		out := make([]byte, 64)
		binary.NativeEndian.PutUint32(out, 7)
		binary.NativeEndian.PutUint32(out[4:], 31)
		binary.NativeEndian.PutUint32(out[20:], 128<<10) // the most that is written
		return out, 0
	case uint32(Lookup):
		at := slices.Index(f.names, strings.TrimRight(string(in), "\x00"))
		if at < 0 {
			return nil, unix.ENOENT
		}
		out := make([]byte, 40)
		binary.NativeEndian.PutUint64(out, uint64(at)+2)
		return append(out, f.attributes(uint64(at)+2)...), 0
	case uint32(GetAttr):
		return append(make([]byte, 16), f.attributes(node)...), 0
	case uint32(Open), uint32(OpenDir):
		out := make([]byte, 16)
		binary.NativeEndian.PutUint32(out[8:], 1) // nothing is kept in memory
		return out, 0
	case uint32(Read):
		return f.read(node, in)
	case uint32(ReadDir):
		return f.list(binary.NativeEndian.Uint64(in[8:])), 0
	case uint32(StatFS):
		return make([]byte, 80), 0
	case fuseRelease, fuseReleaseDir, fuseFlush, fuseAccess:
		return nil, 0
	}
	return nil, unix.ENOSYS
}

// attributes are those of the folder, node 1, or of a file.
func (f *System) attributes(node uint64) []byte {
	mode, size, links := uint32(unix.S_IFDIR|0o755), uint64(0), uint32(2)
	if node > 1 && node-2 < uint64(len(f.names)) {
		mode, size, links = unix.S_IFREG|0o644, uint64(f.files[f.names[node-2]].Size), 1
	}
	out := make([]byte, 88)
	binary.NativeEndian.PutUint64(out, node)
	binary.NativeEndian.PutUint64(out[8:], size)
	binary.NativeEndian.PutUint64(out[16:], (size+511)/512)
	binary.NativeEndian.PutUint32(out[60:], mode)
	binary.NativeEndian.PutUint32(out[64:], links)
	binary.NativeEndian.PutUint32(out[80:], 4096)
	return out
}

func (f *System) read(node uint64, in []byte) ([]byte, unix.Errno) {
	if node < 2 || node-2 >= uint64(len(f.names)) {
		return nil, unix.EISDIR
	}
	offset, length := binary.NativeEndian.Uint64(in[8:]), binary.NativeEndian.Uint32(in[16:])
	data := make([]byte, length)
	n, err := f.files[f.names[node-2]].ReadAt(data, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unix.EIO
	}
	return data[:n], 0
}

// list returns the entries of the folder from a place on.
func (f *System) list(from uint64) []byte {
	var out []byte
	for i := from; i < uint64(len(f.names)); i++ {
		name := f.names[i]
		out = binary.NativeEndian.AppendUint64(out, i+2)
		out = binary.NativeEndian.AppendUint64(out, i+1)
		out = binary.NativeEndian.AppendUint32(out, uint32(len(name)))
		out = binary.NativeEndian.AppendUint32(out, unix.DT_REG)
		out = append(out, name...)
		out = append(out, make([]byte, (8-len(name)%8)%8)...)
	}
	return out
}
