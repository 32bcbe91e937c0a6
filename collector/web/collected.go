package web

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
)

//go:generate go test . -run TestWhatIsCollectedIsTheFieldList -update

// fieldList is shared/docs/fields.md, which is made from the messages that a
// laptop can send, without what only carries them.
//
//go:embed collected.json
var fieldList []byte

// collectedSection is one kind of fact that laptops report.
type collectedSection struct {
	Section string          `json:"section"`
	Parts   []collectedPart `json:"parts"`
	Title   string          `json:"-"`
	Words   string          `json:"-"`
	Fields  int             `json:"-"` // in all of its parts
}

// collectedPart is what is told of each thing of a kind.
type collectedPart struct {
	About  string           `json:"about"`
	Fields []collectedField `json:"fields"`
}

// collectedField is one thing that is told, and what for.
type collectedField struct {
	What    string `json:"what"`
	Purpose string `json:"purpose"`
}

// collectedWords says of each section in plain words what it holds and what it
// does not. A section without words fails New: nothing is collected of which
// the page does not speak.
var collectedWords = map[string][2]string{
	"System":      {"The computer", "Its host name, maker and model, and the version of its operating system."},
	"Encryption":  {"Encryption", "For each disk: whether it is encrypted, how, and whether its key is protected. Never a key."},
	"Antivirus":   {"Antivirus", "Which product is installed, whether it runs, and how old its definitions are."},
	"Media":       {"Removable media", "Which stick, card or disc is attached, its maker and size, and whether it is encrypted. Its serial number only as a code that can be compared and not read back. Never what is on it."},
	"MediaEvents": {"Media that came and went", "That a stick, card or disc was plugged in or taken out, and when."},
	"Programs":    {"Installed programs", "What the system's own list of programs says: name, version and publisher."},
	"Executables": {"Programs in people's folders", "The product's own name, who signed it, a fingerprint of it, and the kind of place alone, such as \u201cDownloads\u201d. Never the name of a file or folder, and never a document. Scripts are counted and not read."},
	"Security":    {"Security", "Updates that wait, the firewall, the screen lock, whether every account has a password, how many accounts can administer the laptop, and how many threats the antivirus has not dealt with. Not whose accounts, and not which files."},
	"Findings":    {"What the rules make of it", "For each rule of the school's policy whether these facts meet it, and if not, why."},
}

func loadCollected() ([]collectedSection, error) {
	var sections []collectedSection
	if err := json.Unmarshal(fieldList, &sections); err != nil {
		return nil, fmt.Errorf("read the list of what is collected: %w", err)
	}
	for i := range sections {
		s := &sections[i]
		words, ok := collectedWords[s.Section]
		if !ok {
			return nil, fmt.Errorf("the page of what is collected has no words for %q", s.Section)
		}
		s.Title, s.Words = words[0], words[1]
		for _, p := range s.Parts {
			s.Fields += len(p.Fields)
		}
	}
	return sections, nil
}

// collectedAddress is where whoever visits reads what the school can see: with the
// menu of the school that they are at.
func collectedAddress(v visit) string {
	const page = "/what-is-collected"
	if v.school.ID != "" && v.account.May(v.school.ID, access.ReadPrivacy) {
		return schoolAddress(v.school.ID) + page
	}
	return page
}

// collected is the page that anyone may read: all that a laptop can tell.
func (s *site) collected(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.write(w, http.StatusOK, "collected", s.page(v, "What the school can see", "collected"), s.fields)
}
