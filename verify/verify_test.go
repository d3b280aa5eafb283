package verify_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

func options(w *vt.World) verify.Options {
	return verify.Options{TrustFile: w.TrustFile, Now: vt.Now}
}

func dir(t *testing.T, path string, o verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.Dir(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func file(t *testing.T, path string, o verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.File(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func accepted(t *testing.T, r *verify.Report) {
	t.Helper()
	if r.Verdict != verify.Accepted || r.Err() != nil {
		t.Fatalf("refused: %v\n%s", r.Err(), show(r))
	}
	for _, c := range r.Checks {
		if c.Status == verify.Fail {
			t.Errorf("accepted with a failed check: %+v", c)
		}
	}
}

// refused wants code among the failed checks, and an error that is one of them.
func refused(t *testing.T, r *verify.Report, code string) {
	t.Helper()
	codes := failed(r)
	if r.Verdict != verify.Refused || !codes[code] || !codes[gate.Code(r.Err())] {
		t.Errorf("want %s, got %s, failed %v, error %v\n%s", code, r.Verdict, codes, r.Err(), show(r))
	}
	for _, c := range r.Checks {
		if c.Status == verify.Fail && (c.What == "" || c.Fix == "") {
			t.Errorf("a refusal without reason or remedy: %+v", c)
		}
	}
}

func failed(r *verify.Report) map[string]bool {
	codes := map[string]bool{}
	for _, c := range r.Checks {
		if c.Status == verify.Fail {
			codes[c.ID] = true
		}
	}
	return codes
}

func show(r *verify.Report) string {
	out, _ := json.MarshalIndent(r, "", " ")
	return string(out)
}

func TestGoodReleaseIsAccepted(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := w.Release(t)
	r := dir(t, path, options(w))
	accepted(t, r)
	if r.Scope != verify.ScopeRelease || r.Levels["build"] != "SLSA_BUILD_LEVEL_3" || r.Builder != vt.BuilderID ||
		r.Source != "git+"+vt.Source+"@gitCommit:"+vt.Commit || r.Version != vt.Version || r.Files != len(vt.Names(t, path)) ||
		r.Stage != stage.Digest(vt.Read(t, path, stage.FileName)) || len(r.SignOffs) != 2 || !r.SignOffs[1].Rebuilt {
		t.Error(show(r))
	}
}

func TestGoodStageIsAccepted(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	r := dir(t, w.StageFolder(t), options(w))
	accepted(t, r)
	if r.Scope != verify.ScopeStage {
		t.Error(show(r))
	}
}

func TestGoodFileIsAccepted(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release, staged := w.Release(t), w.StageFolder(t)
	for _, name := range []string{vt.Archive, vt.Binary, "SHA256SUMS", vt.Binary + ".spdx.json"} {
		for _, path := range []string{filepath.Join(release, name), filepath.Join(staged, "files", name)} {
			r := file(t, path, options(w))
			accepted(t, r)
			if r.Scope != verify.ScopeFileInRelease || r.Files != 1 || r.Levels["build"] != "SLSA_BUILD_LEVEL_3" || len(r.SignOffs) != 2 {
				t.Error(show(r))
			}
		}
	}
}

// A file by itself is judged by its provenance, under whatever name it was saved.
func TestFileAlone(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := alone(t, w.Release(t), vt.Archive, "renamed")
	r := file(t, path, options(w))
	accepted(t, r)
	if r.Scope != verify.ScopeFile || len(r.SignOffs) != 0 {
		t.Error(show(r))
	}
	o := options(w)
	o.RequireRelease = true
	refused(t, file(t, path, o), "stage-missing")
	o = options(w)
	o.Version = vt.Version
	refused(t, file(t, path, o), "stage-missing")
}

// alone copies an artifact and its bundle into a folder of their own.
func alone(t *testing.T, release, name, as string) string {
	t.Helper()
	to := t.TempDir()
	vt.Write(t, to, as, vt.Read(t, release, name))
	vt.Write(t, to, as+stage.BundleSuffix, vt.Read(t, release, name+stage.BundleSuffix))
	return filepath.Join(to, as)
}

func TestAny(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := w.Release(t)
	slash := filepath.ToSlash(path)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash
	}
	for _, arg := range []string{path, filepath.Join(path, vt.Archive), "file://" + slash, "file://" + slash + "/" + vt.Binary} {
		r, err := verify.Any(context.Background(), arg, options(w))
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, r)
	}
}

func provenance(change func(*attest.Provenance)) func(*vt.Draft) {
	return func(d *vt.Draft) { d.Provenance = change }
}

func payload(old, new string) func(*vt.Draft) {
	return func(d *vt.Draft) {
		d.Payload = func(p []byte) []byte { return bytes.ReplaceAll(p, []byte(old), []byte(new)) }
	}
}

// badProvenance are releases whose provenance is wrong in one way, properly signed.
func badProvenance(w *vt.World) map[string]struct {
	code   string
	change func(*vt.Draft)
} {
	signedBy := func(name string) func(*vt.Draft) { return func(d *vt.Draft) { d.Signer = w.Keys[name] } }
	return map[string]struct {
		code   string
		change func(*vt.Draft)
	}{
		"signed by a stranger":      {"no-trusted-signer", signedBy("stranger")},
		"signed by a manager":       {"no-trusted-signer", signedBy("first")},
		"signed by another builder": {"signer-builder-mismatch", signedBy("other-service")},
		"unknown builder":           {"builder-unknown", provenance(func(p *attest.Provenance) { p.RunDetails.Builder.ID = "https://evil.example" })},
		"another's builder id":      {"signer-builder-mismatch", provenance(func(p *attest.Provenance) { p.RunDetails.Builder.ID = vt.OtherID })},
		"another build type":        {"buildtype-unexpected", provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = "https://evil.example" })},
		"an image's build type":     {"buildtype-unexpected", provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = attest.ImageBuildType })},
		"a fork": {"source-mismatch", provenance(func(p *attest.Provenance) {
			p.BuildDefinition.ExternalParameters.Source.URI = "git+https://evil.example/age"
		})},
		"no scheme":              {"source-mismatch", provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.URI = vt.Source })},
		"no commit":              {"source-mismatch", provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Digest = nil })},
		"another definition":     {"entrypoint-mismatch", provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "evil.yaml#builds.age" })},
		"no build":               {"entrypoint-mismatch", provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "sello.yaml#builds." })},
		"an extra parameter":     {"param-unexpected", payload(`"externalParameters":{`, `"externalParameters":{"debug":true,`)},
		"another predicate type": {"wrong-predicate", payload(attest.ProvenanceType, "https://slsa.dev/provenance/v9")},
		"another statement type": {"wrong-statement-type", payload(attest.StatementType, "https://in-toto.io/Statement/v9")},
		"weak digests":           {"weak-digest", payload(`"sha256":`, `"sha1":`)},
		"no subject":             {"subject-missing", payload(`"subject":[{`, `"subject":[],"subjects":[{`)},
	}
}

func TestBadProvenanceIsRefused(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, tt := range badProvenance(w) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t, tt.change)
			refused(t, dir(t, release, options(w)), tt.code)
			refused(t, dir(t, w.StageFolder(t, tt.change), options(w)), tt.code)
			refused(t, file(t, filepath.Join(release, vt.Binary), options(w)), tt.code)
			r := file(t, alone(t, release, vt.Archive, vt.Archive), options(w))
			refused(t, r, tt.code)
			if len(failed(r)) != 1 || len(r.Levels) != 0 || r.Builder != "" {
				t.Errorf("more than one reason, or a level is claimed:\n%s", show(r))
			}
		})
	}
}

// Against the stage, the commit and the build have to be the very ones.
func TestProvenanceAgainstTheStage(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, tt := range map[string]struct {
		code   string
		change func(*vt.Draft)
	}{
		"another commit": {"source-mismatch", provenance(func(p *attest.Provenance) {
			p.BuildDefinition.ExternalParameters.Source.Digest = map[string]string{"gitCommit": strings.Repeat("7", 40)}
		})},
		"another build": {"entrypoint-mismatch", provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "sello.yaml#builds.evil" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t, tt.change)
			refused(t, dir(t, release, options(w)), tt.code)
			refused(t, file(t, filepath.Join(release, vt.Archive), options(w)), tt.code)
		})
	}
	several := w.Release(t, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "sello.yaml" }))
	accepted(t, dir(t, several, options(w)))
	command := w.Release(t, provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = attest.RunBuildType }))
	accepted(t, dir(t, command, options(w)))
}

// The order of checks is SLSA's; what comes after a failure is not decided.
func TestChecksComeInOrder(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := alone(t, w.Release(t, provenance(func(p *attest.Provenance) { p.RunDetails.Builder.ID = "https://evil.example" })), vt.Archive, "a")
	want := []string{"trust-expired pass", "attestation-missing pass", "bad-json pass", "no-trusted-signer pass", "unsupported-payload-type pass", "wrong-statement-type pass",
		"subject-mismatch pass", "wrong-predicate pass", "builder-unknown fail", "signer-builder-mismatch skip", "level-too-low skip", "buildtype-unexpected skip",
		"source-mismatch skip", "entrypoint-mismatch skip", "param-unexpected skip", "stage-missing skip", "release-statement-missing skip", "sign-off-missing skip"}
	r := file(t, path, options(w))
	var got []string
	for _, c := range r.Checks {
		got = append(got, c.ID+" "+c.Status)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	low := w.Release(t, func(d *vt.Draft) {
		d.Signer = w.Keys["other-service"]
		d.Provenance = func(p *attest.Provenance) { p.RunDetails.Builder.ID = vt.OtherID }
	})
	o := options(w)
	r := dir(t, low, o)
	accepted(t, r)
	if r.Levels["build"] != "SLSA_BUILD_LEVEL_1" {
		t.Errorf("level %v", r.Levels)
	}
	o.MinLevel = 2
	refused(t, dir(t, low, o), "level-too-low")
	refused(t, file(t, filepath.Join(low, vt.Binary), o), "level-too-low")
	o.MinLevel = 3
	accepted(t, dir(t, w.Release(t), o))
}

func TestDamagedFoldersAreRefused(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	other := w.Release(t, func(d *vt.Draft) { d.Files["other"] = "another file" })
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { vt.Write(t, dir, name, []byte(content)) }
	}
	flip := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			data := vt.Read(t, dir, name)
			data[len(data)/2] ^= 1
			vt.Write(t, dir, name, data)
		}
	}
	first := stage.SignOffFolder + "/first" + stage.BundleSuffix
	for name, tt := range map[string]struct {
		code   string
		damage func(*testing.T, string)
	}{
		"artifact changed":    {"subject-mismatch", flip(vt.Archive)},
		"artifact cut off":    {"stage-artifact-mismatch", write(vt.Archive, "an arch")},
		"artifact missing":    {"release-file-missing", remove(vt.Binary)},
		"artifacts exchanged": {"stage-artifact-mismatch", exchange(vt.Archive, vt.Binary)},
		"bundle missing":      {"attestation-missing", remove(vt.Binary + stage.BundleSuffix)},
		"bundle changed":      {"release-file-missing", func(t *testing.T, dir string) { flip(vt.Binary+stage.BundleSuffix)(t, dir); remove(vt.Archive)(t, dir) }},
		"bundle of another release": {"subject-mismatch", func(t *testing.T, dir string) {
			vt.Write(t, dir, vt.Binary+stage.BundleSuffix, vt.Read(t, other, "other"+stage.BundleSuffix))
		}},
		"bundle is empty":       {"bad-json", write(vt.Archive+stage.BundleSuffix, "")},
		"stage.json missing":    {"stage-missing", remove(stage.FileName)},
		"stage.json empty":      {"bad-json", write(stage.FileName, "")},
		"stage.json of another": {"release-file-missing", func(t *testing.T, dir string) { vt.Write(t, dir, stage.FileName, vt.Read(t, other, stage.FileName)) }},
		"stage.json with a newline": {"stage-not-canonical", func(t *testing.T, dir string) {
			vt.Write(t, dir, stage.FileName, append(vt.Read(t, dir, stage.FileName), '\n'))
		}},
		"statement missing": {"release-statement-missing", remove(stage.ReleaseBundle)},
		"statement changed": {"bad-json", write(stage.ReleaseBundle, "{}{}")},
		"statement of another": {"release-file-missing", func(t *testing.T, dir string) {
			vt.Write(t, dir, stage.ReleaseBundle, vt.Read(t, other, stage.ReleaseBundle))
		}},
		"statement is provenance": {"wrong-predicate", func(t *testing.T, dir string) {
			vt.Write(t, dir, stage.ReleaseBundle, vt.Read(t, dir, vt.Binary+stage.BundleSuffix))
		}},
		"provenance is the statement": {"wrong-predicate", func(t *testing.T, dir string) {
			vt.Write(t, dir, vt.Binary+stage.BundleSuffix, vt.Read(t, dir, stage.ReleaseBundle))
		}},
		"extra file":         {"release-file-extra", write("extra", "x")},
		"extra file, hidden": {"release-file-extra", write("bin/.extra", "x")},
		"extra bundle":       {"release-file-extra", write("extra"+stage.BundleSuffix, "x")},
		"extra sign-off":     {"release-file-extra", write(stage.SignOffFolder+"/third"+stage.BundleSuffix, "x")},
		"sign-off missing":   {"sign-off-missing", remove(first)},
		"sign-off changed":   {"sign-off-missing", flip(first)},
		"checksums missing":  {"release-file-missing", remove("SHA256SUMS")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t)
			tt.damage(t, release)
			refused(t, dir(t, release, options(w)), tt.code)
		})
	}
}

// A folder that no release can be is not walked to its end.
func TestFoldersTooDeepAreRefused(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	vt.Write(t, release, strings.Repeat("d/", 40)+"x", []byte("x"))
	if r, err := verify.Dir(t.Context(), release, options(w)); gate.Code(err) != "folder-too-large" {
		t.Errorf("%v, %v", r, err)
	}
}

func exchange(a, b string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		x, y := vt.Read(t, dir, a), vt.Read(t, dir, b)
		vt.Write(t, dir, a, y)
		vt.Write(t, dir, b, x)
	}
}

// What is wrong by the release itself, though every signature is good.
func TestBadReleasesAreRefused(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, tt := range map[string]struct {
		code   string
		change func(*vt.Draft)
	}{
		"another project":              {"project-mismatch", func(d *vt.Draft) { d.Stage.Project = "evil" }},
		"another source":               {"source-mismatch", func(d *vt.Draft) { d.Stage.Source.URI = "git+https://evil.example/age" }},
		"no SBOM":                      {"evidence-missing", func(d *vt.Draft) { d.SBOMs = false }},
		"evidence nobody knows":        {"evidence-missing", func(d *vt.Draft) { d.Stage.Evidence = []string{"horoscope"} }},
		"statement by a manager":       {"no-trusted-signer", func(d *vt.Draft) { d.Publisher = w.Keys["first"] }},
		"statement by a stranger":      {"no-trusted-signer", func(d *vt.Draft) { d.Publisher = w.Keys["stranger"] }},
		"statement of another version": {"release-version-mismatch", func(d *vt.Draft) { d.Purl = "pkg:generic/age@v9.9.9" }},
		"statement leaves a file out":  {"release-file-extra", func(d *vt.Draft) { d.Statement = func(s []attest.Subject) []attest.Subject { return s[1:] } }},
		"statement names one too many": {"release-file-missing", func(d *vt.Draft) {
			d.Statement = func(s []attest.Subject) []attest.Subject {
				return append(s, attest.Subject{Name: "gone", Digest: s[0].Digest})
			}
		}},
		"statement names another digest": {"subject-mismatch", func(d *vt.Draft) {
			d.Statement = func(s []attest.Subject) []attest.Subject {
				s[0].Digest = map[string]string{"sha256": strings.Repeat("0", 64)}
				return s
			}
		}},
		"statement names another digest, too": {"subject-mismatch", func(d *vt.Draft) {
			d.Statement = func(s []attest.Subject) []attest.Subject {
				s[slices.IndexFunc(s, func(s attest.Subject) bool { return s.Name == vt.Archive })].Digest["sha512"] = strings.Repeat("0", 128)
				return s
			}
		}},
		"stage lists another digest": {"stage-artifact-mismatch", listed(func(a *stage.Artifact) { a.SHA256 = strings.Repeat("0", 64) })},
		"stage lists another size":   {"stage-artifact-mismatch", listed(func(a *stage.Artifact) { a.Size++ })},
		"SHA512SUMS disagrees":       {"checksum-mismatch", listed(func(a *stage.Artifact) { a.SHA512 = strings.Repeat("0", 128) })},
		"one sign-off":               {"sign-off-missing", func(d *vt.Draft) { d.SignOffs = d.SignOffs[:1] }},
		"no sign-off":                {"sign-off-missing", func(d *vt.Draft) { d.SignOffs = nil }},
		"same manager twice":         {"sign-off-missing", func(d *vt.Draft) { d.SignOffs = []vt.SignOff{{By: "first"}, {By: "first", File: "second"}} }},
		"a manager and an associate": {"sign-off-missing", func(d *vt.Draft) { d.SignOffs = []vt.SignOff{{By: "first"}, {By: "newcomer"}} }},
		"a manager and a stranger":   {"sign-off-missing", func(d *vt.Draft) { d.SignOffs = []vt.SignOff{{By: "first"}, {By: "stranger"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t, tt.change)
			refused(t, dir(t, release, options(w)), tt.code)
			// Leaving one more file out never makes it acceptable.
			for _, gone := range vt.Names(t, release) {
				data := vt.Read(t, release, gone)
				if err := os.Remove(filepath.Join(release, gone)); err != nil {
					t.Fatal(err)
				}
				if r := dir(t, release, options(w)); r.Verdict != verify.Refused {
					t.Errorf("accepted without %s", gone)
				}
				vt.Write(t, release, gone, data)
			}
		})
	}
}

// A release statement that names a file twice could mean either, even though its signature is good.
func TestStatementThatNamesAFileTwice(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	bundle, err := sign.ParseBundle(vt.Read(t, release, stage.ReleaseBundle))
	if err != nil {
		t.Fatal(err)
	}
	statement, err := attest.Decode[attest.Release](bundle.Envelope.Payload, attest.ReleaseType)
	if err != nil {
		t.Fatal(err)
	}
	vt.Write(t, release, stage.ReleaseBundle, vt.Sign(t, w.Keys["build-service"], statement))
	accepted(t, dir(t, release, options(w)))
	statement.Subject = append(statement.Subject, statement.Subject[0])
	vt.Write(t, release, stage.ReleaseBundle, vt.Sign(t, w.Keys["build-service"], statement))
	refused(t, dir(t, release, options(w)), "release-name-twice")
}

func listed(change func(*stage.Artifact)) func(*vt.Draft) {
	return func(d *vt.Draft) {
		d.Listed = func(list map[string]stage.Artifact) {
			a := list[vt.Archive]
			change(&a)
			list[vt.Archive] = a
		}
	}
}

func TestChecksumFiles(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	sum := digest.Bytes([]byte("an archive"))
	for name, text := range map[string]string{
		"wrong digest":   strings.Repeat("0", 64) + "  " + vt.Archive + "\n",
		"missing line":   "",
		"not a digest":   "x  " + vt.Archive + "\n",
		"no name":        sum + "\n",
		"line twice":     sum + "  " + vt.Archive + "\n" + sum + "  " + vt.Archive + "\n",
		"file too many":  sum + "  " + vt.Archive + "\n" + digest.Bytes([]byte("a binary")) + " *" + vt.Binary + "\n" + sum + "  evil\n",
		"leaves the dir": sum + "  ../" + vt.Archive + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			staged := w.StageFolder(t, func(d *vt.Draft) {
				d.Listed = func(list map[string]stage.Artifact) {
					a := list["SHA256SUMS"]
					a.SHA256, a.Size = digest.Bytes([]byte(text)), int64(len(text))
					list["SHA256SUMS"] = a
				}
			})
			vt.Write(t, staged, "files/SHA256SUMS", []byte(text))
			refused(t, dir(t, staged, options(w)), "checksum-mismatch")
		})
	}
}

func TestStageFolderHoldsNothingElse(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for _, name := range []string{"files/extra", "files/stage.json", "files/extra.sigstore.json", "files/sign-offs/first.sigstore.json"} {
		staged := w.StageFolder(t)
		vt.Write(t, staged, name, []byte("x"))
		refused(t, dir(t, staged, options(w)), "release-file-extra")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	with := func(change func(*verify.Options)) verify.Options {
		o := options(w)
		change(&o)
		return o
	}
	for name, tt := range map[string]struct {
		code string
		o    verify.Options
	}{
		"wanted version":       {"", with(func(o *verify.Options) { o.Version = vt.Version })},
		"another version":      {"release-version-mismatch", with(func(o *verify.Options) { o.Version = "v1.4.3" })},
		"three managers":       {"sign-off-missing", with(func(o *verify.Options) { o.Managers = 3 })},
		"fewer than threshold": {"", with(func(o *verify.Options) { o.Managers = 1 })},
		"one rebuilt":          {"", with(func(o *verify.Options) { o.Rebuilt = 1 })},
		"two rebuilt":          {"sign-off-missing", with(func(o *verify.Options) { o.Rebuilt = 2 })},
		"evidence it has":      {"", with(func(o *verify.Options) { o.Evidence = []string{"sbom", "provenance"} })},
		"evidence it has not":  {"evidence-missing", with(func(o *verify.Options) { o.Evidence = []string{"vulns"} })},
		"sign-offs left out":   {"", with(func(o *verify.Options) { o.Managers, o.SkipSignOffs = 3, true })},
		"trust file expired":   {"trust-expired", with(func(o *verify.Options) { o.Now = vt.Now.AddDate(1, 0, 0) })},
	} {
		for _, r := range []*verify.Report{dir(t, release, tt.o), file(t, filepath.Join(release, vt.Binary), tt.o)} {
			if tt.code == "" {
				accepted(t, r)
			} else {
				refused(t, r, tt.code)
			}
		}
		_ = name
	}
}

func TestUnusableOptionsAreErrors(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	for name, o := range map[string]verify.Options{
		"no trust file":    {},
		"damaged file":     {TrustFile: []byte("version: x")},
		"impossible level": {TrustFile: w.TrustFile, MinLevel: 4},
	} {
		if r, err := verify.Dir(context.Background(), release, o); err == nil {
			t.Errorf("%s: %s", name, show(r))
		}
		if r, err := verify.File(context.Background(), filepath.Join(release, vt.Binary), o); err == nil {
			t.Errorf("%s: %s", name, show(r))
		}
	}
	for _, path := range []string{"none", filepath.Join(release, "none")} {
		if _, err := verify.Any(context.Background(), path, options(w)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := verify.File(context.Background(), release, options(w)); err == nil {
		t.Error("a folder verified as a file")
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Dir(cancelled, release, options(w)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A promoted folder has no release statement yet; verifying it as released is refused.
func TestUnreleased(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	promoted := w.Release(t)
	if err := os.Remove(filepath.Join(promoted, stage.ReleaseBundle)); err != nil {
		t.Fatal(err)
	}
	o := options(w)
	refused(t, dir(t, promoted, o), "release-statement-missing")
	refused(t, file(t, filepath.Join(promoted, vt.Binary), o), "release-statement-missing")
	o.Unreleased = true
	accepted(t, dir(t, promoted, o))
	accepted(t, file(t, filepath.Join(promoted, vt.Binary), o))
	vt.Write(t, promoted, "extra", nil)
	refused(t, dir(t, promoted, o), "release-file-extra")
}

// Sign-offs that have expired since still speak for what was released with them, and for nothing else.
func TestOldReleaseStaysAcceptable(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	o := options(w)
	o.Now = vt.Now.Add(100 * 24 * time.Hour)
	release := w.Release(t)
	accepted(t, dir(t, release, o))
	accepted(t, file(t, filepath.Join(release, vt.Archive), o))
	refused(t, dir(t, w.StageFolder(t), o), "sign-off-missing")
	never := w.Release(t, func(d *vt.Draft) {
		d.SignOffs[0].Change = func(s *attest.SignOff) {
			s.Time, s.Expires = vt.Now.Add(-30*24*time.Hour), vt.Now.Add(-29*24*time.Hour)
		}
	})
	refused(t, dir(t, never, o), "sign-off-missing")
}

func TestIdentitiesThatExpire(t *testing.T) {
	t.Parallel()
	expired := func(name string, day trust.Date) func(*trust.Trust) {
		return func(t *trust.Trust) {
			id := t.Identities[name]
			id.Expires = day
			t.Identities[name] = id
		}
	}
	w := vt.NewWorld(t, expired("build-service", "2026-11-20"))
	refused(t, dir(t, w.Release(t), options(w)), "trust-identity-expired")
	w = vt.NewWorld(t, expired("second", "2026-11-20"))
	refused(t, dir(t, w.Release(t), options(w)), "sign-off-missing")
	w = vt.NewWorld(t, expired("build-service", "2026-11-21"))
	o := options(w)
	o.Now = vt.Now.Add(48 * time.Hour)
	accepted(t, dir(t, w.Release(t), o))
	o.SkipSignOffs = true
	refused(t, dir(t, w.StageFolder(t), o), "trust-identity-expired")
}

func TestWaitingIsTheLastReason(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	noSignOffs := func(d *vt.Draft) { d.SignOffs = nil }
	r := dir(t, w.StageFolder(t, noSignOffs), options(w))
	var ref *gate.Refusal
	if !errors.As(r.Err(), &ref) || ref.Class != gate.Waiting || ref.Code != "sign-off-missing" {
		t.Errorf("%v", r.Err())
	}
	r = dir(t, w.StageFolder(t, noSignOffs, func(d *vt.Draft) { d.SBOMs = false }), options(w))
	if gate.Code(r.Err()) != "evidence-missing" {
		t.Errorf("%v", r.Err())
	}
}

func TestModuleSource(t *testing.T) {
	t.Parallel()
	const h1 = "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="
	hexed, err := attest.DirHash(h1)
	if err != nil {
		t.Fatal(err)
	}
	for _, canonical := range []string{"pkg:golang/git.example/age", "pkg:golang/git.example/age@" + vt.Version} {
		w := vt.NewWorld(t, func(t *trust.Trust) { t.Source = canonical })
		draft := func(uri, dirHash string) func(*vt.Draft) {
			return func(d *vt.Draft) {
				d.Stage.Source = stage.Source{URI: "pkg:golang/git.example/age@" + vt.Version, DirHash: h1, Time: d.Stage.Source.Time}
				d.Provenance = func(p *attest.Provenance) {
					p.BuildDefinition.ExternalParameters.Source = attest.SourceParameter{URI: uri, Digest: map[string]string{"dirHash": dirHash}}
				}
			}
		}
		good := w.Release(t, draft("pkg:golang/git.example/age@"+vt.Version, hexed))
		accepted(t, dir(t, good, options(w)))
		accepted(t, file(t, alone(t, good, vt.Binary, "age"), options(w)))
		for _, bad := range []func(*vt.Draft){
			draft("pkg:golang/git.example/age@"+vt.Version, strings.Repeat("0", 64)),
			draft("pkg:golang/git.example/age@v1.4.1", hexed),
			draft("pkg:golang/git.example/age", hexed),
			draft("pkg:golang/git.example/evil@"+vt.Version, hexed),
		} {
			refused(t, dir(t, w.Release(t, bad), options(w)), "source-mismatch")
		}
	}
}

func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	w := vt.NewWorld(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("an archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{vt.Archive, vt.Archive + stage.BundleSuffix, stage.FileName, stage.ReleaseBundle, "extra"} {
		release := w.Release(t)
		os.Remove(filepath.Join(release, name))
		if err := os.Symlink(outside, filepath.Join(release, name)); err != nil {
			t.Fatal(err)
		}
		refused(t, dir(t, release, options(w)), "release-file-irregular")
	}
	release := w.Release(t)
	if err := os.RemoveAll(filepath.Join(release, "bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(release, "bin")); err != nil {
		t.Fatal(err)
	}
	refused(t, dir(t, release, options(w)), "release-file-irregular")
}

// A changed byte in any file of a release is refused.
func TestEveryKindOfByteCounts(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	for _, name := range vt.Names(t, release) {
		data := vt.Read(t, release, name)
		for _, at := range []int{0, len(data) / 3, len(data) / 2, len(data) - 1} {
			changed := bytes.Clone(data)
			changed[at] ^= 1
			vt.Write(t, release, name, changed)
			r := dir(t, release, options(w))
			// Space in the release statement's own JSON is outside of what is signed.
			if r.Verdict != verify.Refused && (name != stage.ReleaseBundle || !bytes.ContainsAny(data[at:at+1], " \n")) {
				t.Errorf("%s: accepted with byte %d changed from %q to %q", name, at, data[at], changed[at])
			}
		}
		vt.Write(t, release, name, data)
	}
	accepted(t, dir(t, release, options(w)))
}

// A changed byte in the bundle of a lone file is refused, or leaves what was verified as it was.
func TestEveryByteOfALoneFilesBundle(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	path := alone(t, w.Release(t), vt.Archive, "age.tar.gz")
	good := file(t, path, options(w))
	data, err := os.ReadFile(path + stage.BundleSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += 17 {
		changed := bytes.Clone(data)
		changed[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path+stage.BundleSuffix, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		r := file(t, path, options(w))
		if r.Verdict == verify.Accepted && (r.Source != good.Source || r.Builder != good.Builder || r.Levels["build"] != good.Levels["build"]) {
			t.Errorf("byte %d: accepted with another meaning", at)
		}
	}
}

// For one file of a good release, leaving any other file out gives no better verdict and never more trust.
func TestDroppingEvidenceNeverHelps(t *testing.T) {
	t.Parallel()
	for _, w := range []*vt.World{vt.NewWorld(t), vt.NewGateWorld(t)} {
		release := w.Release(t)
		for _, gone := range vt.Names(t, release) {
			data := vt.Read(t, release, gone)
			if err := os.Remove(filepath.Join(release, gone)); err != nil {
				t.Fatal(err)
			}
			r := dir(t, release, options(w))
			if r.Verdict != verify.Refused {
				t.Errorf("the release is accepted without %s", gone)
			}
			if gone != vt.Archive {
				r := file(t, filepath.Join(release, vt.Archive), options(w))
				needed := gone == stage.FileName || gone == stage.ReleaseBundle || gone == stage.SummaryBundle || gone == vt.Archive+stage.BundleSuffix || strings.HasPrefix(gone, stage.SignOffFolder)
				if needed != (r.Verdict == verify.Refused) {
					t.Errorf("the archive without %s: %s\n%s", gone, r.Verdict, show(r))
				}
			}
			vt.Write(t, release, gone, data)
		}
	}
}

// The JSON is a contract.
func TestReportJSON(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	data, err := json.Marshal(dir(t, w.Release(t, func(d *vt.Draft) { d.SignOffs = d.SignOffs[:1] }), options(w)))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"artifact", "verdict", "scope", "checks", "levels", "builder", "source", "signOffs", "files"} {
		if _, ok := m[key]; !ok {
			t.Errorf("no %s in %s", key, data)
		}
	}
	if last := m["checks"].([]any); len(last) == 0 || last[len(last)-1].(map[string]any)["id"] != "sign-off-missing" {
		t.Errorf("checks %v", m["checks"])
	}
	empty, err := json.Marshal(file(t, alone(t, w.Release(t), vt.Binary, "age"), options(w)))
	if err != nil || !bytes.Contains(empty, []byte(`"signOffs":[]`)) {
		t.Errorf("%s, %v", empty, err)
	}
}

func TestNoRegularFile(t *testing.T) {
	t.Parallel()
	if _, err := verify.File(t.Context(), os.DevNull, verify.Options{TrustFile: vt.NewWorld(t).TrustFile}); gate.Code(err) != "usage" {
		t.Errorf("a device: %v", err)
	}
}

// A statement that has a file's SHA-256, and another digest that is not the file's, is refused: for a release, a file in it and a file alone.
func TestEveryStatedDigestCounts(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	sum := sha512.Sum512([]byte("an archive"))
	for name, tt := range map[string]struct{ code, sha512 string }{
		"right":  {"", hex.EncodeToString(sum[:])},
		"wrong":  {"subject-mismatch", strings.Repeat("e", 128)},
		"absent": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sha := digest.Bytes([]byte("an archive"))
			release := w.Release(t, func(d *vt.Draft) {
				d.Payload = func(p []byte) []byte {
					if tt.sha512 == "" {
						return p
					}
					return bytes.ReplaceAll(p, []byte(`"sha256":"`+sha+`"`), []byte(`"sha256":"`+sha+`","sha512":"`+tt.sha512+`"`))
				}
			})
			alone := t.TempDir()
			for _, name := range []string{vt.Archive, vt.Archive + stage.BundleSuffix} {
				vt.Write(t, alone, name, vt.Read(t, release, name))
			}
			for where, r := range map[string]*verify.Report{
				"folder": dir(t, release, options(w)), "file in release": file(t, filepath.Join(release, vt.Archive), options(w)), "file alone": file(t, filepath.Join(alone, vt.Archive), options(w)),
			} {
				if got := gate.Code(r.Err()); got != tt.code {
					t.Errorf("%s: %v, want %q", where, r.Err(), tt.code)
				}
			}
		})
	}
}
