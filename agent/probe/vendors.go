package probe

import (
	"context"
	"regexp"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// vendor is one antivirus product: how its presence is seen, and how it is
// asked about itself.
type vendor struct {
	product, name string
	files         []string // any of them means that it is installed
	engine        []string // names of the processes, any of which is the engine
	// engineUnsure says that the names are not known for every version, so
	// that their absence does not prove that the engine is off.
	engineUnsure bool
	packages     []string // names of its packages, for the version
	ask          func(context.Context, system.Reader, processes, *posture.Antivirus)
}

// vendors is the table of products. A file named here is part of the program
// itself, so that a leftover configuration is not a product.
var vendors = []vendor{
	{
		product: "clamav", name: "ClamAV",
		files:    []string{"/usr/sbin/clamd", "/usr/bin/clamscan", "/usr/bin/clamd", "/usr/local/sbin/clamd", "/usr/local/bin/clamscan"},
		engine:   []string{"clamd"},
		packages: []string{"clamav", "clamav-daemon"},
		ask:      askClamAV,
	},
	{
		product: defenderProduct, name: "Microsoft Defender",
		files:    []string{"/opt/microsoft/mdatp/sbin/wdavdaemon"},
		engine:   []string{"wdavdaemon"},
		packages: []string{"mdatp"},
		ask:      askDefender,
	},
	{
		product: "sophos", name: "Sophos Protection for Linux",
		files:  []string{"/opt/sophos-spl/plugins/av/sbin/av", "/opt/sophos-spl/plugins/av/bin/avscanner", "/opt/sophos-spl/base/bin/sophos_watchdog"},
		engine: []string{"sophos_threat_detector", "sophos_threat*"},
		ask:    askSophos,
	},
	{
		product: "sophos-legacy", name: "Sophos Anti-Virus for Linux",
		files:  []string{"/opt/sophos-av/bin/savdstatus"},
		engine: []string{"savd", "savscand"},
		ask:    askSophosLegacy,
	},
	{
		product: "eset", name: "ESET Endpoint Antivirus",
		files:    []string{"/opt/eset/eea/bin/odscan", "/opt/eset/efs/bin/odscan", "/opt/eset/esets/sbin/esets_daemon"},
		engine:   []string{"oaeventd", "esets_daemon"},
		packages: []string{"eea", "efs", "esets"},
		// oaeventd is the on-access scanner itself.
		ask: func(ctx context.Context, sys system.Reader, running processes, a *posture.Antivirus) {
			a.RealTime = a.On
			a.Version = commandVersion(ctx, sys, system.ESETVersion)
		},
	},
	{
		product: "crowdstrike", name: "CrowdStrike Falcon",
		files:    []string{"/opt/CrowdStrike/falconctl", "/opt/CrowdStrike/falcond"},
		engine:   []string{"falcon-sensor*"},
		packages: []string{"falcon-sensor"},
		ask:      askFalcon,
	},
	{
		product: "sentinelone", name: "SentinelOne",
		files:    []string{"/opt/sentinelone/bin/sentinelctl"},
		engine:   []string{"s1-agent", "s1-scanner*", "s1-orchestrator"},
		packages: []string{"sentinelagent"},
		ask: func(ctx context.Context, sys system.Reader, _ processes, a *posture.Antivirus) {
			a.Version = commandVersion(ctx, sys, system.SentinelVersion)
		},
	},
	{
		product: "bitdefender", name: "Bitdefender Endpoint Security Tools",
		files:    []string{"/opt/bitdefender-security-tools/bin/bdsecd", "/opt/bitdefender-security-tools/bin/epagd", "/opt/bitdefender-security-tools/bin/bduitool"},
		engine:   []string{"bdsecd", "epagd"},
		packages: []string{"bitdefender-security-tools"},
		ask:      askNothing,
	},
	{
		product: "trend-micro", name: "Trend Micro Deep Security Agent",
		files:    []string{"/opt/ds_agent/ds_agent", "/opt/ds_agent/ds_am"},
		engine:   []string{"ds_am"},
		packages: []string{"ds-agent"},
		ask:      askNothing,
	},
	{
		product: "kaspersky", name: "Kaspersky Endpoint Security",
		files:  []string{"/opt/kaspersky/kesl/bin/kesl-control", "/opt/kaspersky/kesl/libexec/kesl"},
		engine: []string{"kesl"}, engineUnsure: true,
		packages: []string{"kesl"},
		ask:      askNothing,
	},
	{
		product: "avast", name: "Avast Business Antivirus for Linux",
		files:  []string{"/usr/bin/avast", "/usr/bin/avastlic"},
		engine: []string{"avast", "com.avast.daemon"}, engineUnsure: true,
		packages: []string{"avast"},
		ask:      askNothing,
	},
}

// askNothing is for products that tell nothing beyond being there and running.
func askNothing(context.Context, system.Reader, processes, *posture.Antivirus) {}

var versionPattern = regexp.MustCompile(`\b[0-9]{1,9}(\.[0-9]{1,9}){1,5}\b`)

// commandVersion returns the first version number that a command prints.
func commandVersion(ctx context.Context, sys system.Reader, c system.Command) posture.Reading[string] {
	out, err := sys.Run(ctx, c)
	switch {
	case missing(err):
		return unsupported[string]()
	case err != nil:
		return absentFor[string](err)
	}
	text, err := wholeText(out.Stdout)
	if v := versionPattern.FindString(text); v != "" && err == nil && out.Exit == 0 {
		return posture.Read(v)
	}
	return posture.Unread[string](posture.Unreadable)
}

func firstBytes(data []byte, n int) string { return string(data[:min(n, len(data))]) }

// askSophos reads the version file of the antivirus plug-in.
func askSophos(ctx context.Context, sys system.Reader, _ processes, a *posture.Antivirus) {
	data, err := sys.File(ctx, "/opt/sophos-spl/plugins/av/VERSION.ini", lineLimit)
	switch {
	case missing(err):
		return
	case err != nil:
		a.Version = absentFor[string](err)
		return
	}
	text, err := wholeText(data)
	if err != nil {
		a.Version = absentFor[string](err)
		return
	}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "PRODUCT_VERSION" {
			a.Version = posture.Read(clean(value, nameRunes))
			return
		}
	}
	a.Version = posture.Unread[string](posture.Unreadable)
}

// askSophosLegacy asks savdstatus, which says in one line whether on-access
// scanning runs.
func askSophosLegacy(ctx context.Context, sys system.Reader, _ processes, a *posture.Antivirus) {
	a.Version = commandVersion(ctx, sys, system.SophosVersion)
	out, err := sys.Run(ctx, system.SophosStatus)
	if err != nil {
		if !missing(err) {
			a.RealTime = absentFor[bool](err)
		}
		return
	}
	switch said := strings.ToLower(firstBytes(out.Stdout, lineLimit)); {
	case strings.Contains(said, "not running"), strings.Contains(said, "inactive"):
		a.RealTime = posture.Read(false)
	case strings.Contains(said, "on-access scanning is running"), strings.Contains(said, "on-access scanning is active"):
		a.RealTime = posture.Read(true)
	default:
		a.RealTime = posture.Unread[bool](posture.Unreadable)
	}
}

// askFalcon asks the sensor for its version and whether it runs with reduced
// functionality, which it does on a kernel it does not know: it then loads and
// protects nothing.
func askFalcon(ctx context.Context, sys system.Reader, _ processes, a *posture.Antivirus) {
	out, err := sys.Run(ctx, system.FalconState)
	switch {
	case missing(err):
		return
	case err != nil:
		a.Version, a.RealTime = absentFor[string](err), absentFor[bool](err)
		return
	}
	version, reduced := parseFalcon(out.Stdout)
	a.Version = version
	switch {
	case a.On.Known() && !a.On.Value:
		a.RealTime = posture.Read(false)
	case !a.On.Known():
		a.RealTime = posture.Unread[bool](a.On.Absent)
	case reduced.Known():
		a.RealTime = posture.Read(!reduced.Value)
	default:
		a.RealTime = reduced
	}
}

// parseFalcon reads "version = 7.10.16303.0" and "rfm-state=false.".
func parseFalcon(out []byte) (version posture.Reading[string], reduced posture.Reading[bool]) {
	version, reduced = posture.Unread[string](posture.Unreadable), posture.Unread[bool](posture.Unreadable)
	text, err := wholeText(out)
	if err != nil {
		return version, reduced
	}
	for line := range strings.Lines(text) {
		for part := range strings.SplitSeq(line, ",") {
			key, value, ok := strings.Cut(part, "=")
			if !ok {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), ".")
			switch strings.TrimSpace(key) {
			case "version":
				if v := versionPattern.FindString(value); v != "" {
					version = posture.Read(v)
				}
			case "rfm-state":
				if value == "true" || value == "false" {
					reduced = posture.Read(value == "true")
				}
			}
		}
	}
	return version, reduced
}
