package posture

// Program is one program that the system's own package managers know.
type Program struct {
	// Source is "dpkg", "rpm", "flatpak", "snap" or "appimage"; "windows" for
	// what Windows lists as installed, "store" for its packaged apps; "app" for
	// an application bundle of macOS, "homebrew" for a formula or cask.
	Source       string          `json:"source"`
	Name         string          `json:"name"`
	Version      string          `json:"version"`
	Publisher    string          `json:"publisher,omitempty"` // as the program names it
	Architecture string          `json:"architecture,omitempty"`
	Signer       Reading[string] `json:"signer,omitzero"` // whoever is named in its signature, which was not checked; "" if unsigned; not asked where packages are signed as a whole
}

// Location is the class of a place where an executable was found. It is all
// that is ever said about where.
type Location string

// The classes of location.
const (
	Home      Location = "home" // anywhere in a person's folder that has no class of its own
	OnDesktop Location = "desktop"
	Downloads Location = "downloads"
	Documents Location = "documents"
	Temp      Location = "temp"
	OnMedia   Location = "media"
)

// Format is the kind of an executable file, told by its content.
type Format string

// The formats that are recognised.
const (
	ELF      Format = "elf"
	PE       Format = "pe"
	MachO    Format = "mach-o"
	AppImage Format = "appimage"
	Script   Format = "script" // begins with #!
	JAR      Format = "jar"
)

// SignatureState is how far an executable's signature was followed.
type SignatureState string

// The states of a signature.
const (
	Unsigned       SignatureState = "unsigned"
	SignedUnproven SignatureState = "unproven" // carries a signature that this system cannot check
	SignedValid    SignatureState = "valid"
	SignedInvalid  SignatureState = "invalid"
)

// Executable is an executable file found in people's folders or on media. Two
// files with the same content in the same class of place are one Executable.
type Executable struct {
	Location  Location                `json:"location"`
	Format    Format                  `json:"format"`
	SHA256    Reading[string]         `json:"sha256"`  // 64 hexadecimal digits
	Product   Reading[string]         `json:"product"` // as embedded in the file; "" if none; withheld (NotVisible) on personal-use devices
	Version   Reading[string]         `json:"version"`
	Signature Reading[SignatureState] `json:"signature"`
	Signer    Reading[string]         `json:"signer"` // "" if unsigned
}

// Tally counts files that are counted and never hashed.
type Tally struct {
	Location Location `json:"location"`
	Format   Format   `json:"format"` // Script or JAR
	Count    int      `json:"count"`
}
