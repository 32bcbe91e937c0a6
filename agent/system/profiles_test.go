package system

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsWith makes a Windows machine with these readings, and says where a
// walk of it starts: "class path below", those that are expected with a "!".
func windowsWith(t *testing.T, reads ...string) ([]string, walkStarts) {
	t.Helper()
	machine := fmt.Sprintf(`{"format":%d,"platform":"windows","origin":"synthetic"}`, recordFormat)
	r, err := NewReplay([]byte(machine), []byte(strings.Join(reads, "\n")))
	must(t, err)
	s, err := profiles{reader: r, systemRoot: `C:\Windows`}.starts(t.Context())
	must(t, err)
	var list []string
	for _, start := range s.list {
		line := string(start.class) + " " + start.path
		if start.below != "" {
			line += " " + start.below
		}
		if start.expected {
			line += " !"
		}
		list = append(list, line)
	}
	return list, s
}

const (
	listKey    = `{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList","holds":{"values":{"Public":"%%SystemDrive%%\\Users\\Public"},"keys":[%s]}}`
	profileKey = `{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\%s","holds":{"values":{"ProfileImagePath":%q}}}`
	foldersKey = `{"key":"HKU\\%s\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders","holds":{"values":{%s}}}`
	noKey      = `{"key":"HKU\\%s\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders","missing":true}`
	noVolumes  = `{"rows":"volumes","list":[]}` + "\n" + `{"rows":"disks","list":[]}`

	ada    = "S-1-5-21-1-2-3-1001"
	bea    = "S-1-12-1-4-5-6-7"
	public = `C:\Users\Public`
)

func TestProfilesAreThoseOfPeople(t *testing.T) {
	got, s := windowsWith(t,
		fmt.Sprintf(listKey, `"S-1-5-18","S-1-5-20","S-1-5-21-1-2-3-1001","S-1-5-21-1-2-3-1002.bak","S-1-12-1-4-5-6-7","S-1-5-21-9-9-9-1003"`),
		fmt.Sprintf(profileKey, ada, `%SystemDrive%\Users\ada`), fmt.Sprintf(profileKey, "S-1-5-21-1-2-3-1002.bak", `C:\Users\old`),
		fmt.Sprintf(profileKey, bea, `D:/Users/bea\`), fmt.Sprintf(profileKey, "S-1-5-21-9-9-9-1003", `\\server\profiles\cai`),
		fmt.Sprintf(foldersKey, ada, `"Desktop":"%USERPROFILE%\\Desktop","Personal":"%USERPROFILE%\\Documents"`),
		fmt.Sprintf(noKey, "S-1-5-21-1-2-3-1002.bak"), fmt.Sprintf(foldersKey, bea, ""), noVolumes)
	var want []string
	for _, p := range []struct{ dir, expected string }{{`D:\Users\bea`, ""}, {`C:\Users\ada`, ""}, {`C:\Users\old`, " !"}, {public, ""}} {
		want = append(want, "desktop "+p.dir+" Desktop"+p.expected, "downloads "+p.dir+" Downloads"+p.expected,
			"documents "+p.dir+" Documents"+p.expected, "home "+p.dir+` AppData\Local\Programs`)
	}
	for _, dir := range []string{`D:\Users\bea`, `C:\Users\ada`, `C:\Users\old`, public} {
		want = append(want, "temp "+dir+` AppData\Local\Temp`)
	}
	want = append(want, `temp C:\Windows Temp`, `home D:\Users\bea`, `home C:\Users\ada`, `home C:\Users\old`, "home "+public)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("starts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]posture.Gap{{Source: "home", Absent: posture.NotVisible}}, s.gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	except := map[string]bool{"desktop": true, "downloads": true, "documents": true, "appdata/local/programs": true, "appdata/local/temp": true}
	if diff := cmp.Diff(except, s.list[len(s.list)-1].except); diff != "" {
		t.Errorf("what is walked before the rest of a profile (-want +got):\n%s", diff)
	}
}

// startsOf returns the starts of one person whose folders are as said.
func startsOf(t *testing.T, folders string, more ...string) ([]string, []posture.Gap) {
	t.Helper()
	got, s := windowsWith(t, append([]string{
		fmt.Sprintf(listKey, `"S-1-5-21-1-2-3-1001"`), fmt.Sprintf(profileKey, ada, `C:\Users\ada`),
		fmt.Sprintf(foldersKey, ada, folders), noVolumes,
	}, more...)...)
	return slices.DeleteFunc(got, func(s string) bool {
		return strings.Contains(s, public) || strings.HasPrefix(s, "temp ") || strings.HasSuffix(s, "Programs") || s == `home C:\Users\ada`
	}), s.gaps
}

func TestFoldersAreWhereAPersonPutThem(t *testing.T) {
	const environment = `{"key":"HKU\\S-1-5-21-1-2-3-1001\\Environment","holds":{"values":{"OneDrive":"C:\\Users\\ada\\OneDrive - Hollybank","loop":"%LOOP%","Share":"\\\\server\\ada"}}}` +
		"\n" + `{"key":"HKU\\S-1-5-21-1-2-3-1001\\Volatile Environment","missing":true}`
	gap := func(class posture.Location, why posture.Absence) posture.Gap {
		return posture.Gap{Source: string(class), Absent: why}
	}
	for _, c := range []struct {
		name, folders string
		want          []string
		gaps          []posture.Gap
	}{
		{"moved below the profile", `"Desktop":"%userprofile%\\OneDrive - Hollybank\\Bwrdd Gwaith","Personal":"C:\\USERS\\Ada\\Dogfennau"`, []string{
			`desktop C:\Users\ada OneDrive - Hollybank\Bwrdd Gwaith`, `downloads C:\Users\ada Downloads`, `documents C:\Users\ada Dogfennau`,
		}, nil},
		{"moved to another drive", `"Personal":"d:\\ada\\Docs\\","{374DE290-123F-4565-9164-39C4925E467B}":"D:\\Downloads"`, []string{
			`desktop C:\Users\ada Desktop`, `downloads D:\Downloads !`, `documents D:\ada\Docs !`,
		}, nil},
		{"moved to another machine", `"Personal":"\\\\server\\ada$\\Documents","Desktop":"//server/ada/Desktop"`, []string{
			`downloads C:\Users\ada Downloads`,
		}, []posture.Gap{gap(posture.OnDesktop, posture.NotVisible), gap(posture.Documents, posture.NotVisible)}},
		{"by what the environment says", `"Desktop":"%OneDrive%\\Desktop","Personal":"%Share%\\Documents","{374DE290-123F-4565-9164-39C4925E467B}":"%loop%\\x"`, []string{
			`desktop C:\Users\ada OneDrive - Hollybank\Desktop`,
		}, []posture.Gap{gap(posture.Downloads, posture.NotVisible), gap(posture.Documents, posture.NotVisible)}},
		{"by what nobody says", `"Desktop":"%HOMESHARE%\\Desktop"`, []string{
			`downloads C:\Users\ada Downloads`, `documents C:\Users\ada Documents`,
		}, []posture.Gap{gap(posture.OnDesktop, posture.NotVisible)}},
		{"the profile itself", `"Desktop":"%USERPROFILE%","Personal":"C:\\Users\\Public\\Documents"`, []string{
			`downloads C:\Users\ada Downloads`,
		}, nil},
		{"a folder of the system", `"Desktop":"%SystemRoot%\\System32","Personal":"C:\\Program Files\\Quiz"`, []string{
			`downloads C:\Users\ada Downloads`,
		}, []posture.Gap{gap(posture.OnDesktop, posture.Unsupported), gap(posture.Documents, posture.Unsupported)}},
		{
			"made to hurt", `"Desktop":"C:\\Users\\ada\\..\\bea","Personal":"\\\\?\\C:\\Users\\bea","{374DE290-123F-4565-9164-39C4925E467B}":"C:\\x:stream"`, nil,
			[]posture.Gap{gap(posture.OnDesktop, posture.NotVisible), gap(posture.Downloads, posture.NotVisible), gap(posture.Documents, posture.NotVisible)},
		},
	} {
		got, gaps := startsOf(t, c.folders, environment)
		slices.SortStableFunc(got, func(a, b string) int { return slices.Index(c.want, a) - slices.Index(c.want, b) })
		if diff := cmp.Diff(c.want, got, equateEmpty); diff != "" {
			t.Errorf("%s: starts (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.gaps, gaps); diff != "" {
			t.Errorf("%s: gaps (-want +got):\n%s", c.name, diff)
		}
	}
}

var equateEmpty = cmp.Transformer("empty", func(list []string) string { return strings.Join(list, "\n") })

func TestVolumesThatCanBeTakenAreMedia(t *testing.T) {
	const head = `{"rows":"volumes","list":[
{"DeviceID":"\\\\?\\Volume{1}\\","Mounts":["C:\\"],"DriveType":3,"System":true,"Disks":[0]},
{"DeviceID":"\\\\?\\Volume{2}\\","Mounts":["E:\\"],"DriveType":2,"BusType":7,"Disks":[1]},
{"DeviceID":"\\\\?\\Volume{3}\\","Mounts":["F:\\"],"DriveType":5},
{"DeviceID":"\\\\?\\Volume{4}\\","Mounts":["G:\\"],"DriveType":3,"BusType":7,"Disks":[2]},
{"DeviceID":"\\\\?\\Volume{5}\\","Mounts":["D:\\"],"DriveType":3,"BusType":17,"Disks":[0]},
{"DeviceID":"\\\\?\\Volume{6}\\","Mounts":["H:\\"],"DriveType":3,"BusType":17,"Disks":[3]},
{"DeviceID":"\\\\?\\Volume{7}\\","Mounts":[],"DriveType":2,"BusType":7},
{"DeviceID":"\\\\?\\Volume{8}\\","Mounts":["N:\\"],"DriveType":4}%s]}`
	volumes := func(more string) string { return strings.ReplaceAll(fmt.Sprintf(head, more), "\n", "") }
	const disks = `{"rows":"disks","list":[{"Number":0,"RemovalPolicy":1},{"Number":3,"RemovalPolicy":3}]}`
	gap := func(why posture.Absence) []posture.Gap { return []posture.Gap{{Source: "media", Absent: why}} }
	for _, c := range []struct {
		name, volumes, disks, want string
		gaps                       []posture.Gap
	}{
		{"all is told", volumes(""), disks, "2 3 4 6", nil},
		{"without the disks", volumes(""), `{"rows":"disks","absent":"denied"}`, "2 3 4", nil},
		{"a bus that is not told", volumes(`,{"DeviceID":"\\\\?\\Volume{9}\\","Mounts":["I:\\"],"DriveType":3,"BusType":{"absent":"denied","code":"0x00000005"}}`), disks, "2 3 4 6", gap(posture.Denied)},
		{"no volumes", `{"rows":"volumes","absent":"timed out"}`, disks, "", gap(posture.TimedOut)},
	} {
		got, s := windowsWith(t, fmt.Sprintf(listKey, ""), c.volumes, c.disks)
		var media []string
		for _, line := range got {
			if id, ok := strings.CutPrefix(line, `media \\?\Volume{`); ok {
				media = append(media, strings.TrimSuffix(id, `}\`))
			}
		}
		if strings.Join(media, " ") != c.want || !slices.Equal(s.gaps, c.gaps) {
			t.Errorf("%s: got %v and %v, want %s and %v", c.name, media, s.gaps, c.want, c.gaps)
		}
	}
}

func FuzzLocalFolder(f *testing.F) {
	f.Add(`%USERPROFILE%\Desktop`, "C:")
	f.Add(`\\server\share`, `C:\Users\ada`)
	f.Add(`c:/users\ada/`, "%A%%A%")
	f.Fuzz(func(t *testing.T, text, value string) {
		dir, ok := localFolder(profiles{systemRoot: `C:\Windows`}.expand(text, map[string]string{"A": value, "USERPROFILE": value}))
		if !ok {
			return
		}
		if len(dir) < 2 || dir[1] != ':' || strings.ContainsAny(dir[2:], `/:%"<>|?*`) || strings.Contains(dir, `\\`) || strings.Contains(dir+`\`, `\..\`) {
			t.Errorf("%q is taken for the folder %q", text, dir)
		}
		if again, ok := localFolder(dir); !ok || again != dir {
			t.Errorf("%q, read again, is %q", dir, again)
		}
	})
}
