import { expect, it } from 'vitest';

import { mailTree, within, type MailElement, type MailNode } from './mail';

const words = (nodes: MailNode[]): string => nodes.map((node) => (typeof node === 'string' ? node : words(node.children))).join('');
const all = (nodes: MailNode[]): MailElement[] => nodes.flatMap((node) => (typeof node === 'string' ? [] : [node, ...all(node.children)]));
const only = (html: string): MailElement => all(mailTree(html))[0] as MailElement;

it('keeps what a mail of ours is made of', () => {
  const tree = mailTree(`<!doctype html>
<html lang="en"><head><title>Not this</title></head>
<body style="margin:0;background:#f5f5f5"><table role="presentation" width="100%" cellpadding="0"><tr><td align="center">
<a href="https://soc.example/incidents/4?response=actions" style="padding:8px 16px;text-decoration:none">Open &amp; read&#x27;s</a><br>Bye</td></tr></table></body></html>`);
  expect(words(tree).trim()).toBe("Open & read's" + 'Bye');
  const [body, table, rows, row, cell, link] = all(tree);
  expect([body, table, rows, row, cell, link].map((one) => one?.tag)).toEqual(['div', 'table', 'tbody', 'tr', 'td', 'a']);
  expect(body?.style).toEqual({ margin: '0', background: '#f5f5f5' });
  expect(table?.attributes).toEqual({ role: 'presentation', width: '100%', cellPadding: '0' });
  expect(link?.href).toBe('https://soc.example/incidents/4?response=actions');
  expect(link?.style).toEqual({ padding: '8px 16px', textDecoration: 'none' });
});

it('leaves out what runs, loads or lies over the page', () => {
  expect(words(mailTree('a<script>alert(1)</script><style>p{}</style><iframe src="x">in</iframe>b<!-- no -->c'))).toBe('abc');
  expect(all(mailTree('<img src="https://x.example/seen.png"><form action="/"><input></form>'))).toEqual([]);
  expect(only('<div onclick="x()" id="main" class="a" style="position:fixed;inset:0;z-index:9;background:url(https://x.example)">').style).toEqual({});
  expect(only('<div onclick="x()" id="main">').attributes).toEqual({});
  expect(only('<a href="javascript:alert(1)">x</a>').href).toBeNull();
  expect(only('<a href=" java&#115;cript:alert(1)">x</a>').href).toBeNull();
  expect(only('<a href="data:text/html,x">x</a>').href).toBeNull();
});

it('takes what is not well made', () => {
  expect(words(mailTree('1 < 2 <b>bold</i></b></div> &unknown; &#0; &#x110000;'))).toBe('1 < 2 bold &unknown; \ufffd \ufffd');
  expect(words(mailTree(`${'<div>'.repeat(5_000)}deep`))).toBe('deep');
  expect(words(mailTree('<p>open <unclosed attribute="'))).toContain('open ');
});

it('knows the portal’s own addresses', () => {
  expect(within('https://soc.example/incidents/4?tab=x#y', 'https://soc.example')).toBe('/incidents/4?tab=x#y');
  expect(within('https://soc.example.evil.example/', 'https://soc.example')).toBeNull();
  expect(within('https://soc.example@evil.example/', 'https://soc.example')).toBeNull();
  expect(within('nothing', 'https://soc.example')).toBeNull();
});
