package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// visit is who asks for a page, of which school, and when.
type visit struct {
	account access.Account // zero if nobody has signed in
	known   bool           // somebody has signed in
	owes    access.Owed    // what they have to do before anything else
	school  view.School    // of a route that is at a school
	now     time.Time
	look    *viewing.Look // what the answer shows, of a route at a school
}

// handler puts the guards around the routes. From outside to inside: what each
// answer may do in a browser, whether the request comes from our own pages,
// whose session it is, and who may have the page.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes {
		page := s.guarded(r)
		if r.mayCompress() {
			page = s.compress(page)
		}
		mux.Handle(r.pattern, page)
	}
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			s.fail(w, r, s.visit(r), errNoPage)
			return
		}
		mux.ServeHTTP(w, r)
	})
	sessions := s.Access.Sessions(inner, func(w http.ResponseWriter, r *http.Request, err error) {
		s.fail(w, r, visit{now: s.Clock.Now()}, err)
	})
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, visit{now: s.Clock.Now()}, errElsewhere)
	}))
	return s.headers(s.recovered(sameOrigin.Handler(sessions)))
}

// contentPolicy lets a page use our own style sheet, typeface and pictures, send
// forms to us, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// scriptPolicy lets a page run our own scripts too, and those fetch from us: for
// passkeys, and to keep a page that is open up to date.
const scriptPolicy = contentPolicy + "; script-src 'self'; connect-src 'self'"

func (s *site) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.Logger.Error("a page panicked", "method", r.Method, "path", r.URL.Path, "panic", p)
				s.fail(w, r, visit{now: s.Clock.Now()}, errHandled)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *site) visit(r *http.Request) visit {
	account, ok := s.Access.Current(r.Context())
	return visit{account: account, known: ok, now: s.Clock.Now()}
}

// admit says who asks for a page of that need. Whoever must go elsewhere first is
// sent there.
func (s *site) admit(r *http.Request, n need) (v visit, elsewhere string, err error) {
	v = s.visit(r)
	switch {
	case n == anyone:
		return v, "", nil
	case n == halfway && !v.known:
		account, ok := s.Access.Halfway(r.Context())
		if !ok {
			return v, "/sign-in", nil
		}
		v.account = account
		return v, "", nil
	case n == halfway:
		return v, "/", nil
	case !v.known:
		return v, signInAddress(r), nil
	}
	if v.owes, err = s.Access.Owes(r.Context(), v.account); err != nil {
		return v, "", err
	}
	switch {
	case n == ownPage, v.owes == access.OwesNothing:
		return v, "", nil
	case v.owes == access.OwesWord:
		return v, "/account/password", nil
	}
	return v, "/account", nil
}

// guarded serves a route to those who may have it.
func (s *site) guarded(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, elsewhere, err := s.admit(r, route.need)
		if err == nil && elsewhere != "" {
			http.Redirect(w, r, elsewhere, http.StatusSeeOther)
			return
		}
		if err == nil && route.need == atSchool {
			v.school, err = s.enter(r.Context(), v.account, posture.SchoolID(r.PathValue("school")), route.right)
		}
		if err == nil && route.need == atSchool {
			err = s.serveSeen(route, w, r, v)
		} else if err == nil {
			err = route.serve(s, w, r, v)
		}
		if err != nil {
			s.fail(w, r, v, err)
		}
	})
}

// enter lets an account into a school. A school that the account does not
// belong to looks like one that does not exist.
func (s *site) enter(ctx context.Context, account access.Account, id posture.SchoolID, right access.Right) (view.School, error) {
	if !account.Belongs(id) {
		return view.School{}, errNoPage
	}
	schools, err := s.Queries.Schools(ctx)
	if err != nil {
		return view.School{}, err
	}
	i := slices.IndexFunc(schools, func(o view.School) bool { return o.ID == id })
	if i < 0 {
		return view.School{}, errNoPage
	}
	if !account.May(id, right) && right == access.BeSenior {
		return view.School{}, errNoPage // that there is such a thing is nobody else's business
	}
	if !account.May(id, right) {
		return schools[i], errNotYours
	}
	return schools[i], nil
}

// signInAddress is the sign-in page that leads back to what was asked for.
func signInAddress(r *http.Request) string {
	if r.Method != http.MethodGet || r.URL.Path == "/" {
		return "/sign-in"
	}
	return "/sign-in?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

// ownAddress returns an address of this site, or "/" for anything else: it is
// where a person is sent once they have signed in.
func ownAddress(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || len(next) > 1024 {
		return "/"
	}
	return u.RequestURI()
}
