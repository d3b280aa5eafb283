package sbom

import "testing"

func TestModuleSource(t *testing.T) {
	for _, test := range []struct{ path, version, want string }{
		{"github.com/spf13/cobra", "v1.10.2", "git+https://github.com/spf13/cobra@v1.10.2"},
		{"github.com/sigstore/cosign/v3", "v3.1.3", "git+https://github.com/sigstore/cosign@v3.1.3"},
		{"github.com/docker/docker", "v28.5.2+incompatible", "git+https://github.com/docker/docker@v28.5.2"},
		{"github.com/a/b/sub/c", "v0.1.0", "git+https://github.com/a/b@sub/c/v0.1.0#sub/c"},
		{"github.com/a/b/sub/v2", "v2.1.0", "git+https://github.com/a/b@sub/v2.1.0"},
		{"github.com/a/b", "v0.0.0-20251029235023-a02c549eeac2", "git+https://github.com/a/b@a02c549eeac2"},
		{"github.com/a/b/sub", "v0.0.0-20251029235023-a02c549eeac2", "git+https://github.com/a/b@a02c549eeac2#sub"},
		{"golang.org/x/tools/gopls", "v0.16.0", "git+https://go.googlesource.com/tools@gopls/v0.16.0#gopls"},
		{"golang.org/x/mod", "v0.30.0", "git+https://go.googlesource.com/mod@v0.30.0"},
		{"gopkg.in/yaml.v3", "v3.0.1", "git+https://gopkg.in/yaml.v3@v3.0.1"},
		{"k8s.io/api", "v0.31.0", ""},
		{"gitlab.com/a/b", "v1.0.0", ""},
		{"github.com/a", "v1.0.0", ""},
		{"github.com/a/b", "(devel)", ""},
		{"github.com/a/b", "", ""},
		{"github.com/a/b v1", "v1.0.0", ""},
		{"github.com/a/../b", "v1.0.0", ""},
		{"../b", "v1.0.0", ""},
	} {
		if got := moduleSource(test.path, test.version); got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.path, test.version, got, test.want)
		}
	}
}
