/**
 * A mail's HTML as a tree of the few elements that mails of ours are made of. What is not known is
 * left out, so that nothing of a mail can run, load, or lie over the page. Not an iframe: the page's
 * policy lets no text become markup and gives frames no styles. Pure.
 */

export type MailNode = string | MailElement;
export type MailElement = {
  tag: string;
  style: Record<string, string>;
  attributes: Record<string, string>;
  href: string | null;
  children: MailNode[];
};

const SHOWN = new Set('a b br div em h1 h2 h3 hr i li ol p span strong table tbody td tr ul'.split(' '));
/** Left out with all that is in them. */
const HIDDEN = new Set('head iframe math noscript object script select style svg template textarea title'.split(' '));
const VOID = new Set('area base br col embed hr img input link meta source track wbr'.split(' '));
/** Only blanks stand between their children. */
const FRAMES = new Set(['table', 'tbody', 'tr']);
const STYLES =
  /^(background|background-color|border(-(top|right|bottom|left))?|border-radius|color|display|font-(family|size|style|weight)|line-height|margin(-(top|right|bottom|left))?|max-width|padding(-(top|right|bottom|left))?|text-align|text-decoration|white-space|width)$/;
/** Without brackets: nothing is loaded and nothing reckoned. */
const VALUE = /^[\w\s#%.,'"-]+$/;
const ATTRIBUTES: Record<string, { as: string; value: RegExp }> = {
  align: { as: 'align', value: /^(left|center|right)$/ },
  cellpadding: { as: 'cellPadding', value: /^\d{1,2}$/ },
  cellspacing: { as: 'cellSpacing', value: /^\d{1,2}$/ },
  lang: { as: 'lang', value: /^[\w-]{2,12}$/ },
  role: { as: 'role', value: /^presentation$/ },
  width: { as: 'width', value: /^\d{1,4}%?$/ },
};
const LONGEST = 200_000;
const DEEPEST = 60;

const TOKEN = /<!--[\s\S]*?-->|<\/?[a-z][a-z0-9]*(?:"[^"]*"|'[^']*'|[^'"<>])*>|<![^>]*>|[^<]+|</gi;
const ATTRIBUTE = /([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi;
const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function decoded(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name) return NAMED[name.toLowerCase()] ?? whole;
    const code = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

function element(tag: string, given: string): MailElement {
  const made: MailElement = { tag, style: {}, attributes: {}, href: null, children: [] };
  for (const [, name = '', double, single, bare] of given.matchAll(ATTRIBUTE)) {
    const value = decoded(double ?? single ?? bare ?? '').trim();
    const word = name.toLowerCase();
    const known = ATTRIBUTES[word];
    if (known?.value.test(value)) made.attributes[known.as] = value;
    else if (word === 'href' && tag === 'a' && /^https?:\/\//i.test(value)) made.href = value;
    else if (word === 'style') {
      for (const rule of value.split(';')) {
        const [property = '', set = ''] = rule.split(/:(.*)/s).map((part) => part.trim());
        if (!STYLES.test(property) || !VALUE.test(set)) continue;
        made.style[property.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())] = set;
      }
    }
  }
  return made;
}

/** What of a mail's HTML is shown. */
export function mailTree(html: string): MailNode[] {
  const root = element('div', '');
  const open = [root];
  let hidden: string | null = null;
  for (const [token] of html.slice(0, LONGEST).matchAll(TOKEN)) {
    const top = open.at(-1) ?? root;
    const found = /^<(\/?)([a-z][a-z0-9]*)/i.exec(token);
    const name = found?.[2]?.toLowerCase() ?? '';
    // The page's own sheet stands for the body's.
    const tag = name === 'body' ? 'div' : name;
    const ends = found?.[1] === '/';
    if (hidden) {
      if (ends && name === hidden) hidden = null;
    } else if (!found) {
      if (token.startsWith('<!') || (FRAMES.has(top.tag) && !token.trim())) continue;
      top.children.push(decoded(token));
    } else if (ends) {
      const at = open.findLastIndex((one) => one.tag === tag);
      if (at > 0) open.length = at;
    } else if (HIDDEN.has(name)) {
      if (!token.endsWith('/>')) hidden = name;
    } else if (SHOWN.has(tag) && open.length < DEEPEST) {
      let into = top;
      if (tag === 'tr' && into.tag === 'table') {
        const body = element('tbody', '');
        into.children.push(body);
        open.push(body);
        into = body;
      }
      const made = element(tag, token.slice(name.length + 1));
      into.children.push(made);
      if (!VOID.has(tag)) open.push(made);
    }
  }
  return root.children;
}

/** Where an address of this portal leads within it; null for any other. */
export function within(address: string, origin: string): string | null {
  try {
    const url = new URL(address);
    return url.origin === origin ? `${url.pathname}${url.search}${url.hash}` : null;
  } catch {
    return null;
  }
}
