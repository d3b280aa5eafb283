package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
)

// LogAudit is what was found in a project's transparency log, and beside it.
type LogAudit struct {
	Origin   string   `json:"origin"`
	Keys     []string `json:"keys"` // as C2SP signed-note has them: name+hash+key
	Size     int64    `json:"size"` // entries
	Root     string   `json:"root"`
	Where    string   `json:"where"`
	Releases []string `json:"releases"` // versions that are in production, and in the log
	Promoted []string `json:"promoted"` // versions that are in production and not released yet
	Compared int      `json:"compared"` // earlier checkpoints that the log was compared with
	Cosigned []string `json:"cosigned"` // witnesses that have cosigned the checkpoint, by name
	Listed   bool     `json:"listed"`   // production was listed: a release that the log does not know would have been seen

	Checkpoint []byte `json:"checkpoint"` // to be kept, and compared with later
	bad        []error
	now        time.Time
	channels   map[string]string // of releases, by version: which markers they moved
}

// Err is everything that was found wrong, joined.
func (a *LogAudit) Err() error { return errors.Join(a.bad...) }

func (a *LogAudit) refuse(code, where, what, expected, actual, fix string) {
	a.bad = append(a.bad, &gate.Refusal{Code: code, Where: where, What: what, Expected: expected, Actual: actual, Fix: fix})
}

// AuditLog reads a project's transparency log whole, and compares it with the releases that are in production, and with what somebody saw
// of it before: checkpoints, or proofs of releases.
func AuditLog(ctx context.Context, b store.Bucket, t *trust.Trust, since ...[]byte) (*LogAudit, error) {
	l, err := openLog(b, t)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, &gate.Refusal{Code: "trust-no-log", Class: gate.Usage, Where: TrustFile, What: "the project has no transparency log", Expected: "an identity with the role " + trust.RoleLog,
			Fix: "sello key new NAME --role " + trust.RoleLog + ", and have the change of " + TrustFile + " reviewed"}
	}
	now, err := l.Latest(ctx)
	if err != nil {
		return nil, err
	}
	a := &LogAudit{Origin: l.Origin, Size: now.Size, Root: now.Root.String(), Where: l.String(), Checkpoint: now.Note, Releases: []string{}, Promoted: []string{}, Cosigned: []string{}, now: time.Now(), channels: map[string]string{}}
	for _, name := range t.Role(trust.RoleLog) {
		if key, ok := t.PublicKey(name); ok {
			line, err := tlog.VerifierKey(l.Origin, key)
			if err != nil {
				return nil, err
			}
			a.Keys = append(a.Keys, line)
		}
	}
	if now.Size > 0 {
		a.cosigned(l, now, l.String())
	}
	for _, data := range since {
		if err := a.extends(ctx, l, now, data); err != nil {
			return nil, err
		}
	}
	logged := map[tlog.Entry]bool{}
	for e, err := range l.All(ctx, now) {
		if err != nil {
			return nil, err
		}
		logged[e] = true
	}
	production, err := listProduction(ctx, b, t, logged)
	if err != nil {
		return nil, err
	}
	a.Listed = production.whole
	known := map[string]bool{bucket.Folder: true}
	for _, r := range production.releases {
		switch {
		case r.Released:
			of := slices.DeleteFunc(slices.Clone(production.files), func(i store.Info) bool { return !strings.HasPrefix(i.Name, r.Prefix()) })
			if err := a.release(ctx, l, now, r.ReleaseLayout, of, logged, t); err != nil {
				return nil, err
			}
		case r.Promoted:
			a.Promoted = append(a.Promoted, r.Version)
		default:
			continue
		}
		known[r.Version] = true
	}
	if err := a.strangers(ctx, b, t.Project, production.files, known); err != nil {
		return nil, err
	}
	a.withdrawn(t.Project, logged)
	return a, nil
}

// cosigned holds a checkpoint to the witnesses, where the trust file names some.
func (a *LogAudit) cosigned(l *tlog.Log, c *tlog.Checkpoint, where string) bool {
	names, err := l.Cosigned(c, a.now)
	if c.Size == a.Size && c.Root.String() == a.Root && len(names) > len(a.Cosigned) {
		a.Cosigned = names
	}
	var r *gate.Refusal
	if errors.As(err, &r) {
		own := *r
		own.Where, own.Fix = where, "sello release VERSION, of the last release, or of the one that it is: it asks the witnesses"
		a.bad = append(a.bad, &own)
	}
	return err == nil
}

// extends compares the log with what somebody saw before; a log that lost something is a finding and no failure.
func (a *LogAudit) extends(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint, data []byte) error {
	before, err := l.Checkpoint(data)
	if err != nil {
		proof, bad := l.OpenProof(data)
		if bad != nil {
			return err
		}
		before = proof.Checkpoint
	}
	a.Compared++
	err = l.Extends(ctx, now, before)
	if gate.Code(err) == "log-inconsistent" {
		a.bad = append(a.bad, err)
		return nil
	}
	return err
}

// release holds one release to the log, and takes what is of it out of logged.
func (a *LogAudit) release(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint, to store.ReleaseLayout, infos []store.Info, logged map[tlog.Entry]bool, t *trust.Trust) error {
	good, err := a.files(ctx, to, infos, t)
	if err != nil {
		return err
	}
	for _, info := range infos {
		name := strings.TrimPrefix(info.Name, to.Prefix())
		if !strings.HasSuffix(name, stage.BundleSuffix) {
			continue
		}
		data, err := readObject(ctx, to.Bucket, info.Name, sign.MaxBundle)
		if err != nil {
			return err
		}
		e := tlog.Entry{Project: to.Project, Version: to.Version, File: name, SHA256: digest.Bytes(data)}
		if !logged[e] {
			good = false
			a.refuse("log-release-unlogged", info.Name, "this is in production, and the transparency log does not know it", e.String(), "",
				"if the project released it, have it released again: sello release; else find out who put it there, and do not use it")
		}
		logged[e] = false // accounted for
	}
	switch proof, err := readObject(ctx, to.Bucket, to.File(tlog.ProofFile), tlog.MaxProof); {
	case errors.Is(err, fs.ErrNotExist):
		good = false
		a.refuse("log-proof-missing", to.File(tlog.ProofFile), "the release has no proof that it is in the transparency log", tlog.ProofFile, "", "have it released again: sello release")
	case err != nil:
		return err
	default:
		if err := a.extends(ctx, l, now, proof); err != nil {
			good = false
			a.bad = append(a.bad, fmt.Errorf("%s: %w", to.File(tlog.ProofFile), err))
		}
		if opened, err := l.OpenProof(proof); err == nil && !a.cosigned(l, opened.Checkpoint, to.File(tlog.ProofFile)) {
			good = false
		}
	}
	if good {
		a.Releases = append(a.Releases, to.Version)
	}
	return nil
}

// files compares the names of a release's files with those that its statement lists: their content is for sello verify. Beside a release of
// before the project had a verifier the gate may have put a summary since, which then is in the log.
func (a *LogAudit) files(ctx context.Context, to store.ReleaseLayout, infos []store.Info, t *trust.Trust) (good bool, err error) {
	data, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle)
	if err != nil {
		return false, err
	}
	said, err := statedFiles(data, t)
	if err != nil {
		a.bad = append(a.bad, fmt.Errorf("%s: %w", to.Statement(), err))
		return false, nil
	}
	_, summed := said[stage.SummaryBundle]
	good = true
	late := len(t.Verifiers) > 0 && !summed
	if late {
		if good, err = a.latePlain(ctx, to, infos); err != nil {
			return false, err
		}
	}
	for _, info := range infos {
		name := strings.TrimPrefix(info.Name, to.Prefix())
		if late && verify.IsSummary(name) {
			continue
		}
		if limit := readWhole[name]; said[name] != "" && limit > 0 {
			same, err := a.same(ctx, to, name, said[name], limit)
			if err != nil {
				return false, err
			}
			good = good && same
		}
		if _, listed := said[name]; !listed && name != stage.ReleaseBundle && name != tlog.ProofFile {
			good = false
			a.refuse("log-release-unlogged", info.Name, "this is in a release, and its release statement does not name it", "", name, "find out who put it there, and remove it")
		}
		delete(said, name)
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if !stage.IsImageName(name) {
			good = false
			a.refuse("log-release-missing", to.File(name), "a file of the release is not there any more", name, "", "put it back as it was")
		}
	}
	return good, nil
}

// readWhole are files of a release that are no entries of the log, and are held to the release statement: what is signed, and what says which
// markers the release moved.
var readWhole = map[string]int64{stage.SummaryPlain: sign.MaxBundle, stage.FileName: stage.MaxSize}

// same holds a file of a release to the digest that its statement has, and takes the channel out of stage.json.
func (a *LogAudit) same(ctx context.Context, to store.ReleaseLayout, name, sum string, limit int64) (bool, error) {
	data, err := readObject(ctx, to.Bucket, to.File(name), limit)
	if err != nil {
		return false, err
	}
	if digest.Bytes(data) != sum {
		a.refuse("log-release-missing", to.File(name), "a file of the release was changed", "sha256:"+sum, "sha256:"+digest.Bytes(data), "put it back as it was")
		return false, nil
	}
	if name != stage.FileName {
		return true, nil
	}
	list, err := stage.Decode(data)
	if err != nil {
		a.bad = append(a.bad, fmt.Errorf("%s: %w", to.File(name), err))
		return false, nil
	}
	a.channels[to.Version] = list.Channel
	return true, nil
}

// newest gives the release that a marker has to name: of those that move it, the newest. "" when there is none.
func (a *LogAudit) newest(marker string) string {
	out := ""
	for _, version := range a.Releases {
		if slices.Contains(store.Markers(version, a.channels[version]), marker) && (out == "" || store.Older(out, version)) {
			out = version
		}
	}
	return out
}

// latePlain holds the plain form of a summary that the release statement does not name to the bundle beside it: the log has the bundle.
func (a *LogAudit) latePlain(ctx context.Context, to store.ReleaseLayout, infos []store.Info) (good bool, err error) {
	if !slices.ContainsFunc(infos, func(i store.Info) bool { return i.Name == to.PlainVSA() }) {
		return true, nil
	}
	found, err := readObject(ctx, to.Bucket, to.PlainVSA(), sign.MaxBundle)
	if err != nil {
		return false, err
	}
	want := "no such file"
	switch bundle, err := readObject(ctx, to.Bucket, to.VSA(), sign.MaxBundle); {
	case err == nil:
		plain, err := sign.Plain(bundle)
		if err == nil && bytes.Equal(plain, found) {
			return true, nil
		}
		want = "the envelope in " + stage.SummaryBundle
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	a.refuse("log-release-unlogged", to.PlainVSA(), "this is in production, and is not what the transparency log knows", want, "sha256:"+digest.Bytes(found), "find out who put it there, and remove it; sello promote makes it again")
	return false, nil
}

// strangers refuses folders beside the releases that are none, and markers that name no release, or an older one than they have to.
func (a *LogAudit) strangers(ctx context.Context, b store.Bucket, project string, infos []store.Info, known map[string]bool) error {
	seen := map[string]bool{}
	for _, info := range infos {
		name, _, folder := strings.Cut(strings.TrimPrefix(info.Name, project+"/"), "/")
		if seen[name] || folder && known[name] {
			continue
		}
		seen[name] = true
		if folder {
			a.refuse("log-release-unlogged", project+"/"+name+"/", "this is in production, and is neither a release nor the log", "", info.Name, "find out who put it there, and remove it")
			continue
		}
		version, err := store.ReadMarker(ctx, b, project, name)
		switch newest := a.newest(name); {
		case err != nil:
			a.bad = append(a.bad, err)
		case version == "":
		case newest != "" && store.Older(version, newest) && slices.Contains(a.Releases, version):
			a.refuse("log-marker-old", info.Name, "a marker names an older version than the newest that was released to it", newest, version,
				"if "+newest+" is being released just now, wait, or have it released again, which moves the marker: sello release "+newest+"; else find out who turned it back")
		case !slices.Contains(a.Releases, version):
			a.refuse("log-release-unlogged", info.Name, "a marker names a version that is no release in the log", orText(strings.Join(a.Releases, ", "), "no version"), version, "find out who moved it; sello release moves markers to releases that are good")
		}
	}
	return nil
}

// withdrawn refuses what the log has and production has not, or not any more: one refusal a version.
func (a *LogAudit) withdrawn(project string, logged map[tlog.Entry]bool) {
	missing := map[string][]tlog.Entry{}
	for e, open := range logged {
		if open {
			missing[e.Version] = append(missing[e.Version], e)
		}
		if e.Project != project && open {
			a.refuse("log-entry-foreign", a.Where, "the log has an entry of another project", project, e.String(), "find out who wrote it")
		}
	}
	for _, version := range slices.Sorted(maps.Keys(missing)) {
		found := missing[version]
		slices.SortFunc(found, func(x, y tlog.Entry) int { return strings.Compare(x.String(), y.String()) })
		a.refuse("log-release-missing", project+"/"+version, "the transparency log has this, and production has not, or has something else in its place", found[0].String(),
			fmt.Sprintf("%d entries without their files", len(found)), "find out who took it away, or who released what nobody was meant to see; put the files back as they were")
	}
}

// AuditLog compares the log of the checkout's production bucket with the releases in it, and with what this checkout saw of it before.
// Without a trust file the one at the tip of the release branch counts.
func (p *Project) AuditLog(ctx context.Context, t *trust.Trust, since ...[]byte) (*LogAudit, error) {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return nil, err
	}
	def, _, err := p.definitionAt(ctx, tip)
	if err != nil {
		return nil, err
	}
	_, production, err := p.buckets(def)
	if err != nil {
		return nil, err
	}
	if t == nil {
		if t, _, err = p.trustAt(ctx, tip, branch); err != nil {
			return nil, err
		}
	}
	file, err := p.logMemory()
	if err != nil {
		return nil, err
	}
	switch seen, err := os.ReadFile(file); {
	case err == nil:
		since = append(since, seen)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	a, err := AuditLog(ctx, production, t, since...)
	if err != nil || a.Err() != nil || a.Size == 0 {
		return a, err
	}
	if err := writeFile(file, a.Checkpoint); err != nil {
		return nil, fmt.Errorf("keep checkpoint: %w", err)
	}
	return a, nil
}

// AuditLogAt is AuditLog for a bucket, or what a web server publishes of one, by its URL; relative ones are below dir.
func AuditLogAt(ctx context.Context, rawURL, dir string, t *trust.Trust, since ...[]byte) (*LogAudit, error) {
	b, err := store.OpenPublished(strings.TrimSuffix(rawURL, "/"), dir)
	if err != nil {
		return nil, err
	}
	a, err := AuditLog(ctx, b, t, since...)
	if err == nil && a.Size == 0 && len(a.bad) == 0 {
		a.refuse("log-absent", a.Where, "there is no transparency log", "a checkpoint", "nothing",
			"give the folder, bucket or URL that the project's own folder is in; if it is the right one, somebody took the log away, or nothing was ever released")
	}
	return a, err
}
