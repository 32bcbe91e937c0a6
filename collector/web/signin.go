package web

import (
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
)

// signInBody is the sign-in page.
type signInBody struct {
	Name  string
	Next  string
	Error string // what went wrong, or ""
}

const maxForm = 8 << 10 // bytes

func (s *site) signInPage(w http.ResponseWriter, r *http.Request, v visit) error {
	next := ownAddress(r.URL.Query().Get("next"))
	if v.known {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return s.write(w, http.StatusOK, "sign-in", s.page(v, "Sign in", ""), signInBody{Next: next})
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request, v visit) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return errNoPage
	}
	body := signInBody{Name: bounded(r.PostForm.Get("name")), Next: ownAddress(r.PostForm.Get("next"))}
	password := r.PostForm.Get("password")
	if body.Name == "" || password == "" {
		body.Error = "Enter your name and your password."
		return s.signInAgain(w, v, body)
	}
	account, err := s.Access.SignIn(r.Context(), addressOf(r), body.Name, password)
	if errors.Is(err, access.ErrWrong) {
		body.Error = "The name or the password is wrong. Check both and try again."
		return s.signInAgain(w, v, body)
	}
	if err != nil {
		return err
	}
	if err := s.Access.Begin(r.Context(), account); err != nil {
		return err
	}
	http.Redirect(w, r, body.Next, http.StatusSeeOther)
	return nil
}

func (s *site) signInAgain(w http.ResponseWriter, v visit, body signInBody) error {
	return s.write(w, http.StatusUnprocessableEntity, "sign-in", s.page(v, "Error: Sign in", ""), body)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ visit) error {
	if err := s.Access.End(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	return nil
}

// addressOf is the address that a request came from, as the socket tells it:
// what a header says of it anybody can write.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (s *site) healthz(w http.ResponseWriter, _ *http.Request, _ visit) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}
