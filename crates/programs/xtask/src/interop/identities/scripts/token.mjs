// Gets a token without a Sigstore client and prints it.
// node token.mjs ISSUER CLIENT SECRET machine       client credentials (RFC 6749 4.4)
// node token.mjs ISSUER CLIENT SECRET device NAME   device flow (RFC 8628): NAME logs in; the ID token
// node token.mjs ISSUER CLIENT SECRET access NAME   the same; the access token
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const [issuer, client, secret, flow, name] = process.argv.slice(2);
const discovery = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
const endpoints = await (await fetch(discovery)).json();

async function post(url, form) {
  const credentials = secret ? { client_secret: secret } : {};
  const body = new URLSearchParams({ client_id: client, ...credentials, ...form });
  const answer = await fetch(url, { method: 'POST', body });
  return answer.json();
}

function give(token, answer) {
  if (!token) throw new Error(`${issuer} gave no token: ${JSON.stringify(answer)}`);
  process.stdout.write(token);
}

if (flow === 'machine') {
  const answer = await post(endpoints.token_endpoint, { grant_type: 'client_credentials' });
  give(answer.access_token, answer);
} else {
  const verifier = randomBytes(32).toString('base64url');
  const code = await post(endpoints.device_authorization_endpoint, {
    scope: 'openid email',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  // Not synchronously: a connection that the provider closes meanwhile must be seen to be closed.
  const page = code.verification_uri_complete;
  await promisify(execFile)(process.execPath, ['login.mjs', page, name, 'interop']);
  const answer = await post(endpoints.token_endpoint, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: code.device_code,
    code_verifier: verifier,
  });
  give(flow === 'access' ? answer.access_token : answer.id_token, answer);
}
