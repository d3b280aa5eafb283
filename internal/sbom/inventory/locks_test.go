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
		"note "+name+": bad/Cargo.lock cannot be read whole, and packages may be missing here: …", "note "+name+": Which of the packages of lock files needs which is not described: java/pom.xml, package-lock.json, py/poetry.lock, rust/Cargo.lock",
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

// TestWhatIsNotPinned describes requirements that name no version, and packages that come from elsewhere.
func TestWhatIsNotPinned(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{
		"requirements.txt": "numpy===1.0; sys_platform==\"win32\"\nfoo @ https://x.example/foo-1.2.tar.gz\nrequests[socks]>=2.0,<3 # why\nflask == 2.3.1 \\\n    --hash=sha256:00\nwild==1.*\nanything\n" +
			"-e git+https://x.example/eggy@main#egg=eggy\n--editable ./here\n-c limits.txt\n--index-url https://x.example/simple\n-r other/more.txt\nhttps://x.example/nameless.whl\nGood.Name_x==1\nx==1,==2\n",
		"other/more.txt": "included==4 ; python_version < '3.9'\n-r ../requirements.txt\n",
	})
	doc := described(t, dir)
	for name, want := range map[string][3]string{ // version, package URL, comment and where from
		"numpy": {"1.0", "pkg:pypi/numpy@1.0", ""}, "foo": {"", "", "taken from https://x.example/foo-1.2.tar.gz"}, "requests": {"", "pkg:pypi/requests", "No version is pinned; asked for: >=2.0,<3"},
		"flask": {"2.3.1", "pkg:pypi/flask@2.3.1", ""}, "wild": {"", "pkg:pypi/wild", "No version is pinned; asked for: ==1.*"}, "anything": {"", "pkg:pypi/anything", "No version is pinned; asked for: any version"},
		"eggy": {"", "", "taken from git+https://x.example/eggy@main"}, "included": {"4", "pkg:pypi/included@4", ""}, "good-name-x": {"1", "pkg:pypi/good-name-x@1", ""}, "x": {"", "pkg:pypi/x", "No version is pinned; asked for: ==1,==2"},
	} {
		p := packageNamed(t, doc, name)
		if got := [3]string{p.Version, p.PURL, p.Comment + p.SourceInfo}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	root := filepath.Base(dir)
	has(t, doc, "note "+root+": requirements.txt constraints are not read: limits.txt", "note "+root+": requirements.txt names something by its place alone, which is not described: ./here",
		"note "+root+": requirements.txt names something by its place alone, which is not described: https://x.example/nameless.whl")
}

// TestPnpm reads three formats of pnpm, with peers behind versions.
func TestPnpm(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"5": "lockfileVersion: 5.4\npackages:\n  /lodash/4.17.20_peer@1:\n    dev: true\n  /@s/n/1.0.0-rc.1:\n    resolution: {integrity: x}\n",
		"6": "lockfileVersion: '6.0'\npackages:\n  /lodash@4.17.20(@babel/core@7.0.0):\n    dev: true\n  /lodash@4.17.20(peer@2):\n    dev: true\n  /@s/n@1.0.0-rc.1(react@18.0.0):\n    resolution: {integrity: x}\n",
		"9": "lockfileVersion: '9.0'\npackages:\n  lodash@4.17.20(peer@1):\n    dev: true\n  '@s/n@1.0.0-rc.1':\n    resolution: {integrity: x}\n  far@https://x.example/far.tgz:\n    version: 2.0.0\n",
	} {
		doc := described(t, place(t, map[string]string{"pnpm-lock.yaml": text}))
		if p := packageNamed(t, doc, "lodash"); p.Version != "4.17.20" || p.PURL != "pkg:npm/lodash@4.17.20" {
			t.Errorf("%s: %+v", name, p)
		}
		if p := packageNamed(t, doc, "@s/n"); p.Version != "1.0.0-rc.1" || p.PURL != "pkg:npm/%40s/n@1.0.0-rc.1" {
			t.Errorf("%s: %+v", name, p)
		}
		if name == "9" {
			if p := packageNamed(t, doc, "far"); p.Version != "2.0.0" || p.PURL != "" || p.Download != "https://x.example/far.tgz" {
				t.Errorf("%+v", p)
			}
		}
	}
}

// TestNpmLinks has a workspace's package once, and says what is not read.
func TestNpmLinks(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{
		"package-lock.json": `{"lockfileVersion":3,"packages":{"":{"name":"x"},"node_modules/own":{"resolved":"packages/own","link":true},"packages/own":{"version":"1.0.0"}}}`,
		"package.json":      "{}", "packages/own/package.json": "{}", "node_modules/a/package.json": "{}",
		"py/uv.lock": "version = 1\n", "py/pyproject.toml": "", "web/package.json": "{}", "alone/pyproject.toml": "",
		"vendor/a/package.json": "{}",
	})
	doc := described(t, dir)
	if p := packageNamed(t, doc, "own"); p.Version != "1.0.0" {
		t.Errorf("%+v", p)
	}
	count := 0
	for _, p := range doc.Packages {
		if p.Name == "own" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d packages of one", count)
	}
	name := filepath.Base(dir)
	has(t, doc, "note "+name+": Lock files that are not read, so that packages are missing here: py/uv.lock", "note "+name+": What is asked for is not described where no lock file tells what is used: alone/pyproject.toml",
		"note "+name+": Installed packages are described by lock files alone; not read below node_modules: 1 package.json")
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
