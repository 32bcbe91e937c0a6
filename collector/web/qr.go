package web

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// qrPicture is a code that a camera reads, as squares of a path.
type qrPicture struct {
	Size int
	Path string
}

// draw makes the picture of a text that a camera reads.
func draw(text string) (qrPicture, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return qrPicture{}, fmt.Errorf("draw a code: %w", err)
	}
	const quiet = 4 // squares around it that must stay light
	box := code.Bounds()
	var path strings.Builder
	for y := range box.Dy() {
		for x := range box.Dx() {
			if r, _, _, _ := code.At(box.Min.X+x, box.Min.Y+y).RGBA(); r == 0 {
				path.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	return qrPicture{Size: box.Dx() + 2*quiet, Path: path.String()}, nil
}
