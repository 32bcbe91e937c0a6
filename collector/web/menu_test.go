package web

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	menuIn  = regexp.MustCompile(`(?s)<nav class="ct-menu".*?</nav>`)
	linkIn  = regexp.MustCompile(`<a class="ct-menu__link" href="([^"]*)"( aria-current="true")?>([^<]*)</a>`)
	moreIn  = regexp.MustCompile(`<summary class="ct-menu__link"( data-here)?>([^<]*)</summary>`)
	listsIn = regexp.MustCompile(`(?s)<ul class="ct-menu__list.*?</ul>`)
)

// menuLists are the links of each list of a page's menu.
func menuLists(t *testing.T, c *client, path string) (lists [][]string, current []string, more string) {
	t.Helper()
	nav := menuIn.FindString(c.get(path).Body.String())
	for _, list := range listsIn.FindAllString(nav, -1) {
		var words []string
		for _, link := range linkIn.FindAllStringSubmatch(list, -1) {
			words = append(words, link[3])
			if link[2] != "" {
				current = append(current, link[3])
			}
			if c.get(link[1]).Code != http.StatusOK && link[1] != "/" {
				t.Errorf("%s: the menu leads to %s, which is not to be had", path, link[1])
			}
		}
		lists = append(lists, words)
	}
	if m := moreIn.FindStringSubmatch(nav); m != nil {
		more = m[2]
	}
	return lists, current, more
}

// TestTrustsAreInTheMenuOfWhomTheyConcern: whoever keeps a trust's baseline finds
// it on every page, and nobody else does.
func TestTrustsAreInTheMenuOfWhomTheyConcern(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for role, has := range map[string]bool{"network-manager": true, "technician": false, "dpo": false, "head": false} {
		lists, _, _ := menuLists(t, newClient(t, h, role), "/schools/hollybank")
		if slices.Contains(slices.Concat(lists...), "Trusts") != has {
			t.Errorf("%s: the menu is %q", role, lists)
		}
	}
	if _, current, more := menuLists(t, newClient(t, h, "network-manager"), "/trusts"); !slices.Contains(current, "Trusts") || more != "More: Trusts" {
		t.Errorf("at the trusts current is %q, and what is folded is called %q", current, more)
	}
}

// TestSeniorsFindTheirKeysInSettings, and are told while there are not two.
func TestSeniorsFindTheirKeysInSettings(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	head := newClient(t, h, "head")
	head.want("/schools/hollybank/settings", http.StatusOK, "Seniors’ keys", "restricted")
	if page := head.get("/schools/hollybank/settings").Body.String(); !strings.Contains(page, `href="/schools/hollybank/restricted"`) {
		t.Error("no link leads there")
	}
	if text := newClient(t, h, "technician").want("/schools/hollybank/settings", http.StatusOK); strings.Contains(text, "Seniors’ keys") {
		t.Error("a technician is led to what is closed to them")
	}
}

// TestMenuLeadsWhereARoleMayGo and says where one is, also of what is folded
// away on a phone; what is folded away is the row below, to the word.
func TestMenuLeadsWhereARoleMayGo(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for role, lacks := range map[string]string{"technician": "", "dpo": "", "governor": "Devices Settings", "head": ""} {
		c := newClient(t, h, role)
		home := "/schools/hollybank"
		if role == "governor" {
			home += "/terms"
		}
		lists, _, more := menuLists(t, c, home)
		if len(lists) != 3 || !slices.Equal(lists[1], lists[2]) {
			t.Fatalf("%s: got lists %q", role, lists)
		}
		all := strings.Join(slices.Concat(lists...), " ")
		for _, word := range strings.Fields(lacks) {
			if strings.Contains(all, word) {
				t.Errorf("%s: the menu holds %s", role, word)
			}
		}
		if role == "governor" {
			continue
		}
		if more != "More" {
			t.Errorf("%s: what is folded is called %q", role, more)
		}
		_, current, more := menuLists(t, c, "/schools/hollybank/settings")
		if !slices.Equal(current, []string{"Settings", "Settings"}) || more != "More: Settings" {
			t.Errorf("%s at settings: current is %q, and what is folded is called %q", role, current, more)
		}
		if _, current, _ := menuLists(t, c, "/schools/hollybank/devices/d-014"); !slices.Equal(current, []string{"Devices"}) {
			t.Errorf("%s at a laptop: current is %q", role, current)
		}
	}
}
