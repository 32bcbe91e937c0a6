package register

import "time"

// HeldAt returns who had the device at a moment, or nil: nobody did, or it is too
// long ago to be kept.
func (a Asset) HeldAt(t time.Time) *Held {
	if h := a.Held; h != nil && h.At(t) {
		return h
	}
	for i := len(a.Past) - 1; i >= 0; i-- {
		if h := &a.Past[i]; h.At(t) {
			return h
		}
	}
	return nil
}

// At reports whether they had it at a moment.
func (h Held) At(t time.Time) bool {
	return !t.Before(h.From) && (h.Back.IsZero() || t.Before(h.Back))
}
