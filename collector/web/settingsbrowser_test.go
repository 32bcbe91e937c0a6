package web

import (
	"testing"
)

// settingPictures are the pages of settings as an administrator sees them, with
// their forms.
var settingPictures = []struct{ name, path string }{
	{"settings-all", "/schools/hollybank/settings"},
	{"overview-set-up", "/schools/hollybank"},
	{"people-kept", "/schools/hollybank/settings/people"},
	{"person-kept", "/schools/hollybank/settings/people/robin?done=given"},
	{"tokens-kept", "/schools/hollybank/settings/tokens?done=end"},
	{"keys-kept", "/schools/hollybank/settings/keys"},
	{"calendar-set", "/schools/hollybank/settings/calendar?year=2028&done=set"},
	{"retention-set", "/schools/hollybank/settings/retention?done=set"},
	{"notices-set", "/schools/hollybank/settings/notices?done=tested"},
}

func TestSettingsHaveNoBarriers(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	signInAs(t, ctx, base, "administrator everywhere")
	for _, p := range settingPictures {
		t.Run(p.name, func(t *testing.T) { lookAt(t, ctx, base, p.name, p.path) })
	}
}
