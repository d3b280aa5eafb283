package source_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/sello-release/sello/internal/source"
)

func request(name, commit string) source.TagRequest {
	return source.TagRequest{
		Name: name, Commit: commit, Message: "Release " + name + "\n\nWith notes.", Tagger: "First Manager", Email: "first@example.org",
		Time: time.Unix(when, 0),
	}
}

// TestSignedTag lets git and ssh-keygen judge the signature.
func TestSignedTag(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r2, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := another.Public()
	for name, key := range map[string]crypto.Signer{"ed25519": ed, "ecdsa": ec, "rsa": r2} {
		for _, format := range []string{"sha1", "sha256"} {
			t.Run(name+", "+format, func(t *testing.T) {
				t.Parallel()
				r := newRepo(t, "--object-format="+format)
				commit := r.commit("first")
				req := request("v1.0.0", commit)
				req.Signer = key
				if err := r.open().CreateTag(t.Context(), req); err != nil {
					t.Fatal(err)
				}
				for i, by := range []crypto.PublicKey{key.Public(), other} {
					if got, err := r.open().TagSignedBy(t.Context(), "v1.0.0", by); err != nil || got != (i == 0) {
						t.Errorf("signed by key %d: %t, %v", i, got, err)
					}
				}
				public, err := ssh.NewPublicKey(key.Public())
				if err != nil {
					t.Fatal(err)
				}
				allowed := filepath.Join(t.TempDir(), "allowed")
				line := "first@example.org namespaces=\"git\" " + string(ssh.MarshalAuthorizedKey(public))
				writeFile(t, allowed, line, 0o644)
				r.git("config", "gpg.format", "ssh")
				r.git("config", "gpg.ssh.allowedSignersFile", allowed)
				r.git("tag", "-v", "v1.0.0") // fails the test when git refuses
				if got, want := r.git("for-each-ref", "--format=%(taggername) %(taggeremail) %(taggerdate:unix) %(contents:subject)", "refs/tags"), "First Manager <first@example.org> 1767225600 Release v1.0.0"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
				r.git("fsck", "--strict", "--no-dangling")

				// A changed tag, with the same signature, is refused: the judge can say no.
				body := strings.Replace(r.git("cat-file", "tag", "v1.0.0"), "With notes.", "With lies.", 1) + "\n"
				id := r.gitInput(body, "hash-object", "-t", "tag", "-w", "--stdin")
				r.git("update-ref", "refs/tags/forged", id)
				cmd := exec.Command("git", "tag", "-v", "forged")
				cmd.Dir, cmd.Env = r.dir, r.env
				if out, err := cmd.CombinedOutput(); err == nil {
					t.Errorf("git accepts a forged tag:\n%s", out)
				}
			})
		}
	}
}

func TestCreateTag(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first, second := r.commit("first"), r.commit("second")
	repo := r.open()
	ctx := t.Context()
	for range 2 { // the second time it is there
		if err := repo.CreateTag(ctx, request("v1.0.0", first)); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.git("cat-file", "-t", "v1.0.0"); got != "tag" {
		t.Errorf("made a %s", got)
	}
	object := r.git("rev-parse", "v1.0.0")
	refusal := wantCode(t, repo.CreateTag(ctx, request("v1.0.0", second)), "tag-moved")
	if refusal.Expected != second || refusal.Actual != first {
		t.Errorf("expected %s, actual %s", refusal.Expected, refusal.Actual)
	}
	if got := r.git("rev-parse", "v1.0.0"); got != object {
		t.Error("the tag moved")
	}
	r.git("tag", "light", first)
	if err := repo.CreateTag(ctx, request("light", first)); err != nil {
		t.Errorf("a lightweight tag at the same commit: %v", err)
	}
	wantCode(t, repo.CreateTag(ctx, request("v2", strings.Repeat("1", 40))), "source-commit-missing")
	wantCode(t, repo.CreateTag(ctx, request("v2", r.git("rev-parse", "HEAD^{tree}"))), "source-not-a-commit")
	wantCode(t, repo.CreateTag(ctx, request("v1.0.0/below", r.git("rev-parse", "HEAD^{tree}"))), "source-not-a-commit")
	if err := repo.CreateTag(ctx, request("v1.0.0/below", first)); err == nil {
		t.Error("a tag below a tag was made")
	}

	for name, change := range map[string]func(*source.TagRequest){
		"no message":           func(t *source.TagRequest) { t.Message = " \n" },
		"NUL":                  func(t *source.TagRequest) { t.Message = "a\x00b" },
		"not UTF-8":            func(t *source.TagRequest) { t.Message = "\xff" },
		"signature":            func(t *source.TagRequest) { t.Message = "v\n-----BEGIN SSH SIGNATURE-----\nx" },
		"no tagger":            func(t *source.TagRequest) { t.Tagger = "" },
		"no address":           func(t *source.TagRequest) { t.Email = "" },
		"newline in tagger":    func(t *source.TagRequest) { t.Tagger = "A\ntagger B" },
		"bracket in address":   func(t *source.TagRequest) { t.Email = "a@example.org> <b" },
		"time before 1970":     func(t *source.TagRequest) { t.Time = time.Unix(-1, 0) },
		"key that cannot sign": func(t *source.TagRequest) { t.Signer = oddKey{} },
	} {
		req := request("v3", first)
		change(&req)
		if err := repo.CreateTag(ctx, req); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantCode(t, err, "tag-bad-request")
		}
	}
	wantCode(t, repo.CreateTag(ctx, request("-v", first)), "tag-bad-name")
	if tags := r.git("tag", "--list", "v3", "v2"); tags != "" {
		t.Errorf("refused, but made: %s", tags)
	}
}

type oddKey struct{}

func (oddKey) Public() crypto.PublicKey                                  { return "odd" }
func (oddKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, io.EOF }

// TestCreateTagRace: of many at one time, all agree on one object.
func TestCreateTagRace(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first, second := r.commit("first"), r.commit("second")
	repo := r.open()
	var group sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		group.Go(func() {
			req := request("v1", []string{first, second}[i%2])
			req.Time = req.Time.Add(time.Duration(i) * time.Second)
			errs[i] = repo.CreateTag(t.Context(), req)
		})
	}
	group.Wait()
	at, ok, err := repo.Tag(t.Context(), "v1")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for i, err := range errs {
		if mine := []string{first, second}[i%2]; mine == at && err != nil {
			t.Errorf("%d: %v", i, err)
		} else if mine != at {
			wantCode(t, err, "tag-moved")
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("file", "x")
	first := r.commit("first")
	second := r.commit("second")
	r.git("tag", "light", first)
	r.git("tag", "-a", "-m", "m", "annotated", second)
	r.git("tag", "-a", "-m", "m", "nested", "annotated")
	r.git("tag", "-a", "-m", "m", "deep/name", first)
	r.git("tag", "file", "HEAD:file")
	r.git("tag", "-a", "-m", "m", "tree", "HEAD^{tree}")
	repo := r.open()
	ctx := t.Context()
	got, err := repo.Tags(ctx)
	want := map[string]string{"light": first, "annotated": second, "nested": second, "deep/name": first}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for name, commit := range want {
		if got, ok, err := repo.Tag(ctx, name); got != commit || !ok || err != nil {
			t.Errorf("%s: %s, %v, %v", name, got, ok, err)
		}
	}
	for _, name := range []string{"none", "deep"} {
		if got, ok, err := repo.Tag(ctx, name); got != "" || ok || err != nil {
			t.Errorf("%s: %s, %v, %v", name, got, ok, err)
		}
	}
	for _, name := range []string{"file", "tree"} {
		_, _, err := repo.Tag(ctx, name)
		wantCode(t, err, "source-not-a-commit")
	}
	_, _, err = repo.Tag(ctx, "a..b")
	wantCode(t, err, "tag-bad-name")

	body := "object " + strings.Repeat("z", 40) + "\ntype commit\ntag bad\n\nx\n"
	id := r.gitInput(body, "hash-object", "--literally", "-t", "tag", "-w", "--stdin")
	writeFile(t, r.path(".git/refs/tags/bad"), id+"\n", 0o644)
	_, _, err = repo.Tag(ctx, "bad")
	wantCode(t, err, "source-object-corrupt")

	chain := first // tags of tags of tags
	for range 20 {
		chain = r.gitInput("object "+chain+"\ntype tag\ntag chain\ntagger A <a@example.org> 1 +0000\n\nx\n", "hash-object", "--literally", "-t", "tag", "-w", "--stdin")
	}
	writeFile(t, r.path(".git/refs/tags/chain"), chain+"\n", 0o644)
	_, _, err = repo.Tag(ctx, "chain")
	wantCode(t, err, "source-object-corrupt")
}

// TestTagNames compares our rules with git's: we never allow what git does not.
func TestTagNames(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	strict := map[string]bool{"@": true, "-v": true, strings.Repeat("v", 201): true, "v\u0085": true, "caf\xe9": true} // git allows these
	names := []string{
		"v1.0.0", "v1", "a/b", "v1.0.0-rc.1+build", "ünïcode", "a@b", "@a", "{", "v1.lock.x",
		"", "-v", "@", "a@{b", "a..b", ".a", "a/.b", "a.", "a/", "/a", "a//b", "a.lock", "a.lock/b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", `a\b`,
		"a\nb", "a\x7fb", strings.Repeat("v", 201), "v\u0085", "caf\xe9",
	}
	for _, name := range names {
		cmd := exec.Command("git", "check-ref-format", "refs/tags/"+name)
		cmd.Env = r.env
		git := cmd.Run() == nil
		ours := source.CheckTagName(name) == nil
		if want := git && !strict[name]; ours != want {
			t.Errorf("%q: git %v, ours %v", name, git, ours)
		}
	}
}

func TestPushTag(t *testing.T) {
	t.Parallel()
	remote := filepath.Join(t.TempDir(), "remote.git")
	r := newRepo(t)
	first, second := r.commit("first"), r.commit("second")
	r.git("init", "-q", "--bare", remote)
	r.git("remote", "add", "origin", remote)
	repo := r.open()
	ctx := t.Context()
	for _, name := range []string{"v1", "v2"} {
		if err := repo.CreateTag(ctx, request(name, first)); err != nil {
			t.Fatal(err)
		}
	}
	r.git("config", "push.followTags", "true")
	for range 2 { // the second time it is there
		if err := repo.PushTag(ctx, "origin", "v1"); err != nil {
			t.Fatal(err)
		}
	}
	pushed := func() string { return r.git("ls-remote", remote) }
	if want := r.git("rev-parse", "v1") + "\trefs/tags/v1\n" + first + "\trefs/tags/v1^{}"; pushed() != want {
		t.Errorf("remote has\n%s\nwant only\n%s", pushed(), want)
	}
	before := pushed()

	// Another tag object for the same commit is as good.
	r.git("tag", "-f", "-a", "-m", "again", "v1", first)
	if err := repo.PushTag(ctx, "origin", "v1"); err != nil {
		t.Errorf("the same commit: %v", err)
	}
	// Another commit is not, whatever the configuration says.
	r.git("tag", "-f", "-a", "-m", "moved", "v1", second)
	r.git("config", "remote.origin.push", "+refs/tags/*:refs/tags/*")
	wantCode(t, repo.PushTag(ctx, "origin", "v1"), "tag-moved")
	if pushed() != before {
		t.Errorf("remote changed to\n%s", pushed())
	}
	wantCode(t, repo.PushTag(ctx, "origin", "v9"), "tag-missing")
	wantCode(t, repo.PushTag(ctx, "no-such-remote", "v2"), "tag-push")
	wantCode(t, repo.PushTag(ctx, "--mirror", "v2"), "tag-push")
	wantCode(t, repo.PushTag(ctx, "", "v2"), "tag-push")
	err := repo.PushTag(ctx, "file://user:hunter2@"+filepath.ToSlash(t.TempDir())+"/none", "v2")
	wantCode(t, err, "tag-push")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password is in the refusal: %v", err)
	}
}

func TestPushTagByURL(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	commit := r.commit("first")
	bare := filepath.Join(t.TempDir(), "bare.git")
	target := filepath.Join(t.TempDir(), "target.git")
	r.git("clone", "-q", "--bare", r.dir, bare)
	r.git("init", "-q", "--bare", target)
	repo, err := source.Open(t.Context(), bare)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.CreateTag(t.Context(), request("v1", commit)); err != nil {
		t.Fatal(err)
	}
	if err := repo.PushTag(t.Context(), "file://"+filepath.ToSlash(target), "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(target); err != nil || !strings.Contains(r.git("ls-remote", target), "refs/tags/v1") {
		t.Error("not there")
	}
}
