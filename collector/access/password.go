package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// The cost of a hash: OWASP's first choice for argon2id of 2026, 19 MiB and
// two passes.
const (
	hashMemory  = 19 * 1024 // KiB
	hashPasses  = 2
	hashThreads = 1
	saltLength  = 16
	keyLength   = 32

	minPassword = 12   // characters
	maxPassword = 1024 // bytes

	atOnce  = 2  // hashings under way for strangers: 38 MiB
	ownOnce = 1  // and for browsers that are known, and people who are signed in: 19 MiB
	inQueue = 16 // and waiting, of each
)

// hasher hashes passwords, few at once. Strangers who ask for many keep only
// other strangers waiting.
type hasher struct {
	strangers lane
	known     lane
	nobody    string // the hash that stands in for that of a name nobody has
}

// lane is where hashings wait for their turn.
type lane struct {
	running chan struct{}
	waiting chan struct{}
}

func newLane(once int) lane {
	return lane{running: make(chan struct{}, once), waiting: make(chan struct{}, once+inQueue)}
}

func newHasher() *hasher {
	salt := make([]byte, saltLength)
	rand.Read(salt)
	key := make([]byte, keyLength)
	rand.Read(key)
	return &hasher{
		strangers: newLane(atOnce),
		known:     newLane(ownOnce),
		nobody:    parsedHash{memory: hashMemory, passes: hashPasses, threads: hashThreads, salt: salt, key: key}.String(),
	}
}

// turn waits for a place to hash in and returns what gives it back.
func (h lane) turn(ctx context.Context) (func(), error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	done, err := h.known.turn(ctx)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	defer done()
	p := parsedHash{memory: hashMemory, passes: hashPasses, threads: hashThreads, salt: make([]byte, saltLength)}
	rand.Read(p.salt)
	p.key = p.derive(password, keyLength)
	return p.String(), nil
}

func (h *hasher) matches(ctx context.Context, in lane, hash, password string) (bool, error) {
	p, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	done, err := in.turn(ctx)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	defer done()
	if len(password) > maxPassword {
		password = password[:maxPassword] + "\x00" // as much work, and no match
	}
	return subtle.ConstantTimeCompare(p.derive(password, len(p.key)), p.key) == 1, nil
}

// parsedHash is an argon2id hash, written as
// $argon2id$v=19$m=19456,t=2,p=1$salt$key in unpadded base64.
type parsedHash struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// String writes the hash as parseHash reads it.
func (p parsedHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.memory, p.passes, p.threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

func (p parsedHash) derive(password string, length int) []byte {
	return argon2.IDKey([]byte(norm.NFC.String(password)), p.salt, p.passes, p.memory, p.threads, uint32(length))
}

func parseHash(s string) (parsedHash, error) {
	var p parsedHash
	bad := errors.New("a password's hash cannot be read")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, bad
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil {
		return p, bad
	}
	var err, err2 error
	p.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.key) < 16 || len(p.key) > 64 ||
		p.memory < 8*1024 || p.memory > 256*1024 || p.passes < 1 || p.passes > 16 || p.threads < 1 || p.threads > 8 || p.String() != s {
		return parsedHash{}, bad
	}
	return p, nil
}

// common holds the first six bytes of the SHA-256 of each common password, in
// order. shared/tools/web makes it from the list of zxcvbn-ts (MIT).
//
//go:embed common.bin
var common []byte

const commonSize = 6

func isCommon(password string) bool {
	sum := sha256.Sum256([]byte(password))
	n := len(common) / commonSize
	at := func(i int) []byte { return common[i*commonSize : (i+1)*commonSize] }
	i := sort.Search(n, func(i int) bool { return bytes.Compare(at(i), sum[:commonSize]) >= 0 })
	return i < n && bytes.Equal(at(i), sum[:commonSize])
}

// checkPassword refuses passwords that are guessed first. It asks for length
// and nothing else: no digits, no capitals, no change by the calendar.
func checkPassword(password string, words []string) error {
	if !utf8.ValidString(password) || len(password) > maxPassword {
		return fmt.Errorf("%w: it is too long or not text", ErrPassword)
	}
	if n := utf8.RuneCountInString(norm.NFC.String(password)); n < minPassword {
		return fmt.Errorf("%w: use at least %d characters; three or four words do well", ErrPassword, minPassword)
	}
	lower := strings.ToLower(norm.NFC.String(password))
	core := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) })
	switch {
	case isCommon(lower), isCommon(core), isCommon(period(lower)), isCommon(period(core)):
		return fmt.Errorf("%w: it is a common password, or one with digits added", ErrPassword)
	case len(period(lower)) < 5, distinct(lower) < 5:
		return fmt.Errorf("%w: it repeats itself", ErrPassword)
	case leftWithout(lower, words) < minPassword/2:
		return fmt.Errorf("%w: it is little more than the account's or the school's name", ErrPassword)
	}
	return nil
}

// period returns the shortest string that s repeats, or s.
func period(s string) string {
	if i := strings.Index((s + s)[min(1, len(s)):], s); i >= 0 && i+1 < len(s) {
		return s[:i+1]
	}
	return s
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

// leftWithout counts the letters and digits that are left when the words that
// anybody would guess are taken out.
func leftWithout(s string, words []string) int {
	for _, word := range append([]string{"caretaker", "password", "school"}, words...) {
		for part := range strings.FieldsFuncSeq(strings.ToLower(norm.NFC.String(word)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(part) >= 3 {
				s = strings.ReplaceAll(s, part, " ")
			}
		}
	}
	n := 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// passwordLetters leaves out vowels, so that no word comes about, and what
// looks alike.
const passwordLetters = "23456789bcdfghjkmnpqrstvwxyz"

// makePassword makes up a password of five groups of four, 96 bits.
func makePassword() (string, error) { return makeWord(5) }

// makeWord makes up groups of four letters, 19 bits each.
func makeWord(groups int) (string, error) {
	var b strings.Builder
	buf := make([]byte, 1)
	for n := 0; n < 4*groups; {
		if _, err := rand.Read(buf); err != nil {
			return "", fmt.Errorf("make up a password: %w", err)
		}
		// 252 is the greatest multiple of 28 that fits a byte: no letter is
		// likelier than another.
		if buf[0] >= 252 {
			continue
		}
		if n > 0 && n%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(passwordLetters[int(buf[0])%len(passwordLetters)])
		n++
	}
	return b.String(), nil
}
