// Package signing makes what the publisher signs: roots, releases and the
// publisher's word that they are current. Whoever holds a key signs on a machine
// of their own; the folder goes from one to the next.
//
// It never decides whether a release is good, and no program that schools run
// holds any of it.
package signing

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Folder is a release's folder.
type Folder string

// Keys says who may sign: Release keys, of which Threshold must sign a root and a
// release, and Fresh keys, any one of which says which release is the current one.
type Keys struct {
	Release   []ed25519.PublicKey
	Threshold int
	Fresh     []ed25519.PublicKey
}

func (f Folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

func (f Folder) rootPath(n int64) string { return f.path(fmt.Sprintf("metadata/%d.root.json", n)) }

// lastRoot returns the newest root of the folder, nil if there is none.
func (f Folder) lastRoot() (*metadata.Metadata[metadata.RootType], error) {
	var last *metadata.Metadata[metadata.RootType]
	for n := int64(1); ; n++ {
		root, err := metadata.Root().FromFile(f.rootPath(n))
		if errors.Is(err, fs.ErrNotExist) {
			return last, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read root %d: %w", n, err)
		}
		last = root
	}
}

// Root adds a root that nobody has signed yet, and returns its number. From the
// second on, enough of the keys before must sign it too.
func (f Folder) Root(k Keys, expires time.Time) (int64, error) {
	if k.Threshold < 1 || k.Threshold > len(k.Release) || len(k.Fresh) == 0 {
		return 0, fmt.Errorf("of %d keys %d are to sign, and %d say what is current: that cannot be", len(k.Release), k.Threshold, len(k.Fresh))
	}
	last, err := f.lastRoot()
	if err != nil {
		return 0, err
	}
	root := metadata.Root(expires.UTC().Truncate(time.Second))
	if last != nil {
		root.Signed.Version = last.Signed.Version + 1
	}
	for role, keys := range map[string][]ed25519.PublicKey{
		metadata.ROOT: k.Release, metadata.TARGETS: k.Release, metadata.SNAPSHOT: k.Fresh, metadata.TIMESTAMP: k.Fresh,
	} {
		for _, public := range keys {
			key, err := metadata.KeyFromPublicKey(public)
			if err == nil {
				err = root.Signed.AddKey(key, role)
			}
			if err != nil {
				return 0, fmt.Errorf("add a key to the root: %w", err)
			}
		}
	}
	root.Signed.Roles[metadata.ROOT].Threshold, root.Signed.Roles[metadata.TARGETS].Threshold = k.Threshold, k.Threshold
	if err := os.MkdirAll(f.path("metadata"), 0o755); err != nil {
		return 0, fmt.Errorf("make the folder of metadata: %w", err)
	}
	return root.Signed.Version, write(root, f.rootPath(root.Signed.Version))
}

func write[T metadata.Roles](m *metadata.Metadata[T], path string) error {
	if err := m.ToFile(path, true); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// current is what the folder says is current, by its files; nil where there is
// nothing yet.
type current struct {
	timestamp *metadata.Metadata[metadata.TimestampType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	targets   *metadata.Metadata[metadata.TargetsType]
}

func (f Folder) current() (c current, err error) {
	m, err := publisher.ReadFolder(os.DirFS(string(f)))
	if errors.Is(err, fs.ErrNotExist) {
		return current{}, nil
	}
	if err != nil {
		return current{}, err
	}
	if c.timestamp, err = metadata.Timestamp().FromBytes(m.Timestamp); err != nil {
		return current{}, fmt.Errorf("read the timestamp: %w", err)
	}
	if c.snapshot, err = metadata.Snapshot().FromBytes(m.Snapshot); err != nil {
		return current{}, fmt.Errorf("read the snapshot: %w", err)
	}
	if c.targets, err = metadata.Targets().FromBytes(m.Targets); err != nil {
		return current{}, fmt.Errorf("read the list of programs: %w", err)
	}
	return c, nil
}

// Lasts is for how long the publisher's word holds.
type Lasts struct {
	Release time.Time // of the list of programs
	Fresh   time.Time // that it is current
}

// Release puts programs, by system, into the folder as a version that nobody has
// signed yet. Those of the version before are taken out.
func (f Folder) Release(version string, programs map[string]string, lasts Lasts) error {
	before, err := f.current()
	if err != nil {
		return err
	}
	if err := rises(version, before); err != nil {
		return err
	}
	targets := metadata.Targets(lasts.Release.UTC().Truncate(time.Second))
	targets.Signed.Version = 1
	if before.targets != nil {
		targets.Signed.Version = before.targets.Signed.Version + 1
	}
	if err := os.RemoveAll(f.path("targets")); err != nil {
		return fmt.Errorf("take out the version before: %w", err)
	}
	for _, platform := range slices.Sorted(maps.Keys(programs)) {
		if !publisher.IsPlatform(platform) {
			return fmt.Errorf("%q is no system that there is an agent for", platform)
		}
		file, err := f.place(version, platform, programs[platform])
		if err != nil {
			return err
		}
		targets.Signed.Targets[publisher.TargetName(version, platform)] = file
	}
	if err := write(targets, f.path(fmt.Sprintf("metadata/%d.targets.json", targets.Signed.Version))); err != nil {
		return err
	}
	return f.refresh(before, targets.Signed.Version, lasts.Fresh)
}

// rises says why a version cannot follow what is in the folder.
func rises(version string, before current) error {
	if !publisher.IsVersion(version) {
		return fmt.Errorf("%q is no version: it is like v1.2.0", version)
	}
	if before.targets == nil {
		return nil
	}
	for name := range before.targets.Signed.Targets {
		if v := filepath.Base(filepath.Dir(filepath.FromSlash(name))); !publisher.Newer(version, v) {
			return fmt.Errorf("%s does not follow %s: versions only rise", version, v)
		}
	}
	return nil
}

// place copies a program to where the release has it.
func (f Folder) place(version, platform, program string) (*metadata.TargetFiles, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("take a program into the release: %w", err)
	}
	if len(data) == 0 || len(data) > publisher.MaxProgram {
		return nil, fmt.Errorf("take %s into the release: it has %d bytes, and may have %d", program, len(data), publisher.MaxProgram)
	}
	file, err := metadata.TargetFile().FromBytes(program, data, "sha256")
	if err != nil {
		return nil, fmt.Errorf("take a program into the release: %w", err)
	}
	to := f.path(publisher.ProgramPath(version, publisher.Program{Platform: platform, SHA256: [32]byte(file.Hashes["sha256"])}))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, fmt.Errorf("take a program into the release: %w", err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		return nil, fmt.Errorf("take a program into the release: %w", err)
	}
	return file, nil
}

// Refresh says anew that the folder's release is the current one.
func (f Folder) Refresh(expires time.Time) error {
	before, err := f.current()
	if err != nil {
		return err
	}
	if before.targets == nil {
		return errors.New("there is no release yet that could be current")
	}
	return f.refresh(before, before.targets.Signed.Version, expires)
}

func (f Folder) refresh(before current, targets int64, expires time.Time) error {
	expires = expires.UTC().Truncate(time.Second)
	snapshot, timestamp := metadata.Snapshot(expires), metadata.Timestamp(expires)
	if before.snapshot != nil {
		snapshot.Signed.Version, timestamp.Signed.Version = before.snapshot.Signed.Version+1, before.timestamp.Signed.Version+1
	}
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(targets)
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(snapshot.Signed.Version)
	if err := write(snapshot, f.path(fmt.Sprintf("metadata/%d.snapshot.json", snapshot.Signed.Version))); err != nil {
		return err
	}
	return write(timestamp, f.path("metadata/timestamp.json"))
}

// Sign signs whatever the key is for: the newest root, and what is current. It
// returns what it signed.
func (f Folder) Sign(key ed25519.PrivateKey) (signed []string, err error) {
	signer, err := signature.LoadED25519Signer(key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	id, err := public.ID()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	root, err := f.lastRoot()
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, errors.New("there is no root yet that says who may sign")
	}
	if mine, err := f.signsRoot(root, id); err != nil {
		return nil, err
	} else if mine {
		if err := sign(root, id, signer, f.rootPath(root.Signed.Version)); err != nil {
			return nil, err
		}
		signed = append(signed, fmt.Sprintf("%d.root.json", root.Signed.Version))
	}
	c, err := f.current()
	if err != nil || c.timestamp == nil {
		return signed, err
	}
	for _, part := range []struct {
		role, name string
		sign       func(path string) error
	}{
		{metadata.TARGETS, fmt.Sprintf("%d.targets.json", c.targets.Signed.Version), func(p string) error { return sign(c.targets, id, signer, p) }},
		{metadata.SNAPSHOT, fmt.Sprintf("%d.snapshot.json", c.snapshot.Signed.Version), func(p string) error { return sign(c.snapshot, id, signer, p) }},
		{metadata.TIMESTAMP, "timestamp.json", func(p string) error { return sign(c.timestamp, id, signer, p) }},
	} {
		if !slices.Contains(root.Signed.Roles[part.role].KeyIDs, id) {
			continue
		}
		if err := part.sign(f.path("metadata/" + part.name)); err != nil {
			return signed, err
		}
		signed = append(signed, part.name)
	}
	return signed, nil
}

// signsRoot reports whether a key may sign a root: it is among those that the root
// names, or the root before.
func (f Folder) signsRoot(root *metadata.Metadata[metadata.RootType], id string) (bool, error) {
	named := root.Signed.Roles[metadata.ROOT].KeyIDs
	if n := root.Signed.Version; n > 1 {
		before, err := metadata.Root().FromFile(f.rootPath(n - 1))
		if err != nil {
			return false, fmt.Errorf("read root %d: %w", n-1, err)
		}
		named = append(slices.Clone(named), before.Signed.Roles[metadata.ROOT].KeyIDs...)
	}
	return slices.Contains(named, id), nil
}

// sign adds a signature to a part, in place of an earlier one of the same key.
func sign[T metadata.Roles](m *metadata.Metadata[T], id string, with signature.Signer, path string) error {
	m.Signatures = slices.DeleteFunc(m.Signatures, func(s metadata.Signature) bool { return s.KeyID == id })
	if _, err := m.Sign(with); err != nil {
		return fmt.Errorf("sign %s: %w", filepath.Base(path), err)
	}
	return write(m, path)
}
