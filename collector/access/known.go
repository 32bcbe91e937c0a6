package access

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A browser that an account has signed in with carries a proof of it, so that
// whoever guesses elsewhere never slows that browser down. The proof lets
// nobody in: it only gives its holder a count of attempts of their own.
const (
	knownLife     = 180 * 24 * time.Hour
	knownPurpose  = "known browser"
	knownAccounts = 4 // that share a browser; the earliest is forgotten first
)

// knownBrowser is what a proof says.
type knownBrowser struct {
	Account string `json:"account"` // identifier
	Browser string `json:"browser"` // made up, so that each has a count of its own
}

func (a *Access) knownCookie() string {
	if a.secure {
		return "__Host-caretaker-known"
	}
	return "caretaker-known"
}

// proofs returns the proofs that a request carries, the latest first.
func (a *Access) proofs(r *http.Request) []string {
	cookie, err := r.Cookie(a.knownCookie())
	if err != nil {
		return nil
	}
	proofs := strings.Split(cookie.Value, ".")
	return proofs[:min(len(proofs), knownAccounts)]
}

// browserOf returns which known browser of the account one of the proofs is of;
// "" if none is.
func (a *Access) browserOf(account Account, proofs []string) string {
	for _, proof := range proofs {
		if k, ok := a.proven(proof); ok && k.Account == account.ID && account.ID != "" {
			return k.Browser
		}
	}
	return ""
}

func (a *Access) proven(proof string) (knownBrowser, bool) {
	var k knownBrowser
	err := a.sealer.open(knownPurpose, proof, a.clock.Now(), &k)
	return k, err == nil && k.Account != "" && k.Browser != ""
}

// know gives the browser a proof that the account has signed in with it.
func (a *Access) know(w http.ResponseWriter, r *http.Request, account Account) error {
	now := a.clock.Now()
	proof, err := a.sealer.seal(knownPurpose, knownBrowser{Account: account.ID, Browser: rand.Text()}, now.Add(knownLife))
	if err != nil {
		return fmt.Errorf("remember the browser: %w", err)
	}
	proofs := []string{proof}
	for _, other := range a.proofs(r) {
		if k, ok := a.proven(other); ok && k.Account != account.ID && len(proofs) < knownAccounts {
			proofs = append(proofs, other)
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: a.knownCookie(), Value: strings.Join(proofs, "."), Path: "/", MaxAge: int(knownLife.Seconds()),
		Secure: a.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return nil
}
