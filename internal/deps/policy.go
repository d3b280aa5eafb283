// Package deps holds dependencies to what a project has written down about them: dependencies.yaml.
//
// # Promises
//
// It judges what was found, not what is declared: the packages that a bill of materials lists, and the modules that a build
// mounted. What is not known (a licence, an age, who vouches for a module) is refused where the policy asks for it. Everything
// that is wrong is said at once, each with its package, with who brings it in, and with a code. No exception is a line in a
// file: it is an approval, a document that a release manager signed, that names packages and versions, and that expires.
//
// # Refusals
//
// deps-policy and deps-policy-empty (the file); deps-license-denied, deps-license-not-allowed, deps-license-unknown,
// deps-module-denied, deps-module-not-allowed, deps-source-not-allowed, deps-replaced, deps-unchecked, deps-quarantine,
// deps-age-unknown and deps-not-approved (a package); approval-invalid, and the codes of decision.Approval (an approval).
//
// # What it does not do
//
// No I/O. It does not judge packages of distributions, the standard library and the toolchain: those are chosen by images[].base
// and builds[].go.toolchain, by digest and by version. It cannot know when a version was published, only what its source says.
package deps

import "fmt"

// FileName is the policy's path in the repository.
const FileName = "dependencies.yaml"

// Folder is where approvals are in the repository.
const Folder = "dependencies"

// Policy is dependencies.yaml: which dependencies a release may have. A section that is left out asks for nothing. It is read from the commit that is released and from the tip of the release branch; both have to hold. A file that was there once cannot just go.
type Policy struct {
	// None says why there is no policy any more; it stands alone. Default: none, the sections below hold.
	None string `yaml:"none,omitempty" example:"What we depend on is decided elsewhere"`
	// Licenses says under which licences dependencies may stand.
	Licenses *Licenses `yaml:"licenses,omitempty"`
	// Modules says which dependencies may be there.
	Modules *Modules `yaml:"modules,omitempty"`
	// Sources says where dependencies may come from.
	Sources *Sources `yaml:"sources,omitempty"`
	// Quarantine says how old a version has to be before it may enter.
	Quarantine *Quarantine `yaml:"quarantine,omitempty"`
	// Approvals says what release managers have to approve.
	Approvals *Approvals `yaml:"approvals,omitempty"`
}

// Licenses says under which licences dependencies may stand. Of a choice (MIT OR GPL-3.0-only) one is enough; of what is joined by AND, all have to be allowed. The licence is the one that was found in the dependency's own files, else the one that it declares.
type Licenses struct {
	// Allow lists SPDX identifiers, also with an exception, and * for anything; all others are refused. Default: every licence that is not denied.
	Allow []string `yaml:"allow,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[Apache-2.0, MIT, BSD-*]"`
	// Deny lists SPDX identifiers that are refused, also where allow names them. One with an exception is refused too, unless allow names it with that exception. Default: none.
	Deny []string `yaml:"deny,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[AGPL-*, GPL-3.0-only]"`
	// Unknown says what happens to a dependency whose licence nobody could tell. Default: refuse.
	Unknown string `yaml:"unknown,omitempty" jsonschema:"enum=refuse,enum=allow"`
}

// Modules says which dependencies may be there. Names are module paths, or package URLs without a version for other languages (pkg:npm/left-pad); * stands for anything.
type Modules struct {
	// Allow lists those that may be there; all others are refused. Default: every one that is not denied.
	Allow []string `yaml:"allow,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[github.com/spf13/*, golang.org/x/*]"`
	// Deny lists those that may not, also where allow names them.
	Deny []Denied `yaml:"deny,omitempty" jsonschema:"minItems=1"`
}

// Denied is a dependency that may not be there.
type Denied struct {
	// Module is the name, with * for anything.
	Module string `yaml:"module" example:"github.com/evil/*"`
	// Versions are comparisons, all of which have to hold for a version to be denied. Default: every version.
	Versions string `yaml:"versions,omitempty" example:"'>=v1.2.0 <v1.4.3'"`
	// Reason is shown to whoever meets it.
	Reason string `yaml:"reason" example:"It was taken over"`
}

// Sources says where dependencies may come from. Where it is there, no replacement and no module that the checksum database does not vouch for is let through but those listed.
type Sources struct {
	// Allow lists hosts, or a host and the first parts of a path, that module paths have to begin with. Default: every one.
	Allow []string `yaml:"allow,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[github.com/kubernetes, golang.org]"`
	// Replacements lists modules, with * for anything, that may stand in for another by a replace line of go.mod, and folders of the source (./fork). Default: none.
	Replacements []string `yaml:"replacements,omitempty" jsonschema:"uniqueItems=true" example:"[github.com/example/fork]"`
	// Unchecked lists modules, with * for anything, that the checksum database need not vouch for: private ones. Default: none.
	Unchecked []string `yaml:"unchecked,omitempty" jsonschema:"uniqueItems=true" example:"[git.example.org/*]"`
}

// Quarantine says how old a version has to be before it may enter: most that is bad is found in the first days. The time is the one that the source states for the version; for Go that is the time of its commit.
type Quarantine struct {
	// MinAge is the least age at a sign-off, a promotion and a release, from 1h to 8760h.
	MinAge string `yaml:"min-age" example:"168h"`
	// Except lists modules, with * for anything, that may be younger: the project's own. Default: none.
	Except []string `yaml:"except,omitempty" jsonschema:"uniqueItems=true" example:"[example.org/ours/*]"`
}

// Approvals says what release managers have to approve, and how many of them lift something that the policy refuses. An approval is a document below dependencies/ with a release manager's signature, that expires; sello deps approve makes it.
type Approvals struct {
	// Direct says whether each direct dependency has to be approved. Default: false.
	Direct bool `yaml:"direct,omitempty" example:"true"`
	// Managers is how many release managers have to approve the same, each with a document of their own. Default: 1.
	Managers int `yaml:"managers,omitempty" jsonschema:"minimum=1,maximum=100" example:"2"`
	// By lists the release managers of trust.yaml whose approvals count. Default: all of them.
	By []string `yaml:"by,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[jane, joe]"`
	// Except lists modules, with * for anything, that need no approval as direct dependencies: the project's own. Default: none.
	Except []string `yaml:"except,omitempty" jsonschema:"uniqueItems=true" example:"[example.org/ours/*]"`
}

// managers is how many have to approve, and among whom; nobody in particular when it is empty.
func (p *Policy) managers() (need int, among []string) {
	if p.Approvals == nil {
		return 1, nil
	}
	return max(1, p.Approvals.Managers), p.Approvals.By
}

// managersText is how many have to approve, in words.
func (p *Policy) managersText() string {
	if need, _ := p.managers(); need > 1 {
		return fmt.Sprintf("%d release managers", need)
	}
	return "a release manager"
}
