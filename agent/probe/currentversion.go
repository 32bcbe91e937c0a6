package probe

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const versionKey = `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`

const workstation = 1 // the ProductType of Windows that is not for servers

// firstOfEleven is the build of the first Windows 11. Its own name of itself
// in the registry still says 10.
const firstOfEleven = 22000

// windowsSystem describes a Windows machine.
func windowsSystem(ctx context.Context, sys system.Reader) posture.Answer[posture.System] {
	answer := posture.Found[posture.System]("registry, SMBIOS")
	item := posture.System{Platform: posture.Windows}
	gap := func(source string, why posture.Absence) {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: source, Absent: why})
	}

	machine, err := onlyRow(ctx, sys, system.MachineRow)
	if err != nil {
		gap(codedSource("machine", err), system.Absence(err))
	}
	host := machine.Text("Hostname")
	if item.Hostname = clean(host.Value, 253); !host.Known() && err == nil {
		gap("hostname", host.Absent)
	}
	arch, why := nativeArchitecture(machine)
	if item.Architecture = arch; why != posture.None && err == nil {
		gap("architecture", why)
	}

	release := windowsRelease{machine: machine, machineAbsent: system.Absence(err), absent: posture.None}
	key, err := sys.Key(ctx, versionKey)
	if err != nil {
		release.absent = system.Absence(err)
		gap(codedSource("CurrentVersion", err), release.absent)
	}
	release.values = key.Values
	item.OS, item.OSName = release.family(), release.name()
	item.OSVersion, item.OSBuild = release.version(), release.fullBuild()

	firmware, err := onlyRow(ctx, sys, system.Firmware)
	if err != nil {
		gap(codedSource("SMBIOS", err), system.Absence(err))
	}
	item.Manufacturer, item.Model, item.Chassis = windowsHardware(firmware, err)
	answer.Items = []posture.System{item}
	return answer
}

// onlyRow returns the row of a question that has one.
func onlyRow(ctx context.Context, sys system.Reader, r system.Rowset) (system.Values, error) {
	rows, err := sys.Rows(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case len(rows) != 1:
		return nil, errUnknown
	}
	return rows[0], nil
}

// nativeMachines are the names of processors, by the number that executable
// files have for them.
var nativeMachines = map[int64]string{0x14c: "386", 0x1c4: "arm", 0x8664: "amd64", 0xaa64: "arm64"}

func nativeArchitecture(machine system.Values) (string, posture.Absence) {
	number := machine.Number("NativeMachine")
	name := nativeMachines[number.Value]
	switch {
	case !number.Known():
		return "", number.Absent
	case name == "":
		return "", posture.Unreadable
	}
	return name, posture.None
}

// windowsRelease is what a machine tells of the Windows on it.
type windowsRelease struct {
	machine       system.Values
	machineAbsent posture.Absence
	values        system.Values // of the key CurrentVersion
	absent        posture.Absence
}

// text returns a value of the key.
func (w windowsRelease) text(name string) posture.Reading[string] {
	if w.absent != posture.None {
		return posture.Unread[string](w.absent)
	}
	r := w.values.Text(name)
	if r.Value = clean(r.Value, nameRunes); r.Known() && r.Value == "" {
		return posture.Unread[string](posture.Unsupported)
	}
	return r
}

// server reports whether it is one for servers.
func (w windowsRelease) server() posture.Reading[bool] {
	kind := w.machine.Number("ProductType")
	if kind.Known() {
		return posture.Read(kind.Value != workstation)
	}
	installed := w.text("InstallationType")
	switch {
	case !installed.Known():
		return posture.Unread[bool](firstAbsence(w.machineAbsent, kind.Absent))
	case installed.Value == "Client":
		return posture.Read(false)
	case strings.HasPrefix(installed.Value, "Server"):
		return posture.Read(true)
	}
	return posture.Unread[bool](posture.Unreadable)
}

func (w windowsRelease) family() posture.Reading[string] {
	switch server := w.server(); {
	case !server.Known():
		return posture.Unread[string](server.Absent)
	case server.Value:
		return posture.Read("windows-server")
	}
	return posture.Read("windows")
}

// editions are the names that people know, by those in the registry.
var editions = map[string]string{
	"Core": "Home", "CoreN": "Home N", "CoreSingleLanguage": "Home Single Language", "CoreCountrySpecific": "Home China",
	"Professional": "Pro", "ProfessionalN": "Pro N", "ProfessionalEducation": "Pro Education",
	"ProfessionalEducationN": "Pro Education N", "ProfessionalWorkstation": "Pro for Workstations",
	"ProfessionalWorkstationN": "Pro N for Workstations", "ProfessionalSingleLanguage": "Pro Single Language",
	"EducationN": "Education N", "EnterpriseN": "Enterprise N", "EnterpriseS": "Enterprise LTSC", "EnterpriseSN": "Enterprise N LTSC",
	"IoTEnterprise": "IoT Enterprise", "IoTEnterpriseS": "IoT Enterprise LTSC", "IoTEnterpriseK": "IoT Enterprise Subscription",
	"CloudEdition": "SE", "CloudEditionN": "SE N", "Cloud": "S", "CloudN": "S N", "ServerRdsh": "Enterprise multi-session",
}

// name makes the name that people know, such as "Windows 11 Education". That
// of a server stands in the registry and is right.
func (w windowsRelease) name() posture.Reading[string] {
	server, build, edition := w.server(), w.build(), w.text("EditionID")
	switch {
	case !server.Known():
		return posture.Unread[string](server.Absent)
	case server.Value:
		return w.text("ProductName")
	case !build.Known():
		return posture.Unread[string](build.Absent)
	case !edition.Known():
		return edition
	}
	number := " 10 "
	if build.Value >= firstOfEleven {
		number = " 11 "
	}
	return posture.Read("Windows" + number + cmp.Or(editions[edition.Value], edition.Value))
}

// version returns the name of the feature update. Those before "20H2" stand
// elsewhere, where the newer ones left the last of them.
func (w windowsRelease) version() posture.Reading[string] {
	if v := w.text("DisplayVersion"); v.Known() || v.Absent != posture.Unsupported {
		return v
	}
	return w.text("ReleaseId")
}

func (w windowsRelease) build() posture.Reading[int64] {
	text := w.text("CurrentBuildNumber")
	if !text.Known() {
		return posture.Unread[int64](text.Absent)
	}
	n, err := strconv.ParseInt(text.Value, 10, 32)
	if err != nil || n <= 0 {
		return posture.Unread[int64](posture.Unreadable)
	}
	return posture.Read(n)
}

// fullBuild returns the build with the number of its update, "26100.4652".
func (w windowsRelease) fullBuild() posture.Reading[string] {
	build, update := w.build(), w.values.Number("UBR")
	_, there := w.values.Get("UBR")
	switch {
	case !build.Known():
		return posture.Unread[string](build.Absent)
	case !there:
		return posture.Read(strconv.FormatInt(build.Value, 10)) // as it was installed
	case !update.Known():
		return posture.Unread[string](update.Absent)
	}
	return posture.Read(strconv.FormatInt(build.Value, 10) + "." + strconv.FormatInt(update.Value, 10))
}

// windowsHardware returns what the firmware says of the computer.
func windowsHardware(row system.Values, err error) (manufacturer, model posture.Reading[string], chassis posture.Reading[posture.Chassis]) {
	if err != nil {
		return absentFor[string](err), absentFor[string](err), absentFor[posture.Chassis](err)
	}
	maker, product := row.Text("Manufacturer"), row.Text("Model")
	manufacturer, model = smbiosText(maker), smbiosText(product)
	switch {
	case !maker.Known() && maker.Absent != posture.Unsupported:
		model = posture.Unread[string](maker.Absent) // which field holds it depends on the maker
	case strings.EqualFold(maker.Value, "LENOVO"):
		// As on Linux: the name is a type number, the version is the model.
		if v := smbiosText(row.Text("Version")); v.Known() || v.Absent != posture.Unsupported {
			model = v
		}
	}
	return manufacturer, model, windowsChassis(row, maker, product)
}

// smbiosText cleans a text of the firmware; a filler is no text.
func smbiosText(r posture.Reading[string]) posture.Reading[string] {
	if !r.Known() {
		return r
	}
	return firmwareText(r.Value, nil)
}

// windowsChassis returns the shape of a computer. Some virtual machines call
// themselves desktops: without the names, the code proves nothing. Where the
// code says nothing, the role tells that Windows plays for it.
func windowsChassis(row system.Values, maker, product posture.Reading[string]) posture.Reading[posture.Chassis] {
	const mobile, slate = 2, 8
	for _, name := range []posture.Reading[string]{maker, product} {
		if !name.Known() && name.Absent != posture.Unsupported {
			return posture.Unread[posture.Chassis](name.Absent)
		}
	}
	if virtualNames(maker.Value, product.Value) {
		return posture.Read(posture.Virtual)
	}
	code, role := row.Number("ChassisType"), row.Number("PlatformRole")
	if !code.Known() && code.Absent != posture.Unsupported {
		return posture.Unread[posture.Chassis](code.Absent)
	}
	if shape, ok := chassisCodes[strconv.FormatInt(code.Value, 10)]; ok && code.Known() {
		return posture.Read(shape)
	}
	switch {
	case !role.Known():
		return posture.Unread[posture.Chassis](role.Absent)
	case role.Value == mobile, role.Value == slate:
		return posture.Read(posture.Laptop)
	case slices.Contains([]int64{1, 3}, role.Value):
		return posture.Read(posture.Desktop)
	case slices.Contains([]int64{4, 5, 7}, role.Value):
		return posture.Read(posture.Server)
	}
	return posture.Unread[posture.Chassis](posture.Unsupported)
}
