package inventory_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

// rpmOf writes a package of RPM's with these files, compressed by pack.
func rpmOf(pack func(string) string, all ...member) string {
	var index, data bytes.Buffer
	entry := func(tag, kind uint32, value string) {
		for _, v := range []uint32{tag, kind, uint32(data.Len()), 1} {
			_ = binary.Write(&index, binary.BigEndian, v)
		}
		data.WriteString(value + "\x00")
	}
	for tag, value := range map[uint32]string{1000: "hello", 1001: "1.0.0", 1002: "2.fc42", 1011: "Example Project", 1014: "MIT", 1020: "https://example.org/hello", 1022: "x86_64", 1044: "hello-1.0.0-2.fc42.src.rpm"} {
		entry(tag, 6, value)
	}
	header := func(index, data []byte) string {
		out := "\x8e\xad\xe8\x01\x00\x00\x00\x00"
		out += string(binary.BigEndian.AppendUint32(nil, uint32(len(index)/16))) + string(binary.BigEndian.AppendUint32(nil, uint32(len(data))))
		return out + string(index) + string(data)
	}
	signatures := header(make([]byte, 16), []byte("abc")) + strings.Repeat("\x00", 5)
	return "\xed\xab\xee\xdb" + strings.Repeat("\x00", 92) + signatures + header(index.Bytes(), data.Bytes()) + pack(cpioOf(all...))
}

func cpioOf(all ...member) string {
	out := ""
	put := func(name, content string, mode, links, inode int) {
		fill := func(n int) string { return strings.Repeat("\x00", -n&3) }
		out += fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		out += name + "\x00" + fill(110+len(name)+1) + content + fill(len(content))
	}
	put("./usr", "", 0o040755, 2, 1)
	for i, m := range all {
		if target, ok := strings.CutPrefix(m.content, "=> "); ok { // several names: the content comes with the last one
			put("."+m.name, "", 0o100644, 2, 100)
			put("."+target, program(buildInfo), 0o100644, 2, 100)
			continue
		}
		put("."+m.name, m.content, 0o100644, 1, i+10)
	}
	put("TRAILER!!!", "", 0, 1, 0)
	return out
}

func TestRPMPackage(t *testing.T) {
	t.Parallel()
	none := func(s string) string { return s }
	zip := func(s string) string { return gzipOf(t, s) }
	whole := rpmOf(zip, member{"/usr/bin/hello", program(buildInfo)}, member{"/usr/share/a", "=> /usr/share/b"})
	plain := rpmOf(none, member{"/usr/bin/hello", program(buildInfo)}, member{"/usr/share/text", "text"})
	dir := place(t, map[string]string{"hello.rpm": whole, "plain.rpm": plain, "cut.rpm": plain[:len(plain)-300], "short.rpm": plain[:200],
		"odd.rpm": strings.Replace(plain, "070701", "071701", 1), "large.rpm": strings.Replace(plain, "\x8e\xad\xe8\x01\x00\x00\x00\x00", "\x8e\xad\xe8\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", 1),
		"other.rpm": rpmOf(func(string) string { return "packed in some other way" })})
	doc := described(t, filepath.Join(dir, "hello.rpm"))
	has(t, doc, "hello.rpm CONTAINS ./usr/bin/hello", "hello.rpm CONTAINS ./usr/share/a", "hello.rpm CONTAINS ./usr/share/b", "hello.rpm CONTAINS hello", "./usr/bin/hello CONTAINS stdlib")
	for _, p := range doc.Packages {
		if p.Name == "hello" && (p.PURL != "pkg:rpm/hello@1.0.0-2.fc42?arch=x86_64&upstream=hello-1.0.0-2.fc42.src.rpm" || p.Supplier.Name != "Example Project" || p.Homepage != "https://example.org/hello" || p.License.Declared != "MIT") {
			t.Errorf("the package: %+v", p)
		}
	}
	has(t, described(t, filepath.Join(dir, "plain.rpm")), "plain.rpm CONTAINS ./usr/share/text")
	for _, name := range []string{"cut.rpm", "short.rpm", "odd.rpm", "large.rpm", "other.rpm"} {
		if _, err := inventory.Of(t.Context(), filepath.Join(dir, name), options); gate.Code(err) != inventory.CodeDamaged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDebianPackage has dpkg-deb write packages, as xz and zstd compress them.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	dir := place(t, map[string]string{"root/usr/bin/hello": program(buildInfo),
		"root/DEBIAN/control": "Package: hello\nVersion: 1.0.0-1\nArchitecture: amd64\nMaintainer: A Maintainer <maintainer@example.org>\nHomepage: https://example.org/hello\nDescription: says hello\n"})
	if err := os.Chmod(filepath.Join(dir, "root", "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"xz", "zstd"} {
		path := filepath.Join(dir, by+".deb")
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+by, "--build", filepath.Join(dir, "root"), path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		doc := described(t, path)
		has(t, doc, by+".deb CONTAINS ./data.tar."+strings.TrimSuffix(by, "d")+"…", "./control.tar."+strings.Replace(by, "zstd", "zst", 1)+" CONTAINS hello",
			"./data.tar."+strings.Replace(by, "zstd", "zst", 1)+"!/usr/bin/hello CONTAINS stdlib")
		for _, p := range doc.Packages {
			if p.Name == "hello" && (p.PURL != "pkg:deb/hello@1.0.0-1?arch=amd64" || p.Supplier.Name != "A Maintainer" || p.Supplier.Email != "maintainer@example.org") {
				t.Errorf("%s: the package: %+v", by, p)
			}
		}
	}
}

func TestXz(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed")
	}
	dir := place(t, map[string]string{"a.tar": tarOf(t, member{"bin/hello", program(buildInfo)}), "bomb.tar": tarOf(t, member{"zeros", strings.Repeat("\x00", 70<<20)}),
		"greedy.tar": tarOf(t, member{"a", "text"})})
	for name, options := range map[string]string{"a.tar": "-6", "bomb.tar": "-6", "greedy.tar": "--lzma2=dict=128MiB"} {
		if out, err := exec.Command("xz", "-k", options, filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	has(t, described(t, filepath.Join(dir, "a.tar.xz")), "a.tar.xz CONTAINS ./bin/hello", "./bin/hello CONTAINS stdlib")
	data, err := os.ReadFile(filepath.Join(dir, "a.tar.xz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.xz"), data[:len(data)-30], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]string{"bomb.tar.xz": inventory.CodeTooLarge, "greedy.tar.xz": inventory.CodeDamaged, "cut.xz": inventory.CodeDamaged} {
		if _, err := inventory.Of(t.Context(), filepath.Join(dir, name), options); gate.Code(err) != code {
			t.Errorf("%s: expected %s, found %v", name, code, err)
		}
	}
}
