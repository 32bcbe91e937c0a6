package web

import (
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
)

// need says who may have a page.
type need uint8

const (
	anyone   need = iota // without signing in
	signedIn             // whoever has signed in
	atSchool             // whoever has the route's right at the school in its path
)

// route is one page: where it is, who may have it and what makes it.
type route struct {
	pattern string
	need    need
	right   access.Right // with atSchool
	serve   func(*site, http.ResponseWriter, *http.Request, visit) error
}

// routes is the table of everything that is served. What is not in it does not
// exist; a row whose need is atSchool must have {school} in its path.
func routes() []route {
	return []route{
		{"GET /healthz", anyone, "", (*site).healthz},
		{"GET /assets/{set}/{file}", anyone, "", (*site).asset},
		{"GET /what-is-collected", anyone, "", (*site).collected},
		{"GET /sign-in", anyone, "", (*site).signInPage},
		{"POST /sign-in", anyone, "", (*site).signIn},

		{"GET /{$}", signedIn, "", (*site).schools},
		{"POST /sign-out", signedIn, "", (*site).signOut},

		{"GET /schools/{school}", atSchool, access.ReadDevices, (*site).overview},
		{"GET /schools/{school}/devices", atSchool, access.ReadDevices, (*site).devices},
		{"GET /schools/{school}/devices/{device}", atSchool, access.ReadDevices, (*site).device},
		{"GET /schools/{school}/devices/{device}/programs", atSchool, access.ReadDevices, (*site).programs},
		{"GET /schools/{school}/breaches", atSchool, access.ReadDevices, (*site).breaches},
		{"GET /schools/{school}/rules/{rule}", atSchool, access.ReadDevices, (*site).rule},
	}
}
