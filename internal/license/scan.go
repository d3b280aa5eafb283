package license

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"
)

// Detector classifies licence texts. It keeps what it has seen, by SHA-256, and may be used by many at once.
//
// Its matchers are compiled when the first text asks for them: one of the common licences, in some ten milliseconds, and
// one of all, in most of a second, only for a text that the first does not cover to its end.
type Detector struct {
	common, all func() *licensecheck.Scanner
	kept        *kept
	mu          sync.Mutex
	seen        map[[sha256.Size]byte]*reading
}

// New makes a detector.
func New() *Detector { return NewKeeping("") }

// NewKeeping makes a detector that looks into a file for what others found in the same texts before it compiles matchers, and
// writes to it what it found itself when it is told to Save. The file is the caller's: who can write to it says what is in texts.
// One that is not there, damaged or of other patterns holds nothing.
func NewKeeping(file string) *Detector {
	return &Detector{
		kept:   newKept(file),
		common: sync.OnceValue(func() *licensecheck.Scanner { return compile(commonLicenses) }),
		all:    allLicenses,
		seen:   map[[sha256.Size]byte]*reading{},
	}
}

// Save writes what was found in texts to the file of NewKeeping.
func (d *Detector) Save() error { return d.kept.save() }

// allLicenses is shared by all detectors: it is a large matcher that never changes.
var allLicenses = sync.OnceValue(func() *licensecheck.Scanner { return compile(nil) })

// commonLicenses are most of what is met. A text is theirs only when they cover it to its end (see nearlyAll); what is a
// little different is read against all.
var commonLicenses = []string{
	"0BSD", "AGPL-3.0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "EPL-2.0", "GPL-2.0", "GPL-3.0",
	"GooglePatentsFile", "ISC", "LGPL-2.1", "LGPL-3.0", "MIT", "MIT-0", "MPL-2.0", "MPL-2.0-no-copyleft-exception", "Unlicense", "Zlib",
}

// nearlyAll is the share of words, in per cent, that the common licences have to cover: the rest is a title or a name.
const nearlyAll = 97

// compile makes a matcher of the licences with these ids, or of all, and of all known URLs.
func compile(ids []string) *licensecheck.Scanner {
	var list []licensecheck.License
	for _, l := range licensecheck.BuiltinLicenses() {
		if ids == nil || l.LRE == "" || slices.Contains(ids, l.ID) {
			list = append(list, l)
		}
	}
	s, err := licensecheck.NewScanner(list)
	if err != nil {
		panic("compile licence patterns: " + err.Error()) // they are part of the program, and a test compiles them
	}
	return s
}

// reading is what one text comes to.
type reading struct {
	once       sync.Once
	ids        []string // SPDX identifiers and LicenseRefs, sorted
	refs       []Extracted
	expression string // of a tag in the text
	confidence float64
	choice     bool // the words outside of known texts offer a choice
	words      int
	sum        string
	copyrights []string
}

// read classifies a text, or finds it among those seen.
func (d *Detector) read(text []byte) *reading {
	key := sha256.Sum256(text)
	d.mu.Lock()
	r := d.seen[key]
	if r == nil {
		r = &reading{sum: hex.EncodeToString(key[:])}
		d.seen[key] = r
	}
	d.mu.Unlock()
	r.once.Do(func() { d.classify(text, r) })
	return r
}

func (d *Detector) classify(text []byte, r *reading) {
	r.words = len(strings.Fields(string(text)))
	r.copyrights = copyrights(text)
	if r.expression = tagOf(text); r.expression != "" && r.words < 60 {
		r.confidence = 1
		return
	}
	cover := d.kept.get(r.sum, text, d.scan)
	r.confidence = min(cover.Percent/100, 1)
	r.choice = offersChoice(outside(text, cover.Match))
	ids := map[string]bool{}
	for _, m := range cover.Match {
		id, ref := spdxID(m.ID)
		ids[id] = true
		if ref && !slices.ContainsFunc(r.refs, func(e Extracted) bool { return e.ID == id }) {
			r.refs = append(r.refs, Extracted{ID: id, Name: m.ID, Text: strings.ToValidUTF8(string(text[m.Start:m.End]), "�")})
		}
	}
	for id := range ids {
		r.ids = append(r.ids, id)
	}
	slices.Sort(r.ids)
	r.ids = withoutGeneral(r.ids)
}

// scan matches a text against the common licences, and against all where they do not cover it.
func (d *Detector) scan(text []byte) cover {
	found := d.common().Scan(text)
	if found.Percent < nearlyAll || len(found.Match) == 0 {
		found = d.all().Scan(text)
	}
	out := cover{Percent: found.Percent}
	for _, m := range found.Match {
		out.Match = append(out.Match, match{m.ID, m.Start, m.End})
	}
	return out
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// outside gives the text that no match covers.
func outside(text []byte, matches []match) string {
	var b strings.Builder
	at := 0
	for _, m := range matches {
		if m.Start > at {
			b.Write(text[at:m.Start])
			b.WriteByte('\n')
		}
		at = max(at, m.End)
	}
	b.Write(text[at:])
	return b.String()
}

// offersChoice looks for the words with which a choice between licences is offered.
func offersChoice(text string) bool {
	words := strings.Join(strings.Fields(strings.ToLower(text)), " ")
	for _, s := range []string{"dual licensed", "dual-licensed", "dual license", "dual-license", "dual mit/apache", "either of these licenses", "under either", "either license"} {
		if strings.Contains(words, s) {
			return true
		}
	}
	return false
}
