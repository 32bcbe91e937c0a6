package probe

import (
	"strings"
	"unicode"
)

// windowsVendor is one maker's antivirus on Windows: how it calls itself in
// Security Center, and by which services it is seen where it does not register
// there.
type windowsVendor struct {
	product, name string
	// called are the words in lower case, somewhere in the name, by which its
	// products go. Makers' names are the same in every language.
	called []string
	// services are the names of its engine's services, not of those that only
	// manage or update it.
	services []string
}

// windowsVendors is read from its top, so that a name stands before one that it
// contains. Names of services are from the makers' documents on exclusions and
// removal, as known in November 2026; none has been seen on a machine of ours.
var windowsVendors = []windowsVendor{
	{product: defenderProduct, name: "Microsoft Defender", called: []string{"microsoft defender", "windows defender"}, services: []string{"WinDefend"}},
	{product: "sophos", name: "Sophos", called: []string{"sophos"}, services: []string{"Sophos Endpoint Defense Service", "Sophos File Scanner Service", "SAVService"}},
	{product: "eset", name: "ESET", called: []string{"eset"}, services: []string{"ekrn"}},
	{product: "crowdstrike", name: "CrowdStrike Falcon", called: []string{"crowdstrike"}, services: []string{"CSFalconService"}},
	{product: "sentinelone", name: "SentinelOne", called: []string{"sentinelone", "sentinel agent"}, services: []string{"SentinelAgent"}},
	{product: "bitdefender", name: "Bitdefender", called: []string{"bitdefender"}, services: []string{"EPSecurityService", "EPProtectedService", "VSSERV"}},
	{product: "trend-micro", name: "Trend Micro", called: []string{"trend micro", "apex one", "worry free"}, services: []string{"ntrtscan", "Amsp", "ds_agent"}},
	{product: "trellix", name: "Trellix", called: []string{"trellix", "mcafee endpoint security", "mcafee virusscan enterprise"}, services: []string{"mfetp", "McShield"}},
	{product: "mcafee", name: "McAfee", called: []string{"mcafee"}, services: []string{"mc-fw-host", "ModuleCoreService"}},
	{product: "kaspersky", name: "Kaspersky", called: []string{"kaspersky"}, services: []string{"AVP*"}},
	{product: "webroot", name: "Webroot", called: []string{"webroot"}, services: []string{"WRSVC"}},
	{product: "malwarebytes", name: "Malwarebytes", called: []string{"malwarebytes"}, services: []string{"MBAMService"}},
	{product: "symantec", name: "Symantec Endpoint Protection", called: []string{"symantec"}, services: []string{"SepMasterService"}},
	{product: "norton", name: "Norton", called: []string{"norton"}, services: []string{"NortonSecurity", "Norton Antivirus", "N360", "NS"}},
	{product: "avast", name: "Avast", called: []string{"avast"}, services: []string{"avast! Antivirus"}},
	{product: "avg", name: "AVG", called: []string{"avg"}, services: []string{"AVG Antivirus", "avgsvc"}},
	{product: "panda", name: "WatchGuard Panda", called: []string{"panda", "watchguard endpoint"}, services: []string{"PSUAService", "NanoServiceMain"}},
	{product: "cylance", name: "Cylance", called: []string{"cylance"}, services: []string{"CylanceSvc"}},
	{product: "cortex-xdr", name: "Palo Alto Cortex XDR", called: []string{"cortex xdr", "traps"}, services: []string{"cyserver", "CyveraService"}},
	{product: "withsecure", name: "WithSecure", called: []string{"withsecure", "f secure"}, services: []string{"fshoster", "fsulhoster", "FSMA"}},
	{product: "avira", name: "Avira", called: []string{"avira"}, services: []string{"AntiVirService"}},
	{product: "g-data", name: "G DATA", called: []string{"g data"}, services: []string{"AVKWCtl"}},
	{product: "carbon-black", name: "Carbon Black", called: []string{"carbon black", "cb defense"}, services: []string{"CbDefense"}},
	{product: "cisco-secure-endpoint", name: "Cisco Secure Endpoint", called: []string{"cisco secure endpoint", "cisco amp"}, services: []string{"CiscoAMP*"}},
}

const defenderProduct = "microsoft-defender"

// vendorCalled finds whose product goes by a name; false if nobody's we know.
func vendorCalled(name string) (windowsVendor, bool) {
	words := " " + strings.Join(wordsOf(name), " ") + " "
	for _, v := range windowsVendors {
		for _, part := range v.called {
			if strings.Contains(words, " "+part+" ") {
				return v, true
			}
		}
	}
	return windowsVendor{}, false
}

// wordsOf returns the runs of letters and digits in a name, in lower case.
func wordsOf(name string) []string {
	return strings.FieldsFunc(strings.ToLower(clean(name, nameRunes)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// vendorOf returns the maker of a product, or one made of its name.
func vendorOf(name string) windowsVendor {
	if v, ok := vendorCalled(name); ok {
		return v
	}
	return windowsVendor{product: identifierOf(name), name: clean(name, nameRunes)}
}

// identifierOf makes an identifier of a name that nobody gave one: its letters
// and digits in lower case, joined by '-'.
func identifierOf(name string) string {
	if id := clean(strings.Join(wordsOf(name), "-"), 60); id != "" {
		return id
	}
	return "unnamed"
}
