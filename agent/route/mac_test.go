package route

import (
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/plist"
)

// mac are settings as Apple documents them (SystemConfiguration), with the given
// proxies of a network that is in use. They were not recorded on a Mac.
func mac(proxies map[string]any) []byte {
	return plist.Encode(map[string]any{
		"CurrentSet": "/Sets/0A1B",
		"Sets": map[string]any{"0A1B": map[string]any{"Network": map[string]any{
			"Global":  map[string]any{"IPv4": map[string]any{"ServiceOrder": []any{"GONE", "OFF", "WIFI"}}},
			"Service": map[string]any{"OFF": map[string]any{"__LINK__": "/NetworkServices/OFF"}, "WIFI": map[string]any{"__LINK__": "/NetworkServices/WIFI"}},
		}}},
		"NetworkServices": map[string]any{
			"GONE": map[string]any{"Proxies": map[string]any{"HTTPSEnable": int64(1), "HTTPSProxy": "gone.example", "HTTPSPort": int64(1)}},
			"OFF":  map[string]any{"__INACTIVE__": int64(1), "Proxies": map[string]any{"HTTPSEnable": int64(1), "HTTPSProxy": "off.example", "HTTPSPort": int64(1)}},
			"WIFI": map[string]any{"UserDefinedName": "Wi-Fi", "Proxies": proxies},
		},
	})
}

func TestProxiesOfAMac(t *testing.T) {
	const at = "collector.hollybank.example:8443"
	filter := map[string]any{"HTTPSEnable": int64(1), "HTTPSProxy": "filter.hollybank.example", "HTTPSPort": int64(3128)}
	with := func(name string, value any) map[string]any {
		m := map[string]any{name: value}
		for k, v := range filter {
			m[k] = v
		}
		return m
	}
	for name, c := range map[string]struct {
		proxies map[string]any
		want    string // address; "": none
		trouble string
	}{
		"one":              {filter, "filter.hollybank.example:3128", ""},
		"none":             {map[string]any{"HTTPSEnable": int64(0), "HTTPSProxy": "old.example"}, "", ""},
		"nothing":          {nil, "", ""},
		"spared":           {with("ExceptionsList", []any{"*.local", "*.hollybank.example"}), "", ""},
		"not spared":       {with("ExcludeSimpleHostnames", int64(1)), "filter.hollybank.example:3128", ""},
		"a script":         {map[string]any{"ProxyAutoConfigEnable": int64(1), "ProxyAutoConfigURLString": "http://wpad.hollybank.example/proxy.pac"}, "", "from wpad.hollybank.example), which the agent does not run"},
		"a script and one": {with("ProxyAutoConfigEnable", int64(1)), "filter.hollybank.example:3128", "proxy set"},
		"nonsense":         {map[string]any{"HTTPSEnable": int64(1), "HTTPSProxy": "a b", "HTTPSPort": int64(-4)}, "", "is written as host:port"},
		"other types":      {map[string]any{"HTTPSEnable": "1", "HTTPSProxy": int64(4), "ExceptionsList": "x"}, "", ""},
	} {
		got, err := FromPreferences(mac(c.proxies), at)
		address := ""
		if len(got) > 0 {
			address = got[0].Address
		}
		if len(got) > 1 || address != c.want || (err == nil) != (c.trouble == "") || err != nil && !strings.Contains(err.Error(), c.trouble) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := FromPreferences([]byte("not a list"), at); err == nil {
		t.Error("what is no property list names no proxy without a word")
	}
}

func FuzzPreferences(f *testing.F) {
	f.Add(mac(map[string]any{"HTTPSEnable": int64(1), "HTTPSProxy": "filter", "HTTPSPort": int64(3128), "ExceptionsList": []any{"*.local", "[", int64(1)}}))
	f.Add(mac(map[string]any{"ProxyAutoConfigEnable": true, "ProxyAutoConfigURLString": "http://x/proxy.pac"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := FromPreferences(data, "collector.hollybank.example:8443")
		for _, p := range all {
			if p.check() != nil {
				t.Errorf("%v is no proxy", p)
			}
		}
		if err != nil && len(err.Error()) > 10_000 {
			t.Errorf("it says %d bytes", len(err.Error()))
		}
	})
}
