/** What the words of tasks and actions are called. Pure. */
import type { Action, ActionType, Task } from './hand';
import { spelled } from './words';

export type Look = {
  label: string;
  color: 'brand' | 'success' | 'warning' | 'danger' | 'important' | 'informative' | 'subtle';
};

const ACTIONS: Record<string, Look & { means: string }> = {
  proposed: { label: 'Waits for approval', color: 'warning', means: 'Nothing is sent before others agree.' },
  approved: { label: 'Waiting', color: 'informative', means: 'It waits for its turn, or until what carries it out can be reached.' },
  started: { label: 'In progress', color: 'brand', means: 'It was sent, and the answer is awaited.' },
  unknown: { label: 'Outcome unknown', color: 'warning', means: 'Outcome unknown: being checked on the asset.' },
  needsHuman: {
    label: 'Somebody has to look',
    color: 'danger',
    means: 'Somebody has to look: what became of it could not be found out.',
  },
  succeeded: { label: 'Completed', color: 'success', means: '' },
  failed: { label: 'Failed', color: 'danger', means: '' },
  cancelled: { label: 'Cancelled', color: 'informative', means: '' },
  rejected: { label: 'Rejected', color: 'danger', means: '' },
  expired: { label: 'Expired', color: 'informative', means: 'Its time ran out before it was begun.' },
};

/** A word that is new to this page is taken apart. */
export const actionLook = (state: string): Look & { means: string } =>
  ACTIONS[state] ?? { label: spelled(state), color: 'informative', means: '' };

const TASKS: Record<string, Look> = {
  draft: { label: 'Draft', color: 'informative' },
  doing: { label: 'In progress', color: 'brand' },
  running: { label: 'In progress', color: 'brand' },
  completed: { label: 'Completed', color: 'success' },
  failed: { label: 'Failed', color: 'danger' },
  skipped: { label: 'Skipped', color: 'informative' },
  withdrawn: { label: 'Withdrawn', color: 'subtle' },
};
const STATUS: Record<string, Look> = {
  notStarted: { label: 'Not started', color: 'informative' },
  inProgress: { label: 'In progress', color: 'brand' },
  partiallyCompleted: { label: 'Partially completed', color: 'warning' },
  completed: { label: 'Completed', color: 'success' },
  failed: { label: 'Failed', color: 'danger' },
};

/** What of a task waits for approval. */
export const proposed = (task: Pick<Task, 'actions'>): Action[] => task.actions.filter((action) => action.state === 'proposed');

/** The one word on a task's card: how it ended, or how far its action is. */
export function taskLook(task: Pick<Task, 'state' | 'actionStatus' | 'actions'>): Look {
  if (proposed(task).length > 0) return actionLook('proposed');
  const byAction = STATUS[task.actionStatus] ?? { label: spelled(task.actionStatus), color: 'informative' as const };
  if (task.state === 'open') return byAction;
  if (task.state === 'running' && task.actionStatus === 'partiallyCompleted') return byAction;
  return TASKS[task.state] ?? byAction;
}

/** MR-21: where actions come from. */
export const SOURCES = [
  'Managed response (experts)',
  'Managed response (customer)',
  'Manual device action',
  'Manual email action',
  'Automated device action',
  'Automated email action',
  'Advanced hunting action',
  'Explorer action',
  'Manual live response action',
  'Live response action',
];

const TARGETS: Record<string, string> = {
  device: 'Device',
  file: 'File',
  user: 'User',
  mail: 'Mail',
  indicator: 'Indicator',
  app: 'App',
  process: 'Process',
  none: 'Guidance',
};
export const targetName = (kind: string): string => TARGETS[kind] ?? spelled(kind);

const told = (value: unknown): string => {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  if (Array.isArray(value)) return value.map(told).join(', ');
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? '');
};

/** The options of an action as the catalogue calls them; what it does not know is taken apart. */
export function optionsTold(options: Record<string, unknown>, type: ActionType | undefined): { name: string; title: string; value: string }[] {
  return Object.entries(options).map(([name, value]) => {
    const option = type?.options.find((one) => one.name === name);
    const choice = option?.choices?.find((one) => one.value === value);
    return { name, title: option?.title ?? spelled(name), value: choice?.title ?? told(value) };
  });
}
