package route

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/http/httpproxy"
)

func readRequest(from io.Reader) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(from))
}

func TestProxiesAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Proxy{
		"filter.hollybank.example:8080":          {Address: "filter.hollybank.example:8080"},
		" http://filter.hollybank.example:3128/": {Address: "filter.hollybank.example:3128"},
		"http://filter":                          {Address: "filter:80"},
		"http://laptops:open%20it@10.1.2.3:8080": {Address: "10.1.2.3:8080", User: "laptops", Password: "open it"},
		"[2001:db8::1]:8080":                     {Address: "[2001:db8::1]:8080"},
		"":                                       {},
		"https://filter:443":                     {},
		"socks5://filter:1080":                   {},
		"filter:0":                               {},
		"filter:99999":                           {},
		"http://filter:8080/proxy.pac":           {},
		"http://a b:80":                          {},
		"http://x:80?y":                          {},
		"http://a%3Ab:c@x:80":                    {},
	} {
		got, err := ParseProxy(text)
		if want.Address == "" {
			if err == nil {
				t.Errorf("%q is taken for %+v", text, got.Address)
			}
		} else if err != nil || got != want {
			t.Errorf("%q is read as %q %q, %v", text, got.Address, got.User, err)
		}
	}
}

func TestTheEnvironmentNamesAProxy(t *testing.T) {
	c := &httpproxy.Config{HTTPSProxy: "http://filter:8080", NoProxy: "collector.hollybank.example,10.0.0.0/8"}
	for address, want := range map[string]int{"other.example:8443": 1, "collector.hollybank.example:8443": 0, "10.1.2.3:8443": 0, "127.0.0.1:8443": 0} {
		got, err := fromEnvironment(c, address, "a test")
		if err != nil || len(got) != want {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
}

func TestListsOfWindows(t *testing.T) {
	const at = "collector.hollybank.example:8443"
	for _, c := range []struct {
		list, bypass string
		want         []string
	}{
		{"filter:8080", "", []string{"filter:8080"}},
		{"filter:8080; other:8081", "", []string{"filter:8080", "other:8081"}},
		{"http=a:1;https=b:2;ftp=c:3", "", []string{"b:2"}},
		{"http=a:1;socks=c:3", "", []string{"a:1"}},
		{"filter:8080", "*.hollybank.example", nil},
		{"filter:8080", "<local>;10.*", []string{"filter:8080"}},
		{"filter:8080", "[;*.HOLLYBANK.example", nil},
		{"", "", nil},
	} {
		got, err := List(c.list, c.bypass, at, "a test")
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%q without %q: %v, %v", c.list, c.bypass, got, err)
			continue
		}
		for i, p := range got {
			if p.Address != c.want[i] {
				t.Errorf("%q: %s, want %s", c.list, p.Address, c.want[i])
			}
		}
	}
	if !bypassed("<local>", "collector:8443") || bypassed("<local>", at) {
		t.Error("<local> is not a name without a dot")
	}
}

func TestTheSettingIsKeptForTheServiceAlone(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if s, err := Load(state); err != nil || s != (Setting{}) {
		t.Errorf("there is a setting in nothing: %v, %v", s, err)
	}
	want := ToProxy(Proxy{Address: "filter:8080", User: "laptops", Password: "sesame"})
	must(t, want.Save(state))
	got, err := Load(state)
	if err != nil || got != want {
		t.Errorf("it is read as %v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(state, settingFile))
	must(t, err)
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v", info.Mode())
	}
	must(t, os.WriteFile(filepath.Join(state, settingFile), []byte(`{"use":"proxy","password":"sesame"`), 0o600))
	if _, err := Load(state); err == nil || bytes.Contains([]byte(err.Error()), []byte("sesame")) {
		t.Errorf("what is damaged ends with %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=\"a\", NTLM\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28", "HTTP/0.0 000 \xee\n\n", "",
	} {
		f.Add([]byte(s))
	}
	request := &http.Request{Method: http.MethodConnect, Host: "collector.hollybank.example:8443", Header: http.Header{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := answered(bytes.NewReader(data), request)
		if o == nil && err == nil && !bytes.HasPrefix(data, []byte("HTTP/")) {
			t.Errorf("%q leads on", data)
		}
		shows(t, o)
		shows(t, &ObstacleError{Kind: Portal, At: "h:1", Detail: spoke(data)})
	})
}

// shows checks that what is said is bounded and can be shown.
func shows(t *testing.T, o *ObstacleError) {
	t.Helper()
	if o == nil {
		return
	}
	words := o.Error()
	if len(words) > 1000 {
		t.Errorf("it says %d bytes", len(words))
	}
	if !utf8.ValidString(words) {
		t.Errorf("it says %q", words)
	}
	for _, c := range words {
		if c < ' ' || c == 0x7f || c >= 0x202a && c <= 0x202e || c >= 0x80 && c < 0xa0 {
			t.Errorf("it says %q", words)
		}
	}
}

func FuzzParseProxy(f *testing.F) {
	for _, s := range []string{"filter:8080", "http://laptops:sesame@filter:80/", "https=filter:1;http=b:2", "[::1]:80", "a\x00b:1"} {
		f.Add(s, "<local>;*.example")
	}
	f.Fuzz(func(t *testing.T, text, bypass string) {
		if p, err := ParseProxy(text); err == nil {
			again, err := ParseProxy(p.Address)
			if err != nil || again.Address != p.Address {
				t.Errorf("%q is read as %q, which is read as %q, %v", text, p.Address, again.Address, err)
			}
		}
		_, _ = List(text, bypass, "collector.hollybank.example:8443", "a test") // it must end
	})
}

func FuzzSetting(f *testing.F) {
	f.Add([]byte(`{"use":"proxy","address":"filter:8080","user":"a","password":"b"}`))
	f.Add([]byte(`{"use":"direct"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSetting(data)
		if err != nil {
			return
		}
		kept, err := json.Marshal(s)
		must(t, err)
		if again, err := parseSetting(kept); err != nil || again != s {
			t.Errorf("%q is kept as %#v, %v", data, again, err)
		}
	})
}
