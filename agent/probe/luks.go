package probe

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// luksHeader is what the header of a LUKS volume says in the clear.
type luksHeader struct {
	version int
	uuid    string
	cipher  string
	state   posture.EncryptionState
}

const (
	luksMagic    = "LUKS\xba\xbe"
	luksPhdrSize = 592
	luks2BinSize = 4096
	luks2MaxSize = 4 << 20
)

var errLUKS = errors.New("the LUKS header is damaged")

var errNoLUKS = errors.New("there is no LUKS header")

// readLUKS reads the LUKS header at the start of an image. Without the magic
// there is none; anything after it that is not as it should be is an error.
func readLUKS(dev image) (luksHeader, error) {
	head, err := dev.part(0, luks2BinSize)
	if err != nil {
		return luksHeader{}, err
	}
	if len(head) < luksPhdrSize || string(head[:6]) != luksMagic {
		return luksHeader{}, errNoLUKS
	}
	switch binary.BigEndian.Uint16(head[6:]) {
	case 1:
		return parseLUKS1(head)
	case 2:
		size := binary.BigEndian.Uint64(head[8:])
		if size < luks2BinSize || size > luks2MaxSize {
			return luksHeader{}, errLUKS
		}
		all, err := dev.part(0, int(size))
		if err != nil {
			return luksHeader{}, err
		}
		return parseLUKS2(all)
	}
	return luksHeader{}, errLUKS
}

// parseLUKS1 reads a LUKS1 header, of which everything is in fixed places.
func parseLUKS1(head []byte) (luksHeader, error) {
	if len(head) < luksPhdrSize {
		return luksHeader{}, errLUKS
	}
	name, mode := beforeZero(head[8:40]), beforeZero(head[40:72])
	if name == "" || mode == "" || !plain(name) || !plain(mode) {
		return luksHeader{}, errLUKS
	}
	h := luksHeader{version: 1, uuid: beforeZero(head[168:208]), cipher: name + "-" + mode, state: posture.Encrypted}
	if nullCipher(h.cipher) {
		h.state = posture.Unencrypted
	}
	return h, nil
}

// parseLUKS2 reads a whole LUKS2 header: the binary part, then JSON.
func parseLUKS2(all []byte) (luksHeader, error) {
	if len(all) <= luks2BinSize {
		return luksHeader{}, errLUKS
	}
	if err := checkLUKS2(all); err != nil {
		return luksHeader{}, err
	}
	document, _, _ := bytes.Cut(all[luks2BinSize:], []byte{0})
	h := luksHeader{version: 2, uuid: beforeZero(all[168:208])}
	var err error
	h.state, h.cipher, err = parseLUKS2JSON(document)
	return h, err
}

// checkLUKS2 compares the header with its own checksum.
func checkLUKS2(all []byte) error {
	var sum hash.Hash
	switch beforeZero(all[72:104]) {
	case "sha256":
		sum = sha256.New()
	case "sha512":
		sum = sha512.New()
	default:
		return fmt.Errorf("%w: unknown checksum", errLUKS)
	}
	sum.Write(all[:448])
	sum.Write(make([]byte, 64)) // where the checksum itself lies
	sum.Write(all[512:])
	if want := sum.Sum(nil); !bytes.Equal(want, all[448:448+len(want)]) {
		return fmt.Errorf("%w: wrong checksum", errLUKS)
	}
	return nil
}

type luks2JSON struct {
	Keyslots map[string]struct {
		Type string `json:"type"`
		Mode string `json:"mode"` // of a keyslot of type "reencrypt"
	} `json:"keyslots"`
	Segments map[string]struct {
		Type       string   `json:"type"`
		Encryption string   `json:"encryption"`
		Flags      []string `json:"flags"`
	} `json:"segments"`
	Config struct {
		Requirements struct {
			Mandatory []string `json:"mandatory"`
		} `json:"requirements"`
	} `json:"config"`
}

// parseLUKS2JSON tells from the JSON part how much is encrypted and with what.
func parseLUKS2JSON(document []byte) (posture.EncryptionState, string, error) {
	var j luks2JSON
	if err := json.Unmarshal(document, &j); err != nil {
		return "", "", fmt.Errorf("%w: %w", errLUKS, err)
	}
	var ciphers, later []string
	full, none := false, false
	for _, s := range j.Segments {
		if slices.ContainsFunc(s.Flags, func(f string) bool { return strings.HasPrefix(f, "backup-") }) {
			if s.Type == "crypt" && plain(s.Encryption) {
				later = append(later, s.Encryption)
			}
			continue // remembered for a change under way
		}
		cipher := s.Encryption
		switch s.Type {
		case "crypt":
		case "hw-opal":
			cipher = "opal"
		case "hw-opal-crypt":
			cipher += "+opal"
		case "linear":
			none = true
			continue
		default:
			return "", "", fmt.Errorf("%w: unknown type of segment", errLUKS)
		}
		if cipher == "" || !plain(cipher) {
			return "", "", fmt.Errorf("%w: no cipher", errLUKS)
		}
		if s.Type == "crypt" && nullCipher(cipher) {
			none = true
		} else {
			full = true
		}
		ciphers = append(ciphers, cipher)
	}
	state, err := j.state(full, none)
	if len(ciphers) == 0 {
		ciphers = later // it is about to begin, or about to end
	}
	return state, joined(ciphers), err
}

func (j luks2JSON) state(full, none bool) (posture.EncryptionState, error) {
	if slices.ContainsFunc(j.Config.Requirements.Mandatory, func(r string) bool { return strings.Contains(r, "reencrypt") }) {
		for _, k := range j.Keyslots {
			switch {
			case k.Type != "reencrypt":
			case k.Mode == "encrypt":
				return posture.Encrypting, nil
			case k.Mode == "decrypt":
				return posture.Decrypting, nil
			case k.Mode == "reencrypt" && full && !none:
				return posture.Encrypted, nil
			}
		}
		return "", fmt.Errorf("%w: a change under way that is not known", errLUKS)
	}
	switch {
	case full && none:
		return posture.Partial, nil
	case full:
		return posture.Encrypted, nil
	case none:
		return posture.Unencrypted, nil
	}
	return "", fmt.Errorf("%w: no segments", errLUKS)
}

// nullCipher reports whether a cipher changes nothing.
func nullCipher(cipher string) bool {
	return strings.Contains(cipher, "cipher_null") || cipher == "null"
}

// beforeZero returns the text before the first zero byte.
func beforeZero(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// plain reports whether a short name holds nothing but printable ASCII.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= 64
}

// joined writes several names as one, sorted, each once.
func joined(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " + ")
}
