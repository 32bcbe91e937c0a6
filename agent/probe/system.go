package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// System describes the device itself.
func System(ctx context.Context, sys system.Reader) posture.Answer[posture.System] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxSystem(ctx, sys)
	case system.JudgesWindows && on == posture.Windows:
		return windowsSystem(ctx, sys)
	case system.JudgesMacOS && on == posture.MacOS:
		return macSystem(ctx, sys)
	}
	return posture.NotFound[posture.System]("", posture.NotAsked)
}

func linuxSystem(ctx context.Context, sys system.Reader) posture.Answer[posture.System] {
	answer := posture.Found[posture.System]("os-release, dmi")
	item := posture.System{Platform: posture.Linux}

	host, err := firstLine(ctx, sys, "/proc/sys/kernel/hostname")
	if err != nil {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: "hostname", Absent: system.Absence(err)})
	}
	item.Hostname = clean(host, 253)

	release, err := osRelease(ctx, sys)
	item.OS = releaseField(release, err, "ID", "linux")
	item.OSName = releaseField(release, err, "PRETTY_NAME", release["NAME"])
	item.OSVersion = releaseField(release, err, "VERSION_ID", "")

	item.OSBuild = cleaned(firstLine(ctx, sys, "/proc/sys/kernel/osrelease"))
	arch, err := architecture(ctx, sys)
	if err != nil {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: "architecture", Absent: system.Absence(err)})
	}
	item.Architecture = arch

	hw := readHardware(ctx, sys)
	item.Chassis, item.Manufacturer, item.Model = hw.chassis, hw.manufacturer, hw.model
	answer.Items = []posture.System{item}
	return answer
}

// releaseField returns a field of os-release, its documented default where it
// is not set, or "unsupported" where there is no default.
func releaseField(release map[string]string, err error, key, otherwise string) posture.Reading[string] {
	switch {
	case missing(err):
		return posture.Unread[string](posture.Unsupported)
	case err != nil:
		return absentFor[string](err)
	case release[key] != "":
		return posture.Read(release[key])
	case otherwise != "":
		return posture.Read(otherwise)
	}
	return posture.Unread[string](posture.Unsupported)
}

func cleaned(value string, err error) posture.Reading[string] {
	value = clean(value, nameRunes)
	switch {
	case missing(err), err == nil && value == "":
		return posture.Unread[string](posture.Unsupported)
	case err != nil:
		return absentFor[string](err)
	}
	return posture.Read(value)
}

// architectures maps the kernel's names to the ones that releases of the agent
// are called by.
var architectures = map[string]string{
	"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm",
	"i686": "386", "i586": "386", "i386": "386",
}

// elfMachines are the architectures by the machine field of an ELF header.
var elfMachines = map[uint16]string{3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loongarch64"}

// architecture returns what the kernel says it runs on or, where it is too old
// to say, what the shell was built for.
func architecture(ctx context.Context, sys system.Reader) (string, error) {
	name, err := firstLine(ctx, sys, "/proc/sys/kernel/arch")
	if err == nil && name != "" {
		name = clean(name, 40)
		if known, ok := architectures[name]; ok {
			return known, nil
		}
		return name, nil
	}
	if err != nil && !missing(err) {
		return "", err
	}
	head, err := sys.Part(ctx, "/bin/sh", 0, 20)
	if err != nil {
		return "", err
	}
	h, ok := elfHeaderOf(head)
	if !ok || elfMachines[h.machine] == "" {
		return "", errUnknown
	}
	return elfMachines[h.machine], nil
}

// hardware is what the firmware says about the computer.
type hardware struct {
	chassis             posture.Reading[posture.Chassis]
	manufacturer, model posture.Reading[string]
}

const dmi = "/sys/class/dmi/id/"

func readHardware(ctx context.Context, sys system.Reader) hardware {
	vendor, err := firstLine(ctx, sys, dmi+"sys_vendor")
	if missing(err) {
		if code, codeErr := firstLine(ctx, sys, dmi+"chassis_type"); codeErr == nil {
			return hardware{
				chassis:      chassisByCode(ctx, sys, code),
				manufacturer: posture.Unread[string](posture.Unsupported),
				model:        posture.Unread[string](posture.Unsupported),
			}
		}
		return hardwareWithoutDMI(ctx, sys)
	}
	product, productErr := firstLine(ctx, sys, dmi+"product_name")
	model := firmwareText(product, productErr)
	switch {
	case err != nil:
		model = absentFor[string](err) // which field holds it depends on the maker
	case strings.EqualFold(vendor, "LENOVO"):
		// Lenovo writes a type number into the name and the model that is on
		// the lid into the version.
		text, textErr := firstLine(ctx, sys, dmi+"product_version")
		if v := firmwareText(text, textErr); v.Known() || textErr != nil && !missing(textErr) {
			model = v
		}
	}
	hw := hardware{manufacturer: firmwareText(vendor, err), model: model}
	if virtualNames(vendor, product) {
		hw.chassis = posture.Read(posture.Virtual)
		return hw
	}
	code, codeErr := firstLine(ctx, sys, dmi+"chassis_type")
	// Some virtual machines call themselves desktops: without the names, the
	// code proves nothing.
	for _, e := range []error{err, productErr, codeErr} {
		if e != nil && !missing(e) {
			hw.chassis = absentFor[posture.Chassis](e)
			return hw
		}
	}
	hw.chassis = chassisByCode(ctx, sys, code)
	return hw
}

// chassisCodes are the chassis types of SMBIOS that say what rules need. The
// others ("other", "unknown", expansion units) say nothing.
var chassisCodes = map[string]posture.Chassis{
	"3": posture.Desktop, "4": posture.Desktop, "5": posture.Desktop, "6": posture.Desktop,
	"7": posture.Desktop, "13": posture.Desktop, "15": posture.Desktop, "16": posture.Desktop,
	"24": posture.Desktop, "33": posture.Desktop, "34": posture.Desktop, "35": posture.Desktop, "36": posture.Desktop,
	"8": posture.Laptop, "9": posture.Laptop, "10": posture.Laptop, "11": posture.Laptop,
	"14": posture.Laptop, "30": posture.Laptop, "31": posture.Laptop, "32": posture.Laptop,
	"17": posture.Server, "22": posture.Server, "23": posture.Server,
	"25": posture.Server, "27": posture.Server, "28": posture.Server, "29": posture.Server,
}

func chassisByCode(ctx context.Context, sys system.Reader, code string) posture.Reading[posture.Chassis] {
	if c, ok := chassisCodes[code]; ok {
		return posture.Read(c)
	}
	return chassisWithoutCode(ctx, sys)
}

// virtualNames reports whether the firmware calls itself that of a virtual
// machine.
func virtualNames(vendor, product string) bool {
	names := strings.ToLower(vendor + "|" + product)
	for _, word := range []string{
		"qemu", "kvm", "vmware", "virtualbox", "innotek", "xen|", "|hvm domu", "bochs", "bhyve", "parallels",
		"virtual machine", "openstack", "digitalocean", "google compute engine", "apple virtualization", "firecracker",
	} {
		if strings.Contains(names, word) {
			return true
		}
	}
	return strings.HasPrefix(names, "amazon ec2|") && !strings.Contains(names, ".metal")
}

// fillers are what makers leave in fields that they did not fill in.
var fillers = []string{
	"to be filled by o.e.m.", "default string", "system manufacturer", "system product name", "system version",
	"not applicable", "not specified", "not available", "invalid", "none", "n/a", "unknown", "o.e.m.", "oem", "empty",
	"undefined", "type1productconfigid", "standard", "123456789",
}

// firmwareText cleans a text of the firmware; a filler is no text.
func firmwareText(value string, err error) posture.Reading[string] {
	r := cleaned(value, err)
	if r.Known() {
		for _, f := range fillers {
			if strings.EqualFold(r.Value, f) {
				return posture.Unread[string](posture.Unsupported)
			}
		}
	}
	return r
}

// hardwareWithoutDMI asks the device tree, which small computers have instead.
func hardwareWithoutDMI(ctx context.Context, sys system.Reader) hardware {
	model := firmwareText(firstLine(ctx, sys, "/sys/firmware/devicetree/base/model"))
	hw := hardware{manufacturer: posture.Unread[string](posture.Unsupported), model: model}
	if model.Absent == posture.Denied || model.Absent == posture.TimedOut {
		hw.manufacturer = posture.Unread[string](model.Absent)
	}
	if strings.HasPrefix(model.Value, "linux,dummy-virt") {
		hw.chassis = posture.Read(posture.Virtual)
		return hw
	}
	kind, err := firstLine(ctx, sys, "/sys/firmware/devicetree/base/chassis-type")
	switch {
	case err != nil && !missing(err):
		hw.chassis = absentFor[posture.Chassis](err)
	case kind == "laptop", kind == "convertible", kind == "tablet", kind == "handset":
		hw.chassis = posture.Read(posture.Laptop)
	case kind == "desktop":
		hw.chassis = posture.Read(posture.Desktop)
	case kind == "server":
		hw.chassis = posture.Read(posture.Server)
	default:
		hw.chassis = chassisWithoutCode(ctx, sys)
	}
	return hw
}

// chassisWithoutCode decides where the firmware does not: a computer with a
// battery of its own is carried, one whose processor says that it runs under a
// hypervisor is virtual, and of the rest nothing is known.
func chassisWithoutCode(ctx context.Context, sys system.Reader) posture.Reading[posture.Chassis] {
	battery, err := hasBattery(ctx, sys)
	if err != nil {
		return absentFor[posture.Chassis](err)
	}
	if battery {
		return posture.Read(posture.Laptop)
	}
	// The flags stand in the first processor's paragraph.
	head, err := sys.Part(ctx, "/proc/cpuinfo", 0, 8<<10)
	if err != nil && !missing(err) {
		return absentFor[posture.Chassis](err)
	}
	for line := range strings.Lines(string(head)) {
		name, flags, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "flags" && strings.Contains(" "+strings.TrimSpace(flags)+" ", " hypervisor ") {
			return posture.Read(posture.Virtual)
		}
	}
	return posture.Unread[posture.Chassis](posture.Unsupported)
}

// hasBattery looks for a battery that feeds the computer, not a mouse.
func hasBattery(ctx context.Context, sys system.Reader) (bool, error) {
	const supplies = "/sys/class/power_supply"
	list, err := entries(ctx, sys, supplies)
	if err != nil {
		return false, err
	}
	for i, e := range list {
		if i == 64 {
			break
		}
		kind, err := firstLine(ctx, sys, supplies+"/"+e.Name+"/type")
		if missing(err) || err == nil && kind != "Battery" {
			continue
		}
		if err != nil {
			return false, err
		}
		scope, err := firstLine(ctx, sys, supplies+"/"+e.Name+"/scope")
		if err != nil && !missing(err) {
			return false, err
		}
		if scope != "Device" {
			return true, nil
		}
	}
	return false, nil
}
