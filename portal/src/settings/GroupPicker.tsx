import { Combobox, Field, Option, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { messageOf } from '../api/error';
import type { UserGroup } from '../api/hand';
import { useSettled } from '../ui/useSettled';

const useStyles = makeStyles({
  option: { display: 'flex', flexDirection: 'column', minWidth: 0, overflowWrap: 'anywhere' },
  more: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
});

/** So many the server gives at once. */
const MOST = 25;
/** Each search is a question to the directory. */
const PAUSE_MS = 300;

/** A group of users of the customer's directory, found by how its name begins. */
export function GroupPicker({ value, onValue }: { value: UserGroup | null; onValue: (group: UserGroup | null) => void }) {
  const styles = useStyles();
  const [typed, setTyped] = useState<string | null>(null);
  const search = useSettled((typed ?? '').trim(), PAUSE_MS);
  const groups = useQuery({
    queryKey: ['exclusions', 'groups', search],
    queryFn: ({ signal }) =>
      read(api.GET('/api/v1/exclusions/user-groups', { params: { query: search ? { search } : {} }, signal })),
    placeholderData: (before) => before,
    retry: false,
  });
  const found = groups.isError ? [] : (groups.data?.value ?? []);
  return (
    <Field
      label="Group"
      required
      hint="How the group’s name begins; groups inside it count, and users added to it later are excluded too"
      validationState={groups.isError ? 'error' : 'none'}
      validationMessage={groups.isError ? messageOf(groups.error) : undefined}
    >
      <Combobox
        placeholder="Name of a security group"
        value={typed ?? value?.displayName ?? ''}
        selectedOptions={value ? [value.id] : []}
        onInput={(event) => {
          setTyped((event.target as HTMLInputElement).value);
          // What is typed is a search, and no group yet.
          if (value) onValue(null);
        }}
        onOptionSelect={(_, data) => {
          setTyped(null);
          onValue(found.find((group) => group.id === data.optionValue) ?? null);
        }}
        onBlur={() => setTyped(null)}
      >
        {found.map((group) => (
          <Option key={group.id} value={group.id} text={group.displayName} disabled={group.excluded}>
            <span className={styles.option}>
              <span>{group.displayName}</span>
              <span className={styles.more}>
                {[group.synced ? 'Synced from on premises' : 'Cloud group', group.excluded && 'excluded already'].filter(Boolean).join(' · ')}
              </span>
            </span>
          </Option>
        ))}
        {groups.isPending && (
          <Option disabled value="" text="">
            Looking in the directory…
          </Option>
        )}
        {groups.isSuccess && found.length === 0 && (
          <Option disabled value="" text="">
            {search ? `No security group begins with “${search}”` : 'The directory has no security groups'}
          </Option>
        )}
        {found.length >= MOST && (
          <Option disabled value="" text="">
            There may be more; type to narrow them down
          </Option>
        )}
      </Combobox>
    </Field>
  );
}
