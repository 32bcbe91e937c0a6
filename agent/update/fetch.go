package update

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// MaxPart bounds a part of a program, in bytes.
const MaxPart = 256 << 10

const partSuffix = ".part"

func (f Folder) partPath(p publisher.Program) string {
	return f.path(hex.EncodeToString(p.SHA256[:]) + partSuffix)
}

// fetch gets a program, part by part, from where it was left: never more bytes than
// the publisher signed, and they are the ones.
func (u *updater) fetch(ctx context.Context, version string, p publisher.Program) (err error) {
	if err := u.Folder.dropParts(p); err != nil {
		return err
	}
	path := u.Folder.partPath(p)
	if err := u.roomFor(p); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", version, err)
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if errors.Is(err, publisher.ErrNotSigned) {
			err = errors.Join(err, durable.Remove(path)) // it begins anew
		}
	}()
	at, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", version, err)
	}
	for at < p.Length {
		data, err := u.part(ctx, version, uint64(at))
		if err != nil {
			return fmt.Errorf("fetch %s: %w", version, err)
		}
		if len(data) == 0 || len(data) > MaxPart || int64(len(data)) > p.Length-at {
			return fmt.Errorf("fetch %s: %w: a part of %d bytes where %d are left", version, publisher.ErrNotSigned, len(data), p.Length-at)
		}
		if _, err := file.Write(data); err != nil {
			return fmt.Errorf("fetch %s: %w", version, err)
		}
		at += int64(len(data))
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("fetch %s: %w", version, err)
	}
	if err := p.Check(file); err != nil {
		return fmt.Errorf("fetch %s: %w", version, err)
	}
	return durable.SyncData(file)
}

// roomFor sees whether the disk has room for a program and for what the agent has
// to say beside it.
func (u *updater) roomFor(p publisher.Program) error {
	free, err := durable.Free(string(u.Folder))
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if need := uint64(p.Length) + spare; free < need {
		return fmt.Errorf("the disk has no room for a new version: %d MB are free, %d are needed", free>>20, need>>20)
	}
	return nil
}

// spare is what a new version leaves free on the disk, in bytes.
const spare = 256 << 20

// part asks for a part, and waits while others are given theirs.
func (u *updater) part(ctx context.Context, version string, offset uint64) ([]byte, error) {
	for {
		data, err := u.Source.Part(ctx, version, u.Installed.System, offset)
		if !errors.Is(err, ErrBusy) {
			return data, err
		}
		if !u.rest(ctx, busyPause) {
			return nil, ctx.Err()
		}
	}
}

// dropParts removes what was begun of other programs.
func (f Folder) dropParts(but publisher.Program) error {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return fmt.Errorf("look for programs that were begun: %w", err)
	}
	for _, e := range entries {
		if path := f.path(e.Name()); strings.HasSuffix(path, partSuffix) && path != f.partPath(but) {
			if err := durable.RemoveAll(path); err != nil {
				return fmt.Errorf("remove a program that was begun: %w", err)
			}
		}
	}
	info, err := os.Stat(f.partPath(but))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() > but.Length {
		err = durable.Remove(f.partPath(but))
	}
	return err
}

// place puts a program that was fetched whole where it can be started. After a
// crash at any moment there is the whole of it or nothing that would be started.
func (f Folder) place(version string, p publisher.Program, signed publisher.Metadata) error {
	if err := durable.RemoveAll(f.path(version)); err != nil {
		return fmt.Errorf("place %s: %w", version, err)
	}
	if err := f.make(version); err != nil {
		return fmt.Errorf("place %s: %w", version, err)
	}
	if err := f.save(signed, version, signedFile); err != nil {
		return fmt.Errorf("place %s: %w", version, err)
	}
	path := f.path(version, programFile)
	if err := durable.Rename(f.partPath(p), path); err != nil {
		return fmt.Errorf("place %s: %w", version, err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return fmt.Errorf("place %s: %w", version, err)
	}
	return errors.Join(durable.SyncDir(filepath.Dir(path)), durable.SyncDir(string(f)))
}
