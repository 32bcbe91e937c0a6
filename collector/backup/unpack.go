package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Reader reads an archive.
type Reader struct {
	Manifest Manifest

	from io.Reader
	tar  *tar.Reader
	sum  end
	seen map[string]bool // names as systems that know no case have them
}

// NewReader reads the beginning of an archive: what it says of itself.
func NewReader(r io.Reader) (*Reader, error) {
	a := &Reader{from: r, tar: tar.NewReader(r), seen: map[string]bool{}}
	h, err := a.next()
	if err == nil && h.Name != manifestName {
		err = fmt.Errorf("it begins with %.80q", h.Name)
	}
	if err == nil {
		err = a.document(h, &a.Manifest)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the backup: this is no backup of a collector, or it is damaged: %w", err)
	case a.Manifest.Format != Format:
		return nil, fmt.Errorf("read the backup: it has format %d, and this program reads %d: use the program that made it, or a newer one", a.Manifest.Format, Format)
	}
	return a, nil
}

// Unpack writes every file below root, which has none of them, and reports how
// many bytes came. A file that does not belong is refused. It returns when all
// that the archive says it has is there and on the disk; after an error some of
// it may be.
func (a *Reader) Unpack(root *os.Root, belongs func(name string) bool, came func(bytes int64)) error {
	return a.each(func(h *tar.Header) error {
		if !belongs(h.Name) {
			return fmt.Errorf("read the backup: it holds %s, which a collector makes by itself and no backup has", h.Name)
		}
		return a.file(root, h, came)
	})
}

// Check reads an archive to its end and keeps nothing of it.
func (a *Reader) Check(came func(bytes int64)) error {
	return a.each(func(*tar.Header) error {
		_, err := io.Copy(io.Discard, &counted{a.tar, came})
		return err
	})
}

// each calls visit for every file, and returns when the archive is whole.
func (a *Reader) each(visit func(*tar.Header) error) error {
	for {
		h, err := a.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read the backup, after %d files: it is damaged or broken off: %w", a.sum.Files, err)
		}
		if h.Name == endName {
			return a.ended(h)
		}
		if err := CheckName(h.Name); err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
		if folded := strings.ToLower(h.Name); a.seen[folded] {
			return fmt.Errorf("read the backup: it has %s twice", h.Name)
		} else if a.seen[folded] = true; len(a.seen) > maxFiles {
			return errors.New("read the backup: it has more files than a collector ever makes")
		}
		if err := visit(h); err != nil {
			return err
		}
		a.sum.Files++
		a.sum.Bytes += h.Size
	}
}

// next returns the next entry, if it is a plain file.
func (a *Reader) next() (*tar.Header, error) {
	h, err := a.tar.Next()
	switch {
	case err != nil:
		return nil, err
	case h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0:
		return nil, fmt.Errorf("%.80q is not a plain file", h.Name)
	case h.Size < 0 || h.Size > maxSize:
		return nil, fmt.Errorf("%.80q is said to have %d bytes", h.Name, h.Size)
	}
	return h, nil
}

func (a *Reader) document(h *tar.Header, v any) error {
	if h.Size > maxManifest {
		return fmt.Errorf("%s is said to have %d bytes", h.Name, h.Size)
	}
	data, err := io.ReadAll(a.tar)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", h.Name, err)
	}
	return nil
}

// ended compares what came with what the archive says it has, and reads it to
// its end: only there a damaged file is known.
func (a *Reader) ended(h *tar.Header) error {
	var want end
	if err := a.document(h, &want); err != nil {
		return err
	}
	if want != a.sum {
		return fmt.Errorf("read the backup: %d files with %d bytes came, and it says that it has %d with %d", a.sum.Files, a.sum.Bytes, want.Files, want.Bytes)
	}
	if _, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("read the backup: something follows its end"), err)
	}
	if _, err := io.Copy(io.Discard, a.from); err != nil {
		return fmt.Errorf("read the backup to its end: %w", err)
	}
	return nil
}

func (a *Reader) file(root *os.Root, h *tar.Header, came func(int64)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %.80q: %w", h.Name, err)
		}
	}()
	local := filepath.FromSlash(h.Name)
	if dir := path.Dir(h.Name); dir != "." {
		if err := root.MkdirAll(filepath.FromSlash(dir), 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, &counted{a.tar, came}); err != nil {
		return err
	}
	return f.Sync()
}

// counted tells how much was read.
type counted struct {
	r    io.Reader
	came func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.came(int64(n))
	return n, err
}
