// Package posture is the vocabulary that both programs share: what a device
// is, the facts that can be read from it, the results of judging them and the
// report that carries both.
//
// It holds types and their names only. It never reads a device, judges a fact
// or encodes a message, and it imports nothing beyond the standard library.
//
// Two habits run through the package. A zero value claims nothing: a Reading
// that was never filled in says "not asked", never "no". And what could not be
// read is data: it carries an Absence that says why, so that not knowing can
// never be mistaken for a pass or a fail.
package posture
