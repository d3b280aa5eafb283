package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/bucketfiles"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/signoff"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/verify"
)

// maxSignOffs bounds how many sign-offs of one stage are read.
const maxSignOffs = 1000

// staged is a stage that was found, with its list as it was read.
type staged struct {
	store.StageRef
	list  *stage.Stage
	bytes []byte // of stage.json
	Built        // known once checkFiles has passed
}

// digestName is the stage digest as people write it.
func (s *staged) digestName() string { return stage.Digest(s.bytes) }

// findStage finds the stage of the candidate: the one that the release file names, or the only one there is.
func (p *Project) findStage(ctx context.Context, c *Candidate, staging store.Bucket) (*staged, error) {
	refs, err := store.FindStages(ctx, staging, c.Definition.Project, c.Release.Version)
	if err != nil {
		return nil, err
	}
	var found *store.StageRef
	for i, r := range refs {
		if c.Release.Stage == "" || c.Release.Stage == "sha256:"+r.Digest {
			if found != nil {
				return nil, &gate.Refusal{Code: "stage-ambiguous", Where: c.Path, What: "this version was staged with different results",
					Expected: "one stage, or the stage: line in the release file", Actual: found.Folder() + " and " + r.Folder(),
					Fix: "find out why they differ; then write stage: sha256:… into " + c.Path + " and have it reviewed"}
			}
			found = &refs[i]
		}
	}
	if found == nil {
		actual, class := "no stage", gate.Waiting
		if len(refs) > 0 {
			actual, class = "stage "+refs[0].Digest, gate.Refused
		}
		return nil, &gate.Refusal{Code: "stage-missing", Class: class, Where: fmt.Sprint(staging), What: "the release is not staged", Expected: orText(c.Release.Stage, "a stage of "+c.Release.Version),
			Actual: actual, Fix: "sello stage " + c.Path}
	}
	s := &staged{StageRef: *found}
	if s.bytes, err = readObject(ctx, staging, s.StageFile(), stage.MaxSize); err != nil {
		return nil, err
	}
	if stage.Digest(s.bytes) != "sha256:"+found.Digest {
		return nil, &gate.Refusal{Code: "store-stage-corrupt", Where: s.StageFile(), What: "stage.json changed while it was read", Expected: found.Digest, Actual: stage.Digest(s.bytes), Fix: "run the command again"}
	}
	if s.list, err = stage.Decode(s.bytes); err != nil {
		return nil, err
	}
	return s, c.agreesWith(s.list)
}

// agreesWith refuses a stage that was made from other reviewed files than the candidate's.
func (c *Candidate) agreesWith(s *stage.Stage) error {
	for _, f := range []struct{ what, want, got string }{
		{"project", c.Definition.Project, s.Project},
		{"version", c.Release.Version, s.Version},
		{"channel", c.Release.Channel, s.Channel},
		{"definition", c.DefSHA256, s.Definition.SHA256},
		{"commit", c.Commit.ID, orText(s.Source.Commit, s.Definition.Commit)},
	} {
		if f.want != f.got {
			return &gate.Refusal{Code: "stage-not-as-reviewed", Where: c.Path, What: "the stage was made with another " + f.what + " than the reviewed files say",
				Expected: f.want, Actual: f.got, Fix: "the release file or the definition changed after staging: sello stage " + c.Path}
		}
	}
	return nil
}

// checkFiles verifies every artifact of a stage and its evidence; sign-offs are judged apart.
func (p *Project) checkFiles(ctx context.Context, c *Candidate, s *staged) error {
	report, err := verify.Files(ctx, store.Place(s.Bucket, s.Prefix()), bucketfiles.Of(s.Bucket, s.Prefix()), verify.Options{TrustFile: c.TrustBytes, TrustedRoot: c.Trust.Root(), Now: p.Now(), SkipSignOffs: true, MinLevel: c.Definition.Policy.Level, Evidence: c.Definition.Policy.Evidence})
	if err != nil {
		return err
	}
	s.builtBy(report)
	return s.mendable(report.Err(), c.Path)
}

// signOffs reads and judges the sign-offs of a stage.
func (p *Project) signOffs(ctx context.Context, c *Candidate, s *staged) (signoff.Evaluation, error) {
	bundles, err := readSignOffs(ctx, s.Bucket, s.SignOffsPrefix())
	if err != nil {
		return signoff.Evaluation{}, err
	}
	return signoff.Evaluate(bundles, p.signOffPolicy(c, s)), nil
}

func (p *Project) signOffPolicy(c *Candidate, s *staged) signoff.Policy {
	return signoff.Policy{
		Stage: s.digestName(), Project: c.Definition.Project, Version: c.Release.Version,
		ReleaseFile: c.Pinned.SHA256, Trust: c.Trust, Now: p.Now(),
		Managers: c.Definition.Policy.SignOffs.Manager, Rebuilt: c.Definition.Policy.SignOffs.Rebuilt,
	}
}

// signedOffThen judges the sign-offs that a release statement lists as who verifies does: they counted when it was made, and a trust file of
// later, or their own expiry, does not undo that. Without a statement none counts.
func (p *Project) signedOffThen(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout) (signoff.Evaluation, error) {
	said, err := promisedFiles(ctx, c.Trust, to)
	if err != nil {
		return signoff.Evaluation{}, err
	}
	bundles, err := readSignOffs(ctx, s.Bucket, s.SignOffsPrefix())
	if err != nil {
		return signoff.Evaluation{}, err
	}
	listed := map[string]bool{}
	for name, sum := range said {
		listed[sum] = listed[sum] || strings.HasPrefix(name, stage.SignOffFolder+"/")
	}
	maps.DeleteFunc(bundles, func(_ string, data []byte) bool {
		return "sha256:"+said[stage.FileName] != s.digestName() || !listed[digest.Bytes(data)]
	})
	policy := p.signOffPolicy(c, s)
	policy.Released = true
	return signoff.Evaluate(bundles, policy), nil
}

// readSignOffs reads all sign-off bundles below a prefix, by identity as the file is called.
func readSignOffs(ctx context.Context, b store.Bucket, prefix string) (map[string][]byte, error) {
	infos, err := b.List(ctx, prefix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(infos) > maxSignOffs {
		return nil, &gate.Refusal{Code: "sign-off-flood", Where: prefix, What: "there are more sign-offs than anyone could have given", Expected: fmt.Sprintf("at most %d", maxSignOffs), Actual: fmt.Sprint(len(infos))}
	}
	out := map[string][]byte{}
	for _, info := range infos {
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Name, prefix), stage.BundleSuffix)
		if !ok {
			continue
		}
		if out[name], err = readObject(ctx, b, info.Name, sign.MaxBundle); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// enough refuses (as waiting) when too few managers' sign-offs count; it names each that does not count, and why.
func enough(e signoff.Evaluation, file string) error {
	return e.Err("sello sign-off " + file)
}

// validity is how long a sign-off counts.
func (c *Candidate) validity() time.Duration {
	d, err := time.ParseDuration(c.Definition.Policy.SignOffs.ValidFor)
	if err != nil {
		return 30 * 24 * time.Hour
	}
	return d
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// signedOff gives the candidate, its stage, the sign-offs that count, and where it belongs in production; it
// refuses when they are not enough. Promotion and release both begin with it. Again lets through what is released already, to be released again.
func (p *Project) signedOff(ctx context.Context, file string, again bool) (c *Candidate, s *staged, e signoff.Evaluation, to store.ReleaseLayout, err error) {
	c, err = p.Candidate(ctx, file)
	if err != nil {
		return nil, nil, e, to, err
	}
	staging, production, err := p.buckets(c.Definition)
	if err != nil {
		return nil, nil, e, to, err
	}
	s, err = p.findStage(ctx, c, staging)
	if err != nil {
		return nil, nil, e, to, err
	}
	e, err = p.signOffs(ctx, c, s)
	if err != nil {
		return nil, nil, e, to, err
	}
	to = store.ReleaseLayout{Bucket: production, Project: c.Definition.Project, Version: c.Release.Version}
	if err = enough(e, c.Path); err == nil {
		return c, s, e, to, nil
	}
	if again {
		if then, bad := p.signedOffThen(ctx, c, s, to); bad == nil && enough(then, c.Path) == nil {
			return c, s, then, to, nil
		}
	}
	return nil, nil, e, to, err
}
