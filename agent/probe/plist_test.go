package probe

import "testing"

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">`

func FuzzPlist(f *testing.F) {
	f.Add([]byte(plistHead + "<dict><key>a</key><array><string>b</string><true/></array></dict></plist>"))
	f.Add([]byte(plistHead + `<dict><key>CFBundleName</key><string>Firefox</string><key>RecommendedUpdates</key><array/></dict></plist>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := parsePlist(data); err == nil {
			parseInfo(d)
			p := updatePrefs{own: d}
			p.waiting(cleaned("15.7", nil))
			p.checked()
		}
		if list, err := parsePlists(data); err == nil && list == nil {
			t.Error("a list that is none is no error")
		}
	})
}
