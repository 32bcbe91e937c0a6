package system

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What WinHTTP calls them.
const (
	winhttpNoProxy        = 1 // WINHTTP_ACCESS_TYPE_NO_PROXY
	winhttpNamedProxy     = 3 // WINHTTP_ACCESS_TYPE_NAMED_PROXY
	winhttpConfigURL      = 2 // WINHTTP_AUTOPROXY_CONFIG_URL
	winhttpLibrary        = "winhttp.dll"
	machineWide, ofSystem = "this system's setting (netsh winhttp)", "this system's setting (Internet Options)"
	byScript              = "this system's proxy script"
)

// winhttpProxy is WINHTTP_PROXY_INFO.
type winhttpProxy struct {
	access        uint32
	proxy, bypass *uint16
}

// winhttpUser is WINHTTP_CURRENT_USER_IE_PROXY_CONFIG.
type winhttpUser struct {
	detect                int32
	script, proxy, bypass *uint16
}

// winhttpAuto is WINHTTP_AUTOPROXY_OPTIONS.
type winhttpAuto struct {
	flags, detect uint32
	script        *uint16
	reserved      uintptr
	reservedToo   uint32
	logon         int32
}

// ProxiesFor returns what this Windows names for a URL: what netsh set for all
// services, and what Internet Options has for this account, or by policy for
// all of them. A script is fetched and run by Windows itself, and never without
// somebody having named it: none is looked for on the network. It may take long,
// and is called in a child.
//
// What WinHTTP allocates is not freed: the child ends.
func ProxiesFor(url string) ([]ProxySetting, error) {
	var all []ProxySetting
	machine, err := procedure(winhttpLibrary, "WinHttpGetDefaultProxyConfiguration")
	if err != nil {
		return nil, err
	}
	var m winhttpProxy
	if ok, _, _ := machine.Call(uintptr(unsafe.Pointer(&m))); ok != 0 && m.access == winhttpNamedProxy {
		all = append(all, ProxySetting{Proxies: windows.UTF16PtrToString(m.proxy), Bypass: windows.UTF16PtrToString(m.bypass), From: machineWide})
	}
	user, err := procedure(winhttpLibrary, "WinHttpGetIEProxyConfigForCurrentUser")
	if err != nil {
		return all, err
	}
	var u winhttpUser
	if ok, _, _ := user.Call(uintptr(unsafe.Pointer(&u))); ok == 0 {
		return all, nil // this account never had a setting
	}
	if u.script != nil && *u.script != 0 {
		all = append(all, scripted(url, u.script))
	}
	if u.proxy != nil && *u.proxy != 0 {
		all = append(all, ProxySetting{Proxies: windows.UTF16PtrToString(u.proxy), Bypass: windows.UTF16PtrToString(u.bypass), From: ofSystem})
	}
	return all, nil
}

// scripted returns what a script names.
func scripted(url string, script *uint16) ProxySetting {
	s := ProxySetting{From: byScript}
	m, err := runScript(url, script)
	if err != nil {
		s.Trouble = fmt.Sprintf("%s could not be run (%v)", byScript, err)
		return s
	}
	if m.access == winhttpNamedProxy {
		s.Proxies, s.Bypass = windows.UTF16PtrToString(m.proxy), windows.UTF16PtrToString(m.bypass)
	}
	return s
}

func runScript(url string, script *uint16) (m winhttpProxy, err error) {
	open, err := procedure(winhttpLibrary, "WinHttpOpen")
	if err != nil {
		return m, err
	}
	ask, err := procedure(winhttpLibrary, "WinHttpGetProxyForUrl")
	if err != nil {
		return m, err
	}
	name, err := windows.UTF16PtrFromString("caretaker-agent")
	if err != nil {
		return m, err
	}
	target, err := windows.UTF16PtrFromString(url)
	if err != nil {
		return m, err
	}
	session, _, failed := open.Call(uintptr(unsafe.Pointer(name)), winhttpNoProxy, 0, 0, 0)
	if session == 0 {
		return m, coded(failed)
	}
	// Nobody signs in to get the script: the account is the machine's own.
	options := winhttpAuto{flags: winhttpConfigURL, script: script}
	if ok, _, failed := ask.Call(session, uintptr(unsafe.Pointer(target)), uintptr(unsafe.Pointer(&options)), uintptr(unsafe.Pointer(&m))); ok == 0 {
		return m, coded(failed)
	}
	return m, nil
}
