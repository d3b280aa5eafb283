package sbom_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
)

const rpmdb = "usr/lib/sysimage/rpm/rpmdb.sqlite"

// rpmDatabase gives a database that RPM 4.18 wrote: its tables have interior pages, and one row takes many pages.
func rpmDatabase(t testing.TB) []byte {
	t.Helper()
	packed, err := os.ReadFile("testdata/rpmdb.sqlite.gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	db, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestScanReadsRPM(t *testing.T) {
	t.Parallel()
	fedora := sbom.Distro{ID: "fedora", Version: "42"}
	rpm := func(name, version, arch, license string) sbom.OSPackage {
		return sbom.OSPackage{Type: "rpm", Name: name, Version: version, Arch: arch, License: license, Source: name + "-" + version + ".src.rpm", Distro: fedora}
	}
	want := []sbom.OSPackage{rpm("alpha", "1.2.3-4.fc42", "noarch", "MIT AND Apache-2.0"), rpm("beta", "2.0~rc1-1.el9", "x86_64", "GPLv2+ and MIT"),
		rpm("gamma", "5-1", "x86_64", "BSD-3-Clause"), rpm("large", "1-1", "noarch", "MIT")}
	want[1].Epoch, want[2].Epoch = "3", "0"
	for i := range 12 {
		want = append(want, rpm(fmt.Sprintf("part%02d", i+1), fmt.Sprintf("0.%02d-1", i+1), "noarch", "MIT"))
	}
	files := map[string]string{rpmdb: string(rpmDatabase(t)), "usr/lib/os-release": "ID=fedora\nVERSION_ID=42\n"}
	got, _, err := scan(files, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	files[rpmdb+"-wal"] = "not empty"
	if got, _, err = scan(files, false); err != nil || len(got) != 17 || !strings.Contains(got[0].Unread, "journal") {
		t.Errorf("journal: %v, %v", got, err)
	}
}

// TestScanRefusesMalformedRPM changes the database in places that the format tells of.
func TestScanRefusesMalformedRPM(t *testing.T) {
	t.Parallel()
	be := binary.BigEndian
	for name, spoil := range map[string]func(db []byte) []byte{
		"cut":             func(db []byte) []byte { return db[:len(db)-1] },
		"half":            func(db []byte) []byte { return db[:len(db)/8192*4096] },
		"one byte":        func(db []byte) []byte { return db[:1] },
		"magic":           func(db []byte) []byte { db[0] = 's'; return db },
		"page size":       func(db []byte) []byte { be.PutUint16(db[16:], 4095); return db },
		"no page size":    func(db []byte) []byte { be.PutUint16(db[16:], 0); return db },
		"reserved":        func(db []byte) []byte { be.PutUint16(db[16:], 512); db[20] = 255; return db },
		"UTF-16":          func(db []byte) []byte { be.PutUint32(db[56:], 2); return db },
		"kind of page":    func(db []byte) []byte { db[100] = 0x0a; return db },
		"cells":           func(db []byte) []byte { be.PutUint16(db[103:], 0xffff); return db },
		"cell outside":    func(db []byte) []byte { be.PutUint16(db[112:], 4095); return db },
		"child of itself": func(db []byte) []byte { be.PutUint32(db[108:], 1); return db },
		"child outside":   func(db []byte) []byte { be.PutUint32(db[108:], 1<<30); return db },
		"no child":        func(db []byte) []byte { be.PutUint32(db[108:], 0); return db },
		"no table":        func(db []byte) []byte { return bytes.ReplaceAll(db, []byte("tablePackages"), []byte("tablePackagez")) },
		"root of nothing": func(db []byte) []byte { return bytes.ReplaceAll(db, []byte("tablePackages"), []byte("blobbPackages")) },
		"control in name": func(db []byte) []byte {
			return bytes.ReplaceAll(db, []byte("\x00alpha\x00"), []byte("\x00al\x1bha\x00"))
		},
		"no name": func(db []byte) []byte {
			return bytes.ReplaceAll(db, []byte("\x00alpha\x00"), []byte("\x00\x00lpha\x00"))
		},
		"type of a tag": func(db []byte) []byte {
			return bytes.ReplaceAll(db, []byte{0, 0, 3, 0xe8, 0, 0, 0, 6}, []byte{0, 0, 3, 0xe8, 0, 0, 0, 9})
		},
		"tag missing": func(db []byte) []byte {
			return bytes.ReplaceAll(db, []byte{0, 0, 3, 0xe9, 0, 0, 0, 6}, []byte{0, 0, 9, 0xe9, 0, 0, 0, 6})
		},
		"tag twice": func(db []byte) []byte {
			return bytes.ReplaceAll(db, []byte{0, 0, 3, 0xe9, 0, 0, 0, 6}, []byte{0, 0, 3, 0xe8, 0, 0, 0, 6})
		},
		"two architecures": func(db []byte) []byte { return bytes.ReplaceAll(db, []byte("x86_64\x00"), []byte("x86 64\x00")) },
	} {
		_, _, err := scan(map[string]string{rpmdb: string(spoil(rpmDatabase(t)))}, false)
		if gate.Code(err) != sbom.CodeOSPackages {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRPM patches a proper database, so that what is tried is deep in the format.
func FuzzRPM(f *testing.F) {
	db := rpmDatabase(f)
	f.Add(uint32(100), []byte{5}, uint32(0), []byte{})
	f.Add(uint32(4096), []byte{13}, uint32(100), []byte{0x0d, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, at2 uint32, patch2 []byte) {
		spoilt := bytes.Clone(db)
		copy(spoilt[int(at)%len(spoilt):], patch)
		copy(spoilt[int(at2)%len(spoilt):], patch2)
		packages, _, err := scan(map[string]string{rpmdb: string(spoilt)}, false)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		describePackages(t, packages)
	})
}
