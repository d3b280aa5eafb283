package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Commit is what a commit object says. People and subject are text for people:
// control characters are removed, and nothing in them is proven but that the commit says so.
type Commit struct {
	ID        string // full, lower-case hex
	Tree      string
	Parents   []string
	Time      time.Time // the committer's, UTC, whole seconds
	Author    string    // Name <address>
	Committer string
	Subject   string // the first paragraph of the message, in one line
}

// Commit reads the commit with this full id (40 or 64 lower-case hex characters) and proves it by its hash.
// Refused: source-bad-commit-id, source-commit-missing, source-not-a-commit,
// source-object-corrupt, source-bad-commit.
func (r *Repository) Commit(ctx context.Context, id string) (Commit, error) {
	o, err := r.objects(ctx, false)
	if err != nil {
		return Commit{}, err
	}
	defer o.close()
	return o.commit(id)
}

func (o *objects) commit(id string) (Commit, error) {
	body, err := o.commitBody(id)
	if err != nil {
		return Commit{}, err
	}
	c, err := parseCommit(o.repo.format, id, body)
	if err != nil {
		return Commit{}, refusal{
			code: "source-bad-commit", where: "commit " + id, what: "commit is malformed",
			fix: "run `git fsck --full`; a commit made by git itself is well formed", cause: err,
		}.err()
	}
	return c, nil
}

func (o *objects) commitBody(id string) ([]byte, error) {
	if err := o.repo.checkCommitID(id); err != nil {
		return nil, err
	}
	body, err := o.get(id, kindCommit, maxCommitObject)
	var missing *missingError
	var kind *kindError
	switch {
	case errors.As(err, &missing):
		if err := o.complaint(id); err != nil {
			return nil, err
		}
		return nil, o.repo.commitMissing(id)
	case errors.As(err, &kind):
		return nil, refusal{
			code: "source-not-a-commit", class: gate.Usage, where: id, what: "this id does not name a commit",
			expected: "the id of a commit", actual: "the id of a " + plain(kind.found),
			fix: "git rev-parse --verify '" + id + "^{commit}'",
		}.err()
	}
	return body, err
}

func (r *Repository) checkCommitID(id string) error {
	if r.format.valid(id) {
		return nil
	}
	return refusal{
		code: "source-bad-commit-id", class: gate.Usage, where: quote(r.root), what: "this is not a full commit id of this repository",
		expected: fmt.Sprintf("%d lower-case hex characters (%s)", 2*r.format.size, r.format.name), actual: quote(shorten(id)),
		fix: "git rev-parse --verify '<name>^{commit}' prints the full id",
	}.err()
}

func shorten(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

func (r *Repository) commitMissing(id string) error {
	ref := refusal{
		code: "source-commit-missing", where: quote(r.root), what: "commit is not in the repository",
		expected: "commit " + id, actual: "no such object", fix: "git fetch --all --tags",
	}
	if r.shallow() {
		ref.actual = "a shallow clone without it"
		ref.fix = "git fetch --unshallow"
	}
	return ref.err()
}

// links are a commit's tree and parents, and the rest of its header and message.
type links struct {
	tree    string
	parents []string
	rest    []byte
}

func parseLinks(f format, body []byte) (links, error) {
	var l links
	line, rest, _ := bytes.Cut(body, []byte("\n"))
	tree, ok := bytes.CutPrefix(line, []byte("tree "))
	if !ok || !f.valid(string(tree)) {
		return links{}, errors.New("does not begin with a tree")
	}
	l.tree = string(tree)
	for {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		parent, ok := bytes.CutPrefix(line, []byte("parent "))
		if !ok {
			l.rest = rest
			return l, nil
		}
		if !f.valid(string(parent)) {
			return links{}, errors.New("has a malformed parent")
		}
		l.parents = append(l.parents, string(parent))
		rest = after
	}
}

// parseCommit reads a commit object: tree, parents, author and committer in this
// order, further headers, an empty line, the message.
func parseCommit(f format, id string, body []byte) (Commit, error) {
	l, err := parseLinks(f, body)
	if err != nil {
		return Commit{}, err
	}
	c := Commit{ID: id, Tree: l.tree, Parents: l.parents}
	author, rest, _ := bytes.Cut(l.rest, []byte("\n"))
	committer, rest, _ := bytes.Cut(rest, []byte("\n"))
	if c.Author, _, err = parsePerson("author", string(author)); err != nil {
		return Commit{}, err
	}
	if c.Committer, c.Time, err = parsePerson("committer", string(committer)); err != nil {
		return Commit{}, err
	}
	if !bytes.HasPrefix(rest, []byte("\n")) { // there are further headers
		_, rest, _ = bytes.Cut(rest, []byte("\n\n"))
	}
	c.Subject = subject(string(rest))
	return c, nil
}

// latest is the last second of the year 9999, beyond which no other format of ours can write a time.
const latest = 253402300799

// parsePerson reads "author Name <address> seconds zone".
func parsePerson(role, line string) (string, time.Time, error) {
	text, ok := strings.CutPrefix(line, role+" ")
	end := strings.LastIndexByte(text, '>')
	if !ok || end < 0 || !strings.Contains(text[:end], "<") {
		return "", time.Time{}, fmt.Errorf("has no %s where one must be", role)
	}
	when := strings.Fields(text[end+1:])
	if len(when) != 2 || len(when[1]) < 3 {
		return "", time.Time{}, fmt.Errorf("has a %s without a time", role)
	}
	seconds, err := strconv.ParseInt(when[0], 10, 64)
	if err != nil || seconds < 0 || seconds > latest {
		return "", time.Time{}, fmt.Errorf("has a %s with a time out of range", role)
	}
	return plain(text[:end+1]), time.Unix(seconds, 0).UTC(), nil
}

// subject joins the lines of a message's first paragraph.
func subject(message string) string {
	paragraph, _, _ := strings.Cut(strings.Trim(message, "\n"), "\n\n")
	words := strings.Split(paragraph, "\n")
	for i, word := range words {
		words[i] = strings.TrimSpace(plain(word))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}
