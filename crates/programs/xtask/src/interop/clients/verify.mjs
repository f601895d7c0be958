// Verifies as a user of the sigstore-js library does: node verify.mjs BUNDLE FILE TRUSTED_ROOT (IDENTITY ISSUER | --key PEM)
import crypto from 'node:crypto';
import fs from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const [bundleFile, file, rootFile, who, what] = process.argv.slice(2);
const json = (path) => JSON.parse(fs.readFileSync(path, 'utf8'));
const bundle = bundleFromJSON(json(bundleFile));
const artifact = fs.readFileSync(file);
const key = who === '--key' && crypto.createPublicKey(fs.readFileSync(what));
const trust = toTrustMaterial(
  TrustedRoot.fromJSON(json(rootFile)),
  key ? () => ({ publicKey: key, validFor: () => true }) : undefined,
);
const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: key ? 0 : 1, timestampThreshold: 1 });
const policy = key ? undefined : { subjectAlternativeName: who, extensions: { issuer: what } };
const signer = verifier.verify(toSignedEntity(bundle, artifact), policy);
if (!key && signer.identity.subjectAlternativeName !== who) throw new Error('another identity');
if (bundle.content.$case === 'dsseEnvelope') {
  // The library leaves the statement's subjects to its user.
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString());
  const digest = crypto.createHash('sha256').update(artifact).digest('hex');
  if (!statement.subject.some((subject) => subject.digest.sha256 === digest)) throw new Error('another subject');
}
