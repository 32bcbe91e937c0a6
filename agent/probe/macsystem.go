package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const systemVersion = "/System/Library/CoreServices/SystemVersion.plist"

// macVersion is what macOS calls itself.
type macVersion struct{ name, version, build posture.Reading[string] }

func readMacVersion(ctx context.Context, sys system.Reader) macVersion {
	data, err := sys.File(ctx, systemVersion, configLimit)
	var d dictionary
	if err == nil {
		d, err = parsePlist(data)
	}
	if err != nil {
		why := posture.Unread[string](macAbsence(err))
		return macVersion{why, why, why}
	}
	v := macVersion{
		version: cleaned(d.text("ProductVersion"), nil), build: cleaned(d.text("ProductBuildVersion"), nil),
		name: cleaned(d.text("ProductName")+" "+d.text("ProductVersion")+" "+d.text("ProductVersionExtra"), nil),
	}
	if !v.version.Known() {
		v.name = v.version
	}
	return v
}

// macSystem describes the Mac itself.
func macSystem(ctx context.Context, sys system.Reader) posture.Answer[posture.System] {
	answer := posture.Found[posture.System]("SystemVersion, system_profiler, sysctl")
	item := posture.System{Platform: posture.MacOS, OS: posture.Read("macos")}
	out, err := sys.Run(ctx, system.MacHostname)
	var host string
	if err == nil {
		if host, err = wholeText(out.Stdout); err == nil && strings.TrimSpace(host) == "" {
			err = errUnknown
		}
	}
	if err != nil {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: "hostname", Absent: macAbsence(err)})
		host = ""
	}
	item.Hostname = clean(host, 253)
	v := readMacVersion(ctx, sys)
	item.OSName, item.OSVersion, item.OSBuild = v.name, v.version, v.build

	kernel, kernelErr := readKernel(ctx, sys)
	if item.Architecture = kernel.architecture(); item.Architecture == "" {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: "architecture", Absent: macAbsence(orUnknown(kernelErr))})
	}
	describeMac(ctx, sys, kernel, kernelErr, &item)
	answer.Items = []posture.System{item}
	return answer
}

func orUnknown(err error) error {
	if err == nil {
		return errUnknown
	}
	return err
}

// macKernel is what the kernel says of the machine, by its own names.
type macKernel map[string]string

func readKernel(ctx context.Context, sys system.Reader) (macKernel, error) {
	out, err := sys.Run(ctx, system.MacKernel)
	if err != nil {
		return nil, err
	}
	k := macKernel{}
	for key, value := range colonLines(out.Stdout) {
		k[key] = value
	}
	if k["hw.model"] == "" {
		return nil, errUnknown
	}
	return k, nil
}

// architecture returns the processor's, also where a program for the other one
// asks. Only Apple's own processors have the first name.
func (k macKernel) architecture() string {
	switch {
	case k["hw.optional.arm64"] == "1", k["hw.machine"] == "arm64":
		return "arm64"
	case k["hw.machine"] == "x86_64":
		return "amd64"
	}
	return ""
}

// describeMac fills in what kind of computer it is. The identifier of the model
// no longer says whether it is carried; its name does.
func describeMac(ctx context.Context, sys system.Reader, kernel macKernel, kernelErr error, item *posture.System) {
	name, id, err := readMacModel(ctx, sys)
	if err != nil {
		why := macAbsence(err)
		item.Manufacturer, item.Model = posture.Unread[string](why), posture.Unread[string](why)
		item.Chassis = posture.Unread[posture.Chassis](why)
		return
	}
	item.Manufacturer, item.Model = posture.Read("Apple"), posture.Read(clean(name+" ("+id+")", nameRunes))
	switch {
	case kernelErr != nil:
		item.Chassis = posture.Unread[posture.Chassis](macAbsence(kernelErr))
		item.Manufacturer = posture.Unread[string](macAbsence(kernelErr))
	case kernel["kern.hv_vmm_present"] == "1", strings.HasPrefix(id, "VirtualMac"), virtualNames("", id):
		item.Chassis = posture.Read(posture.Virtual)
		item.Manufacturer = unsupported[string]()
	case strings.HasPrefix(name, "MacBook"):
		item.Chassis = posture.Read(posture.Laptop)
	case strings.HasPrefix(name, "iMac"), strings.HasPrefix(name, "Mac mini"), strings.HasPrefix(name, "Mac Studio"), strings.HasPrefix(name, "Mac Pro"):
		item.Chassis = posture.Read(posture.Desktop)
	default:
		item.Chassis = unsupported[posture.Chassis]()
	}
}

// readMacModel returns the name and the identifier of the model.
func readMacModel(ctx context.Context, sys system.Reader) (name, id string, err error) {
	out, err := sys.Run(ctx, system.MacHardware)
	if err != nil {
		return "", "", err
	}
	return parseMacModel(out.Stdout)
}

func parseMacModel(out []byte) (name, id string, err error) {
	root, err := parseJSON(out)
	if err != nil {
		return "", "", err
	}
	list, err := root.list("SPHardwareDataType")
	if err != nil || len(list) != 1 {
		return "", "", errUnknown
	}
	name, id = list[0].text("machine_name"), list[0].text("machine_model")
	if name == "" || id == "" {
		return "", "", errUnknown
	}
	return name, id, nil
}
