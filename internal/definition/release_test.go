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

func TestParseRelease(t *testing.T) {
	t.Parallel()
	c256 := strings.Repeat("a1", 32)
	for name, test := range map[string]struct {
		text string
		want definition.Release
	}{
		"stable by default":    {"version: v1.4.2\ncommit: " + commit, definition.Release{Version: "v1.4.2", Commit: commit, Channel: "stable"}},
		"candidate by default": {"version: v1.5.0-rc.1\ncommit: " + c256, definition.Release{Version: "v1.5.0-rc.1", Commit: c256, Channel: "candidate"}},
		"all of it": {"version: v1.4.2\ncommit: " + commit + "\nchannel: nightly\nnotes: releases/v1.4.2.md\nstage: " + digest,
			definition.Release{Version: "v1.4.2", Commit: commit, Channel: "nightly", Notes: "releases/v1.4.2.md", Stage: digest}},
		"a commit of digits": {"version: v1.4.2\ncommit: " + strings.Repeat("12", 20), definition.Release{Version: "v1.4.2", Commit: strings.Repeat("12", 20), Channel: "stable"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := definition.ParseRelease("releases/"+test.want.Version+".yaml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
			again, err := definition.ParseRelease("releases/"+test.want.Version+".yaml", definition.MarshalRelease(*got))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("another release after a round trip: %s", diff)
			}
		})
	}
}

func TestParseReleaseRefusesByName(t *testing.T) {
	t.Parallel()
	good := "commit: " + commit + "\n"
	for name, test := range map[string]struct{ path, text, code, says string }{
		"without v":             {"v1.4.2", "version: 1.4.2\n" + good, "release-version", "write v1.4.2"},
		"two numbers":           {"v1.4", "version: v1.4\n" + good, "release-version", "write v1.4.0"},
		"build metadata":        {"v1.4.2+x", "version: v1.4.2+x\n" + good, "release-version", "remove the build metadata"},
		"leading zero":          {"v1.04.2", "version: v1.04.2\n" + good, "release-version", ""},
		"a branch":              {"main", "version: main\n" + good, "release-version", ""},
		"a path":                {"v1.4.2", "version: v1.4.2/../x\n" + good, "release-version", ""},
		"long":                  {"v1.4.2", "version: v1.4.2-" + strings.Repeat("a", 100) + "\n" + good, "release-version", ""},
		"another file":          {"v1.4.3", "version: v1.4.2\n" + good, "release-path", "rename the file"},
		"another folder":        {"../v1.4.2", "version: v1.4.2\n" + good, "release-path", ""},
		"no commit":             {"v1.4.2", "version: v1.4.2\n", "yaml-missing-key", "commit"},
		"short commit":          {"v1.4.2", "version: v1.4.2\ncommit: 5471f1c\n", "release-commit", ""},
		"upper-case commit":     {"v1.4.2", "version: v1.4.2\ncommit: " + strings.ToUpper(commit) + "\n", "release-commit", ""},
		"a branch as commit":    {"v1.4.2", "version: v1.4.2\ncommit: main\n", "release-commit", ""},
		"unknown channel":       {"v1.4.2", "version: v1.4.2\nchannel: stabel\n" + good, "release-channel", `did you mean "stable"`},
		"stable pre-release":    {"v1.4.2-rc.1", "version: v1.4.2-rc.1\nchannel: stable\n" + good, "release-channel", "not stable"},
		"notes outside":         {"v1.4.2", "version: v1.4.2\nnotes: ../x.md\n" + good, "release-notes", ""},
		"absolute notes":        {"v1.4.2", "version: v1.4.2\nnotes: /etc/passwd\n" + good, "release-notes", ""},
		"stage without sha256":  {"v1.4.2", "version: v1.4.2\nstage: " + digest[7:] + "\n" + good, "release-stage", ""},
		"short stage":           {"v1.4.2", "version: v1.4.2\nstage: sha256:abc\n" + good, "release-stage", ""},
		"how in the what":       {"v1.4.2", "version: v1.4.2\nldflags: -s\n" + good, "yaml-unknown-key", ""},
		"empty":                 {"v1.4.2", "", "yaml-empty", ""},
		"a stage without value": {"v1.4.2", "version: v1.4.2\nstage:\n" + good, "yaml-no-value", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := definition.ParseRelease("releases/"+test.path+".yaml", []byte(test.text))
			var errs strictyaml.Errors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Code != test.code || errs[0].Class != gate.Usage {
				t.Fatalf("got %v; want %s alone", err, test.code)
			}
			if all := errs[0].Error() + errs[0].Fix; !strings.Contains(all, test.says) || !strings.Contains(errs[0].Where, test.path) {
				t.Errorf("%q does not say %q", all, test.says)
			}
		})
	}
}

func TestMarshalReleaseReadsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	got := string(definition.MarshalRelease(definition.Release{Version: "v1.0.0", Commit: strings.Repeat("0", 36) + "1e10", Channel: "stable", Notes: "a: b #c.md"}))
	want := `# yaml-language-server: $schema=https://github.com/sello-release/sello/raw/main/schema/release.schema.json
version: v1.0.0
commit: "` + strings.Repeat("0", 36) + `1e10"
channel: stable
notes: 'a: b #c.md'
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSetStageKeepsEveryOtherByte(t *testing.T) {
	t.Parallel()
	other := "sha256:" + strings.Repeat("0", 64)
	head := "# why: a fix\r\n\r\nversion: \"v1.4.2\"   # note\r\ncommit: " + commit + "\r\n"
	for name, test := range map[string]struct{ before, after string }{
		"added":                   {"version: v1.4.2\ncommit: " + commit + "\n# end\n", "version: v1.4.2\ncommit: " + commit + "\n# end\nstage: " + digest + "\n"},
		"added, no line end":      {"version: v1.4.2\ncommit: " + commit, "version: v1.4.2\ncommit: " + commit + "\nstage: " + digest + "\n"},
		"added, Windows":          {head, head + "stage: " + digest + "\r\n"},
		"replaced":                {"stage: " + other + " # it was\nversion: v1.4.2\ncommit: " + commit, "stage: " + digest + " # it was\nversion: v1.4.2\ncommit: " + commit},
		"replaced, quoted":        {"version: v1.4.2\nstage:  '" + other + "'\ncommit: " + commit + "\n", "version: v1.4.2\nstage:  " + digest + "\ncommit: " + commit + "\n"},
		"replaced, one line":      {"{version: v1.4.2, stage: " + other + ", commit: " + commit + "}\n", "{version: v1.4.2, stage: " + digest + ", commit: " + commit + "}\n"},
		"replaced, wide comments": {"# ü\nversion: v1.4.2\n\"stage\": " + other + " # ü\ncommit: " + commit + "\n", "# ü\nversion: v1.4.2\n\"stage\": " + digest + " # ü\ncommit: " + commit + "\n"},
		"the same":                {"version: v1.4.2\nstage: " + digest + "\ncommit: " + commit + "\n", "version: v1.4.2\nstage: " + digest + "\ncommit: " + commit + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := definition.SetStage([]byte(test.before), digest)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.after, string(got)); diff != "" {
				t.Error(diff)
			}
			r, err := definition.ParseRelease("releases/v1.4.2.yaml", got)
			if err != nil || r.Stage != digest {
				t.Errorf("stage %v, %v", r, err)
			}
		})
	}
}

func TestSetStageRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, digest, code string }{
		"one line":        {"{version: v1.4.2, commit: " + commit + "}\n", digest, "release-stage-edit"},
		"document's end":  {"version: v1.4.2\ncommit: " + commit + "\n...\n", digest, "release-stage-edit"},
		"folded stage":    {"version: v1.4.2\ncommit: " + commit + "\nstage: >-\n  " + digest, "sha256:" + strings.Repeat("0", 64), "release-stage-edit"},
		"not a digest":    {"version: v1.4.2\ncommit: " + commit + "\n", "latest", "release-stage-edit"},
		"more than that":  {"version: v1.4.2\ncommit: " + commit + "\n", digest + "\nnotes: x", "release-stage-edit"},
		"not a release":   {"version: v1.4.2\n", digest, "yaml-missing-key"},
		"not YAML at all": {"[", digest, "yaml-syntax"},
	} {
		if _, err := definition.SetStage([]byte(test.text), test.digest); gate.Code(err) != test.code {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte("version: v1.4.2\ncommit: " + commit + "\nstage: " + digest + "\n"))
	f.Add([]byte("{version: v1.4.2, commit: " + commit + "}"))
	f.Add([]byte("\uFEFFstage: '" + digest + "' # x\r\nversion: v1.4.2\r\ncommit: " + commit))
	f.Fuzz(func(t *testing.T, data []byte) {
		const path = "releases/v1.4.2.yaml"
		before, err := definition.ParseRelease(path, data)
		if err != nil {
			return
		}
		other := "sha256:" + strings.Repeat("ab", 32)
		out, err := definition.SetStage(data, other)
		if err != nil {
			return
		}
		after, err := definition.ParseRelease(path, out)
		if err != nil {
			t.Fatal(err)
		}
		want := *before
		want.Stage = other
		if *after != want {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}
