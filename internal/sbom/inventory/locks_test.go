package inventory_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockFiles(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{
		"package-lock.json":                `{"name":"x","lockfileVersion":3,"packages":{"":{"name":"x"},"node_modules/@scope/left":{"version":"1.0.0"},"node_modules/pad":{"version":"2.0.0","dev":true}}}`,
		"rust/Cargo.lock":                  "version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.200\"\n",
		"py/requirements.txt":              "Some_Package==1.5\n-r more.txt\n-r ../../../../../etc/passwd\n",
		"py/more.txt":                      "other==2.0\n",
		"py/poetry.lock":                   "[[package]]\nname = \"attrs\"\nversion = \"23.1.0\"\n",
		"java/pom.xml":                     "<project><dependencies><dependency><groupId>org.example</groupId><artifactId>lib</artifactId><version>1.2</version></dependency></dependencies></project>",
		"bad/Cargo.lock":                   "this is no TOML",
		"node_modules/a/package-lock.json": "{",
	})
	doc := described(t, dir)
	name := filepath.Base(dir)
	has(t, doc, name+" DEPENDS_ON @scope/left", name+" DEPENDS_ON pad", name+" DEPENDS_ON serde", name+" DEPENDS_ON attrs", name+" DEPENDS_ON org.example:lib",
		"note "+name+": bad/Cargo.lock cannot be read whole, and packages may be missing here: …", "note "+name+": package-lock.json names packages; which of them needs which is not described",
		"note "+name+": py/requirements.txt cannot be read whole…")
	for pkg, purl := range map[string]string{"@scope/left": "pkg:npm/%40scope/left@1.0.0", "serde": "pkg:cargo/serde@1.0.200", "attrs": "pkg:pypi/attrs@23.1.0", "org.example:lib": "pkg:maven/org.example/lib@1.2"} {
		if got := packageNamed(t, doc, pkg).PURL; got != purl {
			t.Errorf("%s is %s", pkg, got)
		}
	}
}

// TestLockFilesSayMore holds packages to what npm's and Cargo's lock files say of them: where they are from, their sums, their licence.
func TestLockFilesSayMore(t *testing.T) {
	t.Parallel()
	sum := sha512.Sum512([]byte("left"))
	sri := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	dir := place(t, map[string]string{
		"package-lock.json": `{"name":"x","lockfileVersion":3,"packages":{"":{"name":"x"},
			"node_modules/left":{"version":"1.0.0","resolved":"https://registry.example/left-1.0.0.tgz","integrity":"` + sri + `","license":"MIT"},
			"node_modules/other/node_modules/left":{"version":"2.0.0","resolved":"file:../left","integrity":"sha512-short","license":"SEE LICENSE IN COPYING"},
			"node_modules/other":{"version":"3.0.0","resolved":"https://registry.example/other","integrity":"md5-AAAA","license":{"type":"MIT"}}}}`,
		"Cargo.lock": "version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.200\"\nchecksum = \"" + strings.Repeat("ab", 32) + "\"\n\n[[package]]\nname = \"odd\"\nversion = \"1.0.0\"\nchecksum = \"no sum\"\n",
	})
	for _, p := range described(t, dir).Packages {
		got := fmt.Sprint(p.Download, " ", p.License.Declared, " ", p.Checksums)
		want, ok := map[string]string{"left 1.0.0": "https://registry.example/left-1.0.0.tgz MIT [{SHA512 " + hex.EncodeToString(sum[:]) + "}]", "left 2.0.0": "  []",
			"other 3.0.0": "https://registry.example/other  []", "serde 1.0.200": "  [{SHA256 " + strings.Repeat("ab", 32) + "}]", "odd 1.0.0": "  []"}[p.Name+" "+p.Version]
		if ok && got != want {
			t.Errorf("%s %s: %s, want %s", p.Name, p.Version, got, want)
		}
	}
}

// FuzzLockFile describes a folder with any lock file.
func FuzzLockFile(f *testing.F) {
	for i, text := range []string{"{\"lockfileVersion\":3,\"packages\":{}}", "[[package]]\nname = \"a\"\n", "a==1\n-r b\n", "<project/>", "lockfileVersion: '6.0'\n", "# yarn lockfile v1\n\na@^1:\n  version \"1\"\n"} {
		f.Add(text, byte(i))
	}
	names := []string{"package-lock.json", "Cargo.lock", "requirements.txt", "pom.xml", "pnpm-lock.yaml", "yarn.lock", "poetry.lock", "Gemfile.lock", "composer.lock", "gradle.lockfile"}
	f.Fuzz(func(t *testing.T, text string, kind byte) {
		described(t, place(t, map[string]string{names[int(kind)%len(names)]: text}))
	})
}
