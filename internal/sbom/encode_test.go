package sbom_test

import (
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/spdx"
)

// The documents of this package's tests are looked at as SPDX.

func inArtifact(meta sbom.Meta, in sbom.Input, graph sbom.Graph) ([]byte, error) {
	return encoded(sbom.ForArtifact(meta, in, graph))
}

func inRelease(meta sbom.Meta, ins []sbom.Input, graph sbom.Graph) ([]byte, error) {
	return encoded(sbom.ForRelease(meta, ins, graph))
}

func inImage(meta sbom.Meta, in sbom.Image, graph sbom.Graph) ([]byte, error) {
	return encoded(sbom.ForImage(meta, in, graph))
}

func inIndex(meta sbom.Meta, name, index string, ins []sbom.Image, graph sbom.Graph) ([]byte, error) {
	return encoded(sbom.ForIndex(meta, name, index, ins, graph))
}

func encoded(doc *sbom.Document, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return spdx.JSON(doc)
}
