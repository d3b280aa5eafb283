package source

import (
	"errors"
	"strings"
)

// linkSet are a tree's symbolic links, for deciding whether one of them leads out of the
// tree. Nothing on disk is looked at. Names are compared folded, so that
// the answer also holds on file systems that ignore case.
type linkSet struct {
	targets  map[string]string // folded path -> target
	resolved map[string]resolution
	longest  int // bytes of the longest path in targets: longer ones need no look
}

type resolution struct {
	path  string // where the link leads, below the root; "" is the root
	hops  int    // links followed on the way, this one included
	err   error  // it leaves the tree, or cannot be followed
	state resolutionState
}

type resolutionState int

const (
	unresolved resolutionState = iota
	resolving
	resolvedTo
)

var (
	errEscapes = errors.New("it leads out of the tree")
	errLoops   = errors.New("it leads to itself") // harmless: no system can follow it
	errTooLong = errors.New("it leads through more than 255 other links")
)

// maxChain is how many links may lead through each other; systems stop at 40 or earlier.
const maxChain = 255

func newLinkSet() *linkSet {
	return &linkSet{targets: map[string]string{}, resolved: map[string]resolution{}}
}

// add adds the link at p. All links must be added before the first is checked.
func (l *linkSet) add(p, target string) {
	p = fold(p)
	l.targets[p] = target
	l.longest = max(l.longest, len(p))
}

// check says whether the link at p leaves the tree. A link that leads nowhere, or in a circle, does not.
func (l *linkSet) check(p string) error {
	if r := l.resolve(fold(p), maxChain); !errors.Is(r.err, errLoops) {
		return r.err
	}
	return nil
}

// resolve follows the link at p, whose folders are folders and not links. Each link is followed once.
func (l *linkSet) resolve(p string, budget int) resolution {
	switch known := l.resolved[p]; {
	case known.state == resolvedTo:
		return known
	case known.state == resolving:
		return resolution{err: errLoops}
	case budget == 0:
		return resolution{err: errTooLong}
	}
	l.resolved[p] = resolution{state: resolving}
	r := l.follow(parent(p), l.targets[p], budget)
	r.hops++
	if r.err == nil && r.hops > maxChain {
		r.err = errTooLong
	}
	r.state = resolvedTo
	l.resolved[p] = r
	return r
}

// follow walks target's names from the folder at.
func (l *linkSet) follow(at, target string, budget int) resolution {
	if target == "" || strings.HasPrefix(target, "/") || hasDrive(target) {
		return resolution{err: errEscapes}
	}
	r := resolution{path: at}
	for name := range strings.SplitSeq(target, "/") {
		switch name {
		case "", ".":
		case "..":
			if r.path == "" {
				return resolution{err: errEscapes}
			}
			r.path = parent(r.path)
		default:
			r.path = join(r.path, fold(name))
			if len(r.path) > l.longest {
				continue
			}
			if _, ok := l.targets[r.path]; !ok {
				continue
			}
			next := l.resolve(r.path, budget-1)
			if next.err != nil {
				return next
			}
			r.path, r.hops = next.path, r.hops+next.hops
		}
	}
	return r
}

// join puts a name behind a clean path, or alone at the root.
func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "/" + name
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// hasDrive reports whether Windows takes target for a path on a drive.
func hasDrive(target string) bool {
	return len(target) >= 2 && target[1] == ':' && (target[0]|0x20 >= 'a' && target[0]|0x20 <= 'z')
}

// checkTarget says why a link's target is not safe everywhere, or "".
func checkTarget(target string) string {
	switch {
	case len(target) > maxTarget:
		return "its target is too long"
	case strings.Contains(target, `\`):
		return "its target contains a backslash"
	case strings.ContainsFunc(target, breaksLines):
		return "its target contains a control character"
	}
	return ""
}
