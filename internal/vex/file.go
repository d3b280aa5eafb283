package vex

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
)

// ReadFile reads a document and the signature beside it; bundle is nil when there is none.
func ReadFile(name string) (document, bundle []byte, err error) {
	document, err = readFile(name, MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &gate.Refusal{Code: "file-missing", Class: gate.Usage, Where: name, What: "there is no such OpenVEX document", Expected: "an OpenVEX document", Fix: "give the path of one that is there"}
	}
	if info, stat := os.Stat(name); stat == nil && info.IsDir() {
		return nil, nil, &gate.Refusal{Code: "vex-invalid", Class: gate.Usage, Where: name, What: "this is a folder", Expected: "an OpenVEX document", Fix: "give the documents in it: " + name + "/*.openvex.json"}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read OpenVEX document: %w", err)
	}
	bundle, err = readFile(name+BundleSuffix, sign.MaxBundle)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read signature: %w", err)
	}
	return document, bundle, nil
}

// readFile reads one byte more than limit at most: what is too long is refused by its parser.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
