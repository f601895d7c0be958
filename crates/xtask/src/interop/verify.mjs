// Verifies as a user of the sigstore-js library does: node verify.mjs BUNDLE FILE TRUSTED_ROOT IDENTITY ISSUER
import crypto from 'node:crypto';
import fs from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const [bundleFile, file, rootFile, identity, issuer] = process.argv.slice(2);
const json = (path) => JSON.parse(fs.readFileSync(path, 'utf8'));
const bundle = bundleFromJSON(json(bundleFile));
const artifact = fs.readFileSync(file);
const trust = toTrustMaterial(TrustedRoot.fromJSON(json(rootFile)));
const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 });
const signer = verifier.verify(toSignedEntity(bundle, artifact), {
  subjectAlternativeName: identity,
  extensions: { issuer },
});
if (signer.identity.subjectAlternativeName !== identity) throw new Error('another identity');
if (bundle.content.$case === 'dsseEnvelope') {
  // The library leaves the statement's subjects to its user.
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString());
  const digest = crypto.createHash('sha256').update(artifact).digest('hex');
  if (!statement.subject.some((subject) => subject.digest.sha256 === digest)) throw new Error('another subject');
}
