package system

import (
	"encoding/binary"
	"net"
	"net/http"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// connections is where Internet Options keeps an account's proxies, and what
// Windows goes by.
const connections = `Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections`

// setOptions sets this account's Internet Options until the test ends.
func setOptions(t *testing.T, proxy, bypass, script string) {
	t.Helper()
	const usual = "DefaultConnectionSettings"
	k, _, err := registry.CreateKey(registry.CURRENT_USER, connections, registry.ALL_ACCESS)
	must(t, err)
	t.Cleanup(func() { k.Close() })
	before, _, err := k.GetBinaryValue(usual)
	t.Cleanup(func() {
		if err != nil {
			must(t, k.DeleteValue(usual))
			return
		}
		must(t, k.SetBinaryValue(usual, before))
	})
	flags := uint32(1) // straight
	if proxy != "" {
		flags |= 2
	}
	if script != "" {
		flags |= 4
	}
	var data []byte
	for _, n := range []uint32{0x46, 1, flags} {
		data = binary.LittleEndian.AppendUint32(data, n)
	}
	for _, s := range []string{proxy, bypass, script} {
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(s))), s...)
	}
	must(t, k.SetBinaryValue(usual, append(data, make([]byte, 32)...)))
}

func TestWindowsNamesItsProxies(t *testing.T) {
	setOptions(t, "filter.hollybank.example:8080", "*.local", "")
	all, err := ProxiesFor("https://collector.hollybank.example:8443/")
	must(t, err)
	for _, s := range all {
		if s.Proxies == "filter.hollybank.example:8080" && s.Bypass == "*.local" && s.From == ofSystem {
			return
		}
	}
	t.Errorf("it names %+v", all)
}

func TestWindowsRunsItsScript(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ns-proxy-autoconfig")
		_, _ = w.Write([]byte(`function FindProxyForURL(url, host) { return host == "collector.hollybank.example" ? "PROXY pac.hollybank.example:3128" : "DIRECT"; }`))
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() { server.Close(); <-ended }()
	setOptions(t, "", "", "http://"+l.Addr().String()+"/proxy.pac")
	all, err := ProxiesFor("https://collector.hollybank.example:8443/")
	must(t, err)
	for _, s := range all {
		if s.From == byScript && s.Trouble == "" && s.Proxies == "pac.hollybank.example:3128" {
			return
		}
	}
	t.Errorf("it names %+v", all)
}

func TestAScriptThatIsNotThereIsTold(t *testing.T) {
	setOptions(t, "", "", "http://127.0.0.1:1/proxy.pac")
	all, err := ProxiesFor("https://collector.hollybank.example:8443/")
	must(t, err)
	for _, s := range all {
		if s.From == byScript && s.Trouble != "" && s.Proxies == "" {
			return
		}
	}
	t.Errorf("it names %+v", all)
}
