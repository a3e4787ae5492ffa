/**
 * What people write, with the little of Markdown that comments need (INC-19). Pure: text becomes a
 * tree, and whoever draws the tree decides what a link may be. There is no way to raw HTML, and an
 * image is a link to it, because the page loads nothing of other sites.
 */

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'emphasis'; inside: Inline[] }
  | { kind: 'link'; href: string; inside: Inline[] };

export type Block =
  | { kind: 'paragraph' | 'quote'; lines: Inline[][] }
  | { kind: 'heading'; line: Inline[] }
  | { kind: 'list'; ordered: boolean; items: Inline[][] }
  | { kind: 'table'; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'code'; text: string };

/** How deep marks lie within one another. */
const DEEPEST = 4;

// Every alternative ends at a character it excludes, so that no text takes long to read.
const MARKS =
  /`([^`\n]+)`|\*\*((?:[^*\n]|\*(?!\*))+)\*\*|\*([^*\s][^*\n]*)\*|!?\[([^[\]\n]{1,300})\]\((https?:\/\/[^\s()<>"]{1,2000})\)|(https?:\/\/[^\s<>"')\]]{1,2000})/g;

export function inline(text: string, depth = 0): Inline[] {
  const found: Inline[] = [];
  let from = 0;
  for (const match of text.matchAll(MARKS)) {
    if (match.index > from) found.push({ kind: 'text', text: text.slice(from, match.index) });
    const [whole, code, strong, emphasis, label, href, bare] = match;
    const within = (inner: string): Inline[] =>
      depth < DEEPEST ? inline(inner, depth + 1) : [{ kind: 'text', text: inner }];
    if (code !== undefined) found.push({ kind: 'code', text: code });
    else if (strong !== undefined) found.push({ kind: 'strong', inside: within(strong) });
    else if (emphasis !== undefined) found.push({ kind: 'emphasis', inside: within(emphasis) });
    else if (label !== undefined && href !== undefined) {
      found.push({ kind: 'link', href, inside: [{ kind: 'text', text: label }] });
    } else if (bare !== undefined) {
      // What ends a sentence is not part of an address.
      const address = bare.replace(/[.,;:!?]+$/, '');
      found.push({ kind: 'link', href: address, inside: [{ kind: 'text', text: address }] });
      if (address.length < bare.length) found.push({ kind: 'text', text: bare.slice(address.length) });
    }
    from = match.index + whole.length;
  }
  if (from < text.length) found.push({ kind: 'text', text: text.slice(from) });
  return found;
}

const BULLET = /^\s{0,3}[-*•]\s+/;
const NUMBER = /^\s{0,3}\d{1,3}[.)]\s+/;
const QUOTE = /^\s{0,3}>\s?/;
const HEADING = /^#{1,6}\s+/;
/** Below the heads of a table: as many dashes as one likes, between bars. */
const RULE = /^\s{0,3}\|(?:\s*:?-+:?\s*\|)+\s*$/;
const ROW = /^\s{0,3}\|.*\|\s*$/;

/** The cells of a line between bars; a bar with a backslash is part of its cell. */
function cells(line: string): Inline[][] {
  const inside = line.trim().replace(/^\||\|$/g, '');
  const apart: string[] = [''];
  for (let at = 0; at < inside.length; at += 1) {
    const escaped = inside[at] === '\\' && inside[at + 1] === '|';
    if (inside[at] === '|') apart.push('');
    else apart.push(`${apart.pop() ?? ''}${escaped ? '|' : inside[at]}`);
    if (escaped) at += 1;
  }
  return apart.map((cell) => inline(cell.trim()));
}

export function blocks(text: string): Block[] {
  const found: Block[] = [];
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const last = found.at(-1);
    const goesOn = at > 0 && (lines[at - 1] ?? '').trim() !== '';
    if (line.trim() === '') continue;
    if (line.trimStart().startsWith('```')) {
      const end = lines.findIndex((one, index) => index > at && one.trimStart().startsWith('```'));
      const until = end < 0 ? lines.length : end;
      found.push({ kind: 'code', text: lines.slice(at + 1, until).join('\n') });
      at = until;
    } else if (ROW.test(line) && RULE.test(lines[at + 1] ?? '')) {
      const head = cells(line);
      const rows: Inline[][][] = [];
      for (at += 2; at < lines.length && ROW.test(lines[at] ?? ''); at += 1) {
        const row = cells(lines[at] ?? '');
        rows.push(head.map((_, place) => row[place] ?? []));
      }
      at -= 1;
      found.push({ kind: 'table', head, rows });
    } else if (HEADING.test(line)) {
      found.push({ kind: 'heading', line: inline(line.replace(HEADING, '')) });
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      const ordered = NUMBER.test(line);
      const item = inline(line.replace(ordered ? NUMBER : BULLET, ''));
      if (goesOn && last?.kind === 'list' && last.ordered === ordered) last.items.push(item);
      else found.push({ kind: 'list', ordered, items: [item] });
    } else {
      const kind = QUOTE.test(line) ? 'quote' : 'paragraph';
      const read = inline(line.replace(QUOTE, ''));
      if (goesOn && last?.kind === kind) last.lines.push(read);
      else found.push({ kind, lines: [read] });
    }
  }
  return found;
}
