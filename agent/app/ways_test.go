package app

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/system"
)

func TestAProxyAsItIsGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte("sesame 42\r\n"), 0o600))
	for name, c := range map[string]struct {
		given ProxyConfig
		want  route.Setting
	}{
		"alone":          {ProxyConfig{Proxy: "filter:8080"}, route.Setting{Use: route.UseProxy, Address: "filter:8080"}},
		"with a file":    {ProxyConfig{Proxy: "filter:8080", User: "laptops", PasswordFile: file}, route.Setting{Use: route.UseProxy, Address: "filter:8080", User: "laptops", Password: "sesame 42"}},
		"with input":     {ProxyConfig{Proxy: "filter:8080", User: "laptops", PasswordFile: "-", Stdin: strings.NewReader("x\n")}, route.Setting{Use: route.UseProxy, Address: "filter:8080", User: "laptops", Password: "x"}},
		"in the address": {ProxyConfig{Proxy: "http://laptops:sesame@filter:8080"}, route.Setting{}},
		"half":           {ProxyConfig{Proxy: "filter:8080", User: "laptops"}, route.Setting{}},
		"the other half": {ProxyConfig{Proxy: "filter:8080", PasswordFile: file}, route.Setting{}},
		"no file":        {ProxyConfig{Proxy: "filter:8080", User: "laptops", PasswordFile: file + "x"}, route.Setting{}},
		"no proxy":       {ProxyConfig{Proxy: "socks5://filter"}, route.Setting{}},
	} {
		got, err := c.given.Setting()
		if got != c.want || (err != nil) != (c.want == route.Setting{}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: it says %v", name, err)
		}
	}
}

func TestWhatASystemNames(t *testing.T) {
	all, err := named([]system.ProxySetting{
		{Proxies: "a:1", From: "this system"},
		{From: "a script", Trouble: "a script could not be run"},
		{Proxies: "https=b:2;http=c:3", Bypass: "*.hollybank.example", From: "this system"},
		{Proxies: "socks5://d:4", From: "this system"},
	}, "collector.hollybank.example:8443")
	if len(all) != 1 || all[0].Address != "a:1" || err == nil || !strings.Contains(err.Error(), "could not be run") {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTheStatusSaysWhatStandsInTheWay(t *testing.T) {
	blocked := &route.BlockedError{Tried: []*route.ObstacleError{
		{Kind: route.ProxySignIn, At: "collector.hollybank.example:8443", Proxy: route.Proxy{Address: "filter:8080", From: "the agent's setting"}, Detail: "the proxy wants a name"},
		{Kind: route.Silent, At: "collector.hollybank.example:8443"},
	}}
	if got := strings.Join(obstacles(blocked), " "); got != "proxy-sign-in silent" {
		t.Errorf("the obstacles are %q", got)
	}
	if got := obstacles(errors.New("something else")); got != nil {
		t.Errorf("the obstacles are %q", got)
	}
	var shown bytes.Buffer
	s := newStatus()
	s.Enrolled, s.Running, s.Trouble = true, true, running{Trouble: blocked.Error()}.trouble()
	PrintStatus(&shown, s)
	for _, want := range []string{"through the proxy filter:8080 (the agent's setting): the proxy wants a name; straight: nobody answers at collector.hollybank.example:8443"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the status does not say %q:\n%s", want, shown.String())
		}
	}
	s.Connected, s.Way, s.Trouble = true, "straight", ""
	shown.Reset()
	PrintStatus(&shown, s)
	if !strings.Contains(shown.String(), "By way of:        straight\n") {
		t.Errorf("the status does not say by which way:\n%s", shown.String())
	}
}
