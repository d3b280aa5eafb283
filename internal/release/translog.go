package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
	"github.com/sello-release/sello/internal/tlog/witness"
	"github.com/sello-release/sello/internal/trust"
)

// openLog gives the project's transparency log in its production bucket; nil when the trust file names no key for one.
func openLog(b store.Bucket, t *trust.Trust) (*tlog.Log, error) {
	id, err := tlog.IdentityOf(t)
	if err != nil || id == nil {
		return nil, err
	}
	return bucket.Open(b, t.Project, id), nil
}

// logSigner gives the key that signs the log; nil when the project has no log.
func (p *Project) logSigner(ctx context.Context, t *trust.Trust) (sign.Holder, error) {
	if len(t.Role(trust.RoleLog)) == 0 {
		return nil, nil //nolint:nilnil // a project may have no log
	}
	identity, signer, err := p.Keys(t.Project).Signer(ctx, t, trust.RoleLog, "")
	if err != nil {
		return nil, err
	}
	key, ok := signer.(sign.Holder)
	if !ok {
		return nil, &gate.Refusal{Code: "log-key", Class: gate.Usage, Where: identity, What: "a transparency log signs with Ed25519", Expected: "an Ed25519 key", Actual: "a signer without a key of its own",
			Fix: "make one: sello key new NAME --role " + trust.RoleLog}
	}
	return key, nil
}

// enterLog adds all that is signed of the release to the transparency log, the release statement last, has witnesses cosign what the log is then,
// and publishes the proof that it is there. A summary that the gate made after that is added later; a proof that too few witnesses have cosigned, of
// before the project had them, is replaced. Before, the log has to be what it was when this checkout saw it last.
func (p *Project) enterLog(ctx context.Context, c *Candidate, to store.ReleaseLayout, key sign.Holder) error {
	l, err := openLog(to.Bucket, c.Trust)
	if err != nil || l == nil {
		return err
	}
	now, err := l.Latest(ctx)
	if err == nil {
		err = p.sameLog(ctx, l, now)
	}
	if err != nil {
		return err
	}
	statement, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle)
	if err != nil {
		return err
	}
	entry := tlog.Entry{Project: to.Project, Version: to.Version, File: stage.ReleaseBundle, SHA256: digest.Bytes(statement)}
	old, err := oldProof(ctx, l, now, to, entry)
	if err != nil {
		return c.published(at(err, tlog.ProofFile), to)
	}
	if old != nil {
		return p.renewProof(ctx, c, l, now, old, to, key, statement)
	}
	entries, err := logEntries(ctx, c.Trust, to, statement, entry)
	if err != nil {
		return err
	}
	first, now, err := l.Append(ctx, key.Public(), func(m []byte) ([]byte, error) { return key.Sign(ctx, m) }, entries)
	if err != nil {
		return err
	}
	return p.putProof(ctx, l, now, first+int64(len(entries)-1), entry, to, true)
}

// oldProof reads the proof that is published already; nil when there is none. It has to prove the entry, in what the log was.
func oldProof(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint, to store.ReleaseLayout, e tlog.Entry) (*tlog.Proof, error) {
	data, err := readObject(ctx, to.Bucket, to.File(tlog.ProofFile), tlog.MaxProof)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // not there yet
	}
	if err != nil {
		return nil, err
	}
	proof, err := l.OpenProof(data)
	if err == nil {
		err = proof.Proves(e.Project, e.Version, e.File, e.SHA256)
	}
	if err == nil {
		err = l.Extends(ctx, now, proof.Checkpoint)
	}
	return proof, err
}

// renewProof adds the summary of a release that is in the log already, where the gate made one since, and renews the proof then, so that its
// checkpoint has all that is signed of the release; and when too few witnesses have cosigned the proof that there is.
func (p *Project) renewProof(ctx context.Context, c *Candidate, l *tlog.Log, now *tlog.Checkpoint, old *tlog.Proof, to store.ReleaseLayout, key sign.Holder, statement []byte) error {
	files, err := statedFiles(statement, c.Trust)
	if err != nil {
		return err
	}
	late, err := lateSummary(ctx, c.Trust, to, files)
	if err != nil {
		return err
	}
	_, few := l.Cosigned(old.Checkpoint, p.Now())
	renew := few != nil
	if late != nil {
		at, err := indexOf(ctx, l, now, *late)
		if err != nil {
			return err
		}
		if at < 0 {
			if _, now, err = l.Append(ctx, key.Public(), func(m []byte) ([]byte, error) { return key.Sign(ctx, m) }, []tlog.Entry{*late}); err != nil {
				return err
			}
		}
		renew = renew || at < 0 || at >= old.Checkpoint.Size
	}
	if !renew {
		return nil
	}
	return p.putProof(ctx, l, now, old.Index, old.Entry, to, false)
}

// indexOf finds an entry in what the log is now; -1 when it is not there.
func indexOf(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint, wanted tlog.Entry) (int64, error) {
	index := int64(0)
	for e, err := range l.All(ctx, now) {
		if err != nil {
			return -1, err
		}
		if e == wanted {
			return index, nil
		}
		index++
	}
	return -1, nil
}

// putProof has witnesses cosign the log, and publishes the proof that an entry is in it. first says that there was none: then one that somebody else
// has put there stays.
func (p *Project) putProof(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint, index int64, e tlog.Entry, to store.ReleaseLayout, first bool) error {
	now, err := p.cosigned(ctx, l, now)
	if err != nil {
		return err
	}
	proof, err := l.Prove(ctx, now, index, e)
	if err != nil {
		return err
	}
	data, err := proof.Encode()
	if err != nil {
		return err
	}
	if err := to.Bucket.Put(ctx, to.File(tlog.ProofFile), bytes.NewReader(data), store.PutOptions{Exclusive: first, ContentType: "text/plain; charset=utf-8"}); err != nil {
		return fmt.Errorf("publish proof of the transparency log: %w", err)
	}
	return p.rememberLog(now)
}

// cosigned has as many witnesses cosign the log as the trust file asks for, and puts their cosignatures beside the log for who audits it.
func (p *Project) cosigned(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint) (*tlog.Checkpoint, error) {
	if l.Threshold() == 0 {
		return now, nil
	}
	client := witness.New(p.Now)
	defer client.Close()
	now, err := client.Cosign(ctx, l, now)
	if err != nil {
		return nil, err
	}
	return now, l.Keep(ctx, now, p.Now())
}

// lateSummary is the entry of a summary that the gate made after the release: one that the release statement does not name. nil when there
// is none.
func lateSummary(ctx context.Context, t *trust.Trust, to store.ReleaseLayout, files map[string]string) (*tlog.Entry, error) {
	if len(t.Verifiers) == 0 || files[stage.SummaryBundle] != "" {
		return nil, nil //nolint:nilnil // a release may have none
	}
	data, err := readObject(ctx, to.Bucket, to.VSA(), sign.MaxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a release may have none
	}
	if err != nil {
		return nil, err
	}
	return &tlog.Entry{Project: to.Project, Version: to.Version, File: stage.SummaryBundle, SHA256: digest.Bytes(data)}, nil
}

// logEntries are the signed files that a release statement lists, a summary of after it, and the statement's own entry last.
func logEntries(ctx context.Context, t *trust.Trust, to store.ReleaseLayout, statement []byte, last tlog.Entry) ([]tlog.Entry, error) {
	files, err := statedFiles(statement, t)
	if err != nil {
		return nil, err
	}
	var out []tlog.Entry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, stage.BundleSuffix) && !stage.IsImageName(name) {
			out = append(out, tlog.Entry{Project: to.Project, Version: to.Version, File: name, SHA256: files[name]})
		}
	}
	late, err := lateSummary(ctx, t, to, files)
	if err != nil {
		return nil, err
	}
	if late != nil {
		out = append(out, *late)
	}
	return append(out, last), nil
}

// logMemory is where this checkout keeps the log's last checkpoint that it saw.
func (p *Project) logMemory() (string, error) {
	dir, err := p.State("log")
	return filepath.Join(dir, "checkpoint"), err
}

// sameLog refuses a log that has lost something since this checkout saw it last.
func (p *Project) sameLog(ctx context.Context, l *tlog.Log, now *tlog.Checkpoint) error {
	file, err := p.logMemory()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	before, err := l.Checkpoint(data)
	if err != nil {
		return nil // of a key that is none of the log's any more: nothing to compare with
	}
	return l.Extends(ctx, now, before)
}

func (p *Project) rememberLog(c *tlog.Checkpoint) error {
	file, err := p.logMemory()
	if err != nil {
		return err
	}
	if err := writeFile(file, c.Note); err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}
