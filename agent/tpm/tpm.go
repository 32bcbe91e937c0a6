// Package tpm keeps a key in the computer's TPM: the TPM makes it, signs with it
// and never gives it out. What lies in a file is of use to that one TPM alone.
//
// It changes nothing that the TPM keeps by itself: no password, no handle, no
// counter.
package tpm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"sync"

	"github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpmutil"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// ErrLost means that a key does not belong to this TPM, or no longer does: it is
// of no use any more on this computer.
var ErrLost = errors.New("this computer's TPM does not know the laptop's key: the TPM was cleared, or the key's file comes from another computer")

// TPM is a TPM that can be opened.
type TPM struct {
	// Open opens it. What is loaded into it is gone when it is closed.
	Open func() (io.ReadWriteCloser, error)
	// KeptOnly says that keys lie only beneath the storage key that the system
	// keeps in the TPM, because the system holds the password for others.
	KeptOnly bool
}

// The keys beneath which ours may lie: the storage key that systems keep in the
// TPM where there is one; else one that the TPM makes from its own seed each
// time, always the same.
const (
	keptStorage = tpmutil.Handle(0x81000001)
	madeStorage = tpm2.HandleOwner
)

// attributes are those of our keys: made by the TPM and never given out, for
// signing alone, and usable while the TPM locks those out who guess passwords,
// for this one has none.
const attributes = tpm2.FlagFixedTPM | tpm2.FlagFixedParent | tpm2.FlagSensitiveDataOrigin | tpm2.FlagUserWithAuth | tpm2.FlagNoDA | tpm2.FlagSign

// storageAttributes are those of a storage key.
const storageAttributes = tpm2.FlagFixedTPM | tpm2.FlagFixedParent | tpm2.FlagSensitiveDataOrigin | tpm2.FlagUserWithAuth | tpm2.FlagNoDA | tpm2.FlagRestricted | tpm2.FlagDecrypt

// Key is a key on P-256 in a TPM. It is safe for concurrent use.
type Key struct {
	of      *TPM
	parent  tpmutil.Handle
	public  *ecdsa.PublicKey
	area    []byte // the public area, as TPMs write it
	private []byte // what only its TPM opens

	turn sync.Mutex // a TPM has little memory: one of ours is loaded at a time
}

// Load reads the key in the file at path. It asks no TPM. Its error is
// fs.ErrNotExist if there is no file, and errors.ErrUnsupported if the file
// holds a key of another sort.
func Load(path string, of *TPM) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: it has %d bytes, more than a key has", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	key.of = of
	return key, nil
}

// Make has the TPM make a key and stores what it takes to use it in the file at
// path, for its owner alone. It does so only once the key was read back and has
// signed.
func Make(path string, of *TPM) (*Key, error) {
	made, err := create(of)
	if err != nil {
		return nil, fmt.Errorf("make a key in the TPM: %w", err)
	}
	data, err := made.encode()
	if err != nil {
		return nil, fmt.Errorf("make a key in the TPM: %w", err)
	}
	key, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("make a key in the TPM: what it made cannot be used: %w", err)
	}
	key.of = of
	if err := key.Try(); err != nil {
		return nil, fmt.Errorf("make a key in the TPM: %w", err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return nil, fmt.Errorf("make a key in the TPM: %w", err)
	}
	return key, nil
}

// create has the TPM make a key, beneath the storage key that the system keeps
// if that can be used.
func create(of *TPM) (key *Key, err error) {
	t, err := of.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	key, err = createBelow(t, keptStorage)
	if err != nil && !of.KeptOnly {
		var second error
		if key, second = createBelow(t, madeStorage); second != nil {
			return nil, errors.Join(err, second)
		}
		err = nil
	}
	return key, err
}

func createBelow(t io.ReadWriter, parent tpmutil.Handle) (*Key, error) {
	storage, end, err := open(t, parent)
	if err != nil {
		return nil, err
	}
	defer end()
	private, area, _, _, _, err := tpm2.CreateKey(t, storage, tpm2.PCRSelection{}, "", "", tpm2.Public{
		Type: tpm2.AlgECC, NameAlg: tpm2.AlgSHA256, Attributes: attributes,
		ECCParameters: &tpm2.ECCParams{
			Sign: &tpm2.SigScheme{Alg: tpm2.AlgECDSA, Hash: tpm2.AlgSHA256}, CurveID: tpm2.CurveNISTP256,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("have it make a key: %w", err)
	}
	return &Key{parent: parent, area: area, private: private}, nil
}

// open returns the handle of a storage key, and what ends its use.
func open(t io.ReadWriter, parent tpmutil.Handle) (tpmutil.Handle, func(), error) {
	if parent == keptStorage {
		return parent, func() {}, nil
	}
	// The published template of storage keys on P-256, by which other programs
	// that read such files make the same.
	storage, _, err := tpm2.CreatePrimary(t, madeStorage, tpm2.PCRSelection{}, "", "", tpm2.Public{
		Type: tpm2.AlgECC, NameAlg: tpm2.AlgSHA256, Attributes: storageAttributes,
		ECCParameters: &tpm2.ECCParams{
			Symmetric: &tpm2.SymScheme{Alg: tpm2.AlgAES, KeyBits: 128, Mode: tpm2.AlgCFB}, CurveID: tpm2.CurveNISTP256,
		},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("have it make its storage key: %w", err)
	}
	return storage, func() { _ = tpm2.FlushContext(t, storage) }, nil // closing ends its use too
}

// Public implements crypto.Signer.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer, for hashes by SHA-256. A signature that does
// not verify is never given out.
func (k *Key) Sign(_ io.Reader, hash []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	if opts.HashFunc() != crypto.SHA256 || len(hash) != crypto.SHA256.Size() {
		return nil, fmt.Errorf("sign in the TPM: its key signs hashes by SHA-256, not by %s", opts.HashFunc())
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	if signature, err = k.sign(hash); err != nil {
		return nil, fmt.Errorf("sign in the TPM: %w", err)
	}
	if !ecdsa.VerifyASN1(k.public, hash, signature) {
		return nil, errors.New("sign in the TPM: its signature is not by the laptop's key")
	}
	return signature, nil
}

func (k *Key) sign(hash []byte) (signature []byte, err error) {
	if k.of == nil {
		return nil, errors.New("it was read without one")
	}
	t, err := k.of.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	storage, end, err := open(t, k.parent)
	if err != nil {
		return nil, err
	}
	defer end()
	key, _, err := tpm2.Load(t, storage, "", k.area, k.private)
	if err != nil {
		return nil, lost(err)
	}
	defer func() { _ = tpm2.FlushContext(t, key) }() // closing ends its use too
	s, err := tpm2.Sign(t, key, "", hash, nil, &tpm2.SigScheme{Alg: tpm2.AlgECDSA, Hash: tpm2.AlgSHA256})
	if err != nil {
		return nil, err
	}
	if s.ECC == nil || s.ECC.R == nil || s.ECC.S == nil {
		return nil, errors.New("it answered with no signature")
	}
	return asn1.Marshal(struct{ R, S *big.Int }{s.ECC.R, s.ECC.S})
}

// lost tells apart that a TPM does not know a key: what only it opens was closed
// by another, or the storage key above it is gone.
func lost(err error) error {
	if p, ok := errors.AsType[tpm2.ParameterError](err); ok && p.Code == tpm2.RCIntegrity {
		return fmt.Errorf("%w (%w)", ErrLost, err)
	}
	if h, ok := errors.AsType[tpm2.HandleError](err); ok && h.Code == tpm2.RCHandle {
		return fmt.Errorf("%w (%w)", ErrLost, err)
	}
	return fmt.Errorf("load the key: %w", err)
}

// Try reports why the key cannot be used now; nil if it can.
func (k *Key) Try() error {
	_, err := k.Sign(nil, make([]byte, crypto.SHA256.Size()), crypto.SHA256)
	return err
}

// decodeArea reads a public area, and takes none but those of keys as we have
// them made.
func decodeArea(area []byte) (*ecdsa.PublicKey, error) {
	p, err := tpm2.DecodePublic(area)
	if err != nil {
		return nil, fmt.Errorf("read what the TPM says of the key: %w", err)
	}
	e := p.ECCParameters
	if p.Type != tpm2.AlgECC || e == nil || e.CurveID != tpm2.CurveNISTP256 {
		return nil, errors.New("it is no key on P-256")
	}
	if p.Attributes != attributes {
		return nil, fmt.Errorf("it is a key with other properties, %#x: it may be known outside of the TPM", uint32(p.Attributes))
	}
	size := (elliptic.P256().Params().BitSize + 7) / 8
	if len(e.Point.XRaw) > size || len(e.Point.YRaw) > size {
		return nil, errors.New("its point is not on P-256")
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(e.Point.XRaw):], e.Point.XRaw)
	copy(point[1+2*size-len(e.Point.YRaw):], e.Point.YRaw)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("its point is not on P-256: %w", err)
	}
	return key, nil
}
