/** What the words of grants and access are called. */
import type { AccessState, Approval, GrantLevel } from './hand';

export const LEVELS: Record<GrantLevel, string> = {
  none: 'No access',
  reader: 'Investigate incidents and guide my responses',
  operator: 'Respond directly to active threats',
};

export const ROLES: Record<GrantLevel, string> = {
  none: '',
  reader: 'Security Reader',
  operator: 'Security Operator',
};

export const APPROVALS: Record<Approval, string> = {
  customer: 'We approve each request',
  lead: 'A lead of the provider approves',
  automatic: 'No approval; every access is recorded',
};

export const STATES: Record<AccessState, string> = {
  requested: 'Requested',
  approved: 'Running',
  denied: 'Denied',
  revoked: 'Revoked',
  expired: 'Ended',
  withdrawn: 'Withdrawn',
};
