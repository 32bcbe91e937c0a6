package probe

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"unicode/utf16"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func utf16Runes(units []uint16) string { return string(utf16.Decode(units)) }

// signed reports whether the program carries an Authenticode signature and
// who is named as its signer. Whether the signature holds is not judged: that
// takes the list of roots that Windows trusts.
func (p *peFile) signed() (posture.Reading[posture.SignatureState], posture.Reading[string], error) {
	const (
		header = 8
		pkcs7  = 2 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	)
	if p.signature.start == 0 || p.signature.length < header {
		return posture.Read(posture.Unsigned), posture.Read(""), nil
	}
	data, err := readAt(p, int64(p.signature.start), int(min(p.signature.length, peSigned)))
	if err != nil {
		return posture.Reading[posture.SignatureState]{}, posture.Reading[string]{}, err
	}
	unknown := posture.Unread[string](posture.Unreadable)
	if len(data) < header {
		return posture.Read(posture.SignedUnproven), unknown, nil
	}
	length := binary.LittleEndian.Uint32(data)
	if binary.LittleEndian.Uint16(data[6:]) != pkcs7 || length < header || uint64(length) > uint64(len(data)) {
		return posture.Read(posture.SignedUnproven), unknown, nil
	}
	name, ok := signerName(data[header:length])
	if !ok {
		return posture.Read(posture.SignedUnproven), unknown, nil
	}
	return posture.Read(posture.SignedUnproven), posture.Read(clean(name, nameRunes)), nil
}

// The parts of a PKCS #7 message that lead to the signer's certificate.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signedData struct {
		Version      int
		Algorithms   asn1.RawValue
		Content      asn1.RawValue
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		Revocations  asn1.RawValue `asn1:"optional,tag:1"`
		Signers      asn1.RawValue
	}
)

var signedDataType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// signerName returns the common name, or else the organisation, of the
// certificate that the first signer names.
func signerName(der []byte) (string, bool) {
	var info contentInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil || !info.Type.Equal(signedDataType) {
		return "", false
	}
	var data signedData
	if _, err := asn1.Unmarshal(info.Content.Bytes, &data); err != nil {
		return "", false
	}
	issuer, serial, ok := firstSigner(data.Signers.Bytes)
	if !ok {
		return "", false
	}
	rest := data.Certificates.Bytes
	for range 32 {
		var raw asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil {
			return "", false
		}
		cert, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil || !bytes.Equal(cert.RawIssuer, issuer) || !serialEqual(cert, serial) {
			continue
		}
		if cert.Subject.CommonName != "" {
			return cert.Subject.CommonName, true
		}
		if len(cert.Subject.Organization) > 0 {
			return cert.Subject.Organization[0], true
		}
		return "", false
	}
	return "", false
}

func firstSigner(set []byte) (issuer, serial []byte, ok bool) {
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(set, &raw); err != nil {
		return nil, nil, false
	}
	var version int
	rest, err := asn1.Unmarshal(raw.Bytes, &version)
	if err != nil {
		return nil, nil, false
	}
	var of struct {
		Issuer asn1.RawValue
		Serial asn1.RawValue
	}
	if _, err = asn1.Unmarshal(rest, &of); err != nil {
		return nil, nil, false
	}
	return of.Issuer.FullBytes, of.Serial.FullBytes, true
}

func serialEqual(cert *x509.Certificate, serial []byte) bool {
	der, err := asn1.Marshal(cert.SerialNumber)
	return err == nil && bytes.Equal(der, serial)
}
