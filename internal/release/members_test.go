package release

import (
	"crypto/sha1"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

// What is known of a file since it was collected is not computed again; a file that is another by then is refused.
func TestMembersOfKnownContent(t *testing.T) {
	t.Parallel()
	data := []byte("a program")
	one := sbom.File{Name: "dir/one", SHA1: fmt.Sprintf("%x", sha1.Sum(data)), SHA256: digest.Bytes(data)}
	two := one
	two.Name = "a/two"
	for name, test := range map[string]struct {
		packed []byte
		code   string
	}{"the same": {data, ""}, "changed": {[]byte("a Program"), "output-changed"}, "empty": {nil, "output-changed"}} {
		log := memberLog{known: map[string]content{"dir/one": {one.SHA1, one.SHA256, crc32.ChecksumIEEE(data)}}}
		for name, data := range map[string][]byte{"dir/one": test.packed, "a/two": data} {
			if _, err := log.tap(name).Write(data); err != nil {
				t.Fatal(err)
			}
		}
		files, err := log.files()
		if gate.Code(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff([]sbom.File{two, one}, files); test.code == "" && d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
