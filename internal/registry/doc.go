// Package registry reads, copies and tags images in OCI registries and in OCI image
// layouts, by digest.
//
// # What it promises
//
//   - Every byte is compared with the digest and the size that its descriptor names,
//     while it streams. Manifests are at most MaxManifest bytes and are the only
//     content that is held in memory.
//   - A manifest appears in a repository only after everything that it names, its
//     subject included. A copy that is interrupted leaves content that no tag names,
//     and the next run goes on where it ended.
//   - What is there is not sent again. A blob that another repository of the same
//     registry holds is mounted from there.
//   - TagNew sets a tag once and never moves it. MoveTag moves a tag only forwards.
//   - Requests that fail for a moment are repeated: connections that break, and the
//     answers 408, 429, 500, 502, 503 and 504, with a growing pause or the one that the
//     registry asks for. A blob whose upload broke off is sent again, that one alone.
//   - Credentials come from the user's docker or podman settings, are only read, and
//     are only sent to the registry they belong to and to its token service. They
//     appear in no error. Plain HTTP is spoken to this machine alone.
//   - Referrers are read from the referrers API, or from the tag scheme where a
//     registry has no such API (distribution-spec v1.1, Listing Referrers).
//
// # Refusals
//
// image-reference, image-missing, image-index-loop, image-too-many, manifest-invalid,
// manifest-too-large, layout-invalid, referrers-too-many, referrers-lost,
// referrer-subject, registry-denied, registry-digest-mismatch, registry-missing,
// registry-not-oci, registry-redirect, registry-rejected, registry-throttled, registry-tls,
// registry-unavailable, tag-conflict, tag-foreign and tag-version.
//
// # What it does not do
//
// It deletes nothing, signs and verifies no attestation, and does not decide what
// may be published.
package registry
