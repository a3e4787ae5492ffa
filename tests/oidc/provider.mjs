// A real OpenID provider for the tests of sign-in: `node provider.mjs ACCOUNTS REDIRECT [conform]`.
//
// ACCOUNTS is a file of JSON, {login: {claims…, "amr": […]}}, read anew at each sign-in, so that a
// test changes an account by writing it. With `conform` the id token carries what the standard asks
// for only, and mail address and groups are for the userinfo endpoint. The first line printed is
// {"issuer": …}. It ends with its standard input, and so with the test that started it.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Installed beside other caches, not beside this file.
const { RIPOSTE_OIDC_MODULES } = process.env;
const require = createRequire(`${RIPOSTE_OIDC_MODULES}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const [accounts, redirect, conform] = process.argv.slice(2);
const account = (login) => JSON.parse(readFileSync(accounts, 'utf8'))[login];

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return Object.fromEntries(new URLSearchParams(text));
}

let provider;
const server = createServer(async (request, response) => {
  // The development pages know no `amr`: the first of their two forms is taken in here.
  if (request.method === 'POST' && request.url.startsWith('/interaction/')) {
    request.body = await body(request);
    if (request.body.prompt === 'login') {
      const { amr } = account(request.body.login) ?? {};
      const login = { accountId: request.body.login, amr };
      await provider.interactionFinished(request, response, { login });
      return;
    }
  }
  provider.callback()(request, response);
});

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, {
    clients: [{
      client_id: 'riposte',
      client_secret: 'a secret, with: signs & 100%',
      redirect_uris: [redirect],
    }],
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ ...account(id), sub: id }),
    }),
    claims: {
      openid: ['sub', 'amr'],
      auth_time: null,
      email: ['email', 'email_verified'],
      profile: ['name'],
      groups: ['groups'],
    },
    scopes: ['openid', 'email', 'profile', 'groups'],
    conformIdTokenClaims: conform === 'conform',
    pkce: { required: () => true },
    cookies: { keys: ['for tests'] },
  });
  console.log(JSON.stringify({ issuer }));
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
