package system

import "context"

// within returns what read returns, or the context's error once that is done.
//
// A read of a hung disk or of a file system in user space cannot be called
// back from the kernel. It is then left behind in its goroutine, which ends
// with the process: that is one reason why assessments run in a child. Nothing
// is shared with what is left behind but a channel that takes one value.
func within[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
