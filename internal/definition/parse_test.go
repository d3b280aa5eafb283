package definition_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

const (
	commit = "5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"
	digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

const minimal = `project: age
source: https://github.com/FiloSottile/age
builds:
  - go: {packages: [./cmd/...]}
`

const full = `# yaml-language-server: $schema=https://github.com/sello-release/sello/raw/main/schema/sello.schema.json
project: age
source: https://github.com/FiloSottile/age
branch: release-*
staging: ./.sello/staging
production: file:///srv/releases
builds:
  - name: age
    go:
      dir: .
      packages: [., ./cmd/age, ./cmd/age-keygen]
      platforms: [linux/amd64, linux/amd64/v3, linux/arm/v7, windows/amd64, freebsd/amd64]
      toolchain: go1.26.8
      ldflags: -s -w -X main.Version={{ .Version }} -X 'main.When={{.CommitTime}} {{ .Commit }}'
      gcflags: -l
      tags: [netgo, osusergo]
      env: {CGO_ENABLED: 0, GOEXPERIMENT: nosynchashtriemap, GOWORK: "off"}
  - name: plugins
    go: {dir: plugins/age, packages: [./...], toolchain: local}
archives:
  - {name: "{{ .Project }}-{{ .Version }}-{{ .OS }}-{{ .Arch }}{{ .Variant }}", builds: [age], files: [LICENSE, doc/*.1], format: tar.gz, windows: zip}
  - {name: "plugins-{{ .Version }}-{{ .OS }}-{{ .Arch }}", builds: [plugins]}
source-archive: false
policy:
  sign-offs: {manager: 2, rebuilt: 1, valid-for: 240h}
  evidence: [provenance]
  level: 3
  inputs:
    - {match: registry.example/base/*, policy: policies/base.yaml, evidence: [inputs/base.jsonl], mode: require}
    - {match: "*", policy: policies/any.yaml, mode: warn}
tag: {prefix: age/, remote: origin}
`

func TestDefaults(t *testing.T) {
	t.Parallel()
	d, err := definition.Parse("sello.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := definition.Parse("sello.yaml", []byte(minimal))
	got := d.WithDefaults()
	yes := true
	want := &definition.Definition{
		Project: "age", Source: "https://github.com/FiloSottile/age", Branch: "main",
		Staging: "./.sello/staging", Production: "./.sello/production",
		Builds: []definition.Build{{Name: "age", Go: &definition.Go{
			Dir: ".", Packages: []string{"./cmd/..."}, Env: map[string]string{"CGO_ENABLED": "0"},
			Platforms: []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"},
		}}},
		Archives: []definition.Archive{{
			Name: "{{ .Project }}_{{ .Version }}_{{ .OS }}_{{ .Arch }}", Builds: []string{"age"},
			Files: []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "README*", "CHANGELOG*"}, Format: "tar.gz", Windows: "zip",
		}},
		SourceArchive: &yes,
		Policy:        definition.Policy{Evidence: []string{"provenance", "sbom"}, SignOffs: definition.SignOffs{ValidFor: "720h"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(got, got.WithDefaults()); diff != "" {
		t.Errorf("defaults of defaults differ: %s", diff)
	}
	got.Builds[0].Go.Env["X"], got.Builds[0].Go.Packages[0], got.Archives[0].Files[0] = "y", "z", "z"
	if diff := cmp.Diff(before, d); diff != "" {
		t.Errorf("the copy shares memory: %s", diff)
	}
	if definition.DefaultFiles[0] != "LICENSE*" {
		t.Error("a default was changed through a copy")
	}
}

func TestWhatIsWrittenStays(t *testing.T) {
	t.Parallel()
	d, err := definition.Parse("sello.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	f := d.WithDefaults()
	if f.Branch != "release-*" || *f.SourceArchive || f.Policy.SignOffs.ValidFor != "240h" || len(f.Policy.Evidence) != 1 || len(f.Archives) != 2 {
		t.Errorf("%+v", f)
	}
	if got := f.ArchivePlatforms(f.Archives[0]); len(got) != 5 || got[2].String() != "linux/arm/v7" {
		t.Errorf("platforms of the first archive: %v", got)
	}
}

func TestVariantsGetTheirOwnName(t *testing.T) {
	t.Parallel()
	d, err := definition.Parse("sello.yaml", []byte(strings.Replace(minimal, "[./cmd/...]", "[.], platforms: [linux/arm/v6, linux/arm/v7]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	name := d.WithDefaults().Archives[0].Name
	got, err := definition.ExpandName(name, definition.Values{Project: "age", Version: "v1.0.0", OS: "linux", Arch: "arm", Variant: "v7"})
	if err != nil || got != "age_v1.0.0_linux_armv7" {
		t.Errorf("%q, %v", got, err)
	}
}

// refusals of a definition: edit is "old => new" on the least definition, or lines to append.
var refusals = map[string]struct{ edit, where, code, says string }{
	"unknown key":             {"archves: []", "5:1", "yaml-unknown-key", `did you mean "archives"`},
	"upper-case project":      {"age\n => Age\n", "1:10", "definition-name", "write age"},
	"project with a slash":    {"age\n => a/b\n", "1:10", "definition-name", ""},
	"project with dots":       {"age\n => a..b\n", "1:10", "definition-name", ""},
	"project as a device":     {"age\n => nul\n", "1:10", "definition-name", ""},
	"project too long":        {"age\n => " + strings.Repeat("a", 65) + "\n", "1:10", "definition-name", ""},
	"source over ssh":         {"https://github.com/FiloSottile/age => git@github.com:FiloSottile/age.git", "2:9", "definition-source", "write https://github.com/FiloSottile/age"},
	"source over ssh URL":     {"https://github.com/FiloSottile/age => ssh://git@github.com:22/FiloSottile/age.git", "2:9", "definition-source", "write https://github.com/FiloSottile/age"},
	"source over http":        {"https: => http:", "2:9", "definition-source", "write https://github"},
	"source as git+https":     {"https: => git+https:", "2:9", "definition-source", "write https://github"},
	"source with a password":  {"https:// => https://u:hunter2@", "2:9", "definition-source", "a user or password"},
	"source with a query":     {"FiloSottile/age => FiloSottile/age?x=1", "2:9", "definition-source", ""},
	"source with a fragment":  {"FiloSottile/age => FiloSottile/age#main", "2:9", "definition-source", ""},
	"source with dots":        {"FiloSottile/age => FiloSottile/../age", "2:9", "definition-source", ""},
	"source without a path":   {"/FiloSottile/age => /", "2:9", "definition-source", ""},
	"source without a host":   {"github.com/FiloSottile/age => /FiloSottile/age", "2:9", "definition-source", ""},
	"source is a folder":      {"https://github.com/FiloSottile/age => ../age", "2:9", "definition-source", ""},
	"bad module":              {"https://github.com/FiloSottile/age => pkg:golang/../x@v1.0.0", "2:9", "definition-source", ""},
	"module, short version":   {"https://github.com/FiloSottile/age => pkg:golang/filippo.io/age@v1.2", "2:9", "definition-source", "the whole version"},
	"module, latest":          {"https://github.com/FiloSottile/age => pkg:golang/filippo.io/age@latest", "2:9", "definition-source", ""},
	"module, wrong major":     {"https://github.com/FiloSottile/age => pkg:golang/filippo.io/age@v2.0.0", "2:9", "definition-source", ""},
	"repository beside git":   {"repository: https://github.com/x/y", "5:13", "definition-repository", "remove the key"},
	"bad repository":          {"https://github.com/FiloSottile/age => pkg:golang/filippo.io/age\nrepository: git@github.com:x/y", "3:13", "definition-source", ""},
	"branch with a space":     {"branch: a b", "5:9", "definition-branch", ""},
	"branch, star inside":     {"branch: a*b", "5:9", "definition-branch", ""},
	"branch with dots":        {"branch: a..b", "5:9", "definition-branch", ""},
	"branch as an option":     {"branch: -x", "5:9", "definition-branch", ""},
	"branch ends in a slash":  {"branch: a/", "5:9", "definition-branch", ""},
	"empty branch":            {`branch: ""`, "5:9", "definition-branch", ""},
	"ftp bucket":              {"staging: ftp://bucket", "5:10", "definition-bucket-scheme", "not supported"},
	"bucket with a path":      {"staging: s3://bucket/folder", "5:10", "definition-bucket", "prefix=folder/"},
	"bucket with a key":       {"staging: 's3://bucket?secret_access_key=hunter2'", "5:10", "definition-bucket", "credentials come from the environment"},
	"bucket with a user":      {"staging: s3://u:hunter2@bucket", "5:10", "definition-bucket", "credentials"},
	"one object store":        {"staging: s3://bucket\nproduction: 's3://bucket?region=x'", "6:13", "definition-bucket-overlap", ""},
	"bucket outside":          {"staging: ./../x", "5:10", "definition-bucket", ""},
	"absolute bucket":         {"staging: /srv/x", "5:10", "definition-bucket", "write file:///srv/x"},
	"bare bucket":             {"staging: srv/x", "5:10", "definition-bucket", "write ./srv/x"},
	"bucket with a host":      {"staging: file://host/x", "5:10", "definition-bucket", ""},
	"bucket with a query":     {"staging: file:///x?y", "5:10", "definition-bucket", ""},
	"bucket at the root":      {"staging: file:///", "5:10", "definition-bucket", ""},
	"one bucket for both":     {"staging: ./x\nproduction: ./x", "6:13", "definition-bucket-overlap", ""},
	"bucket in a bucket":      {"production: ./.sello/staging/x", "5:13", "definition-bucket-overlap", ""},
	"no builds":               {"builds:\n  - go: {packages: [./cmd/...]} => builds: []", "3:9", "definition-builds", ""},
	"no builder":              {"go: {packages: [./cmd/...]} => name: x", "4:5", "definition-builder", ""},
	"same build twice":        {"  - go: {packages: [.]}", "5:5", "definition-duplicate", "sello.yaml:4:5"},
	"same name twice":         {"  - {name: age, go: {packages: [.]}}", "5:12", "definition-duplicate", ""},
	"bad build name":          {"  - {name: A B, go: {packages: [.]}}", "5:12", "definition-name", "write a-b"},
	"absolute dir":            {"{packages => {dir: /x, packages", "4:15", "definition-path", ""},
	"dir outside":             {"{packages => {dir: ../x, packages", "4:15", "definition-path", ""},
	"dir with dots inside":    {"{packages => {dir: a/../b, packages", "4:15", "definition-path", ""},
	"dir with a backslash":    {`{packages => {dir: 'a\b', packages`, "4:15", "definition-path", ""},
	"no packages":             {"[./cmd/...] => []", "4:20", "definition-package", ""},
	"absolute package":        {"./cmd/... => /cmd", "4:21", "definition-package", ""},
	"package outside":         {"./cmd/... => ./../x", "4:21", "definition-package", ""},
	"package, dots inside":    {"./cmd/... => ./a/../../x", "4:21", "definition-package", ""},
	"package as an option":    {"./cmd/... => -toolexec=x", "4:21", "definition-package", ""},
	"package of elsewhere":    {"./cmd/... => example.org/x@latest", "4:21", "definition-package", ""},
	"bare package":            {"./cmd/... => cmd/age", "4:21", "definition-package", "write ./cmd/age"},
	"all packages":            {"./cmd/... => all", "4:21", "definition-package", ""},
	"same package twice":      {"./cmd/... => ., .", "4:24", "definition-duplicate", ""},
	"no platforms":            {"...] => ...], platforms: []", "4:44", "definition-platform", ""},
	"unknown platform":        {"...] => ...], platforms: [linux/amd46]", "4:45", "definition-platform", `did you mean "linux/amd64"`},
	"unknown variant":         {"...] => ...], platforms: [linux/arm/v8]", "4:45", "definition-platform", "one of v5, v6, v7"},
	"variant of none":         {"...] => ...], platforms: [linux/s390x/z14]", "4:45", "definition-platform", "no variants"},
	"not a platform":          {"...] => ...], platforms: [linux]", "4:45", "definition-platform", ""},
	"platform with cgo":       {"...] => ...], platforms: [ios/arm64]", "4:45", "definition-platform-cgo", ""},
	"same platform twice":     {"...] => ...], platforms: [linux/amd64, linux/amd64]", "4:58", "definition-duplicate", ""},
	"same platform otherwise": {"...] => ...], platforms: [linux/amd64, linux/amd64/v1]", "4:58", "definition-duplicate", "the same as linux/amd64"},
	"toolchain without go":    {"...] => ...], toolchain: 1.26.8", "4:44", "definition-toolchain", "write go1.26.8"},
	"short toolchain":         {"...] => ...], toolchain: go1.26", "4:44", "definition-toolchain", "such as go1.26.0"},
	"old toolchain":           {"...] => ...], toolchain: go1.20.14", "4:44", "definition-toolchain", ""},
	"toolchain of others":     {"...] => ...], toolchain: go1.26.8-evil", "4:44", "definition-toolchain", ""},
	"toolchain as a path":     {"...] => ...], toolchain: path", "4:44", "definition-toolchain", ""},
	"unknown value":           {"...] => ...], ldflags: '-X main.v={{ .Verson }}'", "4:42", "definition-template", "did you mean {{ .Version }}"},
	"value of other tools":    {"...] => ...], ldflags: '-X main.v={{ .Tag }}'", "4:42", "definition-template", "did you mean {{ .Version }}"},
	"secret in a template":    {"...] => ...], ldflags: '-X main.v={{ .Env.TOKEN }}'", "4:42", "definition-template", ""},
	"function":                {"...] => ...], ldflags: '-X main.v={{ printf .Version }}'", "4:42", "definition-template", ""},
	"pipeline":                {"...] => ...], ldflags: '-X main.v={{ .Version | lower }}'", "4:42", "definition-template", ""},
	"condition":               {"...] => ...], ldflags: '{{ if .Version }}x{{ end }}'", "4:42", "definition-template", ""},
	"template stays open":     {"...] => ...], ldflags: '{{ .Version'", "4:42", "definition-template", ""},
	"template only closed":    {"...] => ...], ldflags: 'x }}'", "4:42", "definition-template", ""},
	"quote stays open":        {`...] => ...], ldflags: "-X 'main.v=x"`, "4:42", "definition-flags", ""},
	"template in gcflags":     {"...] => ...], gcflags: '{{ .Version }}'", "4:42", "definition-template", ""},
	"two tags in one":         {"...] => ...], tags: ['a,b']", "4:40", "definition-build-tag", ""},
	"tag twice":               {"...] => ...], tags: [a, a]", "4:43", "definition-duplicate", ""},
	"cgo":                     {"...] => ...], env: {CGO_ENABLED: 1}", "4:52", "definition-cgo", "with run:"},
	"cgo flags":               {"...] => ...], env: {CGO_CFLAGS: -O2}", "4:51", "definition-cgo", ""},
	"proxy":                   {"...] => ...], env: {GOPROXY: direct}", "4:48", "definition-env", ""},
	"flags":                   {"...] => ...], env: {GOFLAGS: -mod=mod}", "4:48", "definition-env", "use packages, ldflags"},
	"cache program":           {"...] => ...], env: {GOCACHEPROG: x}", "4:52", "definition-env", ""},
	"checksum database":       {"...] => ...], env: {GONOSUMDB: x}", "4:50", "definition-env", ""},
	"workspace elsewhere":     {"...] => ...], env: {GOWORK: /x}", "4:47", "definition-env", ""},
	"any variable":            {"...] => ...], env: {PATH: /x}", "4:45", "definition-env", ""},
	"preload":                 {"...] => ...], env: {LD_PRELOAD: x}", "4:51", "definition-env", ""},
	"misspelt variable":       {"...] => ...], env: {GOEXPERIMENTS: x}", "4:54", "definition-env", "did you mean GOEXPERIMENT"},
	"many archives":           {"archives: [" + strings.Repeat("{},", 65) + "]", "5:11", "definition-size", "at most 64"},
	"many platforms":          {"...] => ...], platforms: [" + strings.Repeat("linux/amd64,", 257) + "]", "4:44", "definition-size", "at most 256"},
	"no archives":             {"archives: []", "5:11", "definition-archive", ""},
	"archive without builds":  {"archives: [{builds: []}]", "5:21", "definition-archive", ""},
	"archive of no build":     {"archives: [{builds: [aeg]}]", "5:22", "definition-unknown-build", `did you mean "age"`},
	"absolute file":           {"archives: [{files: [/etc/passwd]}]", "5:21", "definition-path", ""},
	"file outside":            {"archives: [{files: [../x]}]", "5:21", "definition-path", ""},
	"bad pattern":             {"archives: [{files: ['[']}]", "5:21", "definition-path", ""},
	"unknown format":          {"archives: [{format: tgz}]", "5:21", "definition-format", "one of tar.gz, zip"},
	"unknown windows format":  {"archives: [{windows: exe}]", "5:22", "definition-format", ""},
	"one name for all":        {"archives: [{name: x}]", "5:19", "definition-archive-name", "{{ .OS }}"},
	"two archives, no name":   {"archives: [{}, {format: zip, windows: zip}]", "5:16", "definition-archive-name", "name: of its own"},
	"case alone differs":      {"archives: [{name: 'a-{{ .OS }}-{{ .Arch }}'}, {name: 'A-{{ .OS }}-{{ .Arch }}'}]", "5:54", "definition-archive-name", ""},
	"archive as the source":   {"archives: [{name: '{{ .Project }}_{{ .Version }}_src'}]", "5:19", "definition-archive-name", "the source archive"},
	"archive in a folder":     {"archives: [{name: 'x/{{ .OS }}{{ .Arch }}'}]", "5:19", "definition-file-name", ""},
	"archive with a time":     {"archives: [{name: '{{ .OS }}{{ .Arch }}{{ .CommitTime }}'}]", "5:19", "definition-file-name", ""},
	"archive, unknown value":  {"archives: [{name: '{{ .Os }}'}]", "5:19", "definition-template", "did you mean {{ .OS }}"},
	"no evidence":             {"policy: {evidence: []}", "5:20", "definition-evidence", ""},
	"evidence without proof":  {"policy: {evidence: [sbom]}", "5:20", "definition-evidence", "add provenance"},
	"unknown evidence":        {"policy: {evidence: [provenance, sboms]}", "5:33", "definition-evidence", `did you mean "sbom"`},
	"negative level":          {"policy: {level: -1}", "5:17", "definition-policy", ""},
	"level four":              {"policy: {level: 4}", "5:17", "definition-policy", ""},
	"negative sign-offs":      {"policy: {sign-offs: {manager: -1}}", "5:31", "definition-policy", ""},
	"more rebuilds":           {"policy: {sign-offs: {manager: 1, rebuilt: 2}}", "5:43", "definition-policy", ""},
	"what vulnerabilities":    {"policy: {vulnerabilities: {fail: reachabel}}", "5:34", "definition-policy", `did you mean "reachable"`},
	"vulnerabilities for age": {"policy: {vulnerabilities: {fail: any, as-of: 1y}}", "5:46", "definition-policy", "write hours"},
	"a database by ftp":       {"policy: {vulnerabilities: {fail: any, database: ftp://x}}", "5:49", "definition-policy", ""},
	"input without a policy":  {"policy: {inputs: [{match: x}]}", "5:19", "yaml-missing-key", "policy"},
	"input of no kind":        {"policy: {inputs: [{match: x, policy: p.yaml, mode: wanr}]}", "5:52", "definition-input", `did you mean "warn"`},
	"input by URL":            {"policy: {inputs: [{match: 'https://r.example/x', policy: p.yaml}]}", "5:27", "definition-input", "write r.example/x"},
	"input by digest":         {"policy: {inputs: [{match: 'r.example/x@sha256:00', policy: p.yaml}]}", "5:27", "definition-input", "write r.example/x"},
	"input with a space":      {"policy: {inputs: [{match: 'a b', policy: p.yaml}]}", "5:27", "definition-input", ""},
	"input without a name":    {"policy: {inputs: [{match: '', policy: p.yaml}]}", "5:27", "definition-input", ""},
	"no inputs":               {"policy: {inputs: []}", "5:18", "definition-input", "remove the key"},
	"input twice":             {"policy: {inputs: [{match: a, policy: p.yaml}, {match: a, policy: q.yaml}]}", "5:55", "definition-duplicate", ""},
	"input after every one":   {"policy: {inputs: [{match: '*', policy: p.yaml}, {match: a, policy: q.yaml}]}", "5:57", "definition-input", "at the end"},
	"policy of inputs above":  {"policy: {inputs: [{match: a, policy: ../p.yaml}]}", "5:38", "definition-path", ""},
	"evidence twice":          {"policy: {inputs: [{match: a, policy: p.yaml, evidence: [e, e]}]}", "5:60", "definition-duplicate", ""},
	"evidence above":          {"policy: {inputs: [{match: a, policy: p.yaml, evidence: [/e]}]}", "5:57", "definition-path", ""},
	"validity in days":        {"policy: {sign-offs: {valid-for: 30d}}", "5:33", "definition-policy", "write hours"},
	"validity for ever":       {"policy: {sign-offs: {valid-for: 99999h}}", "5:33", "definition-policy", ""},
	"tag prefix":              {"tag: {prefix: 'a b'}", "5:15", "definition-tag", ""},
	"tag prefix as option":    {"tag: {prefix: -d}", "5:15", "definition-tag", ""},
	"remote as an option":     {"tag: {remote: --upload-pack=x}", "5:15", "definition-tag", ""},
	"remote as a URL":         {"tag: {remote: 'https://x'}", "5:15", "definition-tag", ""},
}

func TestParseRefusesByName(t *testing.T) {
	t.Parallel()
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := minimal + test.edit + "\n"
			if old, edit, ok := strings.Cut(test.edit, " => "); ok {
				if !strings.Contains(minimal, old) {
					t.Fatalf("nothing to edit: %q", old)
				}
				text = strings.Replace(minimal, old, edit, 1)
			}
			_, err := definition.Parse("sello.yaml", []byte(text))
			var errs strictyaml.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error is %v, want an Errors", err)
			}
			if len(errs) != 1 && name != "absolute package" {
				t.Errorf("%d refusals, want one: %v", len(errs), err)
			}
			r := errs[0]
			if r.Code != test.code || r.Where != "sello.yaml:"+test.where || r.Class != gate.Usage {
				t.Errorf("got %v; want %s at %s", r, test.code, test.where)
			}
			if all := r.Error() + r.Fix; !strings.Contains(all, test.says) {
				t.Errorf("%q does not say %q", all, test.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the message shows a password")
			}
		})
	}
}

func TestParseReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const text = `
project: Age
source: git@github.com:FiloSottile/age.git
builds:
  - go:
      packages: [cmd/age]
      platfroms: [linux/amd64]
      toolchain: 1.26
      env: {GOPROXY: direct, CGO_ENABLED: "1"}
policy: {level: 9}
`
	_, err := definition.Parse("sello.yaml", []byte(text))
	var errs strictyaml.Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var got []string
	for _, r := range errs {
		got = append(got, r.Where+" "+r.Code)
	}
	want := []string{
		"sello.yaml:2:10 definition-name", "sello.yaml:3:9 definition-source", "sello.yaml:6:18 definition-package",
		"sello.yaml:7:7 yaml-unknown-key", "sello.yaml:8:18 definition-toolchain", "sello.yaml:9:22 definition-env",
		"sello.yaml:9:43 definition-cgo", "sello.yaml:10:17 definition-policy",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSourcesAreAccepted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]definition.SourceURI{
		"https://github.com/FiloSottile/age":           {Git: "https://github.com/FiloSottile/age"},
		"https://git.example.org:8443/a/b.git":         {Git: "https://git.example.org:8443/a/b.git"},
		"https://go.googlesource.com/tools":            {Git: "https://go.googlesource.com/tools"},
		"pkg:golang/filippo.io/age":                    {Module: "filippo.io/age"},
		"pkg:golang/filippo.io/age@v1.2.1":             {Module: "filippo.io/age", Version: "v1.2.1"},
		"pkg:golang/github.com/x/y/v2@v2.0.0-rc.1":     {Module: "github.com/x/y/v2", Version: "v2.0.0-rc.1"},
		"pkg:golang/example.com/x@v3.0.0+incompatible": {Module: "example.com/x", Version: "v3.0.0+incompatible"},
	} {
		got, err := definition.ParseSource(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(full))
	for _, r := range refusals {
		f.Add([]byte(minimal + r.edit))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := definition.Parse("sello.yaml", data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("an error without a code: %v", err)
			}
			return
		}
		checkAccepted(t, d.WithDefaults())
	})
}

// checkAccepted holds what Parse promises.
func checkAccepted(t *testing.T, d *definition.Definition) {
	t.Helper()
	v := definition.Values{Project: d.Project, Version: "v1.0.0", Commit: commit, ShortCommit: commit[:12], CommitTime: "2026-01-02T03:04:05Z"}
	names := map[string]bool{}
	for _, b := range d.Builds {
		if strings.Contains(b.Go.Dir, "..") && !strings.Contains(b.Go.Dir, "...") || strings.HasPrefix(b.Go.Dir, "/") {
			for _, e := range strings.Split(b.Go.Dir, "/") {
				if e == ".." || strings.HasPrefix(b.Go.Dir, "/") {
					t.Errorf("dir %q", b.Go.Dir)
				}
			}
		}
		if b.Go.Env["CGO_ENABLED"] != "0" {
			t.Error("cgo is on")
		}
		for _, p := range b.Go.Platforms {
			if _, err := definition.ParsePlatform(p); err != nil {
				t.Error(err)
			}
		}
		for _, text := range append([]string{b.Go.LDFlags}, b.Go.Env["GODEBUG"]) {
			if _, err := definition.Expand(text, v); err != nil {
				t.Error(err)
			}
		}
	}
	for _, a := range d.Archives {
		for _, p := range d.ArchivePlatforms(a) {
			v.OS, v.Arch, v.Variant = p.OS, p.Arch, p.Variant
			name, err := definition.ExpandName(a.Name, v)
			format := a.Format
			if p.OS == "windows" {
				format = a.Windows
			}
			if name = strings.ToLower(name + "." + format); err != nil || names[name] {
				t.Errorf("archive name %q: %v", name, err)
			}
			names[name] = true
		}
	}
}
