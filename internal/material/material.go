// Package material fetches and pins what a build may read.
//
// A material is named by a URI and pinned by digest. Fetching happens in the
// control plane with the network on; no code of the project runs. What was
// fetched is verified before it gets a name in the content store.
package material

// Material is one thing that a build may read. It becomes one entry of
// resolvedDependencies (an in-toto ResourceDescriptor).
type Material struct {
	URI              string            `json:"uri,omitempty"`              // git+https://…, pkg:golang/path@version
	Name             string            `json:"name,omitempty"`             // "toolchain", "source", …
	Digest           map[string]string `json:"digest"`                     // gitCommit, gitTree, sha256, dirHash
	DownloadLocation string            `json:"downloadLocation,omitempty"` // without credentials
	Annotations      map[string]string `json:"annotations,omitempty"`      // e.g. sumdb: verified | exempt
}

// Published is the annotation of a module that says when its source states that the version was made (RFC 3339). Nothing vouches for it.
const Published = "published"
