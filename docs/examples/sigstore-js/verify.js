// Verifies that a bundle was signed with a key, and speaks of a file, with sigstore-js.
//   node verify.js BUNDLE KEY FILE
const fs = require('fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { crypto } = require('@sigstore/core');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const [bundlePath, keyPath, filePath] = process.argv.slice(2);
const file = fs.readFileSync(filePath);
const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundlePath)));
const nothing = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] }; // keyless: TrustedRoot.fromJSON of @sigstore/protobuf-specs
const key = () => ({ publicKey: crypto.createPublicKey(fs.readFileSync(keyPath, 'utf8')), validFor: () => true });
new Verifier(toTrustMaterial(nothing, key), { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 }).verify(toSignedEntity(bundle, file));

// A good signature says that somebody said something. What, is for you to look at: the kind of statement, and that it is about this file.
const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
const digest = crypto.digest('sha256', file).toString('hex');
if (statement.predicateType !== 'https://slsa.dev/provenance/v1') throw new Error(`a statement of another kind: ${statement.predicateType}`);
if (!statement.subject.some((s) => s.digest.sha256 === digest)) throw new Error('the statement is about other files');
console.log(`${filePath}: built by ${statement.predicate.runDetails.builder.id}`);
