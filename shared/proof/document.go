package proof

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// MaxDocument is the length of the longest body of a signed document.
const MaxDocument = 8 << 20

const documentLabel = "caretaker/document/v1\n"

// SignDocument signs a policy, an assignment or whatever else a school tells
// its devices. The kind, such as "policy", is signed with the body, so that one
// kind of document can never pass for another.
func SignDocument(kind string, body []byte, key ed25519.PrivateKey) ([]byte, error) {
	if err := checkDocument(kind, body); err != nil {
		return nil, fmt.Errorf("sign document: %w", err)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("sign document: the key is not an Ed25519 private key")
	}
	content, err := documentContent(kind, body)
	if err != nil {
		return nil, fmt.Errorf("sign document: %w", err)
	}
	return append(content, ed25519.Sign(key, signedContent(content))...), nil
}

// VerifyDocument returns the body of a document of that kind signed by key.
// The body shares the document's memory.
func VerifyDocument(kind string, document []byte, key ed25519.PublicKey) ([]byte, error) {
	s := cryptobyte.String(document)
	var named cryptobyte.String
	var length uint32
	var body, signature []byte
	if !s.ReadUint8LengthPrefixed(&named) || !s.ReadUint32(&length) || length > MaxDocument ||
		!s.ReadBytes(&body, int(length)) || !s.ReadBytes(&signature, ed25519.SignatureSize) || !s.Empty() {
		return nil, errors.New("verify document: it is not a signed document")
	}
	if string(named) != kind {
		return nil, fmt.Errorf("verify document: it is of kind %.40q, not %q", string(named), kind)
	}
	if len(key) != ed25519.PublicKeySize ||
		!ed25519.Verify(key, signedContent(document[:len(document)-ed25519.SignatureSize]), signature) {
		return nil, fmt.Errorf("verify document: its signature is not by the school's key")
	}
	return body, nil
}

func checkDocument(kind string, body []byte) error {
	if err := checkName(kind); err != nil {
		return err
	}
	if len(body) > MaxDocument {
		return fmt.Errorf("it has %d bytes, more than the %d allowed", len(body), MaxDocument)
	}
	return nil
}

// documentContent is what stands before the signature.
func documentContent(kind string, body []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(kind)) })
	b.AddUint32(uint32(len(body)))
	b.AddBytes(body)
	return b.Bytes()
}

func signedContent(content []byte) []byte { return append([]byte(documentLabel), content...) }
