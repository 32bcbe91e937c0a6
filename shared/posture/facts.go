package posture

// Facts is everything that one assessment read from a device. Each field is
// one section of a report, with a retention class of its own.
type Facts struct {
	System      Answer[System]      `json:"system"` // one item
	Volumes     Answer[Volume]      `json:"volumes"`
	Antivirus   Answer[Antivirus]   `json:"antivirus"`
	Media       Answer[Medium]      `json:"media"`
	MediaEvents Answer[MediumEvent] `json:"mediaEvents"` // since the report before
	Programs    Answer[Program]     `json:"programs"`
	Executables Answer[Executable]  `json:"executables"`
	Scripts     Answer[Tally]       `json:"scripts"`
	Security    Answer[Security]    `json:"security"` // one item
}
