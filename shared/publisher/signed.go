package publisher

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// The parts of TUF's metadata (version 1.0 of its specification) that a release
// needs. Delegations are not among them.

// The roles of TUF.
const (
	roleRoot      = "root"
	roleTimestamp = "timestamp"
	roleSnapshot  = "snapshot"
	roleTargets   = "targets"
)

// header is what every part of the metadata has.
type header struct {
	Type    string    `json:"_type"`
	Spec    string    `json:"spec_version"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

func (h header) head() header { return h }

// root says whose signatures count, and how many are needed.
type root struct {
	header
	Keys map[string]struct {
		Type   string `json:"keytype"`
		Scheme string `json:"scheme"`
		Value  struct {
			Public string `json:"public"`
		} `json:"keyval"`
	} `json:"keys"`
	Roles map[string]struct {
		KeyIDs    []string `json:"keyids"`
		Threshold int      `json:"threshold"`
	} `json:"roles"`
}

// listed is what a timestamp says of the snapshot, and a snapshot of the targets.
type listed struct {
	header
	Meta map[string]file `json:"meta"`
}

type targets struct {
	header
	Targets map[string]file `json:"targets"`
}

// file is what is said of a file. Length and hashes of metadata may be left out.
type file struct {
	Version int64             `json:"version"`
	Length  int64             `json:"length"`
	Hashes  map[string]string `json:"hashes"`
}

// holds says why bytes are not those of a file.
func (f file) holds(data []byte) error {
	if f.Length != 0 && f.Length != int64(len(data)) {
		return fmt.Errorf("%w: it has another length", ErrNotSigned)
	}
	if want, ok := f.Hashes["sha256"]; ok {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != strings.ToLower(want) {
			return fmt.Errorf("%w: it has another hash", ErrNotSigned)
		}
	}
	return nil
}

// envelope is metadata as it is written, of which nothing is known yet.
type envelope struct {
	Signed     json.RawMessage `json:"signed"`
	Signatures []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
}

// mostSignatures bounds how many signatures are looked at.
const mostSignatures = 64

// unseal reads metadata of a role. It returns the bytes that signatures are over;
// v is read from these and from nothing else.
func unseal(data []byte, role string, v interface{ head() header }) (e envelope, signed []byte, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return envelope{}, nil, fmt.Errorf("%w: its %s: %w", ErrMalformed, role, err)
	}
	if len(e.Signed) == 0 || len(e.Signatures) > mostSignatures {
		return envelope{}, nil, fmt.Errorf("%w: its %s has nothing that is signed, or %d signatures", ErrMalformed, role, len(e.Signatures))
	}
	if signed, err = cjson.EncodeCanonical(e.Signed); err != nil {
		return envelope{}, nil, fmt.Errorf("%w: its %s: %w", ErrMalformed, role, err)
	}
	if err := json.Unmarshal(signed, v); err != nil {
		return envelope{}, nil, fmt.Errorf("%w: its %s: %w", ErrMalformed, role, err)
	}
	if h := v.head(); h.Type != role || !strings.HasPrefix(h.Spec, "1.") || h.Version < 1 || h.Expires.IsZero() {
		return envelope{}, nil, fmt.Errorf("%w: where its %s should be is a %.20q of the form %.20q", ErrMalformed, role, h.Type, h.Spec)
	}
	return e, signed, nil
}

// verify reports that enough of the keys of a role have signed. A key counts once,
// by whatever names the root calls it.
func (r *root) verify(role string, e envelope, signed []byte) error {
	of, ok := r.Roles[role]
	if !ok || of.Threshold < 1 {
		return fmt.Errorf("%w: nobody may sign its %s", ErrNotSigned, role)
	}
	counted := map[string]bool{}
	for _, id := range of.KeyIDs {
		key, ok := r.Keys[id]
		if !ok || key.Type != "ed25519" || key.Scheme != "ed25519" {
			continue
		}
		public, err := hex.DecodeString(key.Value.Public)
		if err != nil || len(public) != ed25519.PublicKeySize {
			continue
		}
		for _, s := range e.Signatures {
			sig, err := hex.DecodeString(s.Sig)
			if err == nil && s.KeyID == id && !counted[string(public)] && ed25519.Verify(public, signed, sig) {
				counted[string(public)] = true
			}
		}
	}
	if len(counted) < of.Threshold {
		return fmt.Errorf("%w: of the keys for its %s %d have signed, and %d must", ErrNotSigned, role, len(counted), of.Threshold)
	}
	return nil
}

// openRoot reads a root and verifies that it is signed as it says itself.
func openRoot(data []byte) (r *root, e envelope, signed []byte, err error) {
	r = &root{}
	if e, signed, err = unseal(data, roleRoot, r); err != nil {
		return nil, envelope{}, nil, err
	}
	return r, e, signed, r.verify(roleRoot, e, signed)
}

// chain is a root and those that followed it.
type chain struct {
	last  *root
	roots [][]byte // that were followed
}

func newChain(trusted []byte) (*chain, error) {
	if len(trusted) == 0 {
		return nil, ErrNoRoot
	}
	r, _, _, err := openRoot(trusted)
	if err != nil {
		return nil, fmt.Errorf("read the publisher's keys that this program was built with: %w", err)
	}
	return &chain{last: r}, nil
}

// follow goes from the root that is trusted to those that follow, each signed by
// enough of the keys before and of its own. Ones that are behind are passed over.
func (c *chain) follow(roots [][]byte) error {
	for _, data := range roots {
		next := &root{}
		e, signed, err := unseal(data, roleRoot, next)
		if err == nil {
			if next.Version <= c.last.Version {
				continue
			}
			err = c.last.verify(roleRoot, e, signed)
		}
		if err == nil && next.Version != c.last.Version+1 {
			err = fmt.Errorf("%w: after root %d comes %d", ErrMalformed, c.last.Version, next.Version)
		}
		if err == nil {
			err = next.verify(roleRoot, e, signed)
		}
		if err != nil {
			return fmt.Errorf("follow the publisher's keys: %w", err)
		}
		c.last, c.roots = next, append(c.roots, data)
	}
	return nil
}

// open reads a part that must be signed by the role's keys.
func (c *chain) open(data []byte, role string, v interface{ head() header }) error {
	e, signed, err := unseal(data, role, v)
	if err != nil {
		return err
	}
	return c.last.verify(role, e, signed)
}
