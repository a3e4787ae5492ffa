/** Two people for one action: what the second is shown, and how they answer. */
import { useQueryClient } from '@tanstack/react-query';

import { useActionTypes } from './action-types';
import { api, read } from './client';
import { useDeviceName } from './device-name';
import type { Action } from './hand';
import { useOptions } from './options';
import { headed } from './words';

/** What is approved: the members that its fingerprint is made of. */
const exactly = ({ id, kind, target, options, requestedBy, undoOf }: Action) => ({ id, kind, target, options, requestedBy, undoOf });

/** An action as it is put before a second person. */
export function useAsked(action: Action) {
  const types = useActionTypes();
  const how = useOptions(action.kind, action.options);
  const inside = action.target.kind === 'device' ? null : action.target.deviceId;
  const on = useDeviceName(inside);
  const { target } = action;
  return {
    title: headed(`${action.title}: ${target.name}`),
    what: action.title,
    explains: types.data?.find((one) => one.actionType === action.kind)?.explains ?? null,
    asset: { kind: target.kind, name: target.name },
    how: [
      ...(target.id !== target.name && target.id !== target.deviceId ? [['Target id', target.id] as [string, string]] : []),
      ...(on && !('deviceId' in action.options) ? [['On device', on] as [string, string]] : []),
      ...how,
    ],
    by: action.requestedBy,
    at: action.requestedDateTime,
    until: action.deadlineDateTime,
    approval: action.approval,
    why: action.comment,
    exact: exactly(action),
    mark: action.fingerprint,
    waits: action.state === 'proposed',
    may: { approve: action.may.approve, reject: action.may.reject },
  };
}

/** The answers. Whatever comes of one, what is shown is read again. */
export function useAnswer(action: Action) {
  const queries = useQueryClient();
  const params = { path: { id: action.id } };
  const again = () => {
    for (const name of ['actions', 'action', 'response', 'device', 'devices', 'incident', 'timeline', 'home']) {
      void queries.invalidateQueries({ queryKey: [name] });
    }
  };
  return {
    /** With the fingerprint of what was shown, which need not be what is there now. */
    approve: (fingerprint: string) => read(api.POST('/api/v1/actions/{id}/approve', { params, body: { fingerprint } })).finally(again),
    reject: (because: string) => read(api.POST('/api/v1/actions/{id}/reject', { params, body: { because } })).finally(again),
  };
}
