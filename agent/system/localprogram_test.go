package system

import (
	"errors"
	"strings"
	"testing"
)

func folderForTests(variable string) (string, error) {
	if strings.EqualFold(variable, "ProgramFiles") {
		return `C:\Program Files`, nil
	}
	if variable == "Elsewhere" {
		return `\\server\share`, nil
	}
	return "", errors.ErrUnsupported
}

func TestLocalProgram(t *testing.T) {
	for name, want := range map[string]string{
		`C:\Program Files\ESET\ESET Security\ekrn.exe`:  `C:\Program Files\ESET\ESET Security\ekrn.exe`,
		`"C:\Program Files\x y.exe"`:                    `C:\Program Files\x y.exe`,
		`%ProgramFiles%\Windows Defender\MsMpeng.exe`:   `C:\Program Files\Windows Defender\MsMpeng.exe`,
		`"%PROGRAMFILES%\Windows Defender\MsMpeng.exe"`: `C:\Program Files\Windows Defender\MsMpeng.exe`,
		`  d:\av\av.exe `:                               `d:\av\av.exe`,
		`\\server\share\av.exe`:                         "",
		`\\?\UNC\server\share\av.exe`:                   "",
		`\\?\C:\av.exe`:                                 "",
		`\??\C:\av.exe`:                                 "",
		`//server/share/av.exe`:                         "",
		`%Elsewhere%\av.exe`:                            "",
		`%APPDATA%\av.exe`:                              "",
		`%ProgramFiles%`:                                `C:\Program Files`,
		`%ProgramFiles%..\av.exe`:                       "",
		`%ProgramFiles%\..\Users\x\av.exe`:              "",
		`%ProgramFiles%\%ProgramFiles%\av.exe`:          `C:\Program Files\%ProgramFiles%\av.exe`,
		`%ProgramFiles`:                                 "",
		`C:\av.exe /service`:                            "",
		`C:/av.exe`:                                     "",
		`C:av.exe`:                                      "",
		`C:\`:                                           "",
		`C:\a\\b.exe`:                                   "",
		`C:\a\COM1`:                                     "",
		`C:\a\av.exe:stream`:                            "",
		`windowsdefender://`:                            "",
		`av.exe`:                                        "",
		``:                                              "",
		`C:\` + strings.Repeat(`a\`, maxPath) + `av.exe`: "",
	} {
		got, err := localProgram(name, folderForTests)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%.60q: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func FuzzLocalProgram(f *testing.F) {
	f.Add(`"%ProgramFiles%\Windows Defender\MsMpeng.exe"`)
	f.Add(`\\server\share\av.exe`)
	f.Fuzz(func(t *testing.T, name string) {
		path, err := localProgram(name, folderForTests)
		if err != nil {
			return
		}
		if !isLetter(path[0]) || path[1:3] != `:\` || strings.ContainsAny(path[3:], `/:*?"<>|`) || strings.Contains(path, `\\`) || strings.Contains(path+`\`, `\..\`) {
			t.Errorf("%q is taken for %q", name, path)
		}
	})
}
