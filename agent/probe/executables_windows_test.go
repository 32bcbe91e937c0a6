package probe

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// downloaded puts files into a folder among the downloads of whoever runs the
// test, and returns the sum of each.
func downloaded(tb testing.TB, files map[string][]byte) map[string]string {
	tb.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp(filepath.Join(home, "Downloads"), "caretaker-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	sums := map[string]string{}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(content)
		sums[name] = hex.EncodeToString(sum[:])
	}
	return sums
}

// TestWindowsTellsSignaturesApart goes the whole way, from the profile in the
// registry to what is reported.
func TestWindowsTellsSignaturesApart(t *testing.T) {
	signed, err := os.ReadFile("testdata/executables/signed.exe")
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone(signed)
	tampered[0x204]++
	sums := downloaded(t, map[string][]byte{
		"signed.exe": signed, "tampered, not an .exe": tampered, "letter.exe": []byte("a letter"),
		"unsigned.bin": peProgram(runnable, versionInfo(map[string]string{"ProductName": fmt.Sprint("Quiz of ", os.Getpid())}), nil),
	})
	trusted := posture.SignedUnproven
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		trusted = posture.SignedValid // Wine trusts every root
	}
	known := NewKnown()
	c := &counting{Reader: system.New("/")}
	for _, walk := range []string{"first", "second"} {
		c.bytes = 0
		found, scripts := Executables(t.Context(), c, known, nil, walkLimits)
		t.Logf("%s walk: %d programs, read %d bytes, %v, gaps %v %v", walk, len(found.Items), c.bytes, found.Source, found.Gaps, scripts.Gaps)
		by := map[string]posture.Executable{}
		for _, e := range found.Items {
			by[e.SHA256.Value] = e
		}
		for name, want := range map[string]posture.SignatureState{"signed.exe": trusted, "tampered, not an .exe": posture.SignedInvalid, "unsigned.bin": posture.Unsigned} {
			e := by[sums[name]]
			signer := "Hollybank Software Ltd"
			if want == posture.Unsigned {
				signer = ""
			}
			if e.Location != posture.Downloads || e.Signature != posture.Read(want) || e.Signer != posture.Read(signer) {
				t.Errorf("%s walk: %s is %+v", walk, name, e)
			}
		}
		if _, ok := by[sums["letter.exe"]]; ok {
			t.Errorf("%s walk: a letter is taken for a program", walk)
		}
	}
}

// BenchmarkExecutables walks over 2,000 programs of 256 KiB, of which half
// are signed: a machine that is seen for the first time, and again.
func BenchmarkExecutables(b *testing.B) {
	signed, err := os.ReadFile("testdata/executables/signed.exe")
	if err != nil {
		b.Fatal(err)
	}
	files := map[string][]byte{}
	for i := range uint32(2000) {
		content := bytes.Clone(signed)
		if i%2 == 0 {
			content = peProgram(runnable, versionInfo(map[string]string{"ProductName": "Quiz"}), nil)
		}
		content = append(content, make([]byte, 256<<10-len(content))...)
		binary.LittleEndian.PutUint32(content[len(content)-4:], i+1)
		files[fmt.Sprintf("%d.exe", i)] = content
	}
	downloaded(b, files)
	known := NewKnown()
	for _, walk := range []string{"first", "second"} {
		b.Run(walk, func(b *testing.B) {
			before := processTime(b)
			for b.Loop() {
				k := known
				if walk == "first" {
					k = NewKnown()
				}
				found, _ := Executables(b.Context(), system.New("/"), k, nil, walkLimits)
				if len(found.Items) < 2000 {
					b.Fatalf("found %d programs", len(found.Items))
				}
				known = k
			}
			b.ReportMetric((processTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// processTime returns the time of processors that this process took.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user); err != nil {
		b.Fatal(err)
	}
	ticks := func(f windows.Filetime) time.Duration {
		return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
	}
	return ticks(kernel) + ticks(user)
}
