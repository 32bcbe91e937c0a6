package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets/*.css assets/*.js assets/*.woff2 assets/*.svg
var assetFiles embed.FS

// assets are the files that pages refer to. They are served under an address
// that holds a hash of them all, so that browsers may keep them for good.
type assets struct {
	set   string
	files map[string]assetFile
}

type assetFile struct {
	kind string
	data []byte
	gzip []byte // nil if it would not be smaller
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]assetFile{}}
	sum := sha256.New()
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("read the assets of the pages: %w", err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(assetFiles, path.Join("assets", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the assets of the pages: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n", e.Name(), len(data))
		sum.Write(data)
		a.files[e.Name()] = assetFile{kind: kindOf(e.Name()), data: data, gzip: squeezed(data)}
	}
	a.set = hex.EncodeToString(sum.Sum(nil))[:16]
	return a, nil
}

func kindOf(name string) string {
	if strings.HasSuffix(name, ".woff2") {
		return "font/woff2"
	}
	if strings.HasSuffix(name, ".js") {
		return "text/javascript; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func squeezed(data []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := z.Write(data); err != nil || z.Close() != nil || b.Len() > len(data)*9/10 {
		return nil
	}
	return b.Bytes()
}

// address returns where a file of the assets is served.
func (a *assets) address(name string) string { return "/assets/" + a.set + "/" + name }

func (s *site) asset(w http.ResponseWriter, r *http.Request, _ visit) error {
	f, ok := s.assets.files[r.PathValue("file")]
	if !ok || r.PathValue("set") != s.assets.set {
		return errNoPage
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Add("Vary", "Accept-Encoding")
	data := f.data
	if f.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		data = f.gzip
	}
	_, err := w.Write(data)
	return err
}
