package system

// ProxySetting is a proxy that this system names for an address.
type ProxySetting struct {
	// Proxies is Windows' own list: "proxy:80", or for each scheme
	// "http=proxy:80;https=other:81".
	Proxies string `json:"proxies"`
	Bypass  string `json:"bypass,omitempty"` // addresses that need none
	From    string `json:"from"`             // who names it, in words
	// Trouble says why a script that is to name one did not; "" if it did.
	Trouble string `json:"trouble,omitempty"`
}
