// Package image makes and reads OCI images (image-spec 1.1). It has no daemon and no network.
//
// Making: Layer packs files into a layer, Build writes the configuration and the manifest
// of one platform, Index joins platforms. The same input gives the same bytes, on one core or many; each
// byte of a layer is read, hashed and compressed once. Everything lands in Blobs, a folder in which each blob
// is named by its digest.
//
// Reading: whatever gives bytes is a Fetcher, and is not trusted. Every blob is held to
// the digest and size under which it was asked for. ReadBase finds the image of one platform,
// FetchBase copies it; Files walks the merged file system of an image without writing it, Unpack writes it into a folder.
//
// Refused are: blobs that are not what their descriptor says; documents that are not
// strict JSON, that could be read as two kinds, or that are too large; indexes that nest without end; layers that are not
// to be distributed, of unknown compression, or with digests of another kind than SHA-256; in layers
// names, "..", devices, and more entries or bytes than Limits allow.
//
// Not kept when files are unpacked: owners, setuid and setgid, extended attributes, device nodes below dev/.
// The package does not run anything out of an image.
package image

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Fetcher gives the blob of a descriptor. It need not verify it: this package does.
type Fetcher interface {
	Fetch(ctx context.Context, target ocispec.Descriptor) (io.ReadCloser, error)
}

// Codes of the refusals of this package.
const (
	CodeDigestMismatch  = "image-digest-mismatch" // a blob has another size or digest than its descriptor says
	CodeBlobMissing     = "image-blob-missing"    // the folder has no such blob
	CodeMalformed       = "image-malformed"       // a manifest, index or configuration is not strict JSON, or contradicts itself
	CodeTooLarge        = "image-too-large"       // a manifest, index or configuration exceeds a limit
	CodeIndexLoop       = "image-index-loop"      // indexes nest too deep
	CodePlatformMissing = "base-platform-missing" // the image is not there for the platform
	CodeUnsupported     = "base-unsupported"      // a media type, digest or layer that cannot be used
	CodeDiffID          = "layer-diffid-mismatch" // a layer unpacks to other bytes than the configuration says
	CodeLayerName       = "layer-bad-name"        // a name in a layer that leaves the root, or cannot be written
	CodeLayerLink       = "layer-bad-link"        // a hard link to nothing, or symlinks that go round
	CodeLayerDevice     = "layer-device"          // a device, FIFO or other special file
	CodeLayerTooLarge   = "layer-too-large"       // a layer exceeds Limits
	CodeLayerMalformed  = "layer-malformed"       // a layer is no proper tar, gzip or zstd
	CodeTreeChanged     = "rootfs-changed"        // an unpacked tree is not any more what was unpacked
	CodePlatformTwice   = "image-platform-twice"  // an index would name one platform twice
)

// Media types of Docker's images, which are read as their OCI counterparts: the bytes are of the same form.
const (
	dockerIndex     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig    = "application/vnd.docker.container.image.v1+json"
	dockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
)

// Bounds of what is read into memory, and of what an image may consist of.
const (
	maxManifest = 4 << 20 // bytes, manifests and indexes
	maxConfig   = 8 << 20 // bytes
	maxLayers   = 200
	maxListed   = 1000 // manifests in an index
	maxDepth    = 4    // indexes within each other
	maxIndexes  = 16   // indexes read to find one platform
)
