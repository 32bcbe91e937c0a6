package durable

import "errors"

// ErrShared means that an account that is neither the system's, nor an
// administrator's, nor this one's may change what is to be nobody else's.
var ErrShared = errors.New("others may change it")
