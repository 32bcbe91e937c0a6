package system

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Rowset names one line of the allow-list of structured questions: the system
// is asked through its own interfaces and answers with rows of named values.
// Nothing that was read or received ever becomes part of a question.
type Rowset string

// The questions to Windows. What each row holds stands with the RowsetSpec.
const (
	MachineRow        Rowset = "machine"
	Firmware          Rowset = "firmware"
	Disks             Rowset = "disks"
	DiskVolumes       Rowset = "volumes"
	OpticalDrives     Rowset = "optical-drives"
	PortableDevices   Rowset = "portable-devices"
	Services          Rowset = "services"
	Accounts          Rowset = "accounts"
	Administrators    Rowset = "administrators"
	Sessions          Rowset = "sessions"
	Power             Rowset = "power"
	SecurityHealth    Rowset = "security-health"
	BitLockerVolumes  Rowset = "bitlocker-volumes"
	SecurityProducts  Rowset = "security-products"
	SecurityList      Rowset = "security-list"
	FirewallProducts  Rowset = "firewall-products"
	DefenderStatus    Rowset = "defender-status"
	DefenderThreats   Rowset = "defender-threats"
	WindowsUpdate     Rowset = "windows-update"
	WindowsUpdateList Rowset = "windows-updates-pending"
)

// RowsetSpec is one line of the allow-list.
type RowsetSpec struct {
	Name Rowset
	On   posture.Platform
	// Apart says that it is asked in a process of its own, on one thread: its
	// interface (COM) may hang for good, and cannot be told to stop.
	Apart bool
	// From names the interface in the words of its maker, for documents and
	// the Source of an answer.
	From string
	// Values are the names in a row. A row may lack any of them.
	Values   []string
	Deadline time.Duration
	Most     int // rows; more is ErrTooLarge
}

const someRows = 4096

// rowsets is the allow-list. What a value means is its maker's to say; where
// that is not obvious, it stands here.
var rowsets = []RowsetSpec{
	{
		// One row. NativeMachine is the IMAGE_FILE_MACHINE of the kernel,
		// ProductType 1 for a workstation and 2, 3 for a server,
		// MinPasswordLength what a local account's password must have at least
		// (USER_MODALS_INFO_0; 0 allows an empty one).
		Name: MachineRow, On: posture.Windows, From: "RtlGetVersion, IsWow64Process2, NetUserModalsGet",
		Values:   []string{"Hostname", "NativeMachine", "Major", "Minor", "Build", "ProductType", "Elevated", "MinPasswordLength"},
		Deadline: 10 * time.Second, Most: 1,
	},
	{
		// One row. ChassisType is SMBIOS type 3, without the lock bit;
		// FirmwareType 1 BIOS, 2 UEFI; SecureBoot a flag; TPMVersion 1 or 2
		// (TPM 1.2, 2.0), null where there is none. Manufacturer, Model,
		// Version, SystemUUID (as Linux writes it) and SystemSerial are SMBIOS
		// type 1, BoardSerial type 2, ChassisSerial type 3; PlatformRole POWER_PLATFORM_ROLE (1
		// desktop, 2 mobile, 3 workstation, 4, 5 and 7 servers, 8 slate).
		Name: Firmware, On: posture.Windows, From: "SMBIOS, TBS, firmware variables",
		Values: []string{
			"Manufacturer", "Model", "Version", "ChassisType", "PlatformRole", "FirmwareType", "SecureBoot", "TPMVersion",
			"SystemUUID", "SystemSerial", "BoardSerial", "ChassisSerial",
		},
		Deadline: 10 * time.Second, Most: 1,
	},
	{
		// One row for each disk. BusType is STORAGE_BUS_TYPE; Instance and
		// Parents are device instance identifiers, Parents those above it, the
		// nearest first; Removable the descriptor's RemovableMedia; Media
		// whether there is any; RemovalPolicy what Plug and Play expects
		// (CM_REMOVAL_POLICY: 1 no removal, 2 an orderly one, 3 a surprise).
		// Serial is the descriptor's; for an NVMe disk the controller's own
		// (identify), if it can be had, for that is what other systems give.
		// SectorSize is that of a logical sector, in bytes.
		Name: Disks, On: posture.Windows, From: "IOCTL_STORAGE_QUERY_PROPERTY",
		Values: []string{
			"Number", "BusType", "Removable", "Media", "Writable", "Vendor", "Product", "Revision", "Serial", "Size",
			"SectorSize", "Instance", "Parents", "RemovalPolicy",
		},
		Deadline: 30 * time.Second, Most: someRows,
	},
	{
		// One row for each volume. DeviceID is \\?\Volume{…}\; Mounts the
		// drive letters and folders; DriveType as GetDriveType; Style 0 MBR,
		// 1 GPT, 2 raw; Type the partition's type, a GUID in capitals without
		// braces or an MBR type as two digits ("07"); Active, of an MBR
		// partition alone, whether it is the one to start from; Disks the
		// numbers of the disks it spans; System whether Windows runs from it;
		// Size and Offset in bytes. Filesystem is null where Windows knows none.
		Name: DiskVolumes, On: posture.Windows, From: "FindFirstVolume, IOCTL_DISK_GET_PARTITION_INFO_EX",
		Values: []string{
			"DeviceID", "Mounts", "DriveType", "Filesystem", "Style", "Type", "Active", "Partition", "Offset", "Size", "Disks", "BusType",
			"ReadOnly", "System",
		},
		Deadline: 30 * time.Second, Most: someRows,
	},
	{
		// One row for each drive; Number is that of \\.\CdRomN.
		Name: OpticalDrives, On: posture.Windows, From: "IOCTL_STORAGE_CHECK_VERIFY2",
		Values:   []string{"Number", "BusType", "Media", "Writable", "Vendor", "Product", "Serial", "Size", "Instance", "Parents"},
		Deadline: 30 * time.Second, Most: 64,
	},
	{
		// Phones, cameras and players: the WPD device class. Instance and
		// Parents as in Disks, Service the driver (WUDFWpdMtp for MTP,
		// WUDFWpdFs for a disk that is also listed here).
		Name: PortableDevices, On: posture.Windows, From: "CM_Get_Device_Interface_List",
		Values:   []string{"Instance", "Parents", "Service", "Vendor", "Product"},
		Deadline: 30 * time.Second, Most: 256,
	},
	{
		// State as SERVICE_STATUS (1 stopped, 4 running), Start as
		// QUERY_SERVICE_CONFIG (2 automatic, 3 on demand, 4 disabled).
		Name: Services, On: posture.Windows, From: "EnumServicesStatusEx",
		Values:   []string{"Name", "State", "Start"},
		Deadline: 20 * time.Second, Most: someRows,
	},
	{
		// Local accounts. SID; Flags as USER_INFO_1 (0x2 disabled, 0x20 no
		// password required, 0x10000 it never ends); no names.
		Name: Accounts, On: posture.Windows, From: "NetUserEnum",
		Values:   []string{"SID", "Flags"},
		Deadline: 20 * time.Second, Most: someRows,
	},
	{
		// Members of the local group S-1-5-32-544. Use as SID_NAME_USE (1 a
		// user, 2 and 4 a group, 5 a well-known group, 6 deleted, 8 unknown).
		Name: Administrators, On: posture.Windows, From: "NetLocalGroupGetMembers",
		Values:   []string{"SID", "Use"},
		Deadline: 20 * time.Second, Most: someRows,
	},
	{
		// Who is signed in. State as WTS_CONNECTSTATE_CLASS (0 active, 4
		// disconnected); Console whether at the machine itself; Administrator
		// whether the session's token names the administrators, if only to deny
		// them: that includes who is one by a group of a domain or a role of
		// Entra.
		Name: Sessions, On: posture.Windows, From: "WTSEnumerateSessions",
		Values:   []string{"SID", "State", "Console", "Administrator"},
		Deadline: 20 * time.Second, Most: someRows,
	},
	{
		// One row, of the power scheme in force: CONSOLELOCK and VIDEOIDLE on
		// mains and on battery (seconds; 0 never), ModernStandby whether the
		// machine sleeps without switching off (S0).
		Name: Power, On: posture.Windows, From: "PowerReadACValueIndex",
		Values:   []string{"ConsoleLockAC", "ConsoleLockDC", "DisplayOffAC", "DisplayOffDC", "SleepAC", "SleepDC", "ModernStandby"},
		Deadline: 20 * time.Second, Most: 1,
	},
	{
		// One row for each Provider (1 firewall, 2 updates, 4 antivirus, 0x20
		// UAC): Result the HRESULT, Health WSC_SECURITY_PROVIDER_HEALTH (0
		// good, 1 not monitored, 2 poor, 3 snoozed), null unless Result is 0.
		Name: SecurityHealth, On: posture.Windows, From: "WscGetSecurityProviderHealth",
		Values:   []string{"Provider", "Result", "Health"},
		Deadline: 20 * time.Second, Most: 8,
	},
	{
		// One row for each Win32_EncryptableVolume. All but the first three
		// are the outs of its methods, each read or failed for itself;
		// EncryptionPercentage is in ten-thousandths of a percent (factor 4).
		// Stored is the cached property ProtectionStatus, which lies.
		Name: BitLockerVolumes, On: posture.Windows, Apart: true, From: "Win32_EncryptableVolume",
		Values: []string{
			"DeviceID", "DriveLetter", "VolumeType", "Stored", "ProtectionStatus", "ConversionStatus", "EncryptionPercentage",
			"EncryptionFlags", "WipingStatus", "LockStatus", "EncryptionMethod", "HardwareEncryptionStatus",
			"KeyProtectorTypes", "SuspendCount",
		},
		Deadline: 60 * time.Second, Most: 256,
	},
	{
		Name: SecurityProducts, On: posture.Windows, Apart: true, From: `root\SecurityCenter2 AntiVirusProduct`,
		Values: []string{
			"displayName", "instanceGuid", "pathToSignedProductExe", "pathToSignedReportingExe", "productState", "timestamp",
			"ReportingExists", // whether the reporting program's file is there, looked at beside it
		},
		Deadline: 60 * time.Second, Most: 64,
	},
	{
		// State 0 on, 1 off, 2 snoozed, 3 expired; Signature 0 old, 1 current.
		Name: SecurityList, On: posture.Windows, Apart: true, From: "IWSCProductList",
		Values:   []string{"Name", "State", "Signature", "Timestamp"},
		Deadline: 60 * time.Second, Most: 64,
	},
	{
		Name: FirewallProducts, On: posture.Windows, Apart: true, From: `root\SecurityCenter2 FirewallProduct`,
		Values:   []string{"displayName", "instanceGuid", "productState", "ReportingExists"},
		Deadline: 60 * time.Second, Most: 64,
	},
	{
		// Times are CIM_DATETIME texts, as WMI gives them.
		Name: DefenderStatus, On: posture.Windows, Apart: true, From: `root\Microsoft\Windows\Defender MSFT_MpComputerStatus`,
		Values: []string{
			"AMEngineVersion", "AMProductVersion", "AMRunningMode", "AMServiceEnabled", "AntivirusEnabled",
			"AntivirusSignatureAge", "AntivirusSignatureLastUpdated", "AntivirusSignatureVersion", "DefenderSignaturesOutOfDate",
			"IsTamperProtected", "OnAccessProtectionEnabled", "ProductStatus", "RealTimeProtectionEnabled",
		},
		Deadline: 60 * time.Second, Most: 4,
	},
	{
		// No names and no files: they are people's.
		Name: DefenderThreats, On: posture.Windows, Apart: true, From: `root\Microsoft\Windows\Defender MSFT_MpThreat`,
		Values:   []string{"ThreatID", "IsActive", "SeverityID"},
		Deadline: 60 * time.Second, Most: someRows,
	},
	{
		// One row. Times are RFC 3339 in UTC, null for never; NotificationLevel 4
		// installs by itself.
		Name: WindowsUpdate, On: posture.Windows, Apart: true, From: "Microsoft.Update.AutoUpdate",
		Values:   []string{"LastSearchSuccess", "LastInstallationSuccess", "ServiceEnabled", "NotificationLevel"},
		Deadline: 60 * time.Second, Most: 1,
	},
	{
		// From what the machine already knows, never online. Categories are
		// their identifiers (GUIDs), Type 1 software and 2 driver; Severity is
		// Microsoft's own word for it (MsrcSeverity, always English), null or
		// empty if there is none; Deployed is RFC 3339 in UTC; BrowseOnly says
		// that it is only offered to who looks for it (IUpdate3).
		Name: WindowsUpdateList, On: posture.Windows, Apart: true, From: "IUpdateSearcher, offline",
		Values:   []string{"Severity", "Type", "Categories", "Deployed", "Mandatory", "RebootRequired", "BrowseOnly"},
		Deadline: 6 * time.Minute, Most: someRows,
	},
}

// Rowsets returns the allow-list, for documents and tests.
func Rowsets() []RowsetSpec { return append([]RowsetSpec(nil), rowsets...) }

// spec finds a question in the allow-list. There is nothing of another
// platform on this one.
func (r Rowset) spec(on posture.Platform) (RowsetSpec, error) {
	for _, s := range rowsets {
		switch {
		case s.Name != r:
		case s.On != on:
			return RowsetSpec{}, fmt.Errorf("ask for %s: it is a question to %s: %w", r, s.On, fs.ErrNotExist)
		default:
			return s, nil
		}
	}
	return RowsetSpec{}, fmt.Errorf("ask for %q: it is not in the allow-list: %w", string(r), fs.ErrPermission)
}

// RegistryKey is what a key of Windows' registry holds.
type RegistryKey struct {
	// Values by name; "" is the key's own. Texts with %NAME% in them stay as
	// they are. Types that no text, number, list or bytes is are left out.
	Values Values   `json:"values,omitempty"`
	Keys   []string `json:"keys,omitempty"` // names of the keys below it, sorted
}

// CodeError is a failure to which the system gave a code of its own, such as
// an HRESULT. What it is like (denied, missing) is the error that it wraps.
type CodeError struct {
	Code uint32
	Like error // fs.ErrPermission, fs.ErrNotExist, errors.ErrUnsupported, …; nil if it is like none
}

// Error implements error.
func (e *CodeError) Error() string {
	if e.Like == nil {
		return codeWord(e.Code)
	}
	return codeWord(e.Code) + ": " + e.Like.Error()
}

// Unwrap returns what the failure is like.
func (e *CodeError) Unwrap() error { return e.Like }

// CodeOf returns the system's own code of a failure, or 0.
func CodeOf(err error) uint32 {
	var e *CodeError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// CodeWord returns the code of a failure for people, such as "0x8004100e", or
// "" if there is none.
func CodeWord(err error) string {
	if code := CodeOf(err); code != 0 {
		return codeWord(code)
	}
	return ""
}
