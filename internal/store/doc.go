// Package store keeps stages and releases in buckets.
//
// A bucket maps names to content. It is all that staging and production need to
// be: a folder, or a bucket of an object store (Amazon S3 and what speaks its protocol, Google Cloud
// Storage, Azure Blob Storage) behind the same interface.
//
// # What a bucket promises
//
//   - Content appears whole or not at all. A reader never sees half an object, and a
//     writer that is killed leaves nothing under the name it was writing.
//   - An exclusive Put never replaces: of two at once, one wins and the other
//     gets an error that wraps [io/fs.ErrExist].
//   - When Put has returned nil the content survives a power failure, or the store has said so.
//   - Names are slash-separated, relative and clean; see [CheckName]. A name never
//     reaches outside of the bucket, whatever the bucket already holds.
//
// # What this package adds
//
// [PutDigest] and [CopyDigest] publish by digest: the same bytes are already
// there, or nothing is there and they are put exclusively, or it is a conflict.
// [StageLayout] and [ReleaseLayout] give names to the parts of a stage and a release.
// [MoveMarkers] moves the small mutable pointers, which never go backwards.
// [Lock] lets one process at a time work on a project. [Place] is what a user gives to sello verify.
//
// # Object stores
//
// Stores have no locks. What folders do by locks and renames they do by conditions: an exclusive Put is one that
// the store refuses when the name is taken (S3: If-None-Match, Google: generation 0, Azure: If-None-Match), and a marker
// moves on the condition that nobody has moved it since it was read ([Swapper]). A server that is only said to speak S3 is tried
// once with an object of its own, .sello-tmp/conditions, which no listing shows; one that ignores conditions is refused.
//
// The clients retry what may be retried. A store that does not answer for a minute, or takes no more bytes for
// five, is store-unreachable. Credentials come from the environment alone: URLs that hold any are refused, and
// messages show neither the queries of URLs nor the values of the environment's secrets. No bucket is ever created.
//
// # Refusals
//
// bucket-scheme, bucket-url, store-name, store-escape, store-not-a-file,
// store-too-many, store-permission, store-no-space, store-conflict,
// store-digest-mismatch, store-stage-corrupt, store-unreachable, store-bucket-missing, store-no-conditions,
// store-object-corrupt, marker-corrupt, marker-channel, marker-version, marker-busy and locked.
//
// # What it does not do
//
// It never deletes or overwrites what was published, does not sign or verify
// signatures, and does not decide whether a stage may be promoted.
package store
