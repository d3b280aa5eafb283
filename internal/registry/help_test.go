package registry_test

import (
	"bytes"
	"io"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

func mustFetch(t testing.TB, m *rt.Memory, d ocispec.Descriptor) io.Reader {
	t.Helper()
	rc, err := m.Fetch(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(data)
}
