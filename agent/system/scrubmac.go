package system

import (
	"bytes"
	"context"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/plist"
)

// macKeys are the keys that are kept of what a Mac's tools and files say, in
// property lists and in JSON: those that a probe looks at. Whatever else stands
// there may be somebody's.
var macKeys = []string{
	// disks
	"AllDisksAndPartitions", "Partitions", "APFSVolumes", "APFSPhysicalStores", "DeviceIdentifier", "Content", "Size", "MountPoint",
	"DiskUUID", "VolumeUUID", "Containers", "CapacityCeiling", "PhysicalStores", "Volumes", "APFSVolumeUUID", "Roles", "Encryption",
	"FileVault", "Locked", "CryptoMigrationOn",
	// devices
	"IORegistryEntryChildren", "IORegistryEntryID", "IOObjectClass", "BSD Name", "Whole", "Writable", "Removable", "Protocol Characteristics",
	"Physical Interconnect", "Physical Interconnect Location", "Device Characteristics", "Product Name", "Vendor Name", "Serial Number",
	"idVendor", "idProduct", "bInterfaceClass", "USB Product Name", "USB Vendor Name", "USB Serial Number", "USB Interface Name",
	"kUSBProductString", "kUSBVendorString", "kUSBSerialNumberString", "kUSBString",
	// settings and versions
	"ProductName", "ProductVersion", "ProductVersionExtra", "ProductBuildVersion", "AutomaticCheckEnabled", "AutomaticDownload",
	"AutomaticallyInstallMacOSUpdates", "ConfigDataInstall", "CriticalUpdateInstall", "LastFullSuccessfulDate", "LastSuccessfulDate",
	"RecommendedUpdates", "Product Key", "Display Name", "Display Version", "idleTime", "askForPassword", "askForPasswordDelay",
	"autoLoginUser", "policyCategoryPasswordContent", "policyContent", "date", "displayName", "displayVersion", "processName",
	// applications
	"CFBundleName", "CFBundleDisplayName", "CFBundleShortVersionString", "CFBundleVersion", "CFBundleExecutable", "CFBundleIdentifier",
	// the computer, and Microsoft Defender's own account of itself
	"SPHardwareDataType", "machine_name", "machine_model", "chip_type",
	"appVersion", "app_version", "realTimeProtectionEnabled", "real_time_protection_enabled", "passiveModeEnabled", "passive_mode_enabled",
	"automaticDefinitionUpdateEnabled", "automatic_definition_update_enabled", "licensed", "definitionsVersion", "definitions_version",
	"definitionsUpdated", "definitions_updated", "definitionsStatus", "definitions_status", "value", "$type",
}

// macLines are the lines that are kept of what tools say of which the rest is
// an account, an address or an identifier.
var macLines = map[Command][]string{
	MacFalconStats:    {"version:", "Sensor operational:"},
	MacSentinelStatus: {"Version:", "Protection:"},
	LaunchdJobs:       {"PID\t", "com.apple."},
}

// learnMac returns the readings that tell names on a Mac: who has a folder,
// what the Mac is called, and what volumes are called.
func learnMac(ctx context.Context, r Reader) ([]*reading, error) {
	people, err := r.Dir(ctx, "/Users")
	if err != nil {
		return nil, err
	}
	reads := []*reading{dirReading("/Users", people)}
	if volumes, err := r.Dir(ctx, "/Volumes"); err == nil {
		reads = append(reads, dirReading("/Volumes", volumes))
	}
	if out, err := r.Run(ctx, MacHostname); err == nil {
		text := string(out.Stdout)
		reads = append(reads, &reading{Run: string(MacHostname), Stdout: &text})
	}
	return reads, nil
}

func dirReading(name string, list []Entry) *reading {
	kept := entries(list)
	return &reading{Dir: name, Entries: &kept}
}

// learnOnMac takes names from a reading of a Mac.
func (s *scrubber) learnOnMac(r *reading) {
	switch {
	case r.Run == string(MacHostname) && r.Stdout != nil:
		s.learnHost(strings.TrimSpace(*r.Stdout))
	case (r.Dir == "/Users" || r.Dir == "/Volumes") && r.Entries != nil:
		for _, e := range *r.Entries {
			s.learnMacPath(r.Dir + "/" + e.Name)
		}
	}
	for _, name := range []string{r.File, r.Part, r.Dir, r.Link, r.Stat} {
		s.learnMacPath(name)
	}
}

// learnMacPath takes from a path the user it belongs to or a volume's name.
func (s *scrubber) learnMacPath(name string) {
	part := strings.Split(name, "/")
	switch {
	case len(part) > 2 && part[1] == "Users" && part[2] != "Shared" && !strings.HasPrefix(part[2], "."):
		s.call("user", part[2])
	case len(part) > 2 && part[1] == "Volumes" && part[2] != "Macintosh HD":
		s.label(part[2])
	}
}

// macReading returns a scrubbed copy of a reading of a Mac, or false if nothing
// of it may be kept.
func (s *scrubber) macReading(r reading) (reading, bool) {
	for _, name := range []*string{&r.File, &r.Part, &r.Dir, &r.Link, &r.Stat} {
		*name = s.text(*name, true)
	}
	switch {
	case r.Part != "" && below("/dev", r.Part):
		return r, r.Base64 == nil || s.binary(&r)
	case r.Part != "" && (r.Text != nil || r.Base64 != nil):
		return reading{}, false // of a program
	case r.File != "" && (r.Text != nil || r.Base64 != nil):
		return r, s.macFile(&r)
	case r.Stdout != nil:
		if out := s.macOutput(Command(r.Run), *r.Stdout); out != nil {
			r.Stdout, r.Stderr = out, s.text(r.Stderr, true)
			return r, true
		}
		return reading{}, false
	case r.Target != nil:
		t := s.text(*r.Target, true)
		r.Target = &t
	}
	if r.Entries != nil {
		list := entries{}
		for i, e := range *r.Entries {
			e.Name = s.text(e.Name, true)
			if below("/Users", r.Dir) {
				e.Name = "item" + strconv.Itoa(i+1) + path.Ext(e.Name) // what somebody has is theirs
			}
			list = append(list, e)
		}
		r.Entries = &list
	}
	if r.Processes != nil {
		list := names{}
		for _, p := range *r.Processes {
			list = append(list, s.text(p, true))
		}
		r.Processes = &list
	}
	return r, true
}

// macFile scrubs a file, of which only property lists are kept.
func (s *scrubber) macFile(r *reading) bool {
	data, err := content(r.Text, r.Base64)
	if err != nil {
		return false
	}
	value, err := plist.Parse(data)
	if err != nil {
		return false
	}
	text := string(plist.Encode(s.macValue("", value)))
	r.Text, r.Base64 = &text, nil
	return true
}

// macOutput scrubs what a tool printed; nil if nothing of it may be kept.
func (s *scrubber) macOutput(c Command, out string) *string {
	text := out
	switch c {
	case DiskutilList, DiskutilAPFS, IORegStorage, IORegUSB, IORegUSBPorts:
		if out == "" {
			return &out
		}
		value, err := plist.Parse([]byte(out))
		if err != nil {
			return nil
		}
		text = string(plist.Encode(s.macValue("", value)))
		return &text
	case MacHardware, MacDefenderHealth:
		var value any
		if json.Unmarshal([]byte(out), &value) != nil {
			return nil
		}
		var b bytes.Buffer
		if json.NewEncoder(&b).Encode(s.macValue("", value)) != nil {
			return nil
		}
		text = b.String()
		return &text
	case MacPasswordPolicy:
		words, list, _ := strings.Cut(out, "\n")
		if value, err := plist.Parse([]byte(list)); err == nil {
			out = words + "\n" + string(plist.Encode(s.macValue("", value)))
		} else if strings.TrimSpace(list) != "" {
			return nil
		}
		return &out
	case FileVaultStatus:
		text = deferredUser.ReplaceAllString(out, "for user 'user'")
	case MacAdministrators:
		return s.macMembers(out)
	}
	if prefixes, ok := macLines[c]; ok {
		text = keepLines(text, prefixes)
	}
	text = s.text(text, true)
	return &text
}

var deferredUser = regexp.MustCompile(`for user '[^\n]*'`)

// macMembers gives the identifiers of members pseudonyms, but for macOS' own
// accounts, which are the same on every Mac.
func (s *scrubber) macMembers(out string) *string {
	out = uuid.ReplaceAllStringFunc(out, func(id string) string {
		if strings.HasPrefix(id, "FFFFEEEE-") {
			return id
		}
		return s.shape(id, true)
	})
	return &out
}

// keepLines keeps the lines in which one of some words stands.
func keepLines(text string, words []string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// macValue keeps of a document the keys that are known, and gives what tells
// one thing or person from another a pseudonym.
func (s *scrubber) macValue(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for k, x := range v {
			if slices.Contains(macKeys, k) {
				kept[k] = s.macValue(k, x)
			}
		}
		return kept
	case []any:
		for i := range v {
			v[i] = s.macValue(key, v[i])
		}
	case string:
		switch key {
		case "Serial Number", "USB Serial Number", "kUSBSerialNumberString":
			return s.shape(v, false)
		case "autoLoginUser":
			return "user"
		}
		return s.text(v, true)
	}
	return value
}
