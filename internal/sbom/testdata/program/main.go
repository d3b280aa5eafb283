// Command program is linked with a few modules, for tests to describe.
package main

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/semver"
)

func main() {
	out, err := yaml.Marshal(map[string]string{"order": fmt.Sprint(semver.Compare("v1.0.0", "v1.0.1"))})
	fmt.Println(string(out), err, cmp.Diff(1, 2))
}
