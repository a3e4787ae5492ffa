/** The options of an action in the catalogue's words. */
import { useActionTypes } from './action-types';
import { optionsTold } from './action-words';
import { useDeviceName } from './device-name';

export function useOptions(actionType: string, options: Record<string, unknown>): [title: string, value: string][] {
  const types = useActionTypes();
  const device = useDeviceName(typeof options.deviceId === 'string' ? options.deviceId : null);
  const type = types.data?.find((one) => one.actionType === actionType);
  return optionsTold(options, type).map(({ name, title, value }) => [title, name === 'deviceId' && device ? device : value]);
}
