/** What a conversation's states and sides are called. */
import type { ConversationKind, ConversationRow, Message, Side } from '../api/hand';

export const KINDS: Record<ConversationKind, string> = { managedResponse: 'Managed response', question: 'Question' };

/** How a conversation stands, as whoever reads is concerned. */
export function standing(row: Pick<ConversationRow, 'status' | 'overdue'>, side: Side): string {
  switch (row.status) {
    case 'waitingForExperts':
      return row.overdue ? 'Overdue' : side === 'provider' ? 'Customer waits' : 'Waiting for the experts';
    case 'answered':
      return 'Answered';
    case 'closed':
      return 'Closed';
    case 'quiet':
      return 'No messages';
  }
}

const WAYS: Record<string, string> = { mail: 'by mail', slack: 'in Slack', teams: 'in Teams', mattermost: 'in Mattermost', matrix: 'in Matrix' };

/** Whose word a message is, where the name alone does not say it, and how it came in. */
export function party(message: Pick<Message, 'side' | 'own' | 'via'>): string {
  if (message.own) return 'You';
  if (message.via) return `Customer, ${WAYS[message.via] ?? `by ${message.via}`}`;
  return message.side === 'expert' ? 'Defender Experts' : message.side === 'customer' ? 'Customer' : 'Automatic';
}

/** The messages of each day, in order; days are those of the reader. */
export function byDay(messages: Message[]): { day: string; messages: Message[] }[] {
  const days: { day: string; messages: Message[] }[] = [];
  for (const message of messages) {
    const day = new Date(message.sentDateTime).toDateString();
    const last = days.at(-1);
    if (last?.day === day) last.messages.push(message);
    else days.push({ day, messages: [message] });
  }
  return days;
}

export type Grouping = 'none' | 'status' | 'submitter' | 'reference';
export type Group = { title: string; rows: ConversationRow[] };

/** Rows under headings, each heading where its first row stood (COM-9). */
export function grouped(rows: ConversationRow[], by: Grouping, side: Side): Group[] {
  if (by === 'none') return [{ title: 'Messages', rows }];
  const groups = new Map<string, ConversationRow[]>();
  for (const row of rows) {
    const title =
      by === 'status' ? standing(row, side) : by === 'submitter' ? row.openedBy : row.incidentId ? `Incident ${row.incidentId}` : 'Questions';
    const group = groups.get(title);
    if (group) group.push(row);
    else groups.set(title, [row]);
  }
  return [...groups].map(([title, found]) => ({ title, rows: found }));
}
