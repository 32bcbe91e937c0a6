package probe

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// signature is a PKCS #7 message that openssl made with a certificate for
// "Hollybank Software Ltd".
func signature(tb testing.TB) []byte {
	tb.Helper()
	der, err := os.ReadFile("testdata/executables/signature.der")
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func utf16Bytes(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}

// block writes one block of a version resource.
func block(key string, text bool, value []byte, inner ...[]byte) []byte {
	b := make([]byte, 6)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	b = append(b, utf16Bytes(key)...)
	pad()
	b = append(b, value...)
	for _, i := range inner {
		pad()
		b = append(b, i...)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	length := len(value)
	if text {
		binary.LittleEndian.PutUint16(b[4:], 1)
		length /= 2
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(length))
	return b
}

func versionInfo(strings map[string]string) []byte {
	var list [][]byte
	for k, v := range strings {
		list = append(list, block(k, true, utf16Bytes(v)))
	}
	slices.SortFunc(list, bytes.Compare)
	table := block("080904b0", true, nil, list...)
	return block("VS_VERSION_INFO", false, make([]byte, 52), block("StringFileInfo", true, nil, table))
}

// peProgram writes a Windows program of one section, which holds its
// resources, and a signature behind it.
func peProgram(flags uint16, version, signed []byte) []byte {
	const (
		header, address = 0x200, 0x1000
		data            = 16 + 8 + 16 + 8 + 16 + 8 // three tables of one entry each
	)
	b := make([]byte, header)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	pe := b[64:]
	copy(pe, "PE\x00\x00")
	le.PutUint16(pe[4:], 0x8664)
	le.PutUint16(pe[6:], 1)
	le.PutUint16(pe[20:], 240)
	le.PutUint16(pe[22:], flags)
	optional := pe[24:]
	le.PutUint16(optional, 0x20b)
	le.PutUint32(optional[108:], 16)
	var resources []byte
	if version != nil {
		resources = make([]byte, data+16)
		for i, entry := range []struct{ id, offset uint32 }{{16, 24 | 1<<31}, {1, 48 | 1<<31}, {2057, 72}} {
			table := resources[i*24:]
			le.PutUint16(table[14:], 1)
			le.PutUint32(table[16:], entry.id)
			le.PutUint32(table[20:], entry.offset)
		}
		le.PutUint32(resources[data:], address+data+16)
		le.PutUint32(resources[data+4:], uint32(len(version)))
		resources = append(resources, version...)
		le.PutUint32(optional[112+16:], address)
		le.PutUint32(optional[112+20:], uint32(len(resources)))
	}
	section := optional[240:]
	le.PutUint32(section[8:], uint32(len(resources)))
	le.PutUint32(section[12:], address)
	le.PutUint32(section[16:], uint32(len(resources)))
	le.PutUint32(section[20:], header)
	if signed != nil {
		le.PutUint32(optional[112+32:], uint32(header+len(resources)))
		le.PutUint32(optional[112+36:], uint32(8+len(signed)))
		resources = le.AppendUint32(resources, uint32(8+len(signed)))
		resources = le.AppendUint16(resources, 0x200)
		resources = le.AppendUint16(resources, 2)
		resources = append(resources, signed...)
	}
	return append(b, resources...)
}

const runnable = 2

// elfFile writes a 64-bit ELF file with program headers of the given types.
func elfFile(kind uint16, entry uint64, segments ...uint32) []byte {
	b := make([]byte, 64+56*len(segments)+32)
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], kind)
	le.PutUint16(b[18:], 62)
	le.PutUint64(b[24:], entry)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], uint16(len(segments)))
	for i, s := range segments {
		p := b[64+56*i:]
		le.PutUint32(p, s)
		le.PutUint64(p[8:], uint64(64+56*len(segments)))
		le.PutUint64(p[32:], 32)
	}
	return b
}

func staticPIE() []byte {
	b := elfFile(3, 0x1000, elfDynamic)
	binary.LittleEndian.PutUint64(b[64+56:], 0x6ffffffb)
	binary.LittleEndian.PutUint64(b[64+56+8:], 0x08000001)
	return b
}

func appImage() []byte {
	b := elfFile(2, 0x400000)
	copy(b[8:], "AI\x02")
	return b
}

func jarFileOf(tb testing.TB, names ...string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		h := &zip.FileHeader{Name: n}
		content := []byte("Manifest-Version: 1.0\n")
		if strings.HasSuffix(n, "/") {
			content = nil
		}
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(content)), uint64(len(content))
		w, err := z.CreateRaw(h)
		if err == nil && len(content) > 0 {
			_, err = w.Write(content)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func machoFile(kind uint32, signed bool) []byte {
	b := make([]byte, 48)
	le := binary.LittleEndian
	le.PutUint32(b, 0xfeedfacf)
	le.PutUint32(b[12:], kind)
	if signed {
		le.PutUint32(b[16:], 1)
		le.PutUint32(b[20:], 16)
		le.PutUint32(b[32:], 0x1d)
		le.PutUint32(b[36:], 16)
	}
	return b
}

func fatFile(inner []byte) []byte {
	b := make([]byte, 28)
	binary.BigEndian.PutUint32(b, machoFat)
	binary.BigEndian.PutUint32(b[4:], 2)
	binary.BigEndian.PutUint32(b[16:], 28)
	return append(b, inner...)
}

func executableSeeds(tb testing.TB) [][]byte {
	return [][]byte{
		peProgram(runnable, versionInfo(map[string]string{"ProductName": "Quiz", "FileVersion": "1.2"}), signature(tb)),
		elfFile(2, 0x400000), elfFile(3, 0x1000, elfInterp), staticPIE(), appImage(),
		jarFileOf(tb, "META-INF/", "META-INF/MANIFEST.MF"), machoFile(2, true), fatFile(machoFile(2, false)),
		[]byte("#!/bin/sh\n"), []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34"),
	}
}

func TestIdentifyByContent(t *testing.T) {
	version := versionInfo(map[string]string{"ProductName": "Hollybank Quiz", "ProductVersion": "1.2.3"})
	for _, c := range []struct {
		name    string
		content []byte
		want    posture.Format
		text    string // product, version, signature and signer
	}{
		{"program for Windows", peProgram(runnable, version, signature(t)), posture.PE, "Hollybank Quiz 1.2.3 unproven Hollybank Software Ltd"},
		{"unsigned", peProgram(runnable, nil, nil), posture.PE, "  unsigned "},
		{"library for Windows", peProgram(runnable|0x2000, version, nil), "", ""},
		{"object file for Windows", peProgram(0, nil, nil), "", ""},
		{"program for MS-DOS", append([]byte("MZ"), make([]byte, 100)...), "", ""},
		{"ET_EXEC", elfFile(2, 0x400000), posture.ELF, "  unsigned "},
		{"position-independent", elfFile(3, 0x1000, elfDynamic, elfInterp), posture.ELF, "  unsigned "},
		{"static position-independent", staticPIE(), posture.ELF, "  unsigned "},
		{"packed", elfFile(3, 0x1000, 1), posture.ELF, "  unsigned "},
		{"library", elfFile(3, 0x1000, elfDynamic), "", ""},
		{"library without entry", elfFile(3, 0, elfDynamic), "", ""},
		{"object file", elfFile(1, 0), "", ""},
		{"core dump", elfFile(4, 0), "", ""},
		{"AppImage", appImage(), posture.AppImage, ""},
		{"Mach-O", machoFile(2, false), posture.MachO, ""},
		{"signed Mach-O", machoFile(2, true), posture.MachO, ""},
		{"Mach-O library", machoFile(6, false), "", ""},
		{"fat", fatFile(machoFile(2, false)), posture.MachO, ""},
		{"Java class", append([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x34"), make([]byte, 60)...), "", ""},
		{"JAR", jarFileOf(t, "META-INF/", "META-INF/MANIFEST.MF", "A.class"), posture.JAR, ""},
		{"ZIP", jarFileOf(t, "photos/a.jpg", "photos/b.jpg"), "", ""},
		{"script", []byte("#! /usr/bin/env python3\n"), posture.Script, ""},
		{"Rust source", []byte("#![allow(unused)]\n"), "", ""},
		{"text", []byte("hello"), "", ""},
		{"empty", nil, "", ""},
	} {
		p, err := identify(bytes.NewReader(c.content), int64(len(c.content)))
		if err != nil || p.format != c.want {
			t.Errorf("%s: got %q and %v, want %q", c.name, p.format, err, c.want)
			continue
		}
		got := strings.Join([]string{p.product.Value, p.version.Value, string(p.signature.Value), p.signer.Value}, " ")
		if c.text != "" && got != c.text {
			t.Errorf("%s: got %q, want %q", c.name, got, c.text)
		}
	}
}

// TestIdentifySurvivesCuts cuts every example at every byte.
func TestIdentifySurvivesCuts(t *testing.T) {
	for _, seed := range executableSeeds(t) {
		for n := range len(seed) {
			if _, err := identify(bytes.NewReader(seed[:n]), int64(n)); err != nil {
				t.Errorf("cut at %d of %d: %v", n, len(seed), err)
			}
		}
	}
}

type foundFile struct {
	at      posture.Location
	content []byte
}

// folders makes a machine whose walk meets the given files.
func folders(t *testing.T, stopped string, files ...foundFile) system.Reader {
	t.Helper()
	type file struct {
		Location posture.Location `json:"location"`
		Base64   string           `json:"base64"`
	}
	list := []file{}
	for _, f := range files {
		list = append(list, file{f.at, base64.StdEncoding.EncodeToString(f.content)})
	}
	line, err := json.Marshal(map[string]any{"walk": map[string]any{"files": list, "stopped": stopped}})
	if err != nil {
		t.Fatal(err)
	}
	return systemtest.Replay(t, posture.Linux, string(line))
}

var wide = system.WalkLimits{Depth: 10, Files: 1000, Time: time.Minute}

func TestExecutablesAreListedOnceAndScriptsCounted(t *testing.T) {
	quiz := peProgram(runnable, versionInfo(map[string]string{"ProductName": "Quiz", "ProductVersion": "2"}), signature(t))
	sys := folders(t, "",
		foundFile{posture.Downloads, quiz}, foundFile{posture.Downloads, quiz}, foundFile{posture.OnMedia, quiz},
		foundFile{posture.Home, []byte("#!/bin/sh\n")}, foundFile{posture.Home, []byte("#!/bin/bash\n")},
		foundFile{posture.Temp, jarFileOf(t, "META-INF/MANIFEST.MF")}, foundFile{posture.Documents, []byte("a letter")})
	sum := sha256.Sum256(quiz)
	program := func(at posture.Location) posture.Executable {
		return posture.Executable{
			Location: at, Format: posture.PE, SHA256: posture.Read(hex.EncodeToString(sum[:])),
			Product: posture.Read("Quiz"), Version: posture.Read("2"),
			Signature: posture.Read(posture.SignedUnproven), Signer: posture.Read("Hollybank Software Ltd"),
		}
	}
	got, scripts := Executables(t.Context(), sys, nil, nil, wide)
	if diff := cmp.Diff([]posture.Executable{program(posture.Downloads), program(posture.OnMedia)}, got.Items); diff != "" {
		t.Errorf("got +, want -: %s", diff)
	}
	tallies := []posture.Tally{{Location: posture.Home, Format: posture.Script, Count: 2}, {Location: posture.Temp, Format: posture.JAR, Count: 1}}
	if diff := cmp.Diff(tallies, scripts.Items); diff != "" || !got.Complete() || !scripts.Complete() {
		t.Errorf("got +, want -: %s; gaps %v, %v", diff, got.Gaps, scripts.Gaps)
	}

	personal, _ := Executables(t.Context(), sys, nil, Withhold(true, nil), wide)
	for _, e := range personal.Items {
		for _, r := range []posture.Reading[string]{e.Product, e.Version, e.Signer} {
			if r != posture.Unread[string](posture.NotVisible) {
				t.Errorf("on a personal device got %v", e)
			}
		}
	}
}

// counting counts what is read of the files of a walk.
type counting struct {
	system.Reader
	bytes int64
	fail  error
}

type countingFile struct {
	io.ReaderAt
	c *counting
}

func (f countingFile) ReadAt(b []byte, at int64) (int, error) {
	f.c.bytes += int64(len(b))
	if f.c.fail != nil {
		return 0, f.c.fail
	}
	return f.ReaderAt.ReadAt(b, at)
}

func (c *counting) Walk(ctx context.Context, l system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	return c.Reader.Walk(ctx, l, func(f system.WalkedFile) error {
		f.ReaderAt = countingFile{f.ReaderAt, c}
		return visit(f)
	})
}

func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	known := NewKnown()
	c := &counting{Reader: folders(t, "", foundFile{posture.Home, elfFile(2, 1)}, foundFile{posture.Home, []byte("letter")}, foundFile{posture.Temp, []byte("#!/bin/sh\n")})}
	first, firstScripts := Executables(t.Context(), c, known, nil, wide)
	if c.bytes == 0 || known.Len() != 3 {
		t.Fatalf("read %d bytes and know %d files", c.bytes, known.Len())
	}
	var saved bytes.Buffer
	if err := known.Save(&saved); err != nil {
		t.Fatal(err)
	}
	known, err := LoadKnown(&saved)
	if err != nil {
		t.Fatal(err)
	}
	c.bytes = 0
	second, secondScripts := Executables(t.Context(), c, known, nil, wide)
	if c.bytes != 0 {
		t.Errorf("read %d bytes again", c.bytes)
	}
	if diff := cmp.Diff(first, second) + cmp.Diff(firstScripts, secondScripts); diff != "" {
		t.Errorf("the second walk found other things: %s", diff)
	}
}

func TestForgetsFilesThatAreGone(t *testing.T) {
	known := NewKnown()
	both := []foundFile{{posture.Home, elfFile(2, 1)}, {posture.Home, []byte("letter")}}
	Executables(t.Context(), folders(t, "", both...), known, nil, wide)
	Executables(t.Context(), folders(t, "timed out", both[0]), known, nil, wide)
	if known.Len() != 2 {
		t.Errorf("after a walk that was stopped %d files are known, want both", known.Len())
	}
	Executables(t.Context(), folders(t, "", both[0]), known, nil, wide)
	if known.Len() != 1 {
		t.Errorf("after a whole walk %d files are known, want the one that is left", known.Len())
	}
}

func TestWalkThatStoppedLeavesAGap(t *testing.T) {
	got, scripts := Executables(t.Context(), folders(t, "timed out", foundFile{posture.Home, elfFile(2, 1)}), nil, nil, wide)
	want := []posture.Gap{{Source: "folders", Absent: posture.TimedOut}}
	if len(got.Items) != 1 || !slices.Equal(got.Gaps, want) || !slices.Equal(scripts.Gaps, want) {
		t.Errorf("got %v and %v, want %v", got, scripts, want)
	}
	none, _ := Executables(t.Context(), systemtest.Replay(t, posture.Linux, `{"walk":{"files":[]},"absent":"denied"}`), nil, nil, wide)
	if none.Absent != posture.Denied {
		t.Errorf("got %v, want denied", none)
	}
}

func TestUnreadableFileLeavesAGapAndIsNotRemembered(t *testing.T) {
	known := NewKnown()
	c := &counting{Reader: folders(t, "", foundFile{posture.Home, elfFile(2, 1)}), fail: errors.New("input/output error")}
	got, _ := Executables(t.Context(), c, known, nil, wide)
	want := []posture.Gap{{Source: "folders: home", Absent: posture.Unreadable}}
	if len(got.Items) != 0 || !slices.Equal(got.Gaps, want) || known.Len() != 0 {
		t.Errorf("got %v and %d known, want %v", got, known.Len(), want)
	}
}

func someKnown() *Known {
	k := NewKnown()
	k.begin()
	k.put(system.FileIdentity{Inode: 1}, program{})
	k.put(system.FileIdentity{Inode: 2}, program{format: posture.Script})
	k.put(system.FileIdentity{Inode: 3, Size: 7}, program{
		format: posture.PE, sum: [32]byte{1, 2}, product: posture.Read("Quiz ✓"), version: posture.Read(""),
		signature: posture.Read(posture.Unsigned), signer: posture.Unread[string](posture.Unsupported),
	})
	k.end(true)
	return k
}

func TestKnownIsRefusedWhereverItIsDamaged(t *testing.T) {
	var b bytes.Buffer
	if err := someKnown().Save(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	k, err := LoadKnown(bytes.NewReader(whole))
	if err != nil || k.Len() != 3 {
		t.Fatalf("load what was saved: %v", err)
	}
	for n := range whole {
		if _, err := LoadKnown(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("cut at %d it is accepted", n)
		}
		damaged := bytes.Clone(whole)
		damaged[n] ^= 0x20
		if _, err := LoadKnown(bytes.NewReader(damaged)); err == nil {
			t.Errorf("changed at %d it is accepted", n)
		}
	}
}

func BenchmarkKnownFiles(b *testing.B) {
	k := NewKnown()
	k.begin()
	const files = 20_000
	for i := range uint64(files) {
		k.put(system.FileIdentity{Inode: i}, program{})
	}
	k.end(true)
	for b.Loop() {
		k.begin()
		for i := range uint64(files) {
			if k.look(system.FileIdentity{Inode: i}) == nil {
				b.Fatal("a known file is not known")
			}
		}
		k.end(true)
	}
}

func TestKnownIsSavedOnlyWhenItIsOther(t *testing.T) {
	both := []foundFile{{posture.Home, elfFile(2, 1)}, {posture.Home, []byte("letter")}}
	known := NewKnown()
	walk := func(files ...foundFile) bool {
		t.Helper()
		var saved bytes.Buffer
		if err := known.Save(&saved); err != nil {
			t.Fatal(err)
		}
		var err error
		if known, err = LoadKnown(&saved); err != nil {
			t.Fatal(err)
		}
		Executables(t.Context(), folders(t, "", files...), known, nil, wide)
		return known.Changed()
	}
	if !walk(both...) {
		t.Error("after the first walk there is nothing to save")
	}
	if walk(both...) {
		t.Error("there is something to save where nothing changed")
	}
	if !walk(both[0]) {
		t.Error("there is nothing to save when a file has gone")
	}
	if !walk(both...) {
		t.Error("there is nothing to save when a file has come")
	}
}

func TestKnownFollowsTheOrderOfTheWalk(t *testing.T) {
	k := someKnown()
	k.changed = false
	inodes := []uint64{3, 1, 2}
	walk := func() {
		k.begin()
		for _, inode := range inodes {
			id := system.FileIdentity{Inode: inode}
			if inode == 3 {
				id.Size = 7
			}
			if k.look(id) == nil {
				t.Errorf("file %d is not known", inode)
			}
		}
		k.end(true)
	}
	walk()
	if !k.Changed() || k.Len() != 3 {
		t.Errorf("after a walk in another order it is changed: %v, and knows %d files", k.Changed(), k.Len())
	}
	k.changed = false
	walk()
	if k.Changed() || k.at != nil {
		t.Error("in the order of the walk before it had to look for a file")
	}
}
