// Package proof defines what is stored and signed, to the byte, and what a
// stranger needs to check it: sections, statements, envelopes, checkpoints and
// the hashes that tie them together.
//
// All structures are encoded in the presentation language of TLS (RFC 8446,
// section 3): fixed-size big-endian integers and length-prefixed opaque
// strings, so that a value has exactly one encoding. shared/docs/formats.md
// describes every byte; the golden files under testdata never change.
//
// The package computes and checks. It never reads a database, never decides
// whom to trust and never opens the body of a section.
package proof
