import { Combobox, Field, Option, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';

import { api, read } from '../api/client';
import { useDeviceName } from '../api/device-name';
import { messageOf } from '../api/error';
import type { Described } from '../ui/described';

const useStyles = makeStyles({
  option: { display: 'flex', flexDirection: 'column', minWidth: 0, overflowWrap: 'anywhere' },
  more: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
});

/** So many are offered; more of the name narrows them down. */
const MOST = 20;

/** One of the customer's devices, found by name, address or group; what is sent is its id. */
export function DevicePicker({
  field,
  tenantId,
  value,
  onValue,
}: {
  field: Described;
  tenantId: string;
  value: string;
  onValue: (id: string) => void;
}) {
  const styles = useStyles();
  const [picked, setPicked] = useState({ id: '', name: '' });
  const told = useDeviceName(value && value !== picked.id ? value : null);
  const known = value === picked.id ? picked.name : told;
  const [typed, setTyped] = useState<string | null>(null);
  const search = useDeferredValue((typed ?? '').trim());
  const devices = useQuery({
    queryKey: ['devices', 'picker', tenantId, search],
    queryFn: ({ signal }) =>
      read(api.GET('/api/v1/devices', { params: { query: { tenantId, top: MOST, ...(search && { search }) } }, signal })),
    placeholderData: (before) => before,
  });
  const found = devices.data?.value ?? [];
  const more = (devices.data?.count ?? 0) - found.length;
  return (
    <Field
      label={field.title}
      required={field.required}
      hint={field.explains}
      validationState={devices.isError ? 'error' : 'none'}
      validationMessage={devices.isError ? messageOf(devices.error) : undefined}
    >
      <Combobox
        placeholder={field.required ? 'Name, address or group' : 'Any; type a name, address or group'}
        value={typed ?? known ?? ''}
        selectedOptions={value ? [value] : []}
        clearable={!field.required}
        onInput={(event) => {
          setTyped((event.target as HTMLInputElement).value);
          // What is typed is a search, and no device yet.
          if (value) onValue('');
        }}
        onOptionSelect={(_, data) => {
          setTyped(null);
          setPicked({ id: data.optionValue ?? '', name: data.optionText ?? '' });
          onValue(data.optionValue ?? '');
        }}
        onBlur={() => setTyped(null)}
      >
        {found.map((device) => (
          <Option key={device.id} value={device.id} text={device.name}>
            <span className={styles.option}>
              <span>{device.name}</span>
              <span className={styles.more}>
                {[device.agent ? (device.agent.online ? 'Online' : 'Offline') : 'No agent', device.os, ...device.addresses.slice(0, 1)]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
            </span>
          </Option>
        ))}
        {devices.isSuccess && found.length === 0 && (
          <Option disabled value="" text="">
            {search ? 'No device fits' : 'The customer has no devices'}
          </Option>
        )}
        {more > 0 && (
          <Option disabled value="" text="">
            {`${more.toLocaleString()} more; type to narrow them down`}
          </Option>
        )}
      </Combobox>
    </Field>
  );
}
