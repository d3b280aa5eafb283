// Verifies bundles with sigstore-js as npm ships it. It reads a JSON array of cases from standard input, and writes one of {name, error},
// with an empty error where a case is accepted. Usage: node sigstore.js FOLDER, where FOLDER/@sigstore is.
'use strict';
const { createRequire } = require('module');
const from = createRequire(process.argv[2] + '/');
const { bundleFromJSON } = from('@sigstore/bundle');
const { crypto } = from('@sigstore/core');
const { TrustedRoot } = from('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = from('@sigstore/verify');
const fs = require('fs');

const literal = (s) => '^' + s.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') + '$';

function verify(c) {
  const root = c.root ? TrustedRoot.fromJSON(JSON.parse(c.root)) : { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const keys = () => {
    if (!c.key) throw new Error('no key');
    return { publicKey: crypto.createPublicKey(c.key), validFor: () => true };
  };
  const file = Buffer.from(c.file, 'base64');
  const bundle = bundleFromJSON(JSON.parse(c.bundle));
  // What the root names has to be there; where it names nothing, nothing can be.
  const logs = root.tlogs.length > 0 ? 1 : 0;
  const verifier = new Verifier(toTrustMaterial(root, keys), {
    ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0, tlogThreshold: logs, timestampThreshold: logs || root.timestampAuthorities.length > 0 ? 1 : 0 });
  verifier.verify(toSignedEntity(bundle, file), c.key ? undefined : { subjectAlternativeName: literal(c.subject), extensions: { issuer: c.issuer } });
  if (bundle.content.$case === 'dsseEnvelope') { // whether the statement is about the file is for its caller to look at
    const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString());
    const digest = crypto.digest('sha256', file).toString('hex');
    if (!statement.subject.some((s) => s.digest.sha256 === digest)) throw new Error('subject mismatch');
  }
}

const verdicts = JSON.parse(fs.readFileSync(0)).map((c) => {
  try {
    verify(c);
    return { name: c.name, error: '' };
  } catch (e) {
    return { name: c.name, error: `${e.code || e.name}: ${e.message}` };
  }
});
console.log(JSON.stringify(verdicts));
