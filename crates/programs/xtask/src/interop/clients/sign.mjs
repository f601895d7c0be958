// Signs as a user of the sigstore-js library does: node sign.mjs blob|attest FILE TOKEN_FILE SIGNING_CONFIG OUT [PAYLOAD_TYPE]
import fs from 'node:fs';
import { bundleToJSON } from '@sigstore/bundle';
import { SigningConfig } from '@sigstore/protobuf-specs';
import { bundleBuilderFromSigningConfig } from '@sigstore/sign';

const [kind, file, tokenFile, configFile, out] = process.argv.slice(2);
const token = fs.readFileSync(tokenFile, 'utf8');
const signingConfig = SigningConfig.fromJSON(JSON.parse(fs.readFileSync(configFile, 'utf8')));
const builder = bundleBuilderFromSigningConfig({
  signingConfig,
  identityProvider: { getToken: async () => token },
  bundleType: kind === 'blob' ? 'messageSignature' : 'dsseEnvelope',
});
const bundle = await builder.create({
  data: fs.readFileSync(file),
  type: kind === 'blob' ? undefined : 'application/vnd.in-toto+json',
});
fs.writeFileSync(out, JSON.stringify(bundleToJSON(bundle)));
