// An issuer that signs whatever it is told, in the shape of those that cannot be run here.
// node issuer.mjs DIRECTORY PORT: serves DIRECTORY over TLS with its tls.pem and tls.key.
//   GET  /keys, /DOCUMENT            what DIRECTORY/www has, with the delay and status of state.json
//   POST /sign {claims, header?}     a token by the key that serves now
//   POST /key  {kid?}                another key serves from now on; the set has only that
//   POST /state {status?, delay_ms?} how questions are answered from now on
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';

const [directory, port] = process.argv.slice(2);
const file = (name) => path.join(directory, name);
let key;
let state = {};

function fresh({ kid = 'first' } = {}) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  key = { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' } };
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token({ claims: said, header = {} }) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iat: now, nbf: now, exp: now + 600, ...said };
  const input = `${encoded({ alg: 'ES256', kid: key.kid, typ: 'JWT', ...header })}.${encoded(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function order(name, body) {
  if (name === '/sign') return token(body);
  if (name === '/key') fresh(body);
  if (name === '/state') state = body;
  return 'ok';
}

async function answer(request, response) {
  const send = (status, text) => response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  if (request.method === 'POST') {
    let text = '';
    for await (const part of request) text += part;
    send(200, order(request.url, JSON.parse(text)));
    return;
  }
  if (state.delay_ms) await new Promise((wake) => setTimeout(wake, state.delay_ms));
  if (state.status) return void send(state.status, '{"error":"as ordered"}');
  if (request.url.endsWith('/keys')) return void send(200, JSON.stringify({ keys: [key.jwk] }));
  const wanted = path.normalize(decodeURIComponent(new URL(request.url, 'https://x').pathname));
  const found = file(path.join('www', wanted));
  if (existsSync(found)) send(200, readFileSync(found));
  else send(404, '{}');
}

fresh();
https
  .createServer({ key: readFileSync(file('tls.key')), cert: readFileSync(file('tls.pem')) }, (request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(error.message));
  })
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
