package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// Notice is the level of what an administrator looks for although it is no
// trouble: that the service has started, or stopped.
const Notice = slog.LevelWarn - 1

// The numbers of events. EventCreate.exe, whose catalogue is used, has a text
// for each from 1 to 1000, which is what was written and nothing else.
const (
	noticeEvent  = 1
	warningEvent = 2
	errorEvent   = 3
)

// maxEvent bounds one event, in bytes; Windows takes 31,839 characters.
const maxEvent = 8 << 10

// events is the event log of Windows.
type events interface {
	Info(number uint32, text string) error
	Warning(number uint32, text string) error
	Error(number uint32, text string) error
}

// eventHandler writes notices, warnings and errors to an event log. What is
// less it leaves out.
type eventHandler struct {
	text slog.Handler // writes into line
	line *line
}

// line is the event that is being written. Handlers made from one another
// share it.
type line struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
	to   events
}

func newEventHandler(to events) *eventHandler {
	l := &line{to: to}
	// The log has a time and a level of its own.
	bare := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &eventHandler{text: slog.NewTextHandler(&l.text, &slog.HandlerOptions{Level: Notice, ReplaceAttr: bare}), line: l}
}

// Enabled implements slog.Handler.
func (h *eventHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= Notice }

// Handle implements slog.Handler.
func (h *eventHandler) Handle(ctx context.Context, r slog.Record) error {
	l := h.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	text := strings.TrimSpace(l.text.String())
	if len(text) > maxEvent {
		text = strings.ToValidUTF8(text[:maxEvent], "") + " …"
	}
	switch {
	case r.Level >= slog.LevelError:
		return l.to.Error(errorEvent, text)
	case r.Level >= slog.LevelWarn:
		return l.to.Warning(warningEvent, text)
	}
	return l.to.Info(noticeEvent, text)
}

// WithAttrs implements slog.Handler.
func (h *eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &eventHandler{text: h.text.WithAttrs(attrs), line: h.line}
}

// WithGroup implements slog.Handler.
func (h *eventHandler) WithGroup(name string) slog.Handler {
	return &eventHandler{text: h.text.WithGroup(name), line: h.line}
}
