package release

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
)

// Released is what Release did.
type Released struct {
	Project string   `json:"project"`
	Version string   `json:"version"`
	Stage   string   `json:"stage"`
	Where   string   `json:"where"`
	Tag     string   `json:"tag"`
	Commit  string   `json:"commit"`
	Pushed  bool     `json:"pushed"`
	Markers []string `json:"markers"` // those that name this version now

	Images    []string `json:"images,omitempty"`    // registry/repository:tag, for each tag of the release
	ImageTags []string `json:"imageTags,omitempty"` // moving tags that were set: registry/repository:latest
	Inputs    *Inputs  `json:"inputs,omitempty"`    // how they were judged, where there are rules
}

// Release makes a promoted version official. The order is the promise: sign-offs still hold, production
// is verified from the outside, everything is signed, then the tag, then the release statement, then the markers. Each part is
// recognised when it is there already, so a crash anywhere is mended by running it again.
func (p *Project) Release(ctx context.Context, file string) (*Released, error) {
	c, s, _, to, err := p.signedOff(ctx, file, true)
	if err != nil {
		return nil, err
	}
	if err := checkPromoted(ctx, s, to, c.Path); err != nil {
		return nil, err
	}
	identity, signer, err := p.Keys(c.Definition.Project).Signer(ctx, c.Trust, "builder", "")
	if err != nil {
		return nil, err
	}
	logKey, err := p.logSigner(ctx, c.Trust)
	if err != nil {
		return nil, err
	}
	policies, err := p.publishingPolicies(ctx, c, to.Bucket)
	if err != nil {
		return nil, err
	}
	out := &Released{Project: c.Definition.Project, Version: c.Release.Version, Stage: s.digestName(), Tag: c.TagName(), Commit: c.Commit.ID, Where: store.Place(to.Bucket, to.Prefix())}
	if out.Inputs, err = p.inputsBefore(ctx, c, s, to); err != nil {
		return nil, err
	}
	var statement []byte
	images := func(name string, do func() error) step {
		return step{name, do, len(s.list.Images) == 0}
	}
	err = p.steps(
		step{name: "verify production", do: func() error { return p.checkPublished(ctx, c, to, false) }},
		images("verify images", func() error { _, err := p.checkImages(ctx, c, s, false); return err }),
		images("check tags of images", func() error { return p.checkTags(ctx, copies(s.list)) }),
		step{"dependencies", func() error { return p.dependenciesBefore(ctx, c, s, to, policies) }, len(policies) == 0},
		step{"known vulnerabilities", func() error { return p.attestVulnerabilities(ctx, c, s, to, signer) }, !c.looksForVulnerabilities()},
		step{"versions of the trust file", func() error { return p.publishTrust(ctx, c, to) }, c.Trust.Previous == ""},
		step{name: "sign release statement", do: func() (err error) { statement, err = p.signStatement(ctx, c, s, to, signer); return err }},
		step{name: "tag " + out.Tag, do: func() (err error) { out.Pushed, err = p.tag(ctx, c, identity, signer); return err }},
		step{name: "release statement", do: func() error { return putStatement(ctx, to, statement) }},
		step{"transparency log", func() error { return p.enterLog(ctx, c, to, logKey) }, logKey == nil},
		step{name: "verify release", do: func() error { return p.checkPublished(ctx, c, to, true) }},
		images("release statement and sign-offs of images", func() error { return p.attachRelease(ctx, s, to) }),
		images("verify released images", func() error { _, err := p.checkImages(ctx, c, s, true); return err }),
		images("tags of images", func() error { return p.tagImages(ctx, s) }),
		step{name: "markers", do: func() (err error) { out.Markers, err = moveMarkers(ctx, c, to.Bucket); return err }},
		images("moving tags of images", func() (err error) { out.ImageTags, err = p.moveImageTags(ctx, s, to); return err }),
	)
	if err != nil {
		return nil, err
	}
	for _, c := range copies(s.list) {
		for _, tag := range c.image.Tags {
			out.Images = append(out.Images, c.to+":"+tag)
		}
	}
	if err := p.rememberTrust(c.TrustBytes); err != nil {
		return nil, err
	}
	return out, p.record("release", c, s, map[string]string{"tag": out.Tag, "markers": strings.Join(out.Markers, " ")})
}

// checkPromoted refuses when production does not hold this very stage.
func checkPromoted(ctx context.Context, s *staged, to store.ReleaseLayout, file string) error {
	refs, err := store.Releases(ctx, to.Bucket, to.Project)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if r.Version == to.Version && r.Promoted {
			data, err := readObject(ctx, to.Bucket, to.StageFile(), stage.MaxSize)
			if err == nil && !bytes.Equal(data, s.bytes) {
				return &gate.Refusal{Code: "version-already-released", Where: to.StageFile(), What: "this version is in production already, with another content",
					Expected: s.digestName(), Actual: stage.Digest(data), Fix: "release the next version; a published version is never replaced"}
			}
			return err
		}
	}
	return &gate.Refusal{Code: "not-promoted", Class: gate.Waiting, Where: to.Prefix(), What: "the stage is not in production yet", Expected: "a promoted release", Fix: "sello promote " + file}
}

// tag makes the annotated, signed tag, and pushes it when the definition names a remote.
func (p *Project) tag(ctx context.Context, c *Candidate, identity string, signer sign.Signer) (pushed bool, err error) {
	message := c.Definition.Project + " " + c.Release.Version + "\n"
	if c.Release.Notes != "" {
		notes, err := p.notes(ctx, c)
		if err != nil {
			return false, err
		}
		message += "\n" + string(notes)
	}
	name, email := p.Repo.Identity(ctx)
	if name == "" || email == "" {
		name, email = identity, identity+"@localhost"
	}
	err = p.Repo.CreateTag(ctx, source.TagRequest{Name: c.TagName(), Commit: c.Commit.ID, Message: message, Tagger: name, Email: email, Time: p.Now(), Signer: tagSigner(signer)})
	if err != nil || c.Definition.Tag.Remote == "" {
		return false, err
	}
	return true, p.Repo.PushTag(ctx, c.Definition.Tag.Remote, c.TagName())
}

// signStatement signs the list of all files of the release; nil when it is published already.
func (p *Project) signStatement(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout, signer sign.Signer) ([]byte, error) {
	promised, err := promisedFiles(ctx, c.Trust, to)
	if err != nil {
		return nil, err
	}
	files, err := publishedFiles(ctx, s, to, promised)
	if err != nil {
		return nil, err
	}
	statement, err := attest.NewRelease(files, purl(c))
	if err != nil {
		return nil, err
	}
	payload, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	if old, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle); err == nil {
		return nil, sameStatement(old, payload, c, to)
	}
	bundle, err := sign.SignStatement(ctx, signer, attest.PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign release statement: %w", err)
	}
	return bundle, nil
}

// putStatement publishes the release statement, unless it is there.
func putStatement(ctx context.Context, to store.ReleaseLayout, bundle []byte) error {
	if bundle == nil {
		return nil
	}
	return to.Bucket.Put(ctx, to.Statement(), bytes.NewReader(bundle), store.PutOptions{Exclusive: true, ContentType: "application/json"})
}

// statedFiles gives the SHA-256 of each file by its name, as a release statement says that a builder signed.
func statedFiles(bundle []byte, t *trust.Trust) (map[string]string, error) {
	b, err := sign.ParseBundle(bundle)
	if err != nil {
		return nil, err
	}
	_, payload, err := sign.SignersOf(t, trust.RoleBuilder).Verify(b)
	if err != nil {
		return nil, err
	}
	statement, err := attest.Decode[attest.Release](payload, attest.ReleaseType)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(statement.Subject))
	for _, file := range statement.Subject {
		out[file.Name] = file.Digest["sha256"]
	}
	return out, nil
}

// sameStatement accepts a statement that is there already and says the same, signed by a builder.
func sameStatement(old, payload []byte, c *Candidate, to store.ReleaseLayout) error {
	bundle, err := sign.ParseBundle(old)
	if err != nil {
		return err
	}
	_, said, err := sign.SignersOf(c.Trust, trust.RoleBuilder).Verify(bundle)
	if err != nil {
		return err
	}
	if bytes.Equal(said, payload) {
		return nil
	}
	return &gate.Refusal{Code: "release-statement-conflict", Where: to.Statement(), What: "there is a release statement already, and it lists other files",
		Expected: digest.Bytes(payload), Actual: digest.Bytes(said), Fix: "sello verify the release to see which file differs; a published statement is never replaced"}
}

// publishedFiles lists what the release consists of, with digests: the artifacts as staged, and what else was promoted as it was read back. A
// summary that a statement, which is there, does not promise was made later and is not one of them.
func publishedFiles(ctx context.Context, s *staged, to store.ReleaseLayout, promised map[string]string) ([]attest.Subject, error) {
	infos, err := to.Bucket.List(ctx, to.Prefix())
	if err != nil {
		return nil, err
	}
	var out []attest.Subject
	for _, info := range infos {
		name := strings.TrimPrefix(info.Name, to.Prefix())
		if late := promised != nil && promised[name] == "" && verify.IsSummary(name); late || name == stage.ReleaseBundle || name == tlog.ProofFile {
			continue
		}
		sha := ""
		if a := s.list.Find(name); a != nil {
			sha = a.SHA256
		} else {
			data, err := readObject(ctx, to.Bucket, info.Name, sign.MaxBundle)
			if err != nil {
				return nil, err
			}
			sha = digest.Bytes(data)
		}
		out = append(out, attest.Subject{Name: name, Digest: map[string]string{"sha256": sha}})
	}
	for _, c := range copies(s.list) {
		out = append(out, attest.Subject{Name: stage.ImageName(c.to), Digest: map[string]string{"sha256": strings.TrimPrefix(c.image.Index, "sha256:")}})
	}
	return out, nil
}

// purl names the released package with its version.
func purl(c *Candidate) string {
	return trust.Purl(c.Definition.Source, c.Definition.Project, c.Release.Version)
}

// moveMarkers points the markers at the release and names those that do now.
func moveMarkers(ctx context.Context, c *Candidate, b store.Bucket) ([]string, error) {
	moved, err := store.MoveMarkers(ctx, b, c.Definition.Project, c.Release.Version, c.Release.Channel)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range moved {
		if m.To == c.Release.Version {
			out = append(out, path.Base(m.Name))
		}
	}
	return out, nil
}
