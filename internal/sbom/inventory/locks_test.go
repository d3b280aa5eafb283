package inventory_test

import (
	"path/filepath"
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
