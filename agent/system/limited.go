package system

import "bytes"

// limited keeps the first bytes written to it and tells when there are more.
// It hides its buffer, whose ReadFrom would take everything.
type limited struct {
	kept  bytes.Buffer
	limit int
	full  func()
}

// Write implements io.Writer. It always takes everything, so that a command
// that says too much is stopped and not left waiting.
func (w *limited) Write(p []byte) (int, error) {
	room := w.limit - w.kept.Len()
	if len(p) > room {
		w.kept.Write(p[:room])
		w.full()
		return len(p), nil
	}
	return w.kept.Write(p)
}
