// What was ingested or typed by somebody who means harm is shown as text and is nothing else: every
// field that the portal shows holds every text of the corpus, and every page that shows it is opened
// by an expert and by a customer.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { Browser, IdentityProvider, Server, send, settled, setUpWithPasskey } from './world.mjs';

const CORPUS = [
  '<script>alert(1)</script>',
  '"><script>alert(1)</script>',
  '</script><script>alert(1)</script>',
  '</title></style></textarea></noscript><script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '\'"><img src=x onerror="alert(1)">',
  '<svg onload=alert(1)>',
  '<svg><script>alert(1)</script></svg>',
  '<svg><animate onbegin=alert(1) attributeName=x dur=1s>',
  '<svg><a xlink:href="javascript:alert(1)"><text y=20>x</text></a></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
  '<a href="javascript:alert(1)">x</a>',
  '<details open ontoggle=alert(1)>',
  '<input autofocus onfocus=alert(1)>',
  '<form action=javascript:alert(1)><input type=submit>',
  'javascript:alert(1)',
  'JaVaScRiPt&#58;alert(1)//https://a.example',
  'java\tscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
  '{{constructor.constructor("alert(1)")()}}',
  '${alert(1)} #{alert(1)} <%= alert(1) %> [[alert(1)]]',
  '</style><style>*{display:none}body{background:url(https://evil.example/css)}</style>',
  'x;background:url(https://evil.example/bg);behavior:url(#default)',
  '<link rel=stylesheet href=https://evil.example/a.css><base href=https://evil.example/>',
  '<meta http-equiv=refresh content="0;url=https://evil.example/">',
  '<img src=https://evil.example/pixel.png>',
  '![x](https://evil.example/md.png) [x](javascript:alert(1))',
  "';alert(1)//\\';alert(1)//\";alert(1)//--></script>",
  'a\u2028alert(1)\u2029b',
  'invoice\u202Egnp.exe \u2066x\u2069 y\u200Bz\u2060\uFEFF',
  'e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301 \u{1F469}\u200D\u{1F692} \u05E9\u05DC\u05D5\u05DD',
  '__proto__',
  'constructor',
  '%3Cscript%3Ealert(1)%3C/script%3E &lt;script&gt;alert(1)&lt;/script&gt;',
  'W'.repeat(180),
];

/** An alert that has a text in every field a source may fill. */
function alert(text, at) {
  const type = (name) => `#microsoft.graph.security.${name}`;
  const now = new Date(Date.now() - at * 1_000).toISOString();
  const account = { accountName: text, domainName: text, userPrincipalName: text, displayName: text, userSid: text };
  const file = { fileName: text, filePath: text, filePublisher: text, signer: text, issuer: text };
  return {
    id: `hostile-${at}`, providerAlertId: `${at} ${text}`, title: text, description: text, category: text,
    recommendedActions: text, alertWebUrl: text, incidentWebUrl: text, threatDisplayName: text, threatFamilyName: text,
    actorDisplayName: text, productName: text, alertPolicyId: text, mitreTechniques: [text], systemTags: [text],
    assignedTo: text, additionalData: { [text]: text }, customDetails: { [text]: text },
    severity: 'high', serviceSource: 'microsoftDefenderForEndpoint', detectionSource: 'microsoftDefenderForEndpoint',
    createdDateTime: now, firstActivityDateTime: now, lastActivityDateTime: now, lastUpdateDateTime: now,
    comments: [{ comment: text, createdByDisplayName: text, createdDateTime: now }],
    evidence: [
      // What all of them share, so that they make one incident.
      { '@odata.type': type('deviceEvidence'), deviceDnsName: 'desk-1.hostile.example', hostName: 'desk-1' },
      { '@odata.type': type('deviceEvidence'), deviceDnsName: text, hostName: text, osPlatform: text, version: text, tags: [text], loggedOnUsers: [account] },
      { '@odata.type': type('userEvidence'), userAccount: account },
      { '@odata.type': type('processEvidence'), processCommandLine: text, processId: 7, imageFile: file, parentProcessImageFile: file, userAccount: account },
      { '@odata.type': type('fileEvidence'), fileDetails: file, mdeDeviceId: text },
      { '@odata.type': type('urlEvidence'), url: text },
      { '@odata.type': type('urlEvidence'), url: `https://a.example/${text}` },
      { '@odata.type': type('registryKeyEvidence'), registryHive: text, registryKey: text },
      { '@odata.type': type('registryValueEvidence'), registryHive: text, registryKey: text, registryValue: text, registryValueName: text },
      { '@odata.type': type('mailboxEvidence'), displayName: text, primaryAddress: text, userAccount: account },
      { '@odata.type': type('analyzedMessageEvidence'), subject: text, networkMessageId: text, recipientEmailAddress: text, p1Sender: { emailAddress: text, displayName: text, domainName: text }, urls: [text] },
      { '@odata.type': type('cloudApplicationEvidence'), displayName: text, instanceName: text },
      { '@odata.type': type('oauthApplicationEvidence'), displayName: text, publisher: text },
      { '@odata.type': type('azureResourceEvidence'), resourceName: text, resourceId: text },
      { '@odata.type': type('dnsEvidence'), domainName: text },
      { '@odata.type': type('securityGroupEvidence'), displayName: text },
    ],
  };
}

let server;
let browser;
let provider;
const faults = new Set();

before(async () => {
  browser = await Browser.open();
});
beforeEach(async () => {
  server = await Server.start();
});
afterEach(async () => {
  await server?.stop();
});
after(async () => {
  await browser?.close();
  provider?.stop();
});

/** Somebody whose browser tells of everything that must not happen. */
async function watched() {
  const page = await browser.person(server.url, { passkey: true });
  const tell = (what) => faults.add(`${new URL(page.url()).pathname}: ${what}`);
  await page.exposeFunction('tellFault', tell);
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      window.tellFault(`the policy had to stop ${event.violatedDirective} ${event.blockedURI}`));
  });
  page.on('dialog', (dialog) => {
    tell(`a script ran: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    const drawn = request.resourceType() === 'image' && protocol === 'data:';
    if (origin !== server.url && !drawn) tell(`a request to ${request.url().slice(0, 80)}`);
  });
  page.context().on('page', () => tell('a window was opened'));
  return page;
}

/** Looks through what the page has become. */
async function inspect(page) {
  await settled(page);
  const found = await page.evaluate(() => {
    const bad = [];
    for (const element of document.querySelectorAll('*')) {
      for (const { name, value } of element.attributes) {
        if (name.startsWith('on')) bad.push(`<${element.localName} ${name}>`);
        const leads = ['href', 'xlink:href', 'src', 'srcdoc', 'action', 'formaction', 'data'].includes(name);
        const scheme = value.replace(/[\u0000-\u0020]/g, '').toLowerCase();
        if (leads && /^(javascript|vbscript|data):/.test(scheme) && element.localName !== 'img') bad.push(`${name}=${value}`);
      }
    }
    for (const name of ['iframe', 'object', 'embed', 'base', 'math', 'audio', 'video', 'meta[http-equiv=refresh]', 'body link', 'body script']) {
      if (document.querySelector(name)) bad.push(`<${name}>`);
    }
    if (/[\u202A-\u202E\u2066-\u2069\u200B\u2060\uFEFF]/.test(document.body.innerText)) bad.push('a character that disguises text');
    return bad;
  });
  for (const one of found) faults.add(`${new URL(page.url()).pathname}: ${one}`);
  await page.setViewportSize({ width: 380, height: 780 });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) faults.add(`${new URL(page.url()).pathname}${new URL(page.url()).search}: scrolls ${over} px sideways`);
  await page.setViewportSize({ width: 1360, height: 900 });
}

test('the watch notices what it is for', async () => {
  await server.command('init', '--provider', 'Fjordwatch', '--admin', 'odd@fjordwatch.example');
  await server.serve();
  const page = await watched();
  await page.goto('/sign-in');
  await settled(page);
  await page.evaluate(() => {
    const link = document.createElement('a');
    link.href = 'java\nscript:alert(1)';
    link.setAttribute('onnothing', '');
    const picture = document.createElement('img');
    picture.src = 'https://evil.example/pixel.png';
    document.body.append(link, picture, 'gnp\u202E.exe', document.createElement('iframe'));
    window.alert('here');
  });
  await inspect(page);
  const seen = [...faults].join('\n');
  for (const what of ['a script ran: here', 'the policy had to stop', 'a request to https://evil.example', '<a onnothing>', 'href=java\nscript:', '<iframe>', 'disguises']) {
    assert.ok(seen.includes(what), `${what} in:\n${seen}`);
  }
  faults.clear();
  browser.complaints.length = 0;
  await page.context().close();
});

test('a corpus of hostile texts stays text on every page', { timeout: 300_000 }, async () => {
  // Names take one text each; the longest of those that say all at once.
  const name = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}\u202E';
  const { setupUrl } = await server.command('init', '--provider', name, '--admin', 'odd@fjordwatch.example');
  await server.serve();
  const [odd, signe, mikkel, ida] = await Promise.all([watched(), watched(), watched(), watched()]);
  await setUpWithPasskey(odd, setupUrl, `Odd ${name}`);
  const tenant = await send(odd, 'POST', '/api/v1/tenants', { name: `Alder ${name}` });
  const invite = async (email, role, more = {}) =>
    (await send(odd, 'POST', '/api/v1/people', { email, role, ...more })).setupUrl;
  await setUpWithPasskey(signe, await invite('signe@fjordwatch.example', 'Expert'), `Signe ${name}`);
  await setUpWithPasskey(mikkel, await invite('mikkel@fjordwatch.example', 'Lead'), `Mikkel ${name}`);
  const first = await invite('ida@alder.example', 'Security Administrator', { tenantId: tenant.id });
  await ida.goto(new URL(first).pathname + new URL(first).hash);
  await inspect(ida);
  await setUpWithPasskey(ida, first, `Ida ${name}`);

  const file = join(server.dir, 'hostile.json');
  writeFileSync(file, JSON.stringify(CORPUS.map(alert)));
  const outcome = await server.command('import', '--tenant', tenant.id, file);
  assert.equal(outcome.accepted, CORPUS.length, JSON.stringify(outcome.errors));
  await send(ida, 'PUT', '/api/v1/grant', { level: 'operator', approval: 'lead', endDateTime: null, networks: [] });
  let incidents = [];
  for (let tries = 0; tries < 100; tries += 1) {
    incidents = (await (await ida.request.get('/api/v1/incidents?top=60')).json()).value;
    if (incidents.reduce((sum, one) => sum + one.alertCount, 0) === CORPUS.length) break;
    await ida.waitForTimeout(100);
  }
  const incident = incidents.sort((a, b) => b.alertCount - a.alertCount)[0];
  const path = `/api/v1/incidents/${incident.id}`;

  // What people write.
  const access = await send(signe, 'POST', '/api/v1/access', { tenantId: tenant.id, incidentId: incident.id, level: 'operator', reason: name, hours: 2 });
  await send(mikkel, 'POST', `/api/v1/access/${access.id}/approve`, {});
  const refused = await send(mikkel, 'POST', '/api/v1/access', { tenantId: tenant.id, level: 'reader', reason: name, hours: 2 });
  await send(ida, 'POST', `/api/v1/access/${refused.id}/${'revoke'}`, { because: name }).catch(() =>
    send(mikkel, 'POST', `/api/v1/access/${refused.id}/withdraw`, {}));
  for (const text of CORPUS) {
    await send(ida, 'POST', `${path}/comments`, { comment: text });
    await send(ida, 'POST', '/api/v1/filters', { name: text.replace('\t', ' '), query: `q=${encodeURIComponent(text)}&tag=${encodeURIComponent(text)}` });
  }
  await send(ida, 'PATCH', path, { displayName: name, customTags: CORPUS.slice(0, 20), assignedTo: name, resolvingComment: name });
  await send(ida, 'POST', '/api/v1/apps', { name, permissions: ['SecurityIncident.Read.All'] });
  provider = await IdentityProvider.start(server, {});
  await send(ida, 'POST', '/api/v1/identity-providers', {
    name, issuer: provider.issuer, clientId: name.replace('\u202E', ''), clientSecret: 'x', domains: ['alder.example'],
    groupsClaim: 'groups', roles: { '<img src=x onerror=alert(1)>': 'Security Reader' }, factor: 'ours',
  });
  const { value: alerts } = await (await ida.request.get(`${path}/alerts?top=100`)).json();
  await send(ida, 'POST', `/api/v1/alerts/${alerts[0].id}/comments`, { comment: name });

  const columns = 'name,id,priority,severity,status,owner,alerts,tags,categories,products,lastActivity,updated,firstActivity,created,classification,determination,techniques,modifiedBy';
  const tour = async (page, who) => {
    const visit = async (to) => {
      await page.goto(to);
      await inspect(page);
    };
    await visit('/');
    await visit(`/incidents?period=all&status=all&severity=all&columns=${columns}${who === 'expert' ? ',tenant' : ''}`);
    await page.getByRole('button', { name: 'Saved' }).click();
    await inspect(page);
    await visit(`/incidents?period=all&status=all&severity=all&open=${incident.id}`);
    await visit(`/incidents?period=all&${['tag', 'category', 'product', 'assigned', 'q'].map((one) => `${one}=${encodeURIComponent(name)}`).join('&')}`);
    for (const tab of ['story', 'alerts', 'assets', 'evidence', 'summary', 'similar', 'activities']) {
      await visit(`/incidents/${incident.id}?tab=${tab}`);
    }
    await page.getByRole('button', { name: 'Manage incident' }).click();
    await inspect(page);
    // Each text once in the pane of its alert, with all its evidence unfolded.
    for (const one of alerts) {
      await page.goto(`/incidents/${incident.id}?tab=summary&alert=${one.id}`);
      await page.locator('details').first().waitFor();
      await page.evaluate(() => document.querySelectorAll('details').forEach((one) => (one.open = true)));
      await inspect(page);
    }
    await visit(`/alerts/${alerts[0].id}`);
    await visit('/access?state=all');
    await visit(`/access?state=all&open=${access.id}`);
    await visit('/settings/people');
    await visit('/account');
    if (who === 'expert') return visit('/customers');
    for (const to of ['permissions', 'apps', 'sign-in', 'audit']) await visit(`/settings/${to}`);
    await page.getByRole('row').nth(1).click();
    await inspect(page);
  };
  await Promise.all([
    tour(signe, 'expert'),
    tour(ida, 'customer'),
    (async () => {
      for (const to of ['/', '/customers', '/settings/people', '/settings/audit']) {
        await odd.goto(to);
        await inspect(odd);
      }
      // Somebody without a session is told the name of the identity provider.
      const stranger = await watched();
      await stranger.goto(`/sign-in?return=${encodeURIComponent('javascript:alert(1)')}`);
      await stranger.getByLabel('Work e-mail').fill('knut@alder.example');
      await stranger.getByRole('button', { name: 'Continue' }).click();
      await stranger.getByText('Continue with').waitFor();
      await inspect(stranger);
      await stranger.goto('/sign-in?next=%3Cscript%3E&failed=%3Cscript%3Ealert(1)#<img src=x onerror=alert(1)>');
      await inspect(stranger);
    })(),
  ]);
  assert.deepEqual([...faults], []);
  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
});
