package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/vex"
)

// vexDir is the folder of the repository with exceptions: OpenVEX documents, each with its signature.
const vexDir = stage.VEXFolder

// vexSuffix names OpenVEX documents.
const vexSuffix = ".openvex.json"

// maxExceptions bounds how many documents are read.
const maxExceptions = 1000

// VEXOptions say what is decided, by whom and for how long.
type VEXOptions struct {
	Statement  vex.Statement
	Products   []string // package URLs; none is the project itself
	Components []string // package URLs of what the vulnerability is in
	Out        string   // path of the document; "" is vex/<id>.openvex.json
	As         string   // key to sign with, when there are several
	ValidFor   time.Duration
	Comment    string
}

// Decided is what CreateVEX and SignVEX did.
type Decided struct {
	Path     string    `json:"path"`
	Bundle   string    `json:"bundle"`
	Identity string    `json:"identity"`
	Expires  time.Time `json:"expires"`
}

// CreateVEX writes an OpenVEX document with one statement and signs it as a manager. Both count once they are merged.
func (p *Project) CreateVEX(ctx context.Context, o VEXOptions) (*Decided, error) {
	def, t, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	if len(o.Products) == 0 {
		o.Products = []string{projectPurl(def.Project, "")}
	}
	for _, purl := range o.Products {
		product := vex.Product{Component: vex.Component{ID: purl}}
		for _, c := range o.Components {
			product.Subcomponents = append(product.Subcomponents, vex.Component{ID: c})
		}
		o.Statement.Products = append(o.Statement.Products, product)
	}
	identity, signer, err := p.Keys(def.Project).Signer(ctx, t, trust.RoleManager, o.As)
	if err != nil {
		return nil, err
	}
	now := p.Now().UTC().Truncate(time.Second)
	d := vex.Document{Context: vex.Context, ID: strings.TrimSuffix(def.Source, "/") + "/vex/" + o.Statement.Vulnerability.Name, Author: identity + " of " + def.Project, Role: "Release manager",
		Timestamp: now, Version: 1, Tooling: "sello", Statements: []vex.Statement{o.Statement}}
	data, err := d.Encode()
	if err != nil {
		return nil, err
	}
	file := o.Out
	if file == "" {
		file = filepath.Join(p.Repo.Root(), vexDir, plainName(o.Statement.Vulnerability.Name)+vexSuffix)
	}
	if _, err := os.Lstat(file); err == nil {
		return nil, &gate.Refusal{Code: "vex-exists", Class: gate.Usage, Where: file, What: "there is a document of this name already", Expected: "no such file", Fix: "sello vex sign " + file + " to decide the same again; or write another with --out"}
	}
	return p.signVEX(ctx, def, file, data, identity, signer, t, o, true)
}

// SignVEX signs a document that is there, for the first time or again.
func (p *Project) SignVEX(ctx context.Context, file string, o VEXOptions) (*Decided, error) {
	def, t, err := p.inForce(ctx)
	if err != nil {
		return nil, err
	}
	data, _, err := vex.ReadFile(file)
	if err != nil {
		return nil, err
	}
	identity, signer, err := p.Keys(def.Project).Signer(ctx, t, trust.RoleManager, o.As)
	if err != nil {
		return nil, err
	}
	return p.signVEX(ctx, def, file, data, identity, signer, t, o, false)
}

func (p *Project) signVEX(ctx context.Context, def *definition.Definition, file string, data []byte, identity string, signer sign.Signer, t *trust.Trust, o VEXOptions, write bool) (*Decided, error) {
	now := p.Now()
	e := vex.Exception{Project: def.Project, Identity: identity, Role: trust.RoleManager, Time: now, Expires: now.Add(o.ValidFor), Comment: o.Comment,
		Trust: attest.Pinned{Path: TrustFile, SHA256: t.Digest(), Version: t.Version}}
	bundle, err := vex.Sign(ctx, signer, filepath.Base(file), data, e)
	if err != nil {
		return nil, err
	}
	if write {
		if err := writeFile(file, data); err != nil {
			return nil, fmt.Errorf("write OpenVEX document: %w", err)
		}
	}
	if err := writeFile(file+vex.BundleSuffix, bundle); err != nil {
		return nil, fmt.Errorf("write signature: %w", err)
	}
	return &Decided{Path: file, Bundle: file + vex.BundleSuffix, Identity: identity, Expires: e.Expires.UTC().Truncate(time.Second)}, nil
}

// inForce gives the definition and the trust file at the tip of the release branch.
func (p *Project) inForce(ctx context.Context) (*definition.Definition, *trust.Trust, error) {
	branch, tip, err := p.branch(ctx)
	if err != nil {
		return nil, nil, err
	}
	def, _, err := p.definitionAt(ctx, tip)
	if err != nil {
		return nil, nil, err
	}
	t, _, err := p.trustAt(ctx, tip, branch)
	return def, t, err
}

// exceptions reads the documents that are merged on the release branch; those that do not count are named in Ignored.
func (p *Project) exceptions(ctx context.Context, c *Candidate) (*vex.Set, error) {
	set := &vex.Set{Products: []string{projectPurl(c.Definition.Project, c.Release.Version)}}
	names, err := p.Repo.List(ctx, c.Tip, vexDir)
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list exceptions: %w", err)
	}
	if len(names) > maxExceptions {
		return nil, &gate.Refusal{Code: "vex-too-large", Where: vexDir, What: "there are more exceptions than are read", Expected: fmt.Sprintf("at most %d files", maxExceptions), Actual: fmt.Sprint(len(names)), Fix: "remove those that have expired"}
	}
	for _, name := range names {
		if !strings.HasSuffix(name, vexSuffix) {
			continue
		}
		file := path.Join(vexDir, name)
		data, err := p.Repo.ReadFile(ctx, c.Tip, file, vex.MaxSize)
		if err != nil {
			return nil, fmt.Errorf("read exception: %w", err)
		}
		bundle, err := p.Repo.ReadFile(ctx, c.Tip, file+vex.BundleSuffix, sign.MaxBundle)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read exception: %w", err)
		}
		if err := set.AddSigned(file, data, bundle, c.Trust, c.Definition.Project, p.Now()); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// projectPurl names what the project releases.
func projectPurl(project, version string) string {
	if version == "" {
		return "pkg:generic/" + project
	}
	return "pkg:generic/" + project + "@" + version
}

// plainName makes a file's name of an id.
func plainName(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, id)
}
