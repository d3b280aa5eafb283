// Package promotion reads and writes the promotion manifests of kpromo, and makes
// production registries hold what they list.
//
// A manifest says which digests of a source registry belong into which destination
// registries, and under which tags. It comes as two files, the thin form: registries
// in one that few people may change, images in another that a project owns. Or as one
// file with both, the plain form.
//
// # What it promises
//
// Promotion is algebra of sets. What is missing is copied by digest, with everything
// attached to it. What is there with its tags is left alone. A tag that names another
// digest is a conflict and stays. Images do not block one another, and every failure
// is reported; but no tag is set before every image of the manifest is there and no
// tag conflicts, and each tag is looked at again right before. A run that broke off is
// finished by the next one.
//
// What is written is the same for the same manifest, and reads back as it.
//
// # Refusals
//
// promotion-registries, promotion-image, promotion-digest and promotion-tag of the
// files, besides those of strictyaml; image-missing and tag-conflict of the plan; those
// of package registry.
//
// # What it does not do
//
// It checks no sign-offs and no attestations: who calls Apply has decided. It uses no
// service accounts, though it keeps their names. It removes nothing that a manifest
// no longer lists.
package promotion
