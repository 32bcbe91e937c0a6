package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

var made = Manifest{At: time.Date(2026, 11, 20, 17, 30, 0, 0, time.UTC), Version: "v1.2.0", Schools: []School{{ID: "s1", Name: "Hollybank Primary School"}}}

// archive makes a whole archive with these files, name and content in turn.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, made)
	for n := 0; err == nil && n < len(files); n += 2 {
		err = w.Add(files[n], int64(len(files[n+1])), strings.NewReader(files[n+1]))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func belongs(name string) bool { return name != "lock" && !strings.HasPrefix(name, "view/") }

// unpack reads an archive into a folder.
func unpack(t testing.TB, r io.Reader, dir string) (Manifest, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	a, err := NewReader(r)
	if err != nil {
		return Manifest{}, err
	}
	return a.Manifest, a.Unpack(root, belongs, func(int64) {})
}

// check reads an archive to its end.
func check(r io.Reader) error {
	a, err := NewReader(r)
	if err != nil {
		return err
	}
	return a.Check(func(int64) {})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	m, err := unpack(t, bytes.NewReader(archive(t, "school.json", "{}", "schools/s1/keys/media.key", "secret", "schools/s1/empty", "")), dir)
	if err != nil || m.Schools[0].Name != "Hollybank Primary School" || m.Format != Format {
		t.Fatalf("got %+v, %v", m, err)
	}
	for name, want := range map[string]string{"school.json": "{}", "schools/s1/keys/media.key": "secret", "schools/s1/empty": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestAFileThatShrinksIsNoBackup(t *testing.T) {
	w, err := NewWriter(io.Discard, made)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("a", 5, strings.NewReader("abc")); err == nil || !strings.Contains(err.Error(), "it had 5 bytes and now has 3") {
		t.Errorf("got %v", err)
	}
}

// TestBrokenOff: an archive that ends early is not whole, wherever it ends.
func TestBrokenOff(t *testing.T) {
	whole := archive(t, "a", "one", "b/c", "two")
	for n := 0; n <= bytes.LastIndexByte(whole, '}'); n += 41 { // what fills the last block adds nothing
		if check(bytes.NewReader(whole[:n])) == nil {
			t.Fatalf("the first %d of %d bytes are taken for a whole archive", n, len(whole))
		}
	}
}

// TestSealed: what was encrypted opens with what it was encrypted to, and one
// changed or missing byte is found.
func TestSealed(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := ForKey(key.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := Seal(&b, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(archive(t, "a", strings.Repeat("x", 200_000))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(data []byte, with age.Identity) error {
		plain, err := Open(bytes.NewReader(data), with)
		if err != nil {
			return err
		}
		return check(plain)
	}
	if err := read(b.Bytes(), key); err != nil {
		t.Fatal(err)
	}
	if err := read(b.Bytes(), other); err == nil || !strings.Contains(err.Error(), "not the one that it was made with") {
		t.Errorf("with another key: got %v", err)
	}
	for at := 0; at < b.Len(); at += 4999 {
		changed := bytes.Clone(b.Bytes())
		changed[at] ^= 1
		if read(changed, key) == nil {
			t.Errorf("byte %d was changed, and nobody noticed", at)
		}
	}
	for _, n := range []int{0, 10, b.Len() / 2, b.Len() - 1} {
		if read(b.Bytes()[:n], key) == nil {
			t.Errorf("the first %d bytes are taken for the whole", n)
		}
	}
}

func TestPassphrase(t *testing.T) {
	if _, err := ForPassphrase("short"); err == nil || !strings.Contains(err.Error(), "at least 12") {
		t.Errorf("got %v", err)
	}
	r, err := ForPassphrase("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := Seal(&b, r)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for passphrase, good := range map[string]bool{"correct horse battery": true, "correct horse batterz": false} {
		i, err := WithPassphrase(passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(bytes.NewReader(b.Bytes()), i); (err == nil) != good || !good && !strings.Contains(err.Error(), "the passphrase or the key") {
			t.Errorf("%q: got %v", passphrase, err)
		}
	}
}

// crafted makes an archive of these headers after a good beginning.
func crafted(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text, err := json.Marshal(Manifest{Format: Format})
	if err != nil {
		t.Fatal(err)
	}
	put := func(h tar.Header, body []byte) {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	put(tar.Header{Name: manifestName, Typeflag: tar.TypeReg, Size: int64(len(text))}, text)
	for _, h := range headers {
		put(h, make([]byte, h.Size))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var hostile = map[string]tar.Header{
	"no name of a collector's file":  {Name: "../outside", Typeflag: tar.TypeReg, Size: 1},
	"no name of a collector’s file ": {Name: "/etc/outside", Typeflag: tar.TypeReg, Size: 1},
	"backslashes":                    {Name: `a\..\b`, Typeflag: tar.TypeReg, Size: 1},
	"a drive":                        {Name: `c:b`, Typeflag: tar.TypeReg, Size: 1},
	"a dot file":                     {Name: ".restoring", Typeflag: tar.TypeReg, Size: 1},
	"not clean":                      {Name: "a//b", Typeflag: tar.TypeReg, Size: 1},
	"deep":                           {Name: "a/b/c/d/e/f/g/h/i", Typeflag: tar.TypeReg, Size: 1},
	"a link":                         {Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
	"a hard link":                    {Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
	"a folder":                       {Name: "a/", Typeflag: tar.TypeDir},
	"a device":                       {Name: "a", Typeflag: tar.TypeChar},
	"extra headers":                  {Name: "a", Typeflag: tar.TypeReg, Size: 1, PAXRecords: map[string]string{"CARETAKER.x": "1"}},
	"what a collector makes itself":  {Name: "view/000001.sst", Typeflag: tar.TypeReg, Size: 1},
}

// TestHostile: whoever knows a recipient can make a backup for it. What it says
// reaches nothing outside the folder, and nothing but plain files is made.
func TestHostile(t *testing.T) {
	for what, h := range hostile {
		dir := t.TempDir()
		if _, err := unpack(t, bytes.NewReader(crafted(t, h)), dir); err == nil {
			t.Errorf("%s: %q was unpacked", what, h.Name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", what, left, err)
		}
	}
	good := tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 1}
	for what, data := range map[string][]byte{
		"twice":                crafted(t, good, tar.Header{Name: "A", Typeflag: tar.TypeReg, Size: 1}),
		"broken off":           crafted(t, good),
		"no backup":            []byte("hello"),
		"something before it":  crafted(t)[512*2:],
		"a file below a file ": crafted(t, good, tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 1}),
	} {
		if _, err := unpack(t, bytes.NewReader(data), t.TempDir()); err == nil {
			t.Errorf("%s: it was taken", what)
		}
	}
}

// TestALinkInTheFolderLeadsNowhere: somebody who can write the folder cannot
// have the archive written elsewhere.
func TestALinkInTheFolderLeadsNowhere(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "schools")); err != nil {
		t.Skip(err)
	}
	if _, err := unpack(t, bytes.NewReader(archive(t, "schools/s1/school.json", "{}")), dir); err == nil {
		t.Error("it was unpacked through a link")
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v", left, err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, "a", "one", "b/c", "two"))
	for _, h := range hostile {
		f.Add(crafted(f, h))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := unpack(t, bytes.NewReader(data), dir)
		var sum int64
		walked := filepath.WalkDir(above, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside := path == above || path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
			if !inside || !d.IsDir() && !d.Type().IsRegular() {
				return errors.New("it made " + path)
			}
			if info, err := d.Info(); err == nil && !d.IsDir() {
				sum += info.Size()
			}
			return nil
		})
		if walked != nil {
			t.Fatal(walked)
		}
		if sum > int64(len(data)) {
			t.Fatalf("%d bytes became %d (%v)", len(data), sum, err)
		}
	})
}
