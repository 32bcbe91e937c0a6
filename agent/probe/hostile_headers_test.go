package probe

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// absurd are starts of disks that claim what cannot be.
func absurd() map[string][]byte {
	luks2 := func(size uint64, text string) []byte {
		b := make([]byte, 64<<10)
		copy(b, "LUKS\xba\xbe\x00\x02")
		binary.BigEndian.PutUint64(b[8:], size)
		copy(b[4096:], text)
		return b
	}
	bitLocker := func(value byte) []byte {
		b := bytes.Repeat([]byte{value}, 64<<10)
		copy(b, "\xeb\x58\x90-FVE-FS-")
		b[510], b[511] = 0x55, 0xaa
		return b
	}
	gpt := func(start uint64, count, size uint32) []byte {
		b := make([]byte, 64<<10)
		b[510], b[511], b[450] = 0x55, 0xaa, 0xee
		h := b[512:]
		copy(h, "EFI PART")
		binary.LittleEndian.PutUint64(h[72:], start)
		binary.LittleEndian.PutUint32(h[80:], count)
		binary.LittleEndian.PutUint32(h[84:], size)
		return b
	}
	return map[string][]byte{
		"LUKS2 of 16 EB":        luks2(math.MaxUint64, "{}"),
		"LUKS2 of nothing":      luks2(0, "{}"),
		"LUKS2 nested":          luks2(16384, strings.Repeat(`{"a":`, 2400)),
		"LUKS2 of lists":        luks2(16384, strings.Repeat("[", 12000)),
		"LUKS2 of numbers":      luks2(16384, `{"segments":{"0":{"size":1e999999999}}}`),
		"LUKS1 of noise":        append([]byte("LUKS\xba\xbe\x00\x01"), bytes.Repeat([]byte{0xff}, 64<<10)...),
		"BitLocker of ones":     bitLocker(0xff),
		"BitLocker of zeros":    bitLocker(0),
		"GPT of 4 billion":      gpt(2, math.MaxUint32, math.MaxUint32),
		"GPT beyond all":        gpt(math.MaxUint64, 128, 128),
		"GPT of entries of 0":   gpt(2, math.MaxUint32, 0),
		"GPT in its own header": gpt(0, 128, 128),
	}
}

// TestHeadersMadeToHurt reads each, whole and with bytes of it changed, and
// each is something that is not known or cannot be read: never an encrypted
// volume, and never more memory than a header may take.
func TestHeadersMadeToHurt(t *testing.T) {
	const most = 32 << 20
	random := rand.New(rand.NewPCG(3, 12))
	for name, disk := range absurd() {
		for n := range 50 {
			changed := bytes.Clone(disk)
			for range n { // the first is as it is
				changed[16+random.IntN(1000)] = byte(random.Uint32())
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h, err := readHeader(memory(changed))
			_, tableErr := readTable(memory(changed), 512)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > most {
				t.Errorf("%s: took %d bytes", name, got)
			}
			if n == 0 && err == nil && h.encryption == posture.Read(posture.Encrypted) {
				t.Errorf("%s: it is encrypted, by %q", name, h.method)
			}
			if n == 0 && strings.HasPrefix(name, "GPT") && tableErr == nil {
				t.Errorf("%s: it is a table of partitions", name)
			}
		}
	}
}
