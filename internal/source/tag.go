package source

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/sello-release/sello/internal/gate"
)

// maxPeel is how many tags may stand between a tag's name and its commit.
const maxPeel = 16

// Tag gives the commit that a tag names, through annotated tags; ok is false where there is no such tag.
// Refused: tag-bad-name, source-not-a-commit, and objects that are missing or corrupt.
func (r *Repository) Tag(ctx context.Context, name string) (commit string, ok bool, err error) {
	if err := CheckTagName(name); err != nil {
		return "", false, err
	}
	refs, err := r.refs(ctx, tags+name)
	if err != nil {
		return "", false, err
	}
	id, ok := refs[tags+name]
	if !ok {
		return "", false, nil
	}
	o, err := r.objects(ctx, false)
	if err != nil {
		return "", false, err
	}
	defer o.close()
	commit, kind, err := o.peel(id, name)
	if err == nil && kind != kindCommit {
		return "", false, refusal{
			code: "source-not-a-commit", where: "tag " + quote(name), what: "tag does not name a commit", expected: "a commit", actual: "a " + plain(kind),
			fix: "git tag --delete " + quote(name),
		}.err()
	}
	return commit, err == nil, err
}

// Tags gives the commit of every tag that names one, by name.
func (r *Repository) Tags(ctx context.Context) (map[string]string, error) {
	refs, err := r.refs(ctx, tags)
	if err != nil {
		return nil, err
	}
	o, err := r.objects(ctx, false)
	if err != nil {
		return nil, err
	}
	defer o.close()
	commits := make(map[string]string, len(refs))
	for ref, id := range refs {
		name := strings.TrimPrefix(ref, tags)
		commit, kind, err := o.peel(id, name)
		if err != nil {
			return nil, err
		}
		if kind == kindCommit {
			commits[name] = commit
		}
	}
	return commits, nil
}

// peel follows tags to what they name, proving each of them.
func (o *objects) peel(id, name string) (target, kind string, err error) {
	where := "tag " + quote(name)
	for range maxPeel {
		kind, body, err := o.any(id)
		if err != nil {
			return "", "", o.broken(err, where)
		}
		if kind != kindTag {
			return id, kind, nil
		}
		if id, err = parseTag(o.repo.format, body); err != nil {
			return "", "", refusal{
				code: "source-object-corrupt", where: where, what: "tag object is malformed", cause: err, fix: "git tag --delete " + quote(name),
			}.err()
		}
	}
	return "", "", refusal{code: "source-object-corrupt", where: where, what: fmt.Sprintf("tag leads through more than %d others", maxPeel)}.err()
}

// any reads an object of any kind. A blob or tree is hashed, but not kept.
func (o *objects) any(id string) (kind string, body []byte, err error) {
	o.ask(func(yield func(string) bool) { yield(id) })
	kind, size, err := o.header(id)
	if err != nil {
		return "", nil, err
	}
	h := o.repo.format.hasher(kind, size)
	var kept bytes.Buffer
	to := io.Writer(h)
	if kind == kindTag {
		if size > maxCommitObject {
			return "", nil, refusal{code: "source-object-too-large", where: "tag " + id, what: "object is too large", expected: fmt.Sprintf("at most %d bytes", maxCommitObject)}.err()
		}
		to = io.MultiWriter(h, &kept)
	}
	if _, err := io.CopyN(to, o.out, size); err != nil {
		return "", nil, o.died(id, err)
	}
	if err := o.newline(id); err != nil {
		return "", nil, err
	}
	return kind, kept.Bytes(), proven(h, id)
}

// parseTag reads the id that a tag object names. Its kind is seen when the object is read.
func parseTag(f format, body []byte) (string, error) {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	id, ok := bytes.CutPrefix(line, []byte("object "))
	if !ok || !f.valid(string(id)) {
		return "", errors.New("does not begin with an object")
	}
	return string(id), nil
}

// CheckTagName holds a name to the rules of git-check-ref-format(1). Refused: tag-bad-name.
func CheckTagName(name string) error {
	if err := checkRefName(name); err != nil {
		return refusal{
			code: "tag-bad-name", class: gate.Usage, where: quote(shorten(name)), what: "git does not allow this name for a tag",
			expected: "a name like v1.2.3", cause: err,
		}.err()
	}
	return nil
}

// TagRequest is an annotated tag to be made.
type TagRequest struct {
	Name    string        // without refs/tags/
	Commit  string        // full id
	Message string        // UTF-8; one newline at its end is added where there is none
	Tagger  string        // name of whom the tag is by
	Email   string        // address of whom the tag is by
	Time    time.Time     // whole seconds count; zero means now
	Signer  crypto.Signer // Ed25519, ECDSA or RSA key; nil for a tag without a signature
}

// CreateTag makes an annotated tag, signed as `git tag --sign` does with gpg.format=ssh when there is a
// signer. A tag of this name that names the same commit already is left alone. No reference that exists is ever
// moved. Refused: tag-bad-name, tag-bad-request, tag-moved, and what Commit refuses.
func (r *Repository) CreateTag(ctx context.Context, t TagRequest) error {
	if err := t.check(); err != nil {
		return err
	}
	if _, err := r.Commit(ctx, t.Commit); err != nil {
		return err
	}
	if there, err := r.tagThere(ctx, t); there || err != nil {
		return err
	}
	body, err := t.object()
	if err != nil {
		return err
	}
	s, err := r.scratch("")
	if err != nil {
		return err
	}
	defer s.remove()
	write := s.onObjects(ctx, append(r.sharing(ctx, s), "hash-object", "-t", kindTag, "-w", "--stdin")...)
	write.Stdin = bytes.NewReader(body)
	id, err := output(write)
	if err != nil {
		return fmt.Errorf("write tag object: %w", err)
	}
	point := s.onRefs(ctx, "update-ref", "--no-deref", tags+t.Name, id, r.format.zero())
	point.Env = append(point.Env, "GIT_COMMITTER_NAME="+t.Tagger, "GIT_COMMITTER_EMAIL="+t.Email)
	if _, err := output(point); err != nil {
		// Somebody else may have made it in the meantime.
		if there, again := r.tagThere(ctx, t); there || again != nil {
			return again
		}
		return fmt.Errorf("write tag %s: %w", quote(t.Name), err)
	}
	return nil
}

// tagThere reports whether the tag exists at the commit, and refuses when it is somewhere else.
func (r *Repository) tagThere(ctx context.Context, t TagRequest) (bool, error) {
	commit, ok, err := r.Tag(ctx, t.Name)
	if err != nil || !ok {
		return false, err
	}
	if commit != t.Commit {
		return false, tagMoved(quote(r.root), t.Name, t.Commit, commit)
	}
	return true, nil
}

func tagMoved(where, name, expected, actual string) error {
	return refusal{
		code: "tag-moved", where: where, what: "tag " + quote(name) + " exists and names another commit",
		expected: expected, actual: actual, fix: "choose another version: a published tag must never move",
	}.err()
}

// sharing keeps the permissions that the repository is shared with.
func (r *Repository) sharing(ctx context.Context, s *scratch) []string {
	value, err := output(s.onRefs(ctx, "config", "--local", "--get", "core.sharedRepository"))
	if err != nil || !values.MatchString(value) {
		return nil
	}
	return []string{"-c", "core.sharedRepository=" + value}
}

func (t TagRequest) check() error {
	if err := CheckTagName(t.Name); err != nil {
		return err
	}
	bad := func(what string) error {
		return refusal{code: "tag-bad-request", class: gate.Usage, where: "tag " + quote(t.Name), what: what}.err()
	}
	switch {
	case t.Tagger == "" || t.Email == "" || strings.TrimSpace(plain(t.Tagger+t.Email)) != t.Tagger+t.Email || strings.ContainsAny(t.Tagger+t.Email, "<>"):
		return bad("tagger's name and address must be one line of text without < and >")
	case strings.TrimSpace(t.Message) == "" || len(t.Message) > 1<<20:
		return bad("message must not be empty, nor longer than 1 MiB")
	case strings.ContainsRune(t.Message, 0) || strings.ToValidUTF8(t.Message, "") != t.Message:
		return bad("message must be text")
	case strings.HasPrefix(t.Message, "-----BEGIN") || strings.Contains(t.Message, "\n-----BEGIN"):
		return bad("message must not contain a line that could be taken for a signature")
	case !t.Time.IsZero() && (t.Time.Unix() < 0 || t.Time.Unix() > latest):
		return bad("time must be between 1970 and 9999")
	}
	return nil
}

// object gives the tag object's bytes: the signature, if any, is over everything before it.
func (t TagRequest) object() ([]byte, error) {
	at := t.Time
	if at.IsZero() {
		at = time.Now()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "object %s\ntype commit\ntag %s\ntagger %s <%s> %d +0000\n\n", t.Commit, t.Name, t.Tagger, t.Email, at.Unix())
	b.WriteString(strings.TrimRight(t.Message, "\n") + "\n")
	if t.Signer == nil {
		return b.Bytes(), nil
	}
	key, err := ssh.NewSignerFromSigner(t.Signer)
	if err != nil {
		return nil, refusal{
			code: "tag-bad-request", class: gate.Usage, where: "tag " + quote(t.Name), what: "this kind of key cannot sign tags",
			expected: "Ed25519, ECDSA or RSA", cause: err,
		}.err()
	}
	signature, err := sshsig.Sign(bytes.NewReader(b.Bytes()), key, sshsig.HashSHA512, "git")
	if err != nil {
		return nil, fmt.Errorf("sign tag: %w", err)
	}
	b.Write(sshsig.Armor(signature))
	return b.Bytes(), nil
}
