package web

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// Pages of lists shrink to a tenth when they are compressed, which on a school's
// line is the difference between at once and a second. But whoever watches the
// line learns from the size of a compressed page how much of what they put into
// it is in the rest too (BREACH), and a search puts words of their choice into a
// page of names. So that is compressed alone which no other site can have asked
// for: what a browser says was asked for from our own pages, or typed. What
// signing in consists of, and what answers a form, where secrets are shown once,
// never is.
//
// What is sent besides differs in length by chance, so that the size of a page
// that somebody opens twice tells less.
const (
	leastCompressed = 2 << 10
	chance          = 64 // bytes, at most
)

// newCompressor returns what compresses the answers of a handler.
func newCompressor() (func(http.Handler) http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(leastCompressed), gzhttp.ContentTypes([]string{"text/html", "text/csv"}), gzhttp.EnableZstd(false),
		gzhttp.RandomJitter(chance, 0, false),
	)
	if err != nil {
		return nil, fmt.Errorf("compress pages: %w", err)
	}
	return func(h http.Handler) http.Handler {
		small := wrap(h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Vary", "Sec-Fetch-Site")
			if from := r.Header.Get("Sec-Fetch-Site"); r.Method != http.MethodGet || from != "same-origin" && from != "none" {
				h.ServeHTTP(w, r)
				return
			}
			small.ServeHTTP(w, r)
		})
	}, nil
}

// mayCompress reports whether a route's pages show nothing by which anybody signs
// in.
func (r route) mayCompress() bool { return r.need == atSchool || r.need == signedIn }
