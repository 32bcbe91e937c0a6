package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// judgedFolders makes a Windows machine whose walk meets programs, each with
// what Windows makes of its signature.
func judgedFolders(t *testing.T, files ...string) system.Reader {
	t.Helper()
	return systemtest.Replay(t, posture.Windows, `{"walk":{"files":[`+strings.Join(files, ",")+`]}}`)
}

func judgedFile(content []byte, signature string) string {
	line := fmt.Sprintf(`{"location":"downloads","base64":%q`, base64.StdEncoding.EncodeToString(content))
	if signature != "" {
		line += `,"signature":` + signature
	}
	return line + "}"
}

// quiz is a program with a signature for "Hollybank Software Ltd" in it, of
// which there are several.
func quiz(t *testing.T, version string, signed []byte) []byte {
	t.Helper()
	return peProgram(runnable, versionInfo(map[string]string{"ProductName": "Quiz", "ProductVersion": version}), signed)
}

func TestTheSystemsJudgementOfASignatureStands(t *testing.T) {
	files := []string{
		judgedFile(quiz(t, "1", signature(t)), `{"state":"valid","signer":"Hollybank Software Ltd"}`),
		judgedFile(quiz(t, "2", nil), `{"state":"valid","signer":"Hollybank\u202e Catalogues","catalog":true}`),
		judgedFile(quiz(t, "3", nil), `{"state":"unsigned"}`),
		judgedFile(quiz(t, "4", signature(t)), `{"state":"invalid"}`),
		judgedFile(quiz(t, "5", nil), `{"state":"invalid"}`),
		judgedFile(quiz(t, "6", signature(t)), `{"state":"unproven","signer":"Hollybank Software Ltd"}`),
		judgedFile(quiz(t, "7", signature(t)), ""),
		judgedFile(elfFile(2, 1), `{"state":"valid","signer":"Nobody asks this"}`),
	}
	known := NewKnown()
	got, _ := Executables(t.Context(), judgedFolders(t, files...), known, nil, wide)
	words := func(a posture.Answer[posture.Executable]) []string {
		var list []string
		for _, e := range a.Items {
			list = append(list, fmt.Sprintf("%s %s %s %s %s", e.Format, e.Version.Value, e.Signature.Value, e.Signer.Value, e.Signer.Absent))
		}
		slices.Sort(list)
		return list
	}
	want := []string{
		"elf  unsigned  none",
		"pe 1 valid Hollybank Software Ltd none",
		`pe 2 valid Hollybank Catalogues none`,
		"pe 3 unsigned  none",
		"pe 4 invalid Hollybank Software Ltd none",
		"pe 5 invalid  unreadable",
		"pe 6 unproven Hollybank Software Ltd none",
		"pe 7 unproven Hollybank Software Ltd none",
	}
	if diff := cmp.Diff(want, words(got)); diff != "" || !got.Complete() || got.Source != "folders" {
		t.Errorf("got +, want -: %s; %v from %q", diff, got.Gaps, got.Source)
	}
	var saved bytes.Buffer
	if err := known.Save(&saved); err != nil {
		t.Fatal(err)
	}
	known, err := LoadKnown(&saved)
	if err != nil {
		t.Fatal(err)
	}
	again := &unjudging{Reader: judgedFolders(t, files...), err: fs.ErrPermission}
	second, _ := Executables(t.Context(), again, known, nil, wide)
	if diff := cmp.Diff(got, second); diff != "" || again.asked != 0 {
		t.Errorf("the second walk asked %d times and found other things: %s", again.asked, diff)
	}
}

// unjudging is a Reader whose judge of signatures fails.
type unjudging struct {
	system.Reader
	err   error
	asked int
}

func (u *unjudging) Walk(ctx context.Context, l system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	return u.Reader.Walk(ctx, l, func(f system.WalkedFile) error {
		f.Signature = func(context.Context) (system.Signature, error) {
			u.asked++
			return system.Signature{}, u.err
		}
		return visit(f)
	})
}

func TestASignatureThatCouldNotBeJudgedIsNotKnown(t *testing.T) {
	known := NewKnown()
	sys := &unjudging{
		Reader: judgedFolders(t, judgedFile(quiz(t, "1", signature(t)), ""), judgedFile(quiz(t, "2", nil), "")),
		err:    &system.CodeError{Code: 0x80092026},
	}
	for range 2 { // it is asked again
		sys.asked = 0
		got, scripts := Executables(t.Context(), sys, known, nil, wide)
		for _, e := range got.Items {
			if e.Signature != posture.Unread[posture.SignatureState](posture.Unreadable) || !e.SHA256.Known() {
				t.Errorf("got %+v", e)
			}
		}
		if len(got.Items) != 2 || sys.asked != 2 || got.Source != "folders, WinVerifyTrust (0x80092026)" || scripts.Source != "folders" {
			t.Errorf("asked %d times: %+v, %+v", sys.asked, got, scripts)
		}
	}
}

// TestAVastProgramIsNotJudged: whoever judges it reads all of it, and cannot be
// stopped.
func TestAVastProgramIsNotJudged(t *testing.T) {
	file := judgedFile(quiz(t, "1", signature(t)), `{"state":"valid","signer":"Hollybank Software Ltd"}`)
	file = strings.Replace(file, "{", fmt.Sprintf(`{"identity":{"Inode":1,"Size":%d},`, judgeLimit+1), 1)
	got, _ := Executables(t.Context(), judgedFolders(t, file), nil, nil, wide)
	if len(got.Items) != 1 || got.Items[0].Signature != posture.Unread[posture.SignatureState](posture.TimedOut) {
		t.Errorf("got %+v", got)
	}
}

func TestVersionsInAnyLanguageAndInNumbers(t *testing.T) {
	fixed := func(file, product uint64) []byte {
		b := make([]byte, 52)
		le := binary.LittleEndian
		le.PutUint32(b, 0xfeef04bd)
		le.PutUint32(b[8:], uint32(file>>32))
		le.PutUint32(b[12:], uint32(file))
		le.PutUint32(b[16:], uint32(product>>32))
		le.PutUint32(b[20:], uint32(product))
		return b
	}
	text := func(language string, texts ...string) []byte {
		var list [][]byte
		for i := 0; i < len(texts); i += 2 {
			list = append(list, block(texts[i], true, utf16Bytes(texts[i+1])))
		}
		return block(language, true, nil, list...)
	}
	info := func(fixed []byte, tables ...[]byte) []byte {
		return block("VS_VERSION_INFO", false, fixed,
			block("VarFileInfo", true, nil, block("Translation", false, []byte{0x52, 4, 0xb0, 4})), block("StringFileInfo", true, nil, tables...))
	}
	const v = 1<<48 | 2<<32 | 3<<16 | 4
	for _, c := range []struct {
		name             string
		resource         []byte
		product, version string
	}{
		{"Welsh", info(fixed(v, v), text("045204b0", "ProductName", "Cwis Hollybank", "ProductVersion", "2.0")), "Cwis Hollybank", "2.0"},
		{"the second language has more", info(nil, text("080904b0", "Comments", "-"), text("040704b0", "ProductName", "Quizspiel", "FileVersion", "3.1")), "Quizspiel", "3.1"},
		{"description alone", info(fixed(v, 0), text("080904b0", "FileDescription", "Quiz")), "Quiz", "1.2.3.4"},
		{"numbers of the product", info(fixed(v, 5<<48|v)), "", "5.2.3.4"},
		{"numbers that are not", info(make([]byte, 52)), "", ""},
		{"none", nil, "", ""},
	} {
		content := peProgram(runnable, c.resource, nil)
		p, err := identify(bytes.NewReader(content), int64(len(content)))
		if err != nil || p.product != posture.Read(c.product) || p.version != posture.Read(c.version) {
			t.Errorf("%s: got %+v and %+v, %v", c.name, p.product, p.version, err)
		}
	}
}
