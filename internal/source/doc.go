// Package source reads git repositories, and trusts none of them.
//
// It promises that what it hands out is what a commit id names. Every commit,
// tree, tag and blob is hashed again while it is read and compared with the id that
// led to it (SHA-1 with detection of collision attacks, as git itself hashes, or
// SHA-256), from the commit down to the last file, so neither a tampered object
// store nor a replace reference, a graft or a forged commit graph can change
// what is exported or how two commits are related. Bytes are the blobs' bytes:
// .gitattributes, filters, end-of-line settings and Git LFS have no influence.
//
// It promises that nothing of the repository runs. Objects are read by `git
// cat-file` in a temporary git directory of our own, with our configuration and the
// repository's object store; the repository's own configuration, hooks, aliases and
// attributes are not there. References are read in the repository's git directory
// with hooks, file system monitors and every transport switched off. Nothing is
// fetched: what a partial or shallow clone lacks is refused by name.
//
// It refuses trees that could not be unpacked safely and alike everywhere: names
// with control characters, backslashes or bytes that are not UTF-8, .git in any
// disguise, names that differ only by case or normalisation, symbolic links that
// leave the tree, duplicates, unknown modes, and anything above [Limits].
//
// What it refuses is a *gate.Refusal with a code of this list:
//
//	source-git-missing         the git command is not there
//	source-not-a-repository    no git repository, or one that git does not understand
//	source-no-work-tree        a bare repository where a work tree is needed
//	source-detached-head       no branch is checked out
//	source-bad-branch          a branch name or pattern that git would not allow
//	source-branch-missing      neither a local branch nor one of origin
//	source-bad-commit-id       not a full commit id in lower-case hex
//	source-commit-missing      the commit is not in the repository
//	source-not-a-commit        the id names a tag, a tree or a blob
//	source-bad-commit          the commit's header is malformed
//	source-shallow             the answer lies beyond a shallow clone's end
//	source-object-missing      a tree, blob or tag is not in the repository
//	source-object-corrupt      an object is not what its id says
//	source-object-collision    an object carries the traces of a SHA-1 collision attack
//	source-object-too-large    a tree, commit or tag beyond any sensible size
//	source-bad-path            a path asked for is absolute, climbing or not clean
//	source-not-a-file          the path is a folder, symbolic link or submodule
//	source-not-a-folder        the path is not a folder
//	source-bad-tree            a tree object is malformed or not sorted
//	source-bad-name            a name that is not safe everywhere
//	source-duplicate-entry     a name twice in one folder
//	source-case-collision      names that differ only by case or normalisation
//	source-unknown-mode        neither file, folder, symbolic link nor submodule
//	source-symlink-escapes     a symbolic link that leads out of the tree
//	source-file-too-large      a file above Limits.File, or above what the caller takes
//	source-too-large           files above Limits.Bytes together
//	source-too-many-files      entries above Limits.Files
//	source-too-deep            folders above Limits.Depth
//	source-destination-in-use  the folder to export to is not empty
//	source-bad-gitmodules      .gitmodules cannot be read
//	source-submodule-missing   a submodule's commit is not on this machine
//	source-submodule-dirty     a submodule's work tree has something else
//	tag-bad-name               a tag name that git would not allow
//	tag-bad-request            message, tagger or signer unfit for a tag object
//	tag-moved                  the tag exists and names another commit
//	tag-missing                the tag to push does not exist
//	tag-push                   the remote did not take the tag
//
// It does not clone, fetch or check out, does not verify signatures on commits,
// and does not say who reviewed what. It needs git 2.30 or later.
package source
