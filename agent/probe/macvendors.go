package probe

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macVendor is one antivirus product for macOS: how its presence is seen, and
// what says that it guards the Mac.
type macVendor struct {
	product, name string
	app           string   // the folder of its application, which has its version
	files         []string // further ones, any of which means that it is installed
	team, bundle  string   // of its system extension; "" if it has none
	extensionSure bool     // every version guards through it: without it, nothing does
	engine        []string // names of its processes
	ask           func(context.Context, system.Reader, *posture.Antivirus)
}

// macVendors is the table of products. A maker's system extension guards the
// Mac while it is active; where a person still has to allow it, the product
// looks installed and guards nothing.
var macVendors = []macVendor{
	{
		product: "microsoft-defender", name: "Microsoft Defender", app: "/Applications/Microsoft Defender.app",
		team: "UBF8T346G9", bundle: "com.microsoft.wdav.epsext", extensionSure: true, engine: []string{"wdavdaemon*"}, ask: askMacDefender,
	},
	{
		product: "crowdstrike", name: "CrowdStrike Falcon", app: "/Applications/Falcon.app",
		team: "X9E956P446", bundle: "com.crowdstrike.falcon.", extensionSure: true, engine: []string{"com.crowdstrike.falcon.Agent", "falcond"}, ask: askMacFalcon,
	},
	{
		product: "sentinelone", name: "SentinelOne", files: []string{"/Library/Sentinel/sentinel-agent.bundle"},
		engine: []string{"sentineld"}, ask: askMacSentinel,
	},
	{
		product: "sophos", name: "Sophos Endpoint", app: "/Applications/Sophos/Sophos Endpoint.app", files: []string{"/Library/Sophos Anti-Virus"},
		team: "2H5GFH3774", bundle: "com.sophos.endpoint.scanextension", engine: []string{"SophosScanAgent", "SophosScanD", "com.sophos.endpoint.scanextension"},
	},
	{
		product: "jamf-protect", name: "Jamf Protect", app: "/Applications/JamfProtect.app",
		team: "483DWKW443", bundle: "com.jamf.protect.security-extension", engine: []string{"com.jamf.protect.security-extension", "JamfProtect"},
	},
	{
		product: "eset", name: "ESET Endpoint Security", app: "/Applications/ESET Endpoint Security.app",
		files: []string{"/Applications/ESET Endpoint Antivirus.app", "/Applications/ESET Cyber Security.app"},
		team:  "P8DQRXPVLP", bundle: "com.eset.", engine: []string{"esets_daemon", "com.eset.endpoint"},
	},
	{
		product: "bitdefender", name: "Bitdefender Endpoint Security", app: "/Applications/Endpoint Security for Mac.app",
		files:  []string{"/Library/Bitdefender/AVP"},
		engine: []string{"BDLDaemon", "BDLDaemonApp"},
	},
	{
		product: "malwarebytes", name: "Malwarebytes", app: "/Applications/Malwarebytes.app",
		engine: []string{"RTProtectionDaemon"},
	},
	{
		product: "trend-micro", name: "Trend Micro Security", app: "/Applications/TrendMicroSecurity.app",
		team: "E8P47U2H32", bundle: "com.trendmicro.", engine: []string{"iCoreService"},
	},
}

// macAntivirus lists the antivirus products of a Mac: the one that is a part of
// macOS, and those that are installed.
func macAntivirus(ctx context.Context, sys system.Reader) posture.Answer[posture.Antivirus] {
	answer := posture.Found("xprotect, systemextensionsctl, files, processes", xprotect(ctx, sys))
	running := readProcesses(ctx, sys)
	var ext extensions
	ext.list, ext.err = readExtensions(ctx, sys)
	for _, v := range macVendors {
		paths := v.files
		if v.app != "" {
			paths = append([]string{v.app}, paths...)
		}
		installed, err := anyExists(ctx, sys, paths...)
		switch {
		case err != nil:
			answer.Gaps = append(answer.Gaps, posture.Gap{Source: v.product, Absent: system.Absence(err)})
		case installed:
			answer.Items = append(answer.Items, v.describe(ctx, sys, running, ext))
		}
	}
	return answer
}

func (v macVendor) describe(ctx context.Context, sys system.Reader, running processes, ext extensions) posture.Antivirus {
	a := posture.Antivirus{
		Product: v.product, Name: v.name, Version: unsupported[string](), On: running.any(v.engine...),
		RealTime: unsupported[bool](), Expired: unsupported[bool](), Updating: unsupported[bool](),
		Definitions: unsupported[string](), DefinitionsAt: unsupportedTime,
	}
	if a.On == posture.Read(false) {
		a.On = unsupported[bool]() // the names of processes are not known for every version
	}
	if v.app != "" {
		a.Version = bundleVersion(ctx, sys, v.app)
	}
	if v.team != "" {
		switch active, there := ext.of(v.team, v.bundle); {
		case !active.Known():
			a.On, a.RealTime = active, active
		case active.Value:
			a.On, a.RealTime = active, active
		case there:
			a.On, a.RealTime = posture.Read(false), posture.Read(false)
		case v.extensionSure:
			a.RealTime = posture.Read(false) // what it would guard with is not there
		}
	}
	if v.ask != nil {
		v.ask(ctx, sys, &a)
	}
	return a
}

// bundleVersion returns the version of an application.
func bundleVersion(ctx context.Context, sys system.Reader, app string) posture.Reading[string] {
	data, err := sys.File(ctx, app+"/Contents/Info.plist", infoLimit)
	if err != nil {
		return cleaned("", err)
	}
	info, err := parsePlist(data)
	if err != nil {
		return absentFor[string](err)
	}
	return cleaned(info.text("CFBundleShortVersionString"), nil)
}

// askMacDefender joins what Defender says of itself with whether its extension
// is active: it has been seen saying yes to the one without the other.
func askMacDefender(ctx context.Context, sys system.Reader, a *posture.Antivirus) {
	out, err := sys.Run(ctx, system.MacDefenderHealth)
	var h map[string]json.RawMessage
	if err == nil && json.Unmarshal(out.Stdout, &h) != nil {
		err = errUnknown
	}
	if err != nil {
		a.RealTime, a.Expired, a.Updating = absentFor[bool](err), absentFor[bool](err), absentFor[bool](err)
		a.Version, a.Definitions, a.DefinitionsAt = absentFor[string](err), absentFor[string](err), absentFor[time.Time](err)
		return
	}
	zone, err := localZone(ctx, sys)
	if err != nil {
		zone = nil
	}
	extension := a.RealTime
	defenderHealth(h, zone, a)
	a.RealTime = both(a.RealTime, extension)
	a.Passive = defenderTruth(h, "passive_mode_enabled", "passiveModeEnabled")
	if status := defenderText(h, "definitions_status", "definitionsStatus"); status.Known() {
		a.Current = posture.Read(status.Value == "up_to_date" || status.Value == "upToDate")
	}
}

// askMacFalcon asks the sensor whether it works.
func askMacFalcon(ctx context.Context, sys system.Reader, a *posture.Antivirus) {
	out, err := sys.Run(ctx, system.MacFalconStats)
	if err != nil {
		a.Version, a.RealTime = absentFor[string](err), both(a.RealTime, absentFor[bool](err))
		return
	}
	works := posture.Unread[bool](posture.Unreadable)
	a.Version = posture.Unread[string](posture.Unreadable)
	for key, value := range colonLines(out.Stdout) {
		switch key {
		case "version":
			a.Version = cleaned(value, nil)
		case "Sensor operational":
			if value == "true" || value == "false" {
				works = posture.Read(value == "true")
			}
		}
	}
	a.RealTime = both(a.RealTime, works)
}

// askMacSentinel asks the agent, which guards without a system extension.
func askMacSentinel(ctx context.Context, sys system.Reader, a *posture.Antivirus) {
	out, err := sys.Run(ctx, system.MacSentinelStatus)
	if err != nil {
		a.Version, a.RealTime = absentFor[string](err), absentFor[bool](err)
		return
	}
	guards := posture.Unread[bool](posture.Unreadable)
	a.Version = posture.Unread[string](posture.Unreadable)
	for key, value := range colonLines(out.Stdout) {
		switch key {
		case "Version":
			a.Version = cleaned(value, nil)
		case "Protection":
			if value == "enabled" || value == "disabled" {
				guards = posture.Read(value == "enabled")
			}
		}
	}
	a.RealTime = both(guards, a.On)
}

// colonLines yields the lines of a text of the form "key: value"; none of one
// that was cut.
func colonLines(out []byte) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		text, err := wholeText(out)
		if err != nil {
			return
		}
		for line := range strings.Lines(text) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
			if ok && !yield(strings.TrimSpace(key), strings.TrimSpace(value)) {
				return
			}
		}
	}
}
