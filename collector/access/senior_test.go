package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func seniorKey(code string) SeniorKey {
	return SeniorKey{Account: "a-1", Code: code, Recipient: "age1x", Verifier: []byte{1}, Wrapped: []byte("wrapped"), Made: time.Unix(1e9, 0).UTC(), By: "Jo Marsh"}
}

func TestSeniorsKeysStay(t *testing.T) {
	dir := t.TempDir()
	s := OpenSeniors(dir)
	for _, code := range []string{"aaaa", "bbbb"} {
		if err := s.Add(seniorKey(code)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add(seniorKey("aaaa")); err == nil {
		t.Error("two keys have one code")
	}
	if err := s.Add(SeniorKey{Account: "a-1", Code: "cccc"}); err == nil {
		t.Error("a key that is not whole was kept")
	}
	again := OpenSeniors(dir)
	var err error
	if of := again.Of("a-1"); len(of) != 2 || of[0].Code != "bbbb" || len(again.Of("a-2")) != 0 {
		t.Errorf("kept: %+v", of)
	}
	if k, ok := again.ByCode("aaaa"); !ok || k.Account != "a-1" {
		t.Errorf("by its code: %+v", k)
	}
	for n := range mostSeniorKeys {
		err = again.Add(seniorKey(strings.Repeat("c", n+1)))
	}
	if err == nil || !strings.Contains(err.Error(), "none can be taken away") {
		t.Errorf("without end: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "seniors.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "seniors.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	torn := OpenSeniors(dir)
	if torn.Trouble() == nil || torn.Add(seniorKey("zzzz")) == nil {
		t.Error("keys that cannot be read are written over")
	}
}

func FuzzParseSeniors(f *testing.F) {
	f.Add([]byte(`{"keys":[{"account":"a-1","code":"aaaa","recipient":"age1x","verifier":"AQ==","wrapped":"AQ==","made":"2026-11-09T12:00:00Z"}]}`))
	f.Add([]byte(`{"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseSeniors(data)
		if err != nil {
			return
		}
		for _, k := range keys {
			if checkSenior(k) != nil {
				t.Fatal("a key that is not whole was read")
			}
		}
	})
}

// TestWhoMayBeASenior: neither the technician nor the administrator, whom an
// incident may be about and who run the collector.
func TestWhoMayBeASenior(t *testing.T) {
	may := map[Role]bool{Head: true, DPO: true, Governor: true, Senior: true}
	for _, role := range Roles() {
		if got := (Account{Grants: []Grant{{"hollybank", role}}}).May("hollybank", BeSenior); got != may[role] {
			t.Errorf("%s: %v", role, got)
		}
	}
	if (Account{Grants: []Grant{{"hollybank", Head}}}).May("ashfield", BeSenior) {
		t.Error("a head of one school is a senior of another")
	}
}
