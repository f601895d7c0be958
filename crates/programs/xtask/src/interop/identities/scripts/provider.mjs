// Real identity providers (oidc-provider) on one port, each below a path of its own.
// node provider.mjs SETTINGS.json; prints "ready" once it listens.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// By the name that somebody logs in as, which is the subject of their tokens too.
const claimsOf = (name) => settings.accounts[name];

function provider(issuer) {
  const names = new Set(Object.values(settings.accounts).flatMap(Object.keys));
  const mail = ['email', 'email_verified'];
  return new Provider(issuer, {
    clients: settings.clients,
    claims: { openid: ['sub', ...[...names].filter((name) => !mail.includes(name))], email: mail },
    // Entra, Dex and Keycloak put them into the ID token too.
    conformIdTokenClaims: false,
    findAccount: (_, name) =>
      claimsOf(name) && { accountId: name, claims: () => ({ ...claimsOf(name), sub: name }) },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:countersign:ca',
        useGrantedResource: () => true,
        getResourceServerInfo: (_, __, client) => ({
          scope: 'openid email',
          audience: client.clientId,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    // sigstore-python presents the access token, so that it has to say who one is.
    extraTokenClaims: (_, token) => claimsOf(token.accountId),
    pkce: { required: () => false },
    cookies: { keys: ['not a secret: this provider is for tests'] },
    jwks: { keys: settings.keys },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Session: 600, Interaction: 600, Grant: 600, DeviceCode: 600 },
  });
}

const mounted = settings.issuers.map((issuer) => {
  const prefix = new URL(issuer).pathname.replace(/\/$/, '');
  return { prefix, handle: provider(issuer).callback() };
});

http
  .createServer((request, response) => {
    const found = mounted.find(({ prefix }) => request.url.startsWith(`${prefix}/`));
    if (!found) {
      response.writeHead(404).end();
      return;
    }
    // How a mounted oidc-provider learns below which path it is.
    request.originalUrl = request.url;
    request.url = request.url.slice(found.prefix.length);
    found.handle(request, response);
  })
  .listen(settings.port, '127.0.0.1', () => console.log('ready'));
