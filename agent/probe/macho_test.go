package probe

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// berSignature is a CMS message with open lengths, as Apple's have, that
// openssl made with a certificate for "Hollybank Software Ltd".
func berSignature(tb testing.TB) []byte {
	tb.Helper()
	ber, err := os.ReadFile("testdata/executables/signature.ber")
	if err != nil {
		tb.Fatal(err)
	}
	return ber
}

// codeDirectory writes a code directory that names a team.
func codeDirectory(flags uint32, team string) []byte {
	b := make([]byte, 56)
	be := binary.BigEndian
	be.PutUint32(b, machoCodeDirectory)
	be.PutUint32(b[8:], 0x20500)
	be.PutUint32(b[12:], flags)
	be.PutUint32(b[48:], uint32(len(b)))
	b = append(append(b, team...), 0)
	be.PutUint32(b[4:], uint32(len(b)))
	return b
}

// superBlob writes a signature of a code directory and a message.
func superBlob(directory, cms []byte) []byte {
	be := binary.BigEndian
	wrapped := be.AppendUint32(be.AppendUint32(nil, machoWrapper), uint32(8+len(cms)))
	wrapped = append(wrapped, cms...)
	const head = 12 + 2*8
	b := be.AppendUint32(nil, machoSuperBlob)
	b = be.AppendUint32(b, uint32(head+len(directory)+len(wrapped)))
	for _, n := range []uint32{2, machoSlotDirectory, head, machoSlotCMS, uint32(head + len(directory))} {
		b = be.AppendUint32(b, n)
	}
	return append(append(b, directory...), wrapped...)
}

// signedMacho writes a Mac program that carries a signature.
func signedMacho(signature []byte) []byte {
	b := machoFile(2, true)
	binary.LittleEndian.PutUint32(b[40:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[44:], uint32(len(signature)))
	return append(b, signature...)
}

func TestMachoSigner(t *testing.T) {
	const team = "A1B2C3D4E5"
	signed := superBlob(codeDirectory(0, team), berSignature(t))
	unnamed := posture.Unread[string](posture.Unreadable)
	for _, c := range []struct {
		name    string
		content []byte
		state   posture.SignatureState
		signer  posture.Reading[string]
		team    string
	}{
		{"signed", signedMacho(signed), posture.SignedUnproven, posture.Read("Hollybank Software Ltd"), team},
		{"fat", fatFile(signedMacho(signed)), posture.SignedUnproven, posture.Read("Hollybank Software Ltd"), team},
		{"with lengths first", signedMacho(superBlob(codeDirectory(0, team), signature(t))), posture.SignedUnproven, posture.Read("Hollybank Software Ltd"), team},
		{"ad hoc", signedMacho(superBlob(codeDirectory(machoAdHoc|0x20000, ""), nil)), posture.Unsigned, posture.Read(""), ""},
		{"ad hoc and signed", signedMacho(superBlob(codeDirectory(machoAdHoc, team), berSignature(t))), posture.SignedUnproven, posture.Read("Hollybank Software Ltd"), team},
		{"unsigned", machoFile(2, false), posture.Unsigned, posture.Read(""), ""},
		{"signature cut off", signedMacho(signed)[:200], posture.SignedUnproven, unnamed, team},
		{"signature of nothing", machoFile(2, true), posture.SignedUnproven, unnamed, ""},
		{"team that is none", signedMacho(superBlob(codeDirectory(0, "a b"), berSignature(t))), posture.SignedUnproven, posture.Read("Hollybank Software Ltd"), ""},
		{"a script", []byte("#!/bin/sh\n"), posture.Unsigned, posture.Read(""), ""},
		{"empty", nil, posture.Unsigned, posture.Read(""), ""},
	} {
		got, err := machoSigner(bytes.NewReader(c.content), int64(len(c.content)))
		want := machoSignature{state: posture.Read(c.state), signer: c.signer, team: c.team}
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, want)
		}
	}
}

func TestDERIsKept(t *testing.T) {
	der := signature(t)
	if got, ok := derOf(der); !ok || !bytes.Equal(got, der) {
		t.Error("what is DER already is written otherwise")
	}
	for name, ber := range map[string][]byte{
		"nothing": nil, "no end": {0x30, 0x80, 0x05, 0x00}, "longer than it is": {0x30, 0x05, 0x05, 0x00}, "open and primitive": {0x04, 0x80, 0, 0},
		"deep": bytes.Repeat([]byte{0x30, 0x80}, 1<<16),
	} {
		if got, ok := derOf(ber); ok {
			t.Errorf("%s became %x", name, got)
		}
	}
}

func FuzzMachoSigner(f *testing.F) {
	for _, signature := range [][]byte{
		superBlob(codeDirectory(0, "A1B2C3D4E5"), berSignature(f)), superBlob(codeDirectory(machoAdHoc, ""), nil), superBlob(nil, signature(f)),
	} {
		f.Add(signedMacho(signature))
		f.Add(fatFile(signedMacho(signature)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := machoSigner(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Errorf("content is no reason for an error: %v", err)
		}
		reportable(t, s.signer.Value, s.team)
		if s.state.Value == posture.Unsigned && s.signer != posture.Read("") {
			t.Errorf("unsigned, and signed by %+v", s.signer)
		}
	})
}

func FuzzDER(f *testing.F) {
	f.Add(berSignature(f))
	f.Add(signature(f))
	f.Add([]byte{0x30, 0x80, 0x1f, 0x81, 0x01, 0x00, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		der, ok := derOf(data)
		if !ok {
			return
		}
		if again, ok := derOf(der); !ok || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, and that %x", data, der, again)
		}
		if len(der) > 5*len(data)+8 {
			t.Errorf("%d bytes became %d", len(data), len(der))
		}
	})
}
