/**
 * The queue's address: what stands in the URL, and what of it is asked of the server. Pure, so that
 * a link means the same to everybody.
 */

export const PERIODS = [
  { value: '1d', label: '1 day', days: 1 },
  { value: '3d', label: '3 days', days: 3 },
  { value: '1w', label: '1 week', days: 7 },
  { value: '30d', label: '30 days', days: 30 },
  { value: '6m', label: '6 months', days: 183 },
  { value: 'all', label: 'All time', days: null },
] as const;

/** Filters by closed lists of words: one parameter, values with commas between. */
export const WORDED = ['status', 'severity', 'classification', 'determination'] as const;
/** Filters by free text: one parameter for each value. */
export const FREE = ['assigned', 'category', 'product', 'source', 'detection', 'rule', 'tag', 'os', 'group', 'label', 'threat', 'tenant'] as const;

export type Worded = (typeof WORDED)[number];
export type Free = (typeof FREE)[number];
export type FilterName = Worded | Free | 'period';

/** The value of `assigned` that stands for nobody. */
export const NOBODY = '-';

export type View = Record<Worded | Free, string[]> & {
  period: string;
  /** With both ends open, the period counts. */
  from: string | null;
  to: string | null;
  q: string;
  sort: { by: string; descending: boolean };
  columns: string[] | null;
  /** The incident whose pane is open. */
  open: string | null;
};

/** UI-1 and UI-3: what is shown when the address says nothing. */
export const DEFAULTS: Record<Worded, string[]> = {
  status: ['active', 'inProgress'],
  severity: ['high', 'medium', 'low'],
  classification: [],
  determination: [],
};
export const DEFAULT_PERIOD = '6m';
export const DEFAULT_SORT = { by: 'lastUpdateDateTime', descending: true };

export function readView(params: URLSearchParams): View {
  const worded = (name: Worded): string[] => {
    const text = params.get(name);
    if (text === null) return DEFAULTS[name];
    return text === 'all' ? [] : text.split(',').filter((word) => /^\w+$/.test(word));
  };
  const free = (name: Free): string[] => params.getAll(name).filter(Boolean);
  const sort = params.get('sort') ?? '';
  const period = params.get('period') ?? DEFAULT_PERIOD;
  return {
    status: worded('status'),
    severity: worded('severity'),
    classification: worded('classification'),
    determination: worded('determination'),
    assigned: free('assigned'),
    category: free('category'),
    product: free('product'),
    source: free('source'),
    detection: free('detection'),
    rule: free('rule'),
    tag: free('tag'),
    os: free('os'),
    group: free('group'),
    label: free('label'),
    threat: free('threat'),
    tenant: free('tenant'),
    period: PERIODS.some((one) => one.value === period) ? period : DEFAULT_PERIOD,
    from: params.get('from'),
    to: params.get('to'),
    q: params.get('q') ?? '',
    sort: /^-?\w+$/.test(sort) ? { by: sort.replace(/^-/, ''), descending: sort.startsWith('-') } : DEFAULT_SORT,
    columns: params.get('columns')?.split(',').filter(Boolean) ?? null,
    open: params.get('open'),
  };
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);

export function writeView(view: View): URLSearchParams {
  const params = new URLSearchParams();
  for (const name of WORDED) {
    if (!same(view[name], DEFAULTS[name])) params.set(name, view[name].length ? view[name].join(',') : 'all');
  }
  for (const name of FREE) for (const value of view[name]) params.append(name, value);
  if (view.period !== DEFAULT_PERIOD) params.set('period', view.period);
  if (view.from) params.set('from', view.from);
  if (view.to) params.set('to', view.to);
  if (view.q) params.set('q', view.q);
  if (view.sort.by !== DEFAULT_SORT.by || view.sort.descending !== DEFAULT_SORT.descending) {
    params.set('sort', `${view.sort.descending ? '-' : ''}${view.sort.by}`);
  }
  if (view.columns) params.set('columns', view.columns.join(','));
  if (view.open) params.set('open', view.open);
  return params;
}

/** The query as people read it: commas between words stay commas. */
export const addressOf = (view: View): string => writeView(view).toString().replace(/%2C/g, ',');

const quoted = (text: string): string => `'${text.replace(/'/g, "''")}'`;
const any = (tests: string[]): string | null =>
  tests.length === 0 ? null : tests.length === 1 ? (tests[0] ?? null) : `(${tests.join(' or ')})`;

/** The view's condition in the syntax of OData's `$filter`. */
export function filterOf(view: View, now: Date): string | undefined {
  const days = PERIODS.find((one) => one.value === view.period)?.days ?? null;
  const parts = [
    any(view.status.map((word) => `status eq '${word}'`)),
    any(view.severity.map((word) => `severity eq '${word}'`)),
    any(view.classification.map((word) => `classification eq '${word}'`)),
    any(view.determination.map((word) => `determination eq '${word}'`)),
    any(view.assigned.map((name) => (name === NOBODY ? 'assignedTo eq null' : `assignedTo eq ${quoted(name)}`))),
    any(view.category.map((name) => `alerts/any(a: a/category eq ${quoted(name)})`)),
    any(view.product.map((name) => `alerts/any(a: a/productName eq ${quoted(name)})`)),
    any(view.source.map((name) => `alerts/any(a: a/serviceSource eq ${quoted(name)})`)),
    any(view.detection.map((name) => `alerts/any(a: a/detectionSource eq ${quoted(name)})`)),
    any(view.rule.map((name) => `alerts/any(a: a/detectorId eq ${quoted(name)})`)),
    any(
      view.tag.map(
        (name) => `customTags/any(t: t eq ${quoted(name)}) or systemTags/any(t: t eq ${quoted(name)})`,
      ),
    ),
    any(view.os.map((name) => `osPlatforms/any(o: o eq ${quoted(name)})`)),
    any(view.group.map((name) => `deviceGroups/any(g: g eq ${quoted(name)})`)),
    any(view.label.map((name) => `sensitivityLabels/any(l: l eq ${quoted(name)})`)),
    any(view.threat.map((name) => `threats/any(t: t eq ${quoted(name)})`)),
    any(view.tenant.map((id) => `tenantId eq ${quoted(id)}`)),
  ];
  const moment = (text: string): string | null => {
    const at = new Date(text);
    return Number.isNaN(at.getTime()) ? null : at.toISOString();
  };
  const from = view.from && moment(view.from);
  const to = view.to && moment(view.to);
  if (from || to) {
    if (from) parts.push(`lastUpdateDateTime ge ${from}`);
    if (to) parts.push(`lastUpdateDateTime le ${to}`);
  } else if (days !== null) {
    // To the hour: the same address asks the same question for a while.
    const since = new Date(Math.floor(now.getTime() / 3_600_000) * 3_600_000 - days * 86_400_000);
    parts.push(`lastUpdateDateTime ge ${since.toISOString()}`);
  }
  const all = parts.filter((part): part is string => part !== null);
  // A tag's test is an "or" by itself when it stands alone.
  return all.length ? all.map((part) => (part.includes(' or ') && !part.startsWith('(') ? `(${part})` : part)).join(' and ') : undefined;
}

export const orderOf = (view: View): string => `${view.sort.by} ${view.sort.descending ? 'desc' : 'asc'}`;

/** Each word must occur; quotes keep what a person typed from being read as syntax. */
export function searchOf(view: View): string | undefined {
  const words = view.q.replace(/["\\]/g, ' ').split(/\s+/).filter(Boolean).slice(0, 10);
  return words.length ? words.map((word) => `"${word}"`).join(' AND ') : undefined;
}

/** A view without what is not a filter: for comparing and for saving. */
export function filtersOnly(view: View): string {
  return writeView({ ...view, open: null, columns: null, sort: DEFAULT_SORT, q: '' }).toString();
}

/** UI-2, and what everybody begins with. */
export const PRESETS: { id: string; label: string; query: string }[] = [
  { id: 'open', label: 'Open', query: '' },
  { id: 'waiting', label: 'Waiting for experts', query: 'status=active&severity=all&assigned=Defender+Experts' },
  { id: 'work', label: 'Experts at work', query: 'status=inProgress&severity=all&assigned=Defender+Experts' },
  { id: 'handed', label: 'Awaiting your action', query: 'status=awaitingAction&severity=all' },
  { id: 'finished', label: 'Finished by experts', query: 'status=resolved&severity=all&tag=Defender+Experts' },
];
