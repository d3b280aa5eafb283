package stage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
)

func sha(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func withImages() Stage {
	s := example()
	s.Images = []Image{
		{Name: "registry.example/team/age", Build: "age", Index: sha("1"), Size: 500, Platforms: map[string]string{"linux/amd64": sha("2"), "linux/arm64": sha("3")},
			SBOMs: map[string]string{"": sha("4"), "linux/amd64": sha("5"), "linux/arm64": sha("6")}, Repositories: []string{"mirror.example/age", "registry.example/team/age"},
			Tags: []string{"v1.4.2"}, Markers: []string{"v1.4", "v1", "latest"}},
		{Name: "tool", Index: sha("7"), Size: 1, Platforms: map[string]string{"linux/amd64": sha("8")}, Repositories: []string{"registry.example/tool"}, Tags: []string{"v1.4.2"}},
	}
	return s
}

func TestImagesRoundTrip(t *testing.T) {
	t.Parallel()
	want := withImages()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Images, got.Images); d != "" {
		t.Error(d)
	}
	without, err := example().Encode()
	if err != nil || strings.Contains(string(without), "images") {
		t.Errorf("a stage without images speaks of them: %v", err)
	}
}

func TestImagesAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(*Stage)
		code string
	}{
		"no name":                 {func(s *Stage) { s.Images[0].Name = "" }, "stage-bad-field"},
		"name that leaves":        {func(s *Stage) { s.Images[0].Name = "a/../b" }, "stage-bad-field"},
		"index without algorithm": {func(s *Stage) { s.Images[0].Index = strings.Repeat("1", 64) }, "stage-bad-digest"},
		"size of nothing":         {func(s *Stage) { s.Images[0].Size = 0 }, "stage-bad-field"},
		"size of a layer":         {func(s *Stage) { s.Images[0].Size = 5 << 20 }, "stage-bad-field"},
		"no platforms":            {func(s *Stage) { s.Images[0].Platforms = nil }, "stage-bad-field"},
		"bad manifest":            {func(s *Stage) { s.Images[0].Platforms["linux/amd64"] = "x" }, "stage-bad-digest"},
		"index as manifest":       {func(s *Stage) { s.Images[0].Platforms["linux/amd64"] = s.Images[0].Index }, "stage-bad-digest"},
		"SBOM of no platform":     {func(s *Stage) { s.Images[0].SBOMs["linux/s390x"] = sha("9") }, "stage-bad-digest"},
		"no repositories":         {func(s *Stage) { s.Images[0].Repositories = nil }, "stage-bad-field"},
		"unsorted repositories":   {func(s *Stage) { s.Images[0].Repositories = []string{"b.example/a", "a.example/a"} }, "stage-unsorted"},
		"repository that leaves":  {func(s *Stage) { s.Images[0].Repositories = []string{"a.example/../b"} }, "stage-bad-field"},
		"bad tag":                 {func(s *Stage) { s.Images[0].Tags = []string{"a b"} }, "stage-bad-field"},
		"bad marker":              {func(s *Stage) { s.Images[0].Markers = []string{"-x"} }, "stage-bad-field"},
		"unsorted images":         {func(s *Stage) { s.Images[0], s.Images[1] = s.Images[1], s.Images[0] }, "stage-unsorted"},
		"one short name":          {func(s *Stage) { s.Images[1].Name = "registry.example/x/age" }, "stage-duplicate-name"},
		"too many": {func(s *Stage) {
			for i := range maxImages {
				img := s.Images[1]
				img.Name = fmt.Sprintf("u%06d", i)
				s.Images = append(s.Images, img)
			}
		}, "stage-bad-field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withImages()
			test.edit(&s)
			if _, err := s.Encode(); gate.Code(err) != test.code {
				t.Errorf("%v, want %s", err, test.code)
			}
		})
	}
}
