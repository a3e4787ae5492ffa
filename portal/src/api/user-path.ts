/** Where the page of a user is: a user is a name at a customer. Pure. */
import type { Evidence } from './hand';

export const userPath = (tenantId: string, name: string): string =>
  `/users/${encodeURIComponent(tenantId)}/${encodeURIComponent(name.toLowerCase())}`;

/** The user that a piece of evidence is about, by the name alerts are shown it. */
export function userOf(evidence: Evidence): string | null {
  const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');
  const account = evidence.userAccount as Record<string, unknown> | null | undefined;
  const names = [account?.userPrincipalName, account?.accountName, account?.userSid, account?.azureAdUserId];
  const found = typeof account === 'object' ? names.map(text).find(Boolean) : undefined;
  return found ?? (evidence['@odata.type'].includes('mailbox') ? text(evidence.primaryAddress) || null : null);
}
