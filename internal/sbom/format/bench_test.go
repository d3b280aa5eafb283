package format_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sbom/query"
)

// BenchmarkQuery reads a document of 50,000 packages, asks for those of a licence and a version, and why one is there. The bar
// for asking is 200 ms.
func BenchmarkQuery(b *testing.B) {
	data := encode(b, many(50_000), format.SPDXJSON)
	for b.Loop() {
		started := time.Now()
		doc, err := format.Read(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		read := time.Since(started)
		started = time.Now()
		g := query.New(doc)
		found, err := g.Match(query.Filter{License: "Apache-*", Version: ">=1.20 <1.30", PURL: "pkg:golang/example.org/*"})
		if err != nil || len(found) == 0 {
			b.Fatal(len(found), err)
		}
		if len(g.Why(found[len(found)-1])) == 0 {
			b.Fatal("no way")
		}
		asked := time.Since(started)
		b.ReportMetric(float64(len(data))/1e6, "MB")
		b.ReportMetric(read.Seconds()*1000, "ms-read")
		b.ReportMetric(asked.Seconds()*1000, "ms-asked")
	}
}
