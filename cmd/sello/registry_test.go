package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/stage"
)

// front stands before a session's registry: it counts, and fails when the session says so.
type front struct {
	host    string // host:port, the same for the whole session
	proxy   *registrytest.Proxy
	handler http.Handler
	server  *http.Server

	mu      sync.Mutex
	refuse  []refusal
	uploads int // how many uploads there are before it dies; -1 for never
	dead    bool
}

// refusal is a status for requests that match.
type refusal struct {
	requests *regexp.Regexp // of "METHOD /path"
	status   int
}

type frontKey struct{}

func newFront(e *testscript.Env, kind registrytest.Kind) (*front, error) {
	tb, ok := e.T().(testing.TB)
	if !ok {
		return nil, fmt.Errorf("a %T cannot start a registry", e.T())
	}
	behind := kind.Start(tb)
	f := &front{proxy: registrytest.NewProxy(tb, behind), uploads: -1}
	f.proxy.Before = f.before
	f.handler = f.proxy.Handler(behind)
	if err := f.up("127.0.0.1:0"); err != nil {
		return nil, err
	}
	e.Defer(func() { f.server.Close() })
	e.Values[frontKey{}] = f
	return f, nil
}

// up listens.
func (f *front) up(at string) error {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	f.host, f.server = l.Addr().String(), &http.Server{Handler: f.handler}
	go func(s *http.Server) { _ = s.Serve(l) }(f.server)
	return nil
}

// before answers in the registry's place.
func (f *front) before(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploads >= 0 && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
		if f.uploads--; f.uploads < 0 {
			f.dead = true
			go f.server.Close() // which waits for nobody
		}
	}
	if f.dead {
		registrytest.Drop(w)
		return true
	}
	for _, no := range f.refuse {
		if no.requests.MatchString(r.Method + " " + r.URL.Path) {
			w.WriteHeader(no.status)
			return true
		}
	}
	return false
}

// withRegistry adds what sessions can do with their registry:
//
//	registry refuse PATTERN STATUS  answer what matches PATTERN ("PUT .*/manifests/") with STATUS
//	registry dies N                 stop listening at upload number N+1
//	registry up                     listen again, refuse nothing
//	counts [KIND N]...              how often a kind of request reached the registry since the last time ("PUT blobs/uploads"); without arguments start anew
//	base REPOSITORY:TAG PLATFORM... push an image to build upon, with packages of Debian and a Go program
//	tags REPOSITORY [TAG...]        exactly these tags are there
//	resolve VARIABLE REFERENCE      the digest that a reference names
//	staged VARIABLE FOLDER IMAGE    the digest of an image's index in the only stage below a folder
//	settag REFERENCE TAG            set a tag, whatever it named
//	absent REFERENCE                there is no such image
//	copybare FROM TO                copy an image by digest without what is attached to it
//	copyall FROM TO                 copy an image by digest with what is attached to it
//	platform VARIABLE REF PLATFORM  the digest of an image's manifest for a platform
//	attach TO FROM                  attach to TO what is attached to FROM
//	remove REPOSITORY@DIGEST        delete a manifest
//	publisher NAME                  make the key of somebody who publishes images: NAME.key, NAME.pub
//	attest REF NAME TYPE FILE [tag] attach to an image a statement of the predicate in FILE, signed by NAME; under cosign's tag
//	signed FILE NAME TYPE FILE SUM  write such a statement about the digest in the file SUM into a file
func withRegistry(cmds map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	for name, c := range map[string]struct {
		least int
		do    func(*testscript.TestScript, *front, []string) error
	}{
		"registry": {1, registryFails}, "counts": {0, registryCounts}, "base": {2, registryBase}, "tags": {1, registryTags}, "resolve": {2, registryResolve}, "staged": {3, registryStaged},
		"settag": {2, registrySetTag}, "absent": {1, registryAbsent}, "copybare": {2, registryCopy(true)}, "copyall": {2, registryCopy(false)}, "platform": {3, registryPlatform}, "attach": {2, registryAttach}, "remove": {1, registryRemove},
		"publisher": {1, registryPublisher}, "attest": {4, registryAttest}, "signed": {5, registrySigned},
	} {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < c.least {
				ts.Fatalf("usage of %s: see withRegistry", name)
			}
			ts.Check(c.do(ts, ts.Value(frontKey{}).(*front), args))
		}
	}
	return cmds
}

func registryFails(_ *testscript.TestScript, f *front, args []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case args[0] == "refuse" && len(args) == 3:
		status, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		pattern, err := regexp.Compile(args[1])
		f.refuse = append(f.refuse, refusal{pattern, status})
		return err
	case args[0] == "dies" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		f.uploads = n
		return err
	case args[0] == "up":
		f.refuse, f.uploads, f.dead = nil, -1, false
		f.server.Close()
		return f.up(f.host)
	}
	return fmt.Errorf("registry %v: no such thing", args)
}

func registryCounts(_ *testscript.TestScript, f *front, args []string) error {
	counts := f.proxy.Passed()
	for i := 0; i+1 < len(args); i += 2 {
		if want, err := strconv.Atoi(args[i+1]); err != nil || counts[args[i]] != want {
			return fmt.Errorf("%s: %d requests, expected %s", args[i], counts[args[i]], args[i+1])
		}
	}
	return nil
}

// openImage opens the repository of a reference and looks it up.
func openImage(reference string) (*registry.Repository, ocispec.Descriptor, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, ocispec.Descriptor{}, err
	}
	repo, err := registry.Open(ref.Name(), registry.Options{Attempts: 2})
	if err != nil {
		return nil, ocispec.Descriptor{}, err
	}
	desc, err := repo.Resolve(context.Background(), ref.Target())
	return repo, desc, err
}

func registryTags(_ *testscript.TestScript, _ *front, args []string) error {
	repo, err := registry.Open(args[0], registry.Options{Attempts: 2})
	if err != nil {
		return err
	}
	have, err := repo.Tags(context.Background())
	if err != nil && len(args) > 1 {
		return err
	}
	have = slices.DeleteFunc(have, func(tag string) bool { return strings.HasPrefix(tag, "sha256-") }) // lists of referrers
	slices.Sort(have)
	want := slices.Sorted(slices.Values(args[1:]))
	if !slices.Equal(have, want) {
		return fmt.Errorf("%s has the tags %v, expected %v", args[0], have, want)
	}
	return nil
}

func registryResolve(ts *testscript.TestScript, _ *front, args []string) error {
	_, desc, err := openImage(args[1])
	ts.Setenv(args[0], desc.Digest.String())
	return err
}

func registryStaged(ts *testscript.TestScript, _ *front, args []string) error {
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*", stage.FileName))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%d stages below %s: %w", len(found), args[1], err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	list, err := stage.Decode(data)
	if err != nil {
		return err
	}
	for _, img := range list.Images {
		if img.ShortName() == args[2] {
			ts.Setenv(args[0], img.Index)
			return nil
		}
	}
	return fmt.Errorf("no image %s in %s", args[2], found[0])
}

func registrySetTag(_ *testscript.TestScript, _ *front, args []string) error {
	repo, desc, err := openImage(args[0])
	if err != nil {
		return err
	}
	return repo.Tag(context.Background(), desc, args[1])
}

func registryAbsent(_ *testscript.TestScript, _ *front, args []string) error {
	if _, desc, err := openImage(args[0]); err == nil {
		return fmt.Errorf("%s is there: %s", args[0], desc.Digest)
	}
	return nil
}

func registryCopy(bare bool) func(*testscript.TestScript, *front, []string) error {
	return func(_ *testscript.TestScript, _ *front, args []string) error {
		from, desc, err := openImage(args[0])
		if err != nil {
			return err
		}
		to, err := registry.Open(args[1], registry.Options{})
		if err != nil {
			return err
		}
		_, err = registry.Copy(context.Background(), from, to, desc, registry.CopyOptions{WithoutReferrers: bare})
		return err
	}
}

func registryPlatform(ts *testscript.TestScript, _ *front, args []string) error {
	repo, desc, err := openImage(args[1])
	if err != nil {
		return err
	}
	data, err := repo.Fetch(context.Background(), desc)
	if err != nil {
		return err
	}
	defer data.Close()
	var index ocispec.Index
	if err := json.NewDecoder(data).Decode(&index); err != nil {
		return err
	}
	for _, m := range index.Manifests {
		if m.Platform.OS+"/"+m.Platform.Architecture == args[2] {
			ts.Setenv(args[0], m.Digest.String())
			return nil
		}
	}
	return fmt.Errorf("%s has no %s", args[1], args[2])
}

func registryRemove(_ *testscript.TestScript, f *front, args []string) error {
	repository, sum, _ := strings.Cut(strings.TrimPrefix(args[0], f.host+"/"), "@")
	req, err := http.NewRequest(http.MethodDelete, "http://"+f.host+"/v2/"+repository+"/manifests/"+sum, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("delete %s: %s", args[0], resp.Status)
	}
	return nil
}
