/** What actions find on a device, brought into rows. Their shape is the agent's; all of it is hostile. Pure. */

import { bytes } from '../ui/bytes';

export type Cells = Record<string, string>;
export type Found = { title: string; columns: string[]; rows: Cells[] };

/** Members that count bytes, as agents name them. */
const BYTES = new Set(['memory', 'size', 'bytes']);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function written(value: unknown, name = ''): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' && BYTES.has(name)) return bytes(value);
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value) && value.every((one) => !isObject(one))) return value.map((one) => written(one)).join(', ');
  return JSON.stringify(value);
}

/** Columns of all rows, in the order in which they are first met. */
function table(title: string, list: unknown[]): Found {
  const objects = list.map((one) => (isObject(one) ? one : { value: one }));
  const columns = [...new Set(objects.flatMap((one) => Object.keys(one)))].slice(0, 10);
  const rows = objects.map((one) => Object.fromEntries(columns.map((column) => [column, written(one[column], column)])));
  return { title, columns, rows };
}

/** Lists become tables, single values one table of their own; an empty list says that there was nothing. */
export function tables(found: unknown): { facts: [string, string][]; lists: Found[] } {
  if (found === null || found === undefined) return { facts: [], lists: [] };
  if (Array.isArray(found)) return { facts: [], lists: [table('Found', found)] };
  if (!isObject(found)) return { facts: [['Found', written(found)]], lists: [] };
  const facts: [string, string][] = [];
  const lists: Found[] = [];
  for (const [name, value] of Object.entries(found)) {
    if (Array.isArray(value)) lists.push(table(name, value));
    else if (isObject(value) && Object.values(value).every((one) => !isObject(one) && !Array.isArray(one))) {
      for (const [inner, one] of Object.entries(value)) if (written(one)) facts.push([`${name} ${inner}`, written(one, inner)]);
    } else if (written(value)) facts.push([name, written(value, name)]);
  }
  return { facts, lists };
}
