package web

import (
	"slices"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// facts are what a device said about itself, in rows.
type facts struct {
	System      section[named]
	Volumes     section[volumeRow]
	Antivirus   section[antivirusRow]
	Media       section[mediumRow]
	Security    section[named]
	Executables section[executableRow]
	Scripts     section[tallyRow]
	Programs    origin
	Count       int // programs
}

// origin says how a section is known.
type origin struct {
	Source string
	At     *moment
	Absent string   // why there is no answer, or ""
	Gaps   []string // what the answer leaves out
}

// section is one kind of fact: its rows and how they are known.
type section[T any] struct {
	origin
	Rows []T
	More int // rows beyond those shown
}

type named struct {
	Name  string
	Value value
}

type volumeRow struct {
	Role, Mount                                              string
	Capacity, Filesystem, Encryption, Protection, Method, By value
	Also                                                     []string // what only some systems tell
}

type antivirusRow struct {
	Name  string
	Facts []named
}

type mediumRow struct {
	What, Bus, ID                          string
	Serial, Capacity, Writable, Encryption value
	Partitions                             []partitionRow
}

type partitionRow struct {
	Number                         int
	Filesystem, Encryption, Method value
}

type executableRow struct {
	Location, Format                            string
	Product, Version, SHA256, Signature, Signer value
}

type tallyRow struct {
	Location, Format string
	Count            int
}

func newFacts(f posture.Facts, c clockwork) facts {
	return facts{
		System:      rows(f.System, c, func(s posture.System) []named { return systemRows(s, c) }),
		Volumes:     rows(f.Volumes, c, func(v posture.Volume) []volumeRow { return []volumeRow{newVolumeRow(v)} }),
		Antivirus:   rows(f.Antivirus, c, func(a posture.Antivirus) []antivirusRow { return []antivirusRow{newAntivirusRow(a, c)} }),
		Media:       rows(f.Media, c, func(m posture.Medium) []mediumRow { return []mediumRow{newMediumRow(m)} }),
		Security:    rows(f.Security, c, func(s posture.Security) []named { return securityRows(s, c) }),
		Executables: rows(f.Executables, c, func(e posture.Executable) []executableRow { return []executableRow{newExecutableRow(e)} }),
		Scripts: rows(f.Scripts, c, func(t posture.Tally) []tallyRow {
			return []tallyRow{{location(t.Location), format(t.Format), t.Count}}
		}),
		Programs: newOrigin(f.Programs, c),
		Count:    len(f.Programs.Items),
	}
}

func newOrigin[T any](a posture.Answer[T], c clockwork) origin {
	o := origin{Source: a.Source, At: c.moment(a.ReadAt)}
	if a.Absent != posture.None {
		o.Absent = why(a.Absent)
		return o
	}
	for _, g := range a.Gaps {
		o.Gaps = append(o.Gaps, visible(g.Source)+" ("+why(g.Absent)+")")
	}
	return o
}

// rows turns an answer into rows, no more than a page can bear. An absent
// answer has none, whatever its items hold.
func rows[T, R any](a posture.Answer[T], c clockwork, of func(T) []R) section[R] {
	s := section[R]{origin: newOrigin(a, c)}
	if a.Absent != posture.None {
		return s
	}
	for i, item := range a.Items {
		if len(s.Rows) >= maxRows {
			s.More = len(a.Items) - i
			break
		}
		s.Rows = append(s.Rows, of(item)...)
	}
	return s
}

func systemRows(s posture.System, c clockwork) []named {
	return append([]named{
		{"Operating system", reading(s.OSName, same)},
		{"Version", reading(s.OSVersion, same)},
		{"Build", reading(s.OSBuild, same)},
		{"Kind of computer", reading(s.Chassis, func(c posture.Chassis) string { return capital(string(c)) })},
		{"Maker", reading(s.Manufacturer, same)},
		{"Model", reading(s.Model, same)},
		{"Processor", value{Text: same(s.Architecture)}},
	}, agentRows(s, c)...)
}

func newVolumeRow(v posture.Volume) volumeRow {
	role := map[posture.VolumeRole]string{
		posture.SystemVolume: "System disk", posture.DataVolume: "Data", posture.SwapVolume: "Swap", posture.BootVolume: "Start-up files",
	}[v.Role]
	if role == "" {
		role = string(v.Role)
	}
	row := volumeRow{
		Role: role, Mount: v.Mount, Capacity: reading(v.Capacity, size), Filesystem: reading(v.Filesystem, same),
		Encryption: encryptionValue(v.Encryption), Protection: protectionValue(v.Protection),
		Method: reading(v.Method, same), By: reading(v.Cipher, asIs), Also: volumeNotes(v),
	}
	if v.Role == posture.BootVolume && v.Encryption.Known() && v.Encryption.Value == posture.Unencrypted {
		row.Encryption = value{Text: "Not encrypted, by design"}
	}
	return row
}

// volumeNotes are what only some systems tell of a volume, as far as they did.
func volumeNotes(v posture.Volume) (notes []string) {
	if v.Progress.Known() {
		notes = append(notes, strconv.FormatInt(v.Progress.Value, 10)+" % done")
	}
	if v.UsedSpace == posture.Read(true) {
		notes = append(notes, "Only space in use was encrypted")
	}
	if v.Hardware == posture.Read(true) {
		notes = append(notes, "Encrypted by the drive itself")
	}
	if v.Protectors.Known() && v.Protectors.Value != "" {
		notes = append(notes, "Opened by: "+evidence.Openers(v.Protectors.Value))
	}
	switch v.RecoveryKey {
	case posture.Read(true):
		notes = append(notes, "Has a recovery key")
	case posture.Read(false):
		notes = append(notes, "Has no recovery key")
	}
	return notes
}

// told leaves out the rows that this kind of system is not asked for.
func told(rows []named) []named {
	return slices.DeleteFunc(rows, func(n named) bool { return n.Value.Unasked })
}

func encryptionValue(r posture.Reading[posture.EncryptionState]) value {
	v := reading(r, func(s posture.EncryptionState) string {
		switch s {
		case posture.Encrypted:
			return "Fully encrypted"
		case posture.Unencrypted:
			return "Not encrypted"
		case posture.Partial:
			return "Partly encrypted"
		case posture.Encrypting:
			return "Being encrypted, not finished"
		case posture.Decrypting:
			return "Encryption being taken off"
		}
		return string(s)
	})
	v.Wrong = r.Known() && r.Value != posture.Encrypted
	return v
}

func protectionValue(r posture.Reading[posture.ProtectionState]) value {
	v := reading(r, func(s posture.ProtectionState) string {
		switch s {
		case posture.ProtectionOn:
			return "Key protected"
		case posture.ProtectionSuspended:
			return "Suspended: key in the clear"
		case posture.ProtectionClearKey:
			return "Key guarded by nothing"
		case posture.ProtectionOff:
			return "Nothing to protect"
		case posture.ProtectionLocked:
			return "Locked since start"
		}
		return string(s)
	})
	v.Wrong = r.Known() && (r.Value == posture.ProtectionSuspended || r.Value == posture.ProtectionClearKey)
	return v
}

func newAntivirusRow(a posture.Antivirus, c clockwork) antivirusRow {
	return antivirusRow{Name: a.Name, Facts: append([]named{
		{"Running", wanted(a.On, true)},
		{"Looks at files as they are opened", wanted(a.RealTime, true)},
		{"Definitions made", timeValue(a.DefinitionsAt, c, "never")},
		{"Definitions", reading(a.Definitions, same)},
		{"Updates by itself", wanted(a.Updating, true)},
		{"Licence ended", wanted(a.Expired, false)},
		{"Version", reading(a.Version, same)},
	}, told([]named{
		{"Calls its definitions current", wanted(a.Current, true)},
		{"Leaves protection to another product", wanted(a.Passive, false)},
	})...)}
}

func newMediumRow(m posture.Medium) mediumRow {
	row := mediumRow{
		What: mediumName(m.Vendor, m.Product, m.Kind), Bus: bus(m.Bus),
		Serial: reading(m.Serial, short), Capacity: reading(m.Capacity, size),
		Writable: reading(m.Writable, yesNo), Encryption: encryptionValue(m.Encryption),
	}
	if m.VendorID != "" || m.ProductID != "" {
		row.ID = m.VendorID + ":" + m.ProductID
	}
	for _, p := range m.Partitions {
		row.Partitions = append(row.Partitions, partitionRow{
			p.Number, reading(p.Filesystem, asIs), encryptionValue(p.Encryption), reading(p.Method, asIs),
		})
	}
	return row
}

func newExecutableRow(e posture.Executable) executableRow {
	return executableRow{
		Location: location(e.Location), Format: format(e.Format), Product: reading(e.Product, productName), Version: reading(e.Version, asIs),
		SHA256: reading(e.SHA256, short), Signer: reading(e.Signer, asIs),
		Signature: reading(e.Signature, func(s posture.SignatureState) string {
			switch s {
			case posture.Unsigned:
				return "Not signed"
			case posture.SignedUnproven:
				return "Signed; not checked here"
			case posture.SignedValid:
				return "Signed"
			case posture.SignedInvalid:
				return "Signature does not fit"
			}
			return string(s)
		}),
	}
}

// productName is the name that a program gives itself; many give none.
func productName(s string) string {
	if s == "" {
		return "Not named"
	}
	return s
}

func securityRows(s posture.Security, c clockwork) []named {
	return append([]named{
		{"Operating system still mended by its maker", wanted(s.OSSupported, true)},
		{"Support ends", timeValue(s.OSSupportEnds, c, "not announced")},
		{"Updates waiting", reading(s.UpdatesPending, number64s)},
		{"Of these important, or of unstated importance", reading(s.UpdatesImportant, number64s)},
		{"Oldest important update waits since", timeValue(s.ImportantSince, c, "none waits")},
		{"Last asked for updates", timeValue(s.UpdatesCheckedAt, c, "never")},
		{"Security updates install by themselves", wanted(s.UpdatesAutomatic, true)},
		{"Restart due to finish an update", wanted(s.RebootDue, false)},
		{"Firewall refuses incoming connections", wanted(s.Firewall, true)},
		{"Screen locks by itself", wanted(s.ScreenLock, true)},
		{"Screen locks after", reading(s.ScreenLockAfter, func(n int64) string { return span(time.Duration(n) * time.Second) })},
		{"Every account that can sign in has a password", wanted(s.PasswordSet, true)},
		{"Signs somebody in at start without a password", wanted(s.AutoLogon, false)},
		{"Programs on media start by themselves", wanted(s.AutoRun, false)},
		{"The person who mostly uses it can administer it", wanted(s.DailyUserAdmin, false)},
		{"People's accounts that can administer it", reading(s.Administrators, number64s)},
		{"Threats found by antivirus and not dealt with", reading(s.OpenDetections, number64s)},
		{"Secure boot", wanted(s.SecureBoot, true)},
		{"TPM", reading(s.TPM, yesNo)},
	}, told([]named{
		{"Last installed an update", timeValue(s.UpdatesInstalledAt, c, "never")},
		{"Asks for a password on waking", wanted(s.PasswordOnWake, true)},
		{"Every account must have a password", wanted(s.PasswordRequired, true)},
		{"Its own system files cannot be changed", wanted(s.SystemIntegrity, true)},
		{"Checks programs from elsewhere before they first run", wanted(s.ProgramsAssessed, true)},
	})...)
}

// wanted is a yes or no of which one deserves attention.
func wanted(r posture.Reading[bool], want bool) value {
	v := reading(r, yesNo)
	v.Wrong = r.Known() && r.Value != want
	return v
}

func timeValue(r posture.Reading[time.Time], c clockwork, zero string) value {
	if r.Known() && !r.Value.IsZero() {
		return value{At: c.moment(r.Value)}
	}
	return reading(r, func(time.Time) string { return zero })
}

func mediumName(vendor, product string, kind posture.MediumKind) string {
	switch {
	case vendor != "" && product != "":
		return vendor + " " + product
	case vendor+product != "":
		return vendor + product
	}
	switch kind {
	case posture.CardMedium:
		return "Memory card"
	case posture.OpticalMedium:
		return "CD or DVD"
	case posture.PhoneMedium:
		return "Phone"
	default:
		return "Stick or disk"
	}
}

func bus(b string) string {
	switch b {
	case "usb", "sd":
		return map[string]string{"usb": "USB", "sd": "SD"}[b]
	}
	return capital(b)
}

func location(l posture.Location) string {
	switch l {
	case posture.Home:
		return "A person's folder"
	case posture.OnDesktop:
		return "Desktop"
	case posture.OnMedia:
		return "Removable media"
	case posture.Temp:
		return "Temporary folder"
	default:
		return capital(string(l))
	}
}

func format(f posture.Format) string {
	switch f {
	case posture.ELF:
		return "Linux program"
	case posture.PE:
		return "Windows program"
	case posture.MachO:
		return "Mac program"
	case posture.AppImage:
		return "AppImage"
	case posture.Script:
		return "Scripts"
	case posture.JAR:
		return "Java archives"
	}
	return string(f)
}

// short shows the first twelve digits of a hash: enough to compare by eye.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return same(hash)
}

func number64(n uint64) string { return strconv.FormatUint(n, 10) }

func number64s(n int64) string { return number(int(n)) }
