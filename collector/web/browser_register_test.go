package web

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// registerPages are the pages about what the school itself keeps, as whoever keeps
// it sees them.
var registerPages = []struct{ name, path string }{
	{"sheet", "/schools/hollybank/devices/sheet"},
	{"sheet-group", "/schools/hollybank/devices/sheet?group=Year+4+trolley"},
	{"devices-columns", "/schools/hollybank/devices?columns=rules,heard,whose,system,enrolled,agent,policy&done=view"},
	{"register", atRegister},
	{"register-none", atRegister + "?q=zzz"},
	{"register-asset", atRegister + "/assets/HB-LT-014"},
	{"register-asset-free", atRegister + "/assets/HB-LT-031?done=hand-back"},
	{"register-asset-over", atRegister + "/assets/HB-LT-022"},
	{"register-not", atRegister + "/not-registered"},
	{"register-new", atRegister + "/new?host=hb-lt-023"},
	{"register-allocation", atRegister + "/assets/HB-LT-031/allocation"},
	{"register-leavers", atRegister + "/leavers"},
	{"register-checklist", atRegister + "/assets/HB-LT-030/checklist"},
	{"register-import", atRegister + "/import"},
	{"register-media", atRegister + "/media"},
	{"register-medium", atRegister + "/media/M-031"},
	{"register-found", atRegister + "/found"},
	{"register-found-wrong", atRegister + "/found?number=M-999&found-day=today"},
	{"register-licences", atRegister + "/licences"},
	{"register-licence", atRegister + "/licences/sketch%20studio"},
	{"register-uses", atRegister + "/rules-of-use"},
	{"register-notices", atRegister + "/guest-notices"},
}

func TestRegisterPagesHaveNoBarriers(t *testing.T) {
	ctx := startBrowser(t)
	base := serve(t)
	signInAs(t, ctx, base, "technician everywhere")
	for _, p := range registerPages {
		t.Run(p.name, func(t *testing.T) { lookAt(t, ctx, base, p.name, p.path) })
	}
}

// TestAFormIsFilledInByKeyboard in a browser: what is wrong is told where it is, the
// list of what is wrong leads there, and what was typed stays.
func TestAFormIsFilledInByKeyboard(t *testing.T) {
	ctx, cancel := context.WithTimeout(startBrowser(t), time.Minute)
	defer cancel()
	base := serve(t)
	signInAs(t, ctx, base, "technician everywhere")
	goTo(t, ctx, base+atRegister+"/assets/HB-LT-031/allocation")
	press(t, ctx, "#condition", "A dent\r")
	until(t, ctx, "what is wrong is told", `document.querySelector(".govuk-error-summary a[href='#role']") !== null`)
	if eval[string](t, ctx, `document.querySelector("#condition").value`) != "A dent" {
		t.Error("what was typed is lost")
	}
	if !eval[bool](t, ctx, `document.getElementById(document.querySelector("#role").getAttribute("aria-describedby").split(" ").pop()).textContent.includes("Say for which role")`) {
		t.Error("the field does not say what is wrong with it")
	}
	press(t, ctx, "#role", "Deputy head\r")
	until(t, ctx, "it is recorded", `document.querySelector(".ct-done")?.textContent.includes("Recorded") ?? false`)
}

func goTo(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
}

// press types into a field.
func press(t *testing.T, ctx context.Context, field, keys string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(field), keys)); err != nil {
		t.Fatal(err)
	}
}
