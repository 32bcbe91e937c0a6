package web

import (
	"fmt"
	"strings"
	"testing"
)

// TestAPictureIsDarkWhereItMustBe: the rings in three corners by which a camera
// finds a code, with the quiet edge around it.
func TestAPictureIsDarkWhereItMustBe(t *testing.T) {
	p, err := draw("otpauth://totp/Caretaker:Head?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Caretaker")
	if err != nil {
		t.Fatal(err)
	}
	const rings = "#######\n#.....#\n#.###.#\n#.###.#\n#.###.#\n#.....#\n#######"
	far := p.Size - 4 - 7
	for _, corner := range [][2]int{{4, 4}, {far, 4}, {4, far}} {
		for y, row := range strings.Split(rings, "\n") {
			for x, want := range row {
				dark := strings.Contains(p.Path, fmt.Sprintf("M%d %dh1v1h-1z", corner[0]+x, corner[1]+y))
				if dark != (want == '#') {
					t.Errorf("at %d, %d: dark %v", corner[0]+x, corner[1]+y, dark)
				}
			}
		}
	}
	for i := range p.Size {
		for _, edge := range []int{0, 3, p.Size - 4, p.Size - 1} {
			if strings.Contains(p.Path, fmt.Sprintf("M%d %dh", i, edge)) || strings.Contains(p.Path, fmt.Sprintf("M%d %dh", edge, i)) {
				t.Errorf("the edge is dark at %d, %d", i, edge)
			}
		}
	}
}
