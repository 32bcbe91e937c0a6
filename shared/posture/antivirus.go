package posture

import "time"

// Antivirus is one installed antivirus product.
type Antivirus struct {
	Product       string             `json:"product"` // stable identifier, such as "clamav"
	Name          string             `json:"name"`    // for people, such as "ClamAV"
	Version       Reading[string]    `json:"version"`
	On            Reading[bool]      `json:"on"`            // its engine or service is running
	RealTime      Reading[bool]      `json:"realTime"`      // it looks at files as they are opened
	Expired       Reading[bool]      `json:"expired"`       // its licence or subscription has ended
	Updating      Reading[bool]      `json:"updating"`      // its updater is set to run by itself
	Definitions   Reading[string]    `json:"definitions"`   // version of the definitions
	DefinitionsAt Reading[time.Time] `json:"definitionsAt"` // when the definitions were made, by their maker's clock

	// What only some systems tell; "not asked" on the others.
	Undated bool          `json:"undated,omitempty"` // it never tells when its definitions were made, only whether they are current
	Current Reading[bool] `json:"current,omitzero"`  // the product or the system says that its definitions are up to date
	Passive Reading[bool] `json:"passive,omitzero"`  // it looks on and leaves protection to another product
}
