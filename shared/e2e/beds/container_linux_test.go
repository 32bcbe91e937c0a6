package beds

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// image is the collector's container, as its archive has it.
type image struct {
	files  map[string][]byte // of the archive
	config struct {
		Architecture string `json:"architecture"`
		Config       struct {
			User       string
			Entrypoint []string
			Cmd        []string
			Volumes    map[string]struct{}
		} `json:"config"`
	}
	layers []string // their places in the archive
}

// readImage reads an OCI archive by itself: what a registry would be given.
func readImage(t *testing.T, file string) image {
	t.Helper()
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	i := image{files: map[string][]byte{}}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		i.files[path.Clean(h.Name)], err = io.ReadAll(r)
		must(t, err)
	}
	type reference struct{ Digest string }
	var index struct{ Manifests []reference }
	must(t, json.Unmarshal(i.files["index.json"], &index))
	if len(index.Manifests) != 1 {
		t.Fatalf("the archive has %d images", len(index.Manifests))
	}
	blob := func(r reference) string { return "blobs/" + strings.ReplaceAll(r.Digest, ":", "/") }
	var manifest struct {
		Config reference
		Layers []reference
	}
	must(t, json.Unmarshal(i.files[blob(index.Manifests[0])], &manifest))
	must(t, json.Unmarshal(i.files[blob(manifest.Config)], &i.config))
	for _, l := range manifest.Layers {
		i.layers = append(i.layers, blob(l))
	}
	return i
}

// TestTheCollectorsContainer: the container that installers/linux/container builds is
// one program with no shell, and runs as its own user on a root that nobody can
// write, with its record in the one folder that is given to it. It is run in
// namespaces of this machine: what a runtime adds is left out.
func TestTheCollectorsContainer(t *testing.T) {
	needBeds(t)
	root, err := filepath.Abs("../../..")
	must(t, err)
	dist := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dist, "linux-amd64"), 0o755))
	run := func(name string, arguments ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, arguments...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("go", "build", "-trimpath", "-o", filepath.Join(dist, "linux-amd64", "caretaker-collector"), "./collector")
	run("installers/linux/container/build.sh", dist, "v1.0.0")
	i := readImage(t, filepath.Join(dist, "caretaker-collector-1.0.0-amd64.oci.tar"))
	const data = "/var/lib/caretaker-collector"
	c := i.config.Config
	if _, ok := c.Volumes[data]; !ok || c.User != "7443:7443" || !slices.Equal(c.Entrypoint, []string{"/caretaker-collector"}) || !slices.Equal(c.Cmd, []string{"serve"}) {
		t.Fatalf("the image says %+v", c)
	}
	tree := t.TempDir()
	for _, layer := range i.layers {
		packed := filepath.Join(t.TempDir(), "layer") // a file: tar sees by itself how it is compressed
		must(t, os.WriteFile(packed, i.files[layer], 0o600))
		unpack := exec.CommandContext(t.Context(), "tar", "--extract", "--file", packed, "--directory", tree)
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("unpack a layer: %v: %s", err, out)
		}
	}
	script, err := filepath.Abs("scripts/container.sh")
	must(t, err)
	inside := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--net", "--kill-child", "sh", script, tree)
	out, err := inside.CombinedOutput()
	t.Logf("%s", out)
	must(t, err)
	cannot(t, "a container's runtime: its own rights, networks and limits")
}
