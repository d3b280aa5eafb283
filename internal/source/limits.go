package source

// Limits bound what is exported. A zero field means its default.
type Limits struct {
	File  int64 // bytes of one file; default 2 GiB
	Bytes int64 // bytes of all files together; default 20 GiB
	Files int   // files, folders, symbolic links and submodules together; default 1,000,000
	Depth int   // folders above a file, those of its submodules' paths included; default 128
}

// The defaults of Limits.
const (
	DefaultFile  int64 = 2 << 30
	DefaultBytes int64 = 20 << 30
	DefaultFiles       = 1_000_000
	DefaultDepth       = 128
)

// Bounds that no caller needs to change, in bytes.
const (
	maxTreeObject   = 64 << 20 // one folder
	maxCommitObject = 16 << 20 // one commit or tag
	maxModulesFile  = 1 << 20  // .gitmodules
	maxTarget       = 4095     // a symbolic link's target: Linux's PATH_MAX without its NUL
	maxTargets      = 64 << 20 // all targets together: each is followed, name by name
	maxName         = 255      // one name in a folder
	maxPath         = 4095     // a path below the root
)

func (l Limits) withDefaults() Limits {
	if l.File == 0 {
		l.File = DefaultFile
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files == 0 {
		l.Files = DefaultFiles
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	return l
}

// Tree says what was exported.
type Tree struct {
	Commit     string      // full id; empty for a copy of a work tree
	Tree       string      // full id; empty for a copy of a work tree
	Files      int         // regular files and symbolic links, those of submodules included
	Bytes      int64       // their content together
	Submodules []Submodule // sorted by path
	LFS        []string    // paths of files that are Git LFS pointers, not content; sorted
}

// Submodule is a pinned repository below the tree.
type Submodule struct {
	Path   string // slash-separated, below the root of the export
	URI    string // as .gitmodules says, without credentials; may be relative
	Commit string // full id that the tree pins
}
