// Package license concludes under which licences a module, a folder or a tree of files stands, offline.
//
// # Promises
//
// What a conclusion says comes from texts that were read: the files with names of licence files (LICENSE, COPYING,
// UNLICENSE, LICENSES/…), and the SPDX-License-Identifier tags at the head of source files where the caller asks for them
// or where there is no licence file. Every conclusion names those files, their SHA-256, and the share of their words that
// known licence texts cover. A text that is mostly unknown is never given a known name: it becomes a LicenseRef with the text
// itself. Expressions are SPDX (2.3, annex D) with identifiers of the SPDX licence list or LicenseRefs whose texts are
// given. Licences are joined by AND; two of them by OR where one of the texts offers the choice.
//
// The same files give the same conclusion, in any order and on any number of cores.
//
// # Limits
//
// Every reading is bounded: bytes of a licence file, entries of an archive, folders of a tree. What lies beyond a bound is
// said in Notes, never left out in silence.
//
// # What it does not do
//
// It gives no legal advice, reads no network, and does not look into README files. A NOTICE or PATENTS file is listed and
// read for copyright lines; it does not change the expression.
package license

// NoAssertion is the expression of something about which nothing is known.
const NoAssertion = "NOASSERTION"

// Conclusion is what the licence files of one module or folder come to.
type Conclusion struct {
	// Expression is an SPDX expression, or NoAssertion.
	Expression string `json:"expression"`
	// Confidence is the share of words of the least well known licence file that known texts cover, from 0 to 1; 1 for tags.
	Confidence float64 `json:"confidence"`
	// Files are the files that the conclusion rests on, and notices beside them, by path.
	Files []File `json:"files,omitempty"`
	// Found are the identifiers in files below, sorted: they hold for parts, and do not change Expression.
	Found []string `json:"found,omitempty"`
	// Copyrights are the copyright lines of Files, in order of appearance, without repetition.
	Copyrights []string `json:"copyrights,omitempty"`
	// Extracted are the texts of the LicenseRefs in Expression and Found, by id.
	Extracted []Extracted `json:"extracted,omitempty"`
	// Notes say what was not read, and why.
	Notes []string `json:"notes,omitempty"`
}

// Known reports whether the conclusion names any licence.
func (c Conclusion) Known() bool { return c.Expression != "" && c.Expression != NoAssertion }

// File is a file that speaks of licences.
type File struct {
	Path       string   `json:"path"` // relative, with slashes
	SHA256     string   `json:"sha256"`
	Kind       Kind     `json:"kind"`
	Licenses   []string `json:"licenses,omitempty"` // identifiers, sorted
	Confidence float64  `json:"confidence"`
}

// Kind is what a file is, by its name.
type Kind string

// Kinds of files.
const (
	Text    Kind = "license" // a licence text
	Notice  Kind = "notice"  // NOTICE, COPYRIGHT, AUTHORS, EULA: says something beside the licence
	Patents Kind = "patents" // a grant besides the licence
	Tag     Kind = "tag"     // a source file with an SPDX-License-Identifier
)

// Extracted is a licence text that is not on the SPDX licence list.
type Extracted struct {
	ID   string `json:"id"`   // LicenseRef-…
	Name string `json:"name"` // of the licence, or where its text was found
	Text string `json:"text"`
}

// Bounds of what is read.
const (
	MaxFile    = 1 << 20   // bytes of one licence file
	MaxEntries = 1_000_000 // files of an archive or tree
	MaxTexts   = 2_000     // licence files of one module or folder
	maxHead    = 4 << 10   // bytes of a source file that are searched for a tag
	maxTags    = 5_000     // source files of one module that are searched when there is no licence file
	maxLines   = 100       // copyright lines
)

// Enough is the share of words from which a text counts as known.
const Enough = 0.75
