package system

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Command names one line of the allow-list: a program with all its arguments.
// Nothing that was read or received ever becomes part of a command.
type Command string

// The commands that a probe may run. None of them changes anything, goes to
// the network or needs a shell.
const (
	ZFSEncryption     Command = "zfs-encryption"
	RPMPackages       Command = "rpm-packages"
	NFTRuleset        Command = "nft-ruleset"
	FirewalldState    Command = "firewalld-state"
	APTPending        Command = "apt-pending"
	DNFPending        Command = "dnf-pending"
	DNFSecurity       Command = "dnf-security"
	RebootNeeded      Command = "needs-restarting"
	ClamscanVersion   Command = "clamscan-version"
	ClamdVersion      Command = "clamd-version"
	MDATPHealth       Command = "mdatp-health"
	SophosVersion     Command = "sophos-version"
	SophosStatus      Command = "sophos-status"
	ESETVersion       Command = "eset-version"
	FalconState       Command = "falcon-state"
	SentinelVersion   Command = "sentinel-version"
	SentinelStatus    Command = "sentinel-status"
	BitdefenderStatus Command = "bitdefender-status"

	// Of macOS.
	DiskutilList            Command = "diskutil-list"
	DiskutilAPFS            Command = "diskutil-apfs"
	IORegStorage            Command = "ioreg-storage"
	IORegUSB                Command = "ioreg-usb"
	IORegUSBPorts           Command = "ioreg-usb-ports"
	FileVaultStatus         Command = "fdesetup-status"
	FileVaultPersonalKey    Command = "fdesetup-personal-key"
	FileVaultInstitutionKey Command = "fdesetup-institutional-key"
	XProtectStatus          Command = "xprotect-status"
	XProtectVersion         Command = "xprotect-version"
	LaunchdJobs             Command = "launchctl-list"
	SystemExtensions        Command = "systemextensionsctl-list"
	GatekeeperStatus        Command = "spctl-status"
	IntegrityStatus         Command = "csrutil-status"
	MacFirewall             Command = "socketfilterfw-state"
	MacScreenLock           Command = "sysadminctl-screenlock"
	MacScreenSaver          Command = "defaults-screensaver-idle"
	MacPower                Command = "pmset-custom"
	MacAdministrators       Command = "dscl-admin"
	MacGroups               Command = "id-groups"
	MacPasswordPolicy       Command = "pwpolicy-accounts"
	MacHardware             Command = "system-profiler-hardware"
	MacKernel               Command = "sysctl-hardware"
	MacHostname             Command = "scutil-hostname"
	MacDefenderHealth       Command = "mac-mdatp-health"
	MacFalconStats          Command = "mac-falcon-stats"
	MacSentinelStatus       Command = "mac-sentinel-status"
)

// CommandSpec is one line of the allow-list.
type CommandSpec struct {
	Name     Command
	On       posture.Platform
	Paths    []string // where the program may lie; the first that exists is run
	Args     []string
	Deadline time.Duration // of the run, if the caller's is not sooner
	Limit    int           // bytes of standard output; more is ErrTooLarge
	// AsConsoleUser says that it is run as whoever is signed in at the screen
	// of a Mac, for what only that person's session knows. Where nobody is, it
	// fails with ErrNobody.
	AsConsoleUser bool
}

const (
	small = 64 << 10
	large = 16 << 20
)

// commands is the allow-list. Every program is run with the same minimal
// environment (LC_ALL=C, a fixed PATH), in '/', with nothing on standard input.
// The commands of macOS are parts of macOS but for the last three.
var commands = []CommandSpec{
	{
		// One line for each dataset and property: name, property, value.
		Name: ZFSEncryption, On: posture.Linux,
		Paths:    []string{"/usr/sbin/zfs", "/sbin/zfs", "/usr/bin/zfs"},
		Args:     []string{"get", "-Hp", "-o", "name,property,value", "encryption,keystatus"},
		Deadline: 20 * time.Second, Limit: 1 << 20,
	},
	{
		Name: RPMPackages, On: posture.Linux,
		Paths:    []string{"/usr/bin/rpm", "/bin/rpm"},
		Args:     []string{"-qa", "--qf", `%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{VENDOR}\n`},
		Deadline: 60 * time.Second, Limit: large,
	},
	{
		Name: NFTRuleset, On: posture.Linux,
		Paths:    []string{"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"},
		Args:     []string{"-j", "list", "ruleset"},
		Deadline: 20 * time.Second, Limit: large,
	},
	{
		Name: FirewalldState, On: posture.Linux,
		Paths:    []string{"/usr/bin/firewall-cmd", "/bin/firewall-cmd"},
		Args:     []string{"--state"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// A simulation from the lists that are already there. It takes no
		// lock, and without the two cache files it writes nothing either.
		Name: APTPending, On: posture.Linux,
		Paths: []string{"/usr/bin/apt-get"},
		Args: []string{
			"--just-print", "-o", "Debug::NoLocking=true",
			"-o", "APT::Get::Show-User-Simulation-Note=false",
			"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
			// What is held or not yet let out to everybody is pending too.
			"-o", "APT::Get::Always-Include-Phased-Updates=true", "--ignore-hold",
			"dist-upgrade",
		},
		Deadline: 90 * time.Second, Limit: large,
	},
	{
		// Exit status 100 means that there are updates.
		Name: DNFPending, On: posture.Linux,
		Paths:    []string{"/usr/bin/dnf"},
		Args:     []string{"-q", "-C", "check-update"},
		Deadline: 90 * time.Second, Limit: large,
	},
	{
		Name: DNFSecurity, On: posture.Linux,
		Paths:    []string{"/usr/bin/dnf"},
		Args:     []string{"-q", "-C", "updateinfo", "list", "--security"},
		Deadline: 90 * time.Second, Limit: large,
	},
	{
		Name: RebootNeeded, On: posture.Linux,
		Paths:    []string{"/usr/bin/needs-restarting"},
		Args:     []string{"-r"},
		Deadline: 60 * time.Second, Limit: small,
	},
	{
		Name: ClamscanVersion, On: posture.Linux,
		Paths:    []string{"/usr/bin/clamscan", "/usr/local/bin/clamscan"},
		Args:     []string{"--version"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: ClamdVersion, On: posture.Linux,
		Paths:    []string{"/usr/sbin/clamd", "/usr/bin/clamd", "/usr/local/sbin/clamd"},
		Args:     []string{"--version"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: MDATPHealth, On: posture.Linux,
		Paths:    []string{"/usr/bin/mdatp", "/opt/microsoft/mdatp/sbin/mdatp"},
		Args:     []string{"health", "--output", "json"},
		Deadline: 30 * time.Second, Limit: 1 << 20,
	},
	{
		Name: SophosVersion, On: posture.Linux,
		Paths:    []string{"/opt/sophos-av/bin/savdstatus"},
		Args:     []string{"--version"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: SophosStatus, On: posture.Linux,
		Paths:    []string{"/opt/sophos-av/bin/savdstatus"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: ESETVersion, On: posture.Linux,
		Paths:    []string{"/opt/eset/eea/bin/odscan", "/opt/eset/efs/bin/odscan"},
		Args:     []string{"--version"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: FalconState, On: posture.Linux,
		Paths:    []string{"/opt/CrowdStrike/falconctl"},
		Args:     []string{"-g", "--version", "--rfm-state"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: SentinelVersion, On: posture.Linux,
		Paths:    []string{"/opt/sentinelone/bin/sentinelctl"},
		Args:     []string{"version"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: SentinelStatus, On: posture.Linux,
		Paths:    []string{"/opt/sentinelone/bin/sentinelctl"},
		Args:     []string{"control", "status"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: BitdefenderStatus, On: posture.Linux,
		Paths:    []string{"/opt/bitdefender-security-tools/bin/bduitool"},
		Args:     []string{"get", "ps"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		// A property list of disks and their partitions, from the kernel's own
		// tables: it opens no disk.
		Name: DiskutilList, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/diskutil"},
		Args:     []string{"list", "-plist"},
		Deadline: 30 * time.Second, Limit: 1 << 20,
	},
	{
		Name: DiskutilAPFS, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/diskutil"},
		Args:     []string{"apfs", "list", "-plist"},
		Deadline: 30 * time.Second, Limit: 1 << 20,
	},
	{
		// What the kernel knows of every device that holds blocks, down to the
		// disks in it, as a property list.
		Name: IORegStorage, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/ioreg"},
		Args:     []string{"-a", "-r", "-l", "-d", "4", "-c", "IOBlockStorageDevice"},
		Deadline: 20 * time.Second, Limit: large,
	},
	{
		// The same of every device on USB; nothing at all where there is none.
		Name: IORegUSB, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/ioreg"},
		Args:     []string{"-a", "-r", "-l", "-c", "IOUSBHostDevice"},
		Deadline: 20 * time.Second, Limit: large,
	},
	{
		Name: IORegUSBPorts, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/ioreg"},
		Args:     []string{"-a", "-l", "-p", "IOUSB"},
		Deadline: 20 * time.Second, Limit: large,
	},
	{
		Name: FileVaultStatus, On: posture.MacOS,
		Paths:    []string{"/usr/bin/fdesetup"},
		Args:     []string{"status"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// Whether there is a recovery key, never which: "true" or "false".
		Name: FileVaultPersonalKey, On: posture.MacOS,
		Paths:    []string{"/usr/bin/fdesetup"},
		Args:     []string{"haspersonalrecoverykey"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: FileVaultInstitutionKey, On: posture.MacOS,
		Paths:    []string{"/usr/bin/fdesetup"},
		Args:     []string{"hasinstitutionalrecoverykey"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// Since macOS 15.
		Name: XProtectStatus, On: posture.MacOS,
		Paths:    []string{"/usr/bin/xprotect"},
		Args:     []string{"status"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: XProtectVersion, On: posture.MacOS,
		Paths:    []string{"/usr/bin/xprotect"},
		Args:     []string{"version"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: LaunchdJobs, On: posture.MacOS,
		Paths:    []string{"/bin/launchctl"},
		Args:     []string{"list"},
		Deadline: 20 * time.Second, Limit: 1 << 20,
	},
	{
		Name: SystemExtensions, On: posture.MacOS,
		Paths:    []string{"/usr/bin/systemextensionsctl"},
		Args:     []string{"list"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: GatekeeperStatus, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/spctl"},
		Args:     []string{"--status"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: IntegrityStatus, On: posture.MacOS,
		Paths:    []string{"/usr/bin/csrutil"},
		Args:     []string{"status"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: MacFirewall, On: posture.MacOS,
		Paths:    []string{"/usr/libexec/ApplicationFirewall/socketfilterfw"},
		Args:     []string{"--getglobalstate"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// It answers on standard error, for the session that it runs in.
		Name: MacScreenLock, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/sysadminctl"},
		Args:     []string{"-screenLock", "status"},
		Deadline: 20 * time.Second, Limit: small, AsConsoleUser: true,
	},
	{
		// Seconds; status 1 where nobody ever chose any.
		Name: MacScreenSaver, On: posture.MacOS,
		Paths:    []string{"/usr/bin/defaults"},
		Args:     []string{"-currentHost", "read", "com.apple.screensaver", "idleTime"},
		Deadline: 20 * time.Second, Limit: small, AsConsoleUser: true,
	},
	{
		Name: MacPower, On: posture.MacOS,
		Paths:    []string{"/usr/bin/pmset"},
		Args:     []string{"-g", "custom"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// The members by their identifiers, which are of this Mac alone, and
		// groups that are members; never names.
		Name: MacAdministrators, On: posture.MacOS,
		Paths:    []string{"/usr/bin/dscl"},
		Args:     []string{".", "-read", "/Groups/admin", "GroupMembers", "NestedGroups"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		// The groups of whoever is signed in at the screen, as numbers.
		Name: MacGroups, On: posture.MacOS,
		Paths:    []string{"/usr/bin/id"},
		Args:     []string{"-G"},
		Deadline: 20 * time.Second, Limit: small, AsConsoleUser: true,
	},
	{
		// What every local account's password must be, as a property list
		// after a line of words.
		Name: MacPasswordPolicy, On: posture.MacOS,
		Paths:    []string{"/usr/bin/pwpolicy"},
		Args:     []string{"-getaccountpolicies"},
		Deadline: 20 * time.Second, Limit: 1 << 20,
	},
	{
		Name: MacHardware, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/system_profiler"},
		Args:     []string{"-json", "-detailLevel", "mini", "SPHardwareDataType"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		// A name that this Mac does not know is left out, and the status is 1.
		Name: MacKernel, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/sysctl"},
		Args:     []string{"hw.model", "hw.machine", "hw.optional.arm64", "kern.hv_vmm_present"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: MacHostname, On: posture.MacOS,
		Paths:    []string{"/usr/sbin/scutil"},
		Args:     []string{"--get", "LocalHostName"},
		Deadline: 20 * time.Second, Limit: small,
	},
	{
		Name: MacDefenderHealth, On: posture.MacOS,
		Paths:    []string{"/Applications/Microsoft Defender.app/Contents/MacOS/wdavdaemonclient"},
		Args:     []string{"health", "--output", "json"},
		Deadline: 30 * time.Second, Limit: 1 << 20,
	},
	{
		Name: MacFalconStats, On: posture.MacOS,
		Paths:    []string{"/Applications/Falcon.app/Contents/Resources/falconctl"},
		Args:     []string{"stats", "agent_info"},
		Deadline: 30 * time.Second, Limit: small,
	},
	{
		Name: MacSentinelStatus, On: posture.MacOS,
		Paths:    []string{"/Library/Sentinel/sentinel-agent.bundle/Contents/MacOS/sentinelctl"},
		Args:     []string{"status"},
		Deadline: 30 * time.Second, Limit: small,
	},
}

// Commands returns the allow-list, for documents and tests.
func Commands() []CommandSpec { return append([]CommandSpec(nil), commands...) }

// spec finds a command in the allow-list. A command of another platform is
// not installed on this one.
func (c Command) spec(on posture.Platform) (CommandSpec, error) {
	for _, s := range commands {
		switch {
		case s.Name != c:
		case s.On != on:
			return CommandSpec{}, fmt.Errorf("run %s: it is a command of %s: %w", c, s.On, fs.ErrNotExist)
		default:
			return s, nil
		}
	}
	return CommandSpec{}, fmt.Errorf("run %q: it is not in the allow-list: %w", string(c), fs.ErrPermission)
}
