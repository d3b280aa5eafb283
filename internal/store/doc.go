// Package store keeps stages and releases in buckets.
//
// A bucket maps names to content. It is all that staging and production need to
// be: a folder today, an object store behind the same interface later, so nothing
// here speaks of folders, permissions or locks but the one implementation for files.
//
// # What a bucket promises
//
//   - Content appears whole or not at all. A reader never sees half an object, and a
//     writer that is killed leaves nothing under the name it was writing.
//   - An exclusive Put never replaces: of two at once, one wins and the other
//     gets an error that wraps [io/fs.ErrExist].
//   - When Put has returned nil the content survives a power failure.
//   - Names are slash-separated, relative and clean; see [CheckName]. A name never
//     reaches outside of the bucket, whatever the bucket already holds.
//
// # What this package adds
//
// [PutDigest] and [CopyDigest] publish by digest: the same bytes are already
// there, or nothing is there and they are put exclusively, or it is a conflict.
// [StageLayout] and [ReleaseLayout] give names to the parts of a stage and a release.
// [MoveMarkers] moves the small mutable pointers, which never go backwards.
// [Lock] lets one process at a time work on a project.
//
// # Refusals
//
// bucket-scheme, bucket-url, store-name, store-escape, store-not-a-file,
// store-too-many, store-permission, store-no-space, store-conflict,
// store-digest-mismatch, store-stage-corrupt, marker-corrupt, marker-channel,
// marker-version and locked.
//
// # What it does not do
//
// It never deletes or overwrites what was published, does not sign or verify
// signatures, and does not decide whether a stage may be promoted.
package store
