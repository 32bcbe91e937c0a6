package web

// Addresses lists the patterns of all that is served, as http.ServeMux takes them,
// for whoever walks through every page.
func Addresses() []string {
	var list []string
	for _, r := range routes() {
		list = append(list, r.pattern)
	}
	return list
}
