package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// syft gives the program, building it first when it is not in the test cache. Without SELLO_JUDGES=1 the test is skipped.
func syft(t *testing.T) string {
	t.Helper()
	if os.Getenv("SELLO_JUDGES") != "1" {
		t.Skip("set SELLO_JUDGES=1 to compare with syft")
	}
	out, err := exec.Command(filepath.Join("..", "..", "scripts", "tool"), "syft").Output()
	if err != nil {
		t.Fatalf("build syft: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestPackagesAreThoseOfSyft compares package URLs with those of another reader of the same databases.
func TestPackagesAreThoseOfSyft(t *testing.T) {
	t.Parallel()
	program := syft(t)
	for name, files := range map[string]map[string]string{
		"deb":        {"etc/os-release": osRelease, "var/lib/dpkg/status": dpkgStatus},
		"distroless": {"etc/os-release": osRelease, "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4+deb12u11\nArchitecture: amd64\n"},
		"apk":        {"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "lib/apk/db/installed": apkInstalled},
		"rpm":        {"etc/os-release": "ID=fedora\nVERSION_ID=42\n", rpmdb: string(rpmDatabase(t))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for path, content := range files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			packages, _, err := scan(files, false)
			if err != nil {
				t.Fatal(err)
			}
			in := images(t)[0]
			in.Packages, in.BaseBinaries, in.Binaries = packages, nil, nil
			var got []string
			for _, p := range read(t, forImage(t, in)).Packages {
				if purl := reference(p, "purl"); purl != "" && !strings.HasPrefix(purl, "pkg:oci/") {
					got = append(got, purl)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(purlsOfSyft(t, program, root), got); diff != "" {
				t.Errorf("packages (-syft +document):\n%s", diff)
			}
		})
	}
}

func purlsOfSyft(t *testing.T, program, root string) []string {
	t.Helper()
	cmd := exec.Command(program, "scan", "dir:"+root, "-o", "json", "-q")
	cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false", "HOME="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("syft: %v\n%s", err, stderr.String())
	}
	var report struct {
		Artifacts []struct{ Purl string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, a := range report.Artifacts {
		purls = append(purls, a.Purl)
	}
	slices.Sort(purls)
	return purls
}
