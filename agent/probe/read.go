package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// attributeLimit bounds a file of one value under /sys or /proc.
const attributeLimit = 64 << 10

// attribute is the trimmed content of a file of one value, whether there is
// such a file, and why that could not be told.
type attribute struct {
	value  string
	there  bool
	absent posture.Absence // None if the file was read, and if there is none
}

func readAttribute(ctx context.Context, sys system.Reader, path string) attribute {
	data, err := sys.File(ctx, path, attributeLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return attribute{absent: posture.None}
	case err != nil:
		return attribute{absent: system.Absence(err)}
	case !strings.HasSuffix(string(data), "\n"):
		return attribute{absent: posture.Unreadable} // the kernel ends each with a new line: this one was cut
	}
	return attribute{value: strings.Trim(string(data), " \t\r\n\x00"), there: true, absent: posture.None}
}

// number returns the attribute as a decimal number.
func (a attribute) number() posture.Reading[int64] {
	switch {
	case a.absent != posture.None:
		return posture.Unread[int64](a.absent)
	case !a.there:
		return posture.Unread[int64](posture.NotVisible)
	}
	n, err := strconv.ParseInt(a.value, 10, 64)
	if err != nil || n < 0 {
		return posture.Unread[int64](posture.Unreadable)
	}
	return posture.Read(n)
}

// names returns the names in a folder; none if there is no such folder.
func names(ctx context.Context, sys system.Reader, dir string) ([]string, posture.Absence) {
	list, err := sys.Dir(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, posture.None
	case err != nil:
		return nil, system.Absence(err)
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, e.Name)
	}
	return out, posture.None
}

// mustNames returns the names in a folder that every machine has.
func mustNames(ctx context.Context, sys system.Reader, dir string) ([]string, posture.Absence) {
	list, err := sys.Dir(ctx, dir)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, e.Name)
	}
	return out, system.Absence(err)
}

// errShort says that a device gave fewer bytes than it has.
var errShort = errors.New("it ended early")

// image reads parts of something of a known size. A part that comes back
// shorter than it must be is an error, so that a cut reading is never taken
// for an empty one.
type image struct {
	size int64 // bytes
	read func(offset int64, length int) ([]byte, error)
}

// deviceImage is the content of a block device.
func deviceImage(ctx context.Context, sys system.Reader, name string, size int64) image {
	node := "/dev/" + strings.ReplaceAll(name, "!", "/") // sysfs writes '/' as '!'
	return image{size: size, read: func(offset int64, length int) ([]byte, error) {
		return sys.Part(ctx, node, offset, length)
	}}
}

// part returns exactly the bytes from offset that exist, at most length.
func (i image) part(offset int64, length int) ([]byte, error) {
	if offset < 0 || offset >= i.size {
		return nil, nil
	}
	length = int(min(int64(length), i.size-offset))
	data, err := i.read(offset, length)
	if err != nil {
		return nil, err
	}
	if len(data) < length {
		return nil, fmt.Errorf("read %d bytes at %d: %w", length, offset, errShort)
	}
	return data[:length], nil
}

// text returns a string of a device in a form that can be passed on: bounded,
// valid, without control characters.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\uFFFD' || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > 64 {
		s = strings.TrimSpace(string(runes[:64]))
	}
	return s
}
