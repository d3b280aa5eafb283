package cli

import (
	"os"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/page"
)

// writePage writes a document as a page for browsers.
func (a *app) writePage(doc *sbom.Document, path string) error {
	data, err := page.Render(doc)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil { // #nosec G306 -- it is to be read by others
		return &gate.Refusal{Code: "output-unwritable", Class: gate.Failed, What: "the page cannot be written", Where: path, Cause: err, Fix: "choose another place with --html"}
	}
	return a.result(map[string]string{"file": path}, func() { a.printf("%s\n", path) })
}

func notFound(path string) error {
	return &gate.Refusal{Code: "sbom-nothing-found", Class: gate.Failed, What: "nothing in the bill of materials is what was asked for", Where: path,
		Fix: "ask for less: * stands for anything, and sello sbom show SBOM shows what there is"}
}
