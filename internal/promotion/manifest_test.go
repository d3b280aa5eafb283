package promotion_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/promotion"
	"github.com/sello-release/sello/internal/strictyaml"
)

func hex(c string) string { return "sha256:" + strings.Repeat(c, 64) }

const registries = `# reviewed by few
registries:
- name: staging.example/k8s-staging-foo
  src: true
- {name: prod.example/images/foo, service-account: promoter@prod.iam.example}
- name: mirror.example:5000
`

var images = fmt.Sprintf(`# reviewed by the project
- name: kube-proxy
  dmap:
    "%s": [ "v1.36.0" ] # a comment
    "%s": ["v1.36.1", latest]
- name: addons/pause
  dmap:
    %s: []
`, hex("b"), hex("a"), hex("c"))

func want() *promotion.Manifest {
	return &promotion.Manifest{
		Registries: []promotion.Registry{
			{Name: "staging.example/k8s-staging-foo", Src: true},
			{Name: "prod.example/images/foo", ServiceAccount: "promoter@prod.iam.example"},
			{Name: "mirror.example:5000"},
		},
		Images: []promotion.Image{
			{Name: "kube-proxy", Dmap: map[string][]string{hex("b"): {"v1.36.0"}, hex("a"): {"v1.36.1", "latest"}}},
			{Name: "addons/pause", Dmap: map[string][]string{hex("c"): {}}},
		},
	}
}

func indent(s string) string { return "images:\n" + s }

func TestBothFormsAreRead(t *testing.T) {
	t.Parallel()
	thin, err := promotion.ReadThin("promoter-manifest.yaml", []byte(registries), "images.yaml", []byte(images))
	if diff := cmp.Diff(want(), thin); err != nil || diff != "" {
		t.Errorf("thin: %v %s", err, diff)
	}
	plain, err := promotion.Read("manifest.yaml", []byte(registries+indent(images)))
	if diff := cmp.Diff(want(), plain); err != nil || diff != "" {
		t.Errorf("plain: %v %s", err, diff)
	}
	for _, none := range []string{"", "# no images yet\n", "[]\n"} {
		m, err := promotion.ReadThin("r", []byte(registries), "i", []byte(none))
		if err != nil || len(m.Images) != 0 {
			t.Errorf("%q: %v, %v", none, m, err)
		}
	}
}

func TestWhatIsWrittenIsTheSameEachTimeAndReadsBack(t *testing.T) {
	t.Parallel()
	m := want()
	wantImages := fmt.Sprintf(`- name: addons/pause
  dmap:
    %q: []
- name: "kube-proxy"
  dmap:
    %q: ["latest", "v1.36.1"]
    %q: ["v1.36.0"]
`, hex("c"), hex("a"), hex("b"))
	wantImages = strings.Replace(wantImages, `"kube-proxy"`, "kube-proxy", 1)
	if diff := cmp.Diff(wantImages, string(m.EncodeImages())); diff != "" {
		t.Error(diff)
	}
	back, err := promotion.ReadThin("r", m.EncodeRegistries(), "i", m.EncodeImages())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Encode(), m.Encode()) {
		t.Errorf("%s\n%s", back.Encode(), m.Encode())
	}
	again, err := promotion.Read("m", m.Encode())
	if diff := cmp.Diff(back, again); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestWhatIsWrongIsSaidWithLineAndColumn(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ registries, images, where, code string }{
		"no source":             {"registries:\n- name: a.example/x\n- name: b.example/x\n", images, "r:2:1", "promotion-registries"},
		"two sources":           {registries + "- {name: c.example, src: true}\n", images, "r:7:26", "promotion-registries"},
		"no destination":        {"registries:\n- {name: a.example/x, src: true}\n", images, "r:2:1", "promotion-registries"},
		"registry twice":        {registries + "- name: mirror.example:5000\n", images, "r:7:9", "promotion-registries"},
		"registry with a login": {registries + "- name: https://user:pw@mirror.example\n", images, "r:7:9", "promotion-registries"},
		"unknown key":           {registries + "source: x\n", images, "r:7:1", "yaml-unknown-key"},
		"src as text":           {strings.Replace(registries, "src: true", "src: yes", 1), images, "r:4:8", "yaml-type"},
		"image with a tag":      {registries, "- name: foo:v1\n  dmap: {}\n", "i:1:9", "promotion-image"},
		"image that climbs":     {registries, "- name: ../foo\n", "i:1:9", "promotion-image"},
		"image twice":           {registries, "- name: foo\n- name: foo\n", "i:2:9", "promotion-image"},
		"short digest":          {registries, "- name: foo\n  dmap:\n    \"sha256:abc\": [v1]\n", "i:3:19", "promotion-digest"},
		"digest twice":          {registries, "- name: foo\n  dmap:\n    " + hex("a") + ": [v1]\n    " + hex("a") + ": [v2]\n", "i:4:5", "yaml-duplicate-key"},
		"bad tag":               {registries, "- name: foo\n  dmap:\n    " + hex("a") + ": [\"v 1\"]\n", "i:3:79", "promotion-tag"},
		"tag at two digests":    {registries, "- name: foo\n  dmap:\n    " + hex("a") + ": [v1]\n    " + hex("b") + ": [v1]\n", "i:4:79", "promotion-tag"},
		"tag that is no list":   {registries, "- name: foo\n  dmap:\n    " + hex("a") + ": v1\n", "i:3:78", "yaml-type"},
		"images is a mapping":   {registries, "images: []\n", "i:1:1", "yaml-type"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := promotion.ReadThin("r", []byte(c.registries), "i", []byte(c.images))
			var all strictyaml.Errors
			if !errors.As(err, &all) || len(all) != 1 || all[0].Code != c.code || all[0].Where != c.where || all[0].Class != gate.Usage {
				t.Errorf("got %v, want %s at %s", err, c.code, c.where)
			}
		})
	}
	_, err := promotion.ReadThin("r", []byte("registries: []\n"), "i", []byte("- name: A\n- name: B\n"))
	var all strictyaml.Errors
	if !errors.As(err, &all) || len(all) != 3 {
		t.Errorf("all that is wrong in both files is said at once: %v", err)
	}
}

func TestALargeManifestIsRead(t *testing.T) {
	t.Parallel()
	m := want()
	m.Images = nil
	for i := range 30 {
		dmap := map[string][]string{}
		for j := range 800 {
			dmap[fmt.Sprintf("sha256:%032x%032x", i, j)] = []string{fmt.Sprintf("v1.%d.%d", j/20, j%20)}
		}
		m.Images = append(m.Images, promotion.Image{Name: fmt.Sprintf("image-%02d", i), Dmap: dmap})
	}
	data := m.EncodeImages()
	back, err := promotion.ReadThin("r", m.EncodeRegistries(), "i", data)
	if diff := cmp.Diff(m, back); err != nil || diff != "" {
		t.Fatalf("%d bytes: %v %s", len(data), err, diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(registries), []byte(images))
	f.Add([]byte(registries+indent(images)), []byte("[]"))
	f.Add([]byte("registries:\n- {name: \"a.example\\u0041\", src: true}\n- name: 'b.example'\n"), []byte("- {name: \"1\"}\n"))
	f.Fuzz(func(t *testing.T, r, i []byte) {
		if _, err := promotion.Read("plain", r); err != nil && gate.Code(err) == "" {
			t.Fatalf("no refusal: %v", err)
		}
		m, err := promotion.ReadThin("r", r, "i", i)
		if err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		back, err := promotion.Read("written", m.Encode())
		if err != nil {
			t.Fatalf("%v in\n%s", err, m.Encode())
		}
		if !bytes.Equal(back.Encode(), m.Encode()) {
			t.Fatalf("%s\n%s", m.Encode(), back.Encode())
		}
	})
}
