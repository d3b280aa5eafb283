package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
)

// uploads is how many objects are written at once.
const uploads = 4

// upload writes the assembled files and their bundles into the stage. stage.json is not
// written here: it comes last, and makes the stage complete.
func (a *assembly) upload(ctx context.Context, to store.StageLayout, t *trust.Trust) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, s := range a.artifacts() {
		group.Go(func() error {
			if _, err := store.PutDigest(ctx, to.Bucket, to.File(s.Name), s.Sums, a.open(s.Name)); err != nil {
				return err
			}
			return a.uploadBundle(ctx, to, s, t)
		})
	}
	return group.Wait()
}

// uploadBundle writes an artifact's provenance. Provenance differs from run to run; the first that was
// staged stays, if it is good, so that what was signed off never changes.
func (a *assembly) uploadBundle(ctx context.Context, to store.StageLayout, s stage.Artifact, t *trust.Trust) error {
	name := to.File(s.Name + stage.BundleSuffix)
	old, err := readObject(ctx, to.Bucket, name, sign.MaxBundle)
	if err == nil {
		return checkBundle(old, s, t, name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := a.open(s.Name + stage.BundleSuffix)()
	if err != nil {
		return fmt.Errorf("read provenance: %w", err)
	}
	defer r.Close()
	return to.Bucket.Put(ctx, name, r, store.PutOptions{Exclusive: true, ContentType: "application/json"})
}

// checkBundle refuses a bundle in the stage that does not speak of the artifact beside it.
func checkBundle(data []byte, s stage.Artifact, t *trust.Trust, where string) error {
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		return err
	}
	_, payload, err := sign.SignersOf(t, trust.RoleBuilder).Verify(bundle)
	if err != nil {
		return err
	}
	statement, err := attest.Decode[attest.Provenance](payload, attest.ProvenanceType)
	if err != nil {
		return err
	}
	for _, subject := range statement.Subject {
		if subject.Digest["sha256"] == s.SHA256 {
			return nil
		}
	}
	return &gate.Refusal{Code: "stage-evidence-conflict", Where: where, What: "the stage holds provenance that does not speak of the artifact beside it",
		Expected: "a statement about sha256:" + s.SHA256, Fix: "find out who wrote it; remove the stage's folder and stage again"}
}

// readObject reads a small object whole.
func readObject(ctx context.Context, b store.Bucket, name string, limit int64) ([]byte, error) {
	r, info, err := b.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > limit {
		return nil, &gate.Refusal{Code: "object-too-large", Where: name, What: "this file is larger than it can be", Expected: fmt.Sprintf("at most %d bytes", limit), Actual: fmt.Sprint(info.Size)}
	}
	return io.ReadAll(io.LimitReader(r, limit))
}

// putBytes writes a small object that may be there already with the same bytes.
func putBytes(ctx context.Context, b store.Bucket, name string, data []byte) error {
	sums := digest.Sums{Size: int64(len(data)), SHA256: digest.Bytes(data)}
	_, err := store.PutDigest(ctx, b, name, sums, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	return err
}
