package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

const (
	// partSize and partsAtOnce bound what one Put holds in memory: three parts, 15 MiB.
	partSize    = 5 << 20 // the least that S3 takes; with its 10,000 parts an object has at most 48 GiB
	partsAtOnce = 2
	// minServerCopy is the size below which an object that was read to compare it is put rather than copied.
	minServerCopy = 8 << 20
)

// probe is the object by which a store is tried.
const (
	probeName    = tempFolder + "/conditions"
	probeContent = "Sello writes this to see whether this store keeps to conditions.\n"
)

// Put implements Bucket.
func (b *blobBucket) Put(ctx context.Context, name string, r io.Reader, o PutOptions) error {
	if err := errors.Join(ctx.Err(), CheckName(name)); err != nil {
		return err
	}
	if o.Exclusive {
		if err := b.conditions(ctx); err != nil {
			return err
		}
	}
	return b.explainWrite(ctx, name, b.putKey(ctx, name, r, o, nil))
}

// Swap implements Swapper.
func (b *blobBucket) Swap(ctx context.Context, name, version string, r io.Reader, o PutOptions) error {
	if err := errors.Join(ctx.Err(), CheckName(name), b.conditions(ctx)); err != nil {
		return err
	}
	o.Exclusive = version == ""
	var only func(func(any) bool) error
	if version != "" {
		only = b.via.onlyAt(version)
	}
	err := b.putKey(ctx, name, r, o, only)
	if b.cause(err) == causeCondition || version != "" && b.cause(err) == causeAbsent {
		return fmt.Errorf("write %s: %w", b.where(name), ErrChanged)
	}
	return b.explainWrite(ctx, name, err)
}

// putKey writes an object. Errors of the store are given as they are, those of r wrapped in sourceError.
func (b *blobBucket) putKey(ctx context.Context, name string, r io.Reader, o PutOptions, only func(func(any) bool) error) error {
	bucket, err := b.open(ctx)
	if err != nil {
		return err
	}
	if o.ContentType == "" {
		o.ContentType = contentType(name)
	}
	dog := watch(ctx)
	defer dog.stop()
	source := &sourceReader{r: digest.Until(ctx, r), dog: dog, limit: b.write}
	dog.start(b.write)
	// Not a Writer: azureblob's panics when the store refuses what is written (gocloud.dev v0.47.0).
	err = bucket.Upload(dog.ctx, b.key(name), source, &blob.WriterOptions{
		ContentType: o.ContentType, IfNotExist: o.Exclusive, BeforeWrite: only, BufferSize: partSize, MaxConcurrency: partsAtOnce,
	})
	switch {
	case source.err != nil && err != nil:
		return sourceError{source.err}
	case source.err != nil:
		return fmt.Errorf("the store took a part of %s for the whole: %w", name, source.err)
	}
	return dog.why(err)
}

// sourceReader reads what is to be written. When that breaks it ends the write's context first, so that no
// client takes half of it for the whole, and remembers why. The time until the store takes more is bounded.
type sourceReader struct {
	r     io.Reader
	dog   *watchdog
	limit time.Duration
	err   error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	s.dog.pause()
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
		s.dog.cancel(err)
	}
	s.dog.start(s.limit)
	return n, err
}

// sourceError keeps an error of what was to be written apart from the store's.
type sourceError struct{ err error }

func (s sourceError) Error() string { return s.err.Error() }
func (s sourceError) Unwrap() error { return s.err }

// CopyFrom implements Copier, inside one store and account.
//
// No store gives a digest of its own that we could rely on, so the source is read here and compared with want; then the
// store is told to copy that very version (S3: the version or ETag, Google: the generation) and to make the copy visible only if the name is
// still free. So nothing appears under its name before its bytes were compared, and what is saved is sending them.
// An ETag may be an MD5: who can make other bytes with the same one, and write them in between, is found out when
// production is verified after promotion, not here.
//
// S3's CopyObject replaces in many servers whatever the condition says; a multipart upload whose parts are copied does not,
// since the condition is one of its last step. Azure needs a signed URL of the source: there the bytes pass through this process.
// So do objects below 8 MiB, for which asking costs more than sending, and copies that may replace.
func (b *blobBucket) CopyFrom(ctx context.Context, name string, from Bucket, fromName string, want digest.Sums, o PutOptions) error {
	source, ok := from.(*blobBucket)
	if !ok || source.account() != b.account() || want.Size < minServerCopy || !o.Exclusive || !b.via.copies() {
		return fmt.Errorf("copy %s: %w", name, errors.ErrUnsupported)
	}
	if err := errors.Join(CheckName(name), b.conditions(ctx)); err != nil {
		return err
	}
	to, err := b.open(ctx)
	if err != nil {
		return err
	}
	r, _, version, err := source.GetVersion(ctx, fromName)
	if err != nil {
		return err
	}
	defer r.Close()
	if version == "" {
		return fmt.Errorf("copy %s: %w", name, errors.ErrUnsupported)
	}
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, verify(digest.Until(ctx, r), name, want), make([]byte, 1<<20)); err != nil {
		return err
	}
	src, err := source.open(ctx)
	if err != nil {
		return err
	}
	err = b.via.copy(ctx, blobCopy{to: to, from: src, bucket: b.name, key: b.key(name), source: source.name, srcKey: source.key(fromName),
		version: version, size: want.Size, contentType: o.ContentType})
	if errors.Is(err, errSourceChanged) {
		return (&verifying{name: name, want: want}).mismatch("another version than the one that was compared")
	}
	return b.explainWrite(ctx, name, err)
}

// conditions makes sure, once, that the store keeps to conditions.
func (b *blobBucket) conditions(ctx context.Context) error {
	b.mu.Lock()
	done := b.tried || !b.via.doubtful()
	b.mu.Unlock()
	if done {
		return nil
	}
	write := func(o PutOptions, only func(func(any) bool) error) error {
		return b.putKey(ctx, probeName, strings.NewReader(probeContent), o, only)
	}
	err := write(PutOptions{Exclusive: true}, nil)
	if err == nil { // the first time ever in this bucket
		err = write(PutOptions{Exclusive: true}, nil)
	}
	ignored := "If-None-Match"
	if b.cause(err) == causeCondition {
		ignored = "If-Match"
		err = write(PutOptions{}, b.via.onlyAt(`"0"`))
	}
	switch {
	case err == nil:
		return &gate.Refusal{
			Code: "store-no-conditions", Class: gate.Failed, What: "this store ignores conditions, so that two releasers could overwrite one another", Where: b.String(),
			Expected: "status 412 for " + ignored, Actual: "the object was replaced", Fix: "use a version of the store that knows conditional writes, or another store",
		}
	case b.cause(err) != causeCondition:
		return b.explain(ctx, "write", b.where(probeName), err)
	}
	b.mu.Lock()
	b.tried = true
	b.mu.Unlock()
	return nil
}

// explainWrite is explain for a write that may have found its name taken.
func (b *blobBucket) explainWrite(ctx context.Context, name string, err error) error {
	if err == nil {
		return nil
	}
	var source sourceError
	if errors.As(err, &source) {
		return fmt.Errorf("write %s: %w", b.where(name), source.err)
	}
	if b.cause(err) == causeCondition {
		return fmt.Errorf("write %s: %w", b.where(name), fs.ErrExist)
	}
	return b.explain(ctx, "write", b.where(name), err)
}
