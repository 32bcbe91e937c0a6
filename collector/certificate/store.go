package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// What is in the folder: the key of the account at the authority, and the
// certificate behind its key, in one file so that the two are never of
// different age.
const (
	accountFile     = "account.key"
	certificateFile = "certificate.pem"
	keyBlock        = "PRIVATE KEY"
	certBlock       = "CERTIFICATE"
	fromHeader      = "Authority" // of the key's block: the directory where it was asked for
	mostFile        = 256 << 10
)

func (k *Keeper) openFolder() error {
	if err := durable.MakePrivate(k.Folder); err != nil {
		return err
	}
	if err := k.openAccount(); err != nil {
		return err
	}
	text, err := readFile(filepath.Join(k.Folder, certificateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = k.decode(text)
	}
	if err != nil {
		// There is an authority to make another.
		k.Log.Warn("the certificate that was kept is of no use; another is asked for", "error", err)
	}
	return nil
}

// openAccount reads the key of the account, or makes one.
func (k *Keeper) openAccount() error {
	file := filepath.Join(k.Folder, accountFile)
	text, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if k.account, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return fmt.Errorf("make the key of an account: %w", err)
		}
		block, err := packKey(k.account)
		if err != nil {
			return err
		}
		return durable.WriteFile(file, pem.EncodeToMemory(block), 0o600)
	}
	if err != nil {
		return err
	}
	if k.account, _, _, err = readKey(text); err != nil {
		return fmt.Errorf("read the key of the account in %s: %w", file, err)
	}
	return nil
}

func packKey(key *ecdsa.PrivateKey) (*pem.Block, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return &pem.Block{Type: keyBlock, Bytes: der}, nil
}

// readKey reads the key at the beginning of a file, and returns what follows.
func readKey(text []byte) (key *ecdsa.PrivateKey, from string, rest []byte, err error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, "", nil, errors.New("it does not begin with a key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, "", nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, "", nil, fmt.Errorf("its key is %T", parsed)
	}
	return key, block.Headers[fromHeader], rest, nil
}

// keep writes a certificate.
func (k *Keeper) keep(pair *tls.Certificate) error {
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("keep a certificate: its key is %T", pair.PrivateKey)
	}
	block, err := packKey(key)
	if err != nil {
		return err
	}
	block.Headers = map[string]string{fromHeader: k.Directory}
	text := pem.EncodeToMemory(block)
	for _, der := range pair.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})...)
	}
	if err := durable.WriteFile(filepath.Join(k.Folder, certificateFile), text, 0o600); err != nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	return nil
}

// decode reads what keep wrote. A certificate of another authority, or without
// one of the names, is of no use.
func (k *Keeper) decode(text []byte) error {
	key, from, rest, err := readKey(text)
	if err != nil {
		return err
	}
	if from != k.Directory {
		return fmt.Errorf("it is from %.200q", from)
	}
	pair := &tls.Certificate{PrivateKey: key}
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != certBlock {
			return errors.New("something else than certificates follows its key")
		}
		pair.Certificate = append(pair.Certificate, block.Bytes)
	}
	if err := k.usable(pair); err != nil {
		return err
	}
	k.pair = pair
	return nil
}

// readFile reads a small file.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > mostFile {
		return nil, fmt.Errorf("%s has %d bytes, too many", name, info.Size())
	}
	return os.ReadFile(name)
}
