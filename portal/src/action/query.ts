/** The action center's address: what stands in the URL, and what of it is asked. Pure. */
import type { ActionsAsked } from '../api/hand';

export const PERIODS = [
  { value: '1d', label: '1 day', days: 1 },
  { value: '1w', label: '1 week', days: 7 },
  { value: '30d', label: '30 days', days: 30 },
  { value: '6m', label: '6 months', days: 183 },
  { value: 'custom', label: 'From … to …', days: null },
] as const;
export const DEFAULT_PERIOD = '30d';
export const ORDERS = ['requested', 'title', 'state', 'target'] as const;

export type View = {
  tab: 'pending' | 'history';
  q: string;
  kind: string;
  source: string;
  tenant: string;
  period: string;
  from: string | null;
  to: string | null;
  order: string;
  /** Whether the other way round than usual. */
  reversed: boolean;
  columns: string[] | null;
  /** The action whose pane is open. */
  action: string | null;
};

export function readView(params: URLSearchParams): View {
  const order = params.get('order') ?? '';
  const period = params.get('period') ?? DEFAULT_PERIOD;
  return {
    tab: params.get('tab') === 'history' ? 'history' : 'pending',
    q: params.get('q') ?? '',
    kind: params.get('kind') ?? '',
    source: params.get('source') ?? '',
    tenant: params.get('tenant') ?? '',
    period: PERIODS.some((one) => one.value === period) ? period : DEFAULT_PERIOD,
    from: params.get('from'),
    to: params.get('to'),
    order: (ORDERS as readonly string[]).includes(order) ? order : 'requested',
    reversed: params.get('reversed') === 'yes',
    columns: params.get('columns')?.split(',').filter(Boolean) ?? null,
    action: params.get('action'),
  };
}

export function addressOf(view: View): string {
  const params = new URLSearchParams();
  const put = (name: string, value: string | null, usual = '') => {
    if (value && value !== usual) params.set(name, value);
  };
  put('tab', view.tab, 'pending');
  put('q', view.q);
  put('kind', view.kind);
  put('source', view.source);
  put('tenant', view.tenant);
  put('period', view.period, DEFAULT_PERIOD);
  if (view.period === 'custom') {
    put('from', view.from);
    put('to', view.to);
  }
  put('order', view.order, 'requested');
  put('reversed', view.reversed ? 'yes' : null);
  put('columns', view.columns?.join(',') ?? null);
  put('action', view.action);
  return params.toString();
}

const DAY_MS = 86_400_000;

/** The newest first, names from A; or the other way round. */
export const descending = (view: View): boolean => (view.order === 'requested') !== view.reversed;

/** What the server is asked; pending actions are all asked for, however old. */
export function askedBy(view: View, now: Date): ActionsAsked {
  const days = PERIODS.find((one) => one.value === view.period)?.days ?? null;
  const asked: ActionsAsked = { state: view.tab, order: view.order, direction: descending(view) ? 'desc' : 'asc' };
  if (view.q) asked.search = view.q;
  if (view.kind) asked.kind = view.kind;
  if (view.source) asked.source = view.source;
  if (view.tenant) asked.tenantId = view.tenant;
  if (view.tab === 'history') {
    if (days !== null) asked.from = new Date(now.getTime() - days * DAY_MS).toISOString();
    else {
      if (view.from) asked.from = view.from;
      if (view.to) asked.to = view.to;
    }
  }
  return asked;
}

/** Whether anything but the tab narrows the list. */
export const narrowed = (view: View): boolean =>
  Boolean(view.q || view.kind || view.source || view.tenant || (view.tab === 'history' && view.period !== '6m'));
