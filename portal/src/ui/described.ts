/** Forms whose fields the server describes. Pure. */

export type Described = {
  name: string;
  title: string;
  kind: 'choice' | 'text' | 'rules' | 'number' | 'list' | 'boolean';
  choices?: { value: string; title: string }[];
  /** The least and the most of a number. */
  range?: number[];
  required: boolean;
  explains: string;
};
/** What the form holds: texts as they are typed, boxes as they are ticked. */
export type Values = Record<string, string | boolean>;

/** What a form shows first: what is known already, else of each choice the first. */
export function valuesOf(fields: Described[], known: Record<string, unknown> = {}): Values {
  const values: Values = {};
  for (const field of fields) {
    const value = known[field.name];
    if (field.kind === 'boolean') values[field.name] = value === true;
    else if (Array.isArray(value)) values[field.name] = value.map(String).join('\n');
    else if (value !== undefined && value !== null) values[field.name] = String(value);
    else values[field.name] = field.kind === 'choice' ? (field.choices?.[0]?.value ?? '') : '';
  }
  return values;
}

const typed = (values: Values, field: Described): string => String(values[field.name] ?? '').trim();

/** What is sent: what was left empty is left out. */
export function bodyOf(fields: Described[], values: Values): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const field of fields) {
    const text = typed(values, field);
    if (field.kind === 'boolean') {
      // A box that nobody ticked says nothing, unless it has to be said.
      if (values[field.name] === true || field.required) body[field.name] = values[field.name] === true;
    } else if (text === '') continue;
    else if (field.kind === 'number') body[field.name] = Number(text);
    else if (field.kind === 'list') body[field.name] = text.split('\n').map((line) => line.trim()).filter(Boolean);
    else body[field.name] = text;
  }
  return body;
}

/** Why a field cannot be sent as it is; null when it can. */
export function fault(field: Described, values: Values): string | null {
  const text = typed(values, field);
  if (field.kind === 'boolean') return null;
  if (text === '') return field.required ? 'This is needed.' : null;
  if (field.kind !== 'number') return null;
  const number = Number(text);
  if (!Number.isFinite(number)) return 'This is not a number.';
  const [least = -Infinity, most = Infinity] = field.range ?? [];
  return number < least || number > most ? `From ${least.toLocaleString()} to ${most.toLocaleString()}.` : null;
}

export const ready = (fields: Described[], values: Values): boolean => fields.every((field) => fault(field, values) === null);
