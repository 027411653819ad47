// A certified OpenID server for the suite: `node server.mjs FOLDER` with node_modules in FOLDER. It prints its
// port, and ends when its standard input does. POST /admin/ACTION with a JSON body works its switches:
//   rotate {on}  google {on}  fault {kind, times}  grant {client, scope} -> {refresh_token}
//   revoke {token}  expire {token}  stats -> {calls, causes}
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const library = path.join(process.argv[2], 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(library));

const state = { rotate: false, google: false, fault: null, times: 0, calls: 0, causes: [] };
const server = http.createServer(front);
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const grants = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];
const common = { redirect_uris: ['http://127.0.0.1/'], response_types: ['code'], application_type: 'native' };
const provider = new Provider(issuer, {
  clients: [
    { ...common, client_id: 'jada-test', client_secret: 'canary-client-secret',
      grant_types: [...grants, 'client_credentials'], token_endpoint_auth_method: 'client_secret_basic' },
    { ...common, client_id: 'jada-public', grant_types: grants, token_endpoint_auth_method: 'none' },
  ],
  scopes: ['openid', 'offline_access', 'a', 'b'],
  claims: { openid: ['sub', 'email'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['a-key-of-this-run'] },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
  },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: `${sub}@example.com` }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: () => state.rotate,
  ttl: { AccessToken: 600, RefreshToken: 86400, Grant: 86400, DeviceCode: 600, Session: 3600, Interaction: 600, IdToken: 600 },
});
provider.on('grant.error', (_, error) => state.causes.push(error.error_detail ?? error.message));
const callback = provider.callback();
process.stdin.on('end', () => process.exit(0)).resume();
console.log(server.address().port);

async function front(request, response) {
  if (request.url.startsWith('/admin/')) return admin(request, response);
  if (request.url !== '/token') return callback(request, response);
  state.calls += 1;
  const fault = state.times > 0 ? state.fault : null;
  if (fault) state.times -= 1;
  if (fault === 'lose') return lose(request, response);
  if (fault) return fail(fault, request, response);
  if (state.google) likeGoogle(response);
  return callback(request, response);
}

function fail(kind, request, response) {
  const html = { 'content-type': 'text/html' };
  const answers = {
    unavailable: [503, { 'retry-after': '7' }, ''],
    limited: [429, { 'retry-after': '7' }, ''],
    'html-200': [200, html, '<html>sign in</html>'],
    'html-400': [400, html, '<html>sign in</html>'],
    'empty-400': [400, {}, ''],
  };
  if (kind === 'reset') return request.socket.destroy();
  if (kind === 'hang') return undefined;
  const [status, headers, body] = answers[kind];
  return response.writeHead(status, headers).end(body);
}

// The exchange is done, and nobody hears of it.
function lose(request, response) {
  response.write = () => true;
  response.end = () => request.socket.destroy();
  callback(request, response);
}

// Google gives no refresh token on refresh, declares the end of the consent, and has one text for all deaths.
function likeGoogle(response) {
  const end = response.end.bind(response);
  response.end = (body) => {
    const reply = JSON.parse(body.toString());
    delete reply.refresh_token;
    if (reply.access_token) reply.refresh_token_expires_in = 604799;
    if (reply.error) reply.error_description = 'Token has been expired or revoked.';
    const text = JSON.stringify(reply);
    response.setHeader('content-length', Buffer.byteLength(text));
    return end(text);
  };
}

async function admin(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const asked = JSON.parse(Buffer.concat(chunks).toString() || '{}');
  const actions = {
    rotate: () => { state.rotate = asked.on; },
    google: () => { state.google = asked.on; },
    fault: () => { state.fault = asked.kind; state.times = asked.times; },
    grant: () => mint(asked.client, asked.scope),
    revoke: async () => {
      const token = await provider.RefreshToken.find(asked.token, { ignoreExpiration: true });
      await (await provider.Grant.find(token.grantId)).destroy();
    },
    expire: async () => {
      const token = await provider.RefreshToken.find(asked.token);
      token.exp = 1;
      await token.save();
    },
    stats: () => ({ calls: state.calls, causes: state.causes }),
  };
  const answer = (await actions[request.url.slice('/admin/'.length)]()) ?? {};
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

// A consent without a browser.
async function mint(clientId, scope) {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: 'ops', clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    client, accountId: 'ops', grantId, scope, gty: 'authorization_code', authTime: Math.floor(Date.now() / 1000),
  });
  return { refresh_token: await token.save() };
}
