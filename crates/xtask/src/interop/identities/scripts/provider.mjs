// Real identity providers (oidc-provider) on one port, each below a path of its own.
// node provider.mjs SETTINGS.json; prints "ready" once it listens.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const claimsOf = (login) => settings.accounts[login] ?? {};

function provider({ issuer, access_tokens: accessTokens }) {
  const names = new Set(Object.values(settings.accounts).flatMap(Object.keys));
  const mail = ['email', 'email_verified'];
  return new Provider(issuer, {
    clients: settings.clients,
    claims: { openid: ['sub', ...[...names].filter((name) => !mail.includes(name))], email: mail },
    // Entra, Dex and Keycloak put them into the ID token too.
    conformIdTokenClaims: false,
    findAccount: (_, login) => ({
      accountId: login,
      claims: () => ({ ...claimsOf(login), sub: claimsOf(login).sub ?? login }),
    }),
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
          audience: settings.audience ?? client.clientId,
          accessTokenFormat: accessTokens ?? 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    // sigstore-python presents the access token, so that it has to say who one is.
    extraTokenClaims: (_, token) => (token.accountId ? claimsOf(token.accountId) : undefined),
    pkce: { required: () => false },
    cookies: { keys: ['not a secret: this provider is for tests'] },
    jwks: { keys: settings.keys },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Session: 600, Interaction: 600, Grant: 600, DeviceCode: 600 },
  });
}

const mounted = settings.providers.map((one) => {
  const prefix = new URL(one.issuer).pathname.replace(/\/$/, '');
  return { prefix, handle: provider(one).callback() };
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
