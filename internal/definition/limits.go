package definition

import "fmt"

// Limits on lists: no project comes near them, and checking stays quick.
const (
	maxParts = 64  // builds, archives
	maxList  = 256 // packages, platforms, files, tags, …
)

// tooLarge refuses lists that are too long, before anything compares their entries.
func (c checker) tooLarge(d *Definition) bool {
	large := false
	check := func(path string, n, most int) {
		if n > most {
			large = true
			c.refuse(path, "definition-size", "the list is too long", fmt.Sprintf("at most %d entries", most), fmt.Sprint(n), "")
		}
	}
	check("builds", len(d.Builds), maxParts)
	check("archives", len(d.Archives), maxParts)
	check("policy.evidence", len(d.Policy.Evidence), maxList)
	check("policy.inputs", len(d.Policy.Inputs), maxParts)
	for i, rule := range d.Policy.Inputs {
		check(fmt.Sprintf("policy.inputs[%d].evidence", i), len(rule.Evidence), maxList)
	}
	for i, b := range d.Builds {
		if b.Go != nil {
			at := fmt.Sprintf("builds[%d].go.", i)
			check(at+"packages", len(b.Go.Packages), maxList)
			check(at+"platforms", len(b.Go.Platforms), maxList)
			check(at+"tags", len(b.Go.Tags), maxList)
			check(at+"env", len(b.Go.Env), maxList)
		}
	}
	for i, b := range d.Builds {
		if b.Run != nil {
			at := fmt.Sprintf("builds[%d].run.", i)
			for key, n := range map[string]int{"command": len(b.Run.Command), "platforms": len(b.Run.Platforms), "inputs": len(b.Run.Inputs), "env": len(b.Run.Env), "outputs": len(b.Run.Outputs)} {
				check(at+key, n, maxList)
			}
		}
	}
	for i, a := range d.Archives {
		at := fmt.Sprintf("archives[%d].", i)
		check(at+"builds", len(a.Builds), maxParts)
		check(at+"files", len(a.Files), maxList)
	}
	check("images", len(d.Images), maxParts)
	for i, img := range d.Images {
		at := fmt.Sprintf("images[%d].", i)
		for key, n := range map[string]int{"repositories": len(img.Repositories), "platforms": len(img.Platforms), "files": len(img.Files), "entrypoint": len(img.Entrypoint),
			"command": len(img.Command), "env": len(img.Env), "labels": len(img.Labels), "annotations": len(img.Annotations), "tags": len(img.Tags)} {
			check(at+key, n, maxList)
		}
	}
	return large
}
