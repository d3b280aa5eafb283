// Package verifytest makes small releases to verify, good ones and bad ones.
//
// A World has keys for every role and a trust file. Release and Stage write a folder as
// Sello would leave it; changes to the Draft make it wrong in one place. Nothing here is for use outside of tests.
package verifytest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// What releases are made of unless a Draft says otherwise.
const (
	Project   = "age"
	Source    = "https://git.example/age"
	Version   = "v1.4.2"
	Archive   = "age_v1.4.2_linux_amd64.tar.gz"
	Binary    = "bin/linux/amd64/age"
	BuilderID = "https://builders.example/bubblewrap/v1"
	OtherID   = "https://builders.example/other/v1" // another builder's, with level 1
)

// Commit is the source's commit.
var Commit = strings.Repeat("5", 40)

// Now is when everything is verified; sign-offs were made an hour before.
var Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// World holds the keys of everybody, and the trust file in force.
type World struct {
	Keys      map[string]*sign.Key // build-service, other-service, first, second, third, newcomer; and stranger, whom nobody trusts
	Trust     *trust.Trust
	TrustFile []byte
	Sigstore  *signtest.Instance // who signs for those without a key in the trust file; nil when all have one
}

// NewWorld makes keys and a trust file: two of three managers have to sign off. Changes are made to the trust file.
func NewWorld(tb testing.TB, changes ...func(*trust.Trust)) *World {
	tb.Helper()
	w := &World{Keys: map[string]*sign.Key{}}
	t := &trust.Trust{Version: 3, Project: Project, Source: Source, Expires: "2027-06-30", Identities: map[string]trust.Identity{},
		Roles: map[string]trust.Role{
			trust.RoleBuilder:   {Identities: []string{"build-service", "other-service"}},
			trust.RoleManager:   {Identities: []string{"first", "second", "third"}, Threshold: 2},
			trust.RoleAssociate: {Identities: []string{"newcomer"}},
		},
		Builders: []trust.Builder{{ID: BuilderID, Signer: "build-service", Level: 3}, {ID: OtherID, Signer: "other-service", Level: 1}},
	}
	for _, name := range []string{"build-service", "other-service", "first", "second", "third", "newcomer", "stranger"} {
		k, err := sign.Generate()
		check(tb, err)
		w.Keys[name] = k
		if name == "stranger" {
			continue
		}
		public, err := k.PublicPEM()
		check(tb, err)
		t.Identities[name] = trust.Identity{Key: string(public)}
	}
	for _, change := range changes {
		change(t)
	}
	w.TrustFile = trust.Marshal(t)
	var err error
	w.Trust, err = trust.Parse(trust.FileName, w.TrustFile)
	check(tb, err)
	return w
}

// Keyless is whom certificates name for somebody of a keyless world.
func Keyless(name string) trust.Keyless {
	return trust.Keyless{Issuer: "https://accounts.example", Subject: name + "@age.example"}
}

// NewKeylessWorld is NewWorld where all but the second manager sign with certificates of a Sigstore instance of their own, a minute before now.
func NewKeylessWorld(tb testing.TB, now time.Time) *World {
	tb.Helper()
	instance := signtest.New(tb, now)
	w := NewWorld(tb, func(t *trust.Trust) {
		t.TrustedRoot = signtest.Pin(instance.Root)
		for name := range t.Identities {
			if k := Keyless(name); name != "second" {
				t.Identities[name] = trust.Identity{Issuer: k.Issuer, Subject: k.Subject}
			}
		}
	})
	w.Sigstore = instance
	check(tb, w.Trust.SetRoot(instance.Root))
	return w
}

// sign signs for the owner of a key: with it, or with a certificate.
func (w *World) sign(tb testing.TB, k *sign.Key, payload []byte) []byte {
	tb.Helper()
	for name, key := range w.Keys {
		if _, byKey := w.Trust.PublicKey(name); key == k && !byKey && w.Sigstore != nil {
			return w.Sigstore.Sign(tb, Keyless(name), payload)
		}
	}
	bundle, err := sign.SignStatement(context.Background(), k, attest.PayloadType, payload)
	check(tb, err)
	return bundle
}

// Draft is a release before it is written.
type Draft struct {
	Files      map[string]string // content of every artifact but checksums and SBOMs
	Stage      stage.Stage       // its Artifacts are filled in
	Provenance func(*attest.Provenance)
	Signer     *sign.Key // of the provenance
	SignOffs   []SignOff
	Purl       string
	Publisher  *sign.Key // of the release statement
	SBOMs      bool
	Payload    func(payload []byte) []byte                      // changes a provenance payload before it is signed; keep it canonical
	Listed     func(map[string]stage.Artifact)                  // changes what stage.json lists
	Statement  func(subjects []attest.Subject) []attest.Subject // changes what the release statement lists
	Summary    func(*Summary)                                   // changes the gate's summary, in a world that has a gate
}

// SignOff is a sign-off before it is signed.
type SignOff struct {
	By     string // whose key; the file is called so unless File says otherwise
	File   string
	Change func(*attest.SignOff)
}

// Draft gives a good release: an archive, a binary, their SBOMs, checksums, and sign-offs by two managers.
func (w *World) Draft() *Draft {
	return &Draft{
		Files: map[string]string{Archive: "an archive", Binary: "a binary"},
		Stage: stage.Stage{Type: stage.Type, Project: Project, Version: Version, Channel: "stable",
			Source:     stage.Source{URI: "git+" + Source, Commit: Commit, Tree: strings.Repeat("6", 40), Time: Now.Add(-48 * time.Hour)},
			Definition: stage.Definition{Path: "sello.yaml", SHA256: strings.Repeat("d", 64)},
			Evidence:   []string{"provenance", "sbom"}},
		Signer: w.Keys["build-service"], Publisher: w.Keys["build-service"],
		SignOffs: []SignOff{{By: "first"}, {By: "second", Change: func(s *attest.SignOff) { s.Rebuilt = true }}},
		Purl:     "pkg:generic/age@" + Version, SBOMs: true,
	}
}

// Release writes a released folder and gives its path.
func (w *World) Release(tb testing.TB, changes ...func(*Draft)) string {
	tb.Helper()
	dir := tb.TempDir()
	w.ReleaseAt(tb, dir, changes...)
	return dir
}

// ReleaseAt writes a released folder into dir.
func (w *World) ReleaseAt(tb testing.TB, dir string, changes ...func(*Draft)) {
	tb.Helper()
	d := w.Draft()
	for _, change := range changes {
		change(d)
	}
	w.write(tb, d, dir, dir)
	late := w.summary(tb, d, dir)
	var subjects []attest.Subject
	for _, name := range Names(tb, dir) {
		subjects = append(subjects, attest.Subject{Name: name, Digest: map[string]string{"sha256": digest.Bytes(Read(tb, dir, name))}})
	}
	if d.Statement != nil {
		subjects = d.Statement(subjects)
	}
	statement, err := attest.NewRelease(subjects, d.Purl)
	check(tb, err)
	payload, err := statement.Encode()
	check(tb, err)
	Write(tb, dir, stage.ReleaseBundle, w.sign(tb, d.Publisher, payload))
	late()
}

// StageFolder writes a staged folder and gives its path.
func (w *World) StageFolder(tb testing.TB, changes ...func(*Draft)) string {
	tb.Helper()
	d, dir := w.Draft(), tb.TempDir()
	for _, change := range changes {
		change(d)
	}
	w.write(tb, d, dir, filepath.Join(dir, stage.FilesFolder))
	Write(tb, dir, "journal.jsonl", []byte("{}\n"))
	return dir
}

func (w *World) write(tb testing.TB, d *Draft, root, files string) {
	tb.Helper()
	list := w.artifacts(tb, d, files)
	if d.Listed != nil {
		d.Listed(list)
	}
	d.Stage.Artifacts = nil
	var subjects []attest.Subject
	for _, name := range slices.Sorted(maps.Keys(list)) {
		d.Stage.Artifacts = append(d.Stage.Artifacts, list[name])
		subjects = append(subjects, attest.Subject{Name: name, Digest: map[string]string{"sha256": list[name].SHA256}})
	}
	data, err := d.Stage.Encode()
	check(tb, err)
	Write(tb, root, stage.FileName, data)
	bundle := w.provenance(tb, d, subjects)
	for name := range list {
		Write(tb, files, name+stage.BundleSuffix, bundle)
	}
	for _, s := range d.SignOffs {
		w.signOff(tb, d, s, stage.Digest(data), root)
	}
}

// artifacts writes the artifacts and gives what stage.json says of them.
func (w *World) artifacts(tb testing.TB, d *Draft, dir string) map[string]stage.Artifact {
	list := map[string]stage.Artifact{}
	add := func(name, kind, content string) {
		a := stage.Artifact{Name: name, Kind: kind}
		if kind == stage.KindBinary || kind == stage.KindArchive {
			a.Platform, a.Build = "linux/amd64", Project
		}
		sums, err := digest.Reader(strings.NewReader(content))
		check(tb, err)
		a.Sums = sums
		list[name] = a
		Write(tb, dir, name, []byte(content))
	}
	for name, content := range d.Files {
		kind := stage.KindArchive
		if strings.HasPrefix(name, "bin/") {
			kind = stage.KindBinary
		}
		add(name, kind, content)
		if d.SBOMs {
			add(name+stage.SBOMSuffix, stage.KindSBOM, `{"about":"`+name+`"}`)
		}
	}
	var short, long strings.Builder
	for _, name := range slices.Sorted(maps.Keys(list)) {
		fmt.Fprintf(&short, "%s  %s\n", list[name].SHA256, name)
		fmt.Fprintf(&long, "%s  %s\n", list[name].SHA512, name)
	}
	add("SHA256SUMS", stage.KindChecksum, short.String())
	add("SHA512SUMS", stage.KindChecksum, long.String())
	return list
}

func (w *World) provenance(tb testing.TB, d *Draft, subjects []attest.Subject) []byte {
	p := attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: attest.GoBuildType,
			ExternalParameters: attest.ExternalParameters{
				Source: attest.SourceParameter{URI: d.Stage.Source.URI, Digest: map[string]string{"gitCommit": Commit}}, EntryPoint: "sello.yaml#builds.age"},
			ResolvedDependencies: []material.Material{{URI: "git+" + Source, Digest: map[string]string{"gitCommit": Commit}}},
		},
		RunDetails: attest.RunDetails{Builder: attest.Builder{ID: BuilderID},
			Metadata: attest.Metadata{InvocationID: "1", StartedOn: Now.Add(-3 * time.Hour), FinishedOn: Now.Add(-2 * time.Hour)}},
	}
	if d.Provenance != nil {
		d.Provenance(&p)
	}
	statement := attest.Statement[attest.Provenance]{Type: attest.StatementType, Subject: subjects, PredicateType: attest.ProvenanceType, Predicate: p}
	payload, err := statement.Encode()
	check(tb, err)
	if d.Payload != nil {
		payload = d.Payload(payload)
	}
	return w.sign(tb, d.Signer, payload)
}

func (w *World) signOff(tb testing.TB, d *Draft, s SignOff, stageDigest, root string) {
	file := s.File
	if file == "" {
		file = s.By
	}
	Write(tb, root, stage.SignOffFolder+"/"+file+stage.BundleSuffix, w.SignOff(tb, s, stageDigest))
}

// SignOff makes a sign-off bundle over a stage of the usual project and version.
func (w *World) SignOff(tb testing.TB, s SignOff, stageDigest string) []byte {
	tb.Helper()
	so := attest.SignOff{Stage: stageDigest, Project: Project, Version: Version, Identity: s.By, Role: trust.RoleManager,
		Time: Now.Add(-time.Hour), Expires: Now.Add(24 * time.Hour), Trust: attest.Pinned{Path: trust.FileName, SHA256: w.Trust.Digest(), Version: w.Trust.Version},
		ReleaseFile: attest.Pinned{Path: "releases/" + Version + ".yaml", SHA256: strings.Repeat("e", 64)}}
	if s.Change != nil {
		s.Change(&so)
	}
	statement, err := attest.NewSignOff(so)
	check(tb, err)
	payload, err := statement.Encode()
	check(tb, err)
	return w.sign(tb, w.Keys[s.By], payload)
}

// Sign gives the bundle of a statement.
func Sign(tb testing.TB, k sign.Signer, statement interface{ Encode() ([]byte, error) }) []byte {
	tb.Helper()
	payload, err := statement.Encode()
	check(tb, err)
	bundle, err := sign.SignStatement(context.Background(), k, attest.PayloadType, payload)
	check(tb, err)
	return bundle
}

// Names gives the files below a folder, slash-separated and sorted.
func Names(tb testing.TB, dir string) []string {
	tb.Helper()
	var names []string
	check(tb, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	return names
}

// Read reads a file below a folder.
func Read(tb testing.TB, dir, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	check(tb, err)
	return data
}

// Write writes a file below a folder.
func Write(tb testing.TB, dir, name string, data []byte) {
	tb.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	check(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	check(tb, os.WriteFile(path, data, 0o644))
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
