// Package certificate gives the pages their TLS certificate: one that somebody
// put into two files, or one that is asked for, and renewed, at an authority
// that speaks ACME (RFC 8555).
//
// It never asks for a name that it was not given, never accepts an authority's
// terms by itself, and gives no certificate up before there is a better one.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// State says which certificate is used, and what is wrong with it.
type State struct {
	Names []string  `json:"names,omitempty"` // that it is for, or that are asked for
	Ends  time.Time `json:"ends,omitzero"`   // zero if there is none yet
	// Renews is when a new one is asked for next; zero if nobody is asked.
	Renews time.Time `json:"renews,omitzero"`
	// Failing is since when asking fails; zero if it does not.
	Failing time.Time `json:"failing,omitzero"`
	// Trouble says in a sentence what somebody has to do something about; "" if
	// nothing.
	Trouble string `json:"trouble,omitempty"`
}

// moment writes a time in sentences.
const moment = "2 January 2006 15:04 MST"

// day writes a day in sentences.
const day = "2 January 2006"

// soon is how long before its end a certificate from files is said to end.
const soon = 21 * 24 * time.Hour

// serves is what a certificate's file must hold to be of use: its own key, and
// a leaf that could be read.
func serves(pair *tls.Certificate) (*x509.Certificate, error) {
	if pair.Leaf != nil {
		return pair.Leaf, nil
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	return leaf, nil
}

// named returns the names and addresses that a certificate is for.
func named(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// config is the one TLS configuration of pages.
func config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), more ...string) *tls.Config {
	return &tls.Config{GetCertificate: get, MinVersion: tls.VersionTLS12, NextProtos: append([]string{"h2", "http/1.1"}, more...)}
}
