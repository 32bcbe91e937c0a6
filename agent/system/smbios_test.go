package system

import (
	"encoding/binary"
	"testing"
)

// tableOf makes what Windows gives for a firmware table of structures.
func tableOf(structures ...string) []byte {
	body := ""
	for _, s := range structures {
		body += s
	}
	return append(binary.LittleEndian.AppendUint32([]byte{0, 3, 2, 0}, uint32(len(body))), body...)
}

// Structures as the firmware of computers has them, shortened: of firmware,
// system, board, chassis, and the end.
const (
	biosStructure    = "\x00\x06\x00\x00\x01\x00ACME\x00\x00"
	systemStructure  = "\x01\x08\x01\x00\x01\x02\x03\x04LENOVO\x0020R4S1KQ00 \x00ThinkPad L13\x00PF1ABCDE\x00\x00"
	boardStructure   = "\x02\x04\x02\x00\x00\x00"
	chassisStructure = "\x03\x07\x03\x00\x01\x8a\x00LENOVO\x00\x00"
	endStructure     = "\x7f\x04\x04\x00\x00\x00"
)

func TestParseSMBIOS(t *testing.T) {
	got, err := parseSMBIOS(tableOf(biosStructure, systemStructure, boardStructure, chassisStructure, endStructure))
	want := smbios{manufacturer: "LENOVO", model: "20R4S1KQ00", version: "ThinkPad L13", chassis: 10, serial: "PF1ABCDE"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// What tells one computer from the next: the UUID as Linux writes it.
	numbered := "\x01\x19\x01\x00\x01\x02\x00\x03\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x06ACME\x00Book 3\x00S1234\x00\x00"
	got, err = parseSMBIOS(tableOf(numbered, "\x02\x08\x02\x00\x00\x00\x00\x01B1234\x00\x00", "\x03\x09\x03\x00\x00\x0a\x00\x01\x00C1234\x00\x00", endStructure))
	want = smbios{
		manufacturer: "ACME", model: "Book 3", chassis: 10, uuid: "00112233-4455-6677-8899-aabbccddeeff", serial: "S1234", board: "B1234", enclosure: "C1234",
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	old := tableOf(numbered, endStructure)
	old[1], old[2] = 2, 5
	if got, err = parseSMBIOS(old); err != nil || got.uuid != "33221100-5544-7766-8899-aabbccddeeff" {
		t.Errorf("of an older version: got %+v, %v", got, err)
	}
	// A second chassis is a dock's.
	got, err = parseSMBIOS(tableOf(systemStructure, chassisStructure, "\x03\x06\x09\x00\x00\x0c\x00\x00", endStructure))
	if err != nil || got.chassis != 10 {
		t.Errorf("with a dock: got %+v, %v", got, err)
	}
	// A text that is named and not there.
	got, err = parseSMBIOS(tableOf("\x01\x06\x01\x00\x09\x00ACME\x00\x00", endStructure))
	if err != nil || got != (smbios{}) {
		t.Errorf("without texts: got %+v, %v", got, err)
	}
	whole := tableOf(systemStructure, chassisStructure)
	for _, bad := range [][]byte{
		nil, whole[:7], whole[:20], append(whole[:4:4], 0xff, 0xff, 0xff, 0x7f), tableOf(), tableOf(endStructure),
		tableOf("\x01\x02\x00\x00"), tableOf("\x01\x08\x01\x00\x01\x02\x03\x04LENOVO"),
	} {
		if got, err := parseSMBIOS(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
}

func FuzzSMBIOS(f *testing.F) {
	f.Add(tableOf(biosStructure, systemStructure, chassisStructure, endStructure))
	f.Add(tableOf("\x01\x02\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := parseSMBIOS(data); err == nil && got.chassis > 0x7f {
			t.Errorf("chassis %d", got.chassis)
		}
	})
}
