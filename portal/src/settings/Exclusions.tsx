import { Field, Input, Switch, Tab, TabList, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import { useEvents } from '../api/events';
import type { Exclusion, ExclusionKind, Exclusions as All } from '../api/hand';
import { Ask } from '../ui/Ask';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  tabs: { overflowX: 'auto', marginInline: '-8px' },
  hint: { margin: 0, color: tokens.colorNeutralForeground2 },
  switches: { display: 'flex', flexDirection: 'column', gap: '4px' },
});

type Part = {
  id: 'devices' | 'users' | 'deviceGroups' | 'userGroups';
  kind: ExclusionKind;
  label: string;
  one: string;
  hint: string;
};
const PARTS: Part[] = [
  { id: 'devices', kind: 'device', label: 'Devices', one: 'device', hint: 'The device’s name or id' },
  { id: 'users', kind: 'user', label: 'Users', one: 'user', hint: 'The account’s name, such as ida.berg@example.com' },
  { id: 'deviceGroups', kind: 'deviceGroup', label: 'Device groups', one: 'device group', hint: 'The group’s name; devices added to it later are excluded too' },
  { id: 'userGroups', kind: 'userGroup', label: 'User groups', one: 'user group', hint: 'The group’s name; users added to it later are excluded too' },
];

const KEY = ['exclusions'];

/** EXC-1 to EXC-3: what experts never act on. */
export default function Exclusions() {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [params, setParams] = useSearchParams();
  const exclusions = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/exclusions')) });
  const [adding, setAdding] = useState(false);
  const part = PARTS.find((one) => one.id === params.get('tab')) ?? (PARTS[0] as Part);
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  useEvents((fact) => {
    if (fact.kind === 'exclusion.changed') void again();
  });
  const add = async (kind: ExclusionKind, name: string, because: string | null) => {
    await read(api.POST('/api/v1/exclusions', { body: { kind, name, ...(because && { because }) } }));
    await again();
  };
  const remove = async (row: Exclusion) => {
    try {
      await read(api.DELETE('/api/v1/exclusions/{id}', { params: { path: { id: row.id } } }));
      await again();
      toasts.done(`Experts may act on ${row.name} again.`, () => {
        add(part.kind, row.name, row.because).then(() => toasts.done(`${row.name} is excluded again.`), toasts.fail);
      });
    } catch (refused) {
      toasts.fail(refused);
    }
  };
  const may = exclusions.data?.may.change;
  const mayAdd = may?.allowed && part.id === 'userGroups' ? (exclusions.data?.may.userGroups ?? may) : may;
  const columns: Column<Exclusion>[] = [
    { id: 'name', label: part.label, lead: true, cell: (row) => row.name },
    { id: 'because', label: 'Reason', cell: (row) => row.because ?? '–' },
    { id: 'by', label: 'Excluded by', minor: true, cell: (row) => row.by },
    { id: 'at', label: 'Since', nowrap: true, cell: (row) => <Moment at={row.at} /> },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (row) => (
        <GuardedButton size="small" appearance="subtle" may={may} onClick={() => void remove(row)} aria-label={`Remove ${row.name}`}>
          Remove
        </GuardedButton>
      ),
    },
  ];
  return (
    <Page
      title="Exclusions"
      lead="Experts never act on what stands here: for these they only tell you what to do. Actions of your own are not affected."
      actions={
        <GuardedButton appearance="primary" icon={<AddRegular />} may={mayAdd} onClick={() => setAdding(true)}>
          Exclude a {part.one}
        </GuardedButton>
      }
    >
      {exclusions.isPending ? (
        <Waiting rows={6} />
      ) : exclusions.isError ? (
        <Failure error={exclusions.error} retry={() => void exclusions.refetch()} />
      ) : (
        <>
          {may && !may.allowed && <Notice>{sentence(may.because ?? 'You cannot change this.')}</Notice>}
          <HighValue all={exclusions.data} />
          <div className={styles.tabs}>
            <TabList
              selectedValue={part.id}
              onTabSelect={(_, data) => setParams(data.value === 'devices' ? {} : { tab: String(data.value) })}
              aria-label="What is excluded"
            >
              {PARTS.map((one) => (
                <Tab key={one.id} value={one.id}>
                  {one.label} ({exclusions.data[one.id].length})
                </Tab>
              ))}
            </TabList>
          </div>
          {exclusions.data[part.id].length === 0 ? (
            <Empty title={`No ${part.label.toLowerCase()} are excluded`} />
          ) : (
            <Table label={part.label} columns={columns} rows={exclusions.data[part.id]} id={(row) => row.id} name={(row) => row.name} />
          )}
        </>
      )}
      {adding && (
        <Add
          part={part}
          onClose={() => setAdding(false)}
          onAdd={async (name, because) => {
            await add(part.kind, name, because);
            toasts.done(`${name} is excluded.`);
          }}
        />
      )}
    </Page>
  );
}

/** EXC-3: what is of high value later is excluded too, without standing in a list. */
function HighValue({ all }: { all: All }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [busy, setBusy] = useState(false);
  const put = async (body: { devices: boolean; users: boolean }, back: { devices: boolean; users: boolean } | null) => {
    setBusy(true);
    try {
      queries.setQueryData(KEY, await read(api.PUT('/api/v1/exclusions/high-value', { body })));
      toasts.done('It is saved.', back ? () => void put(back, null) : undefined);
    } catch (refused) {
      toasts.fail(refused);
    } finally {
      setBusy(false);
    }
  };
  const now = { devices: all.highValueDevices, users: all.highValueUsers };
  const locked = busy || !all.may.change.allowed;
  const users = all.may.highValueUsers;
  return (
    <Section title="High-value assets">
      <div className={styles.switches}>
        <Switch
          label="Exclude all high-value devices"
          checked={now.devices}
          disabled={locked}
          onChange={(_, data) => void put({ ...now, devices: data.checked }, now)}
        />
        <Switch
          label="Exclude all high-value users"
          checked={now.users}
          disabled={locked || users?.allowed === false}
          onChange={(_, data) => void put({ ...now, users: data.checked }, now)}
        />
      </div>
      {users?.allowed === false && <p className={styles.hint}>Users: {users.because}.</p>}
      <p className={styles.hint}>
        What is marked as of high value later is excluded from then on. Assets excluded this way are not in the lists below.
      </p>
    </Section>
  );
}

function Add({ part, onClose, onAdd }: { part: Part; onClose: () => void; onAdd: (name: string, because: string) => Promise<void> }) {
  const [name, setName] = useState('');
  const [because, setBecause] = useState('');
  return (
    <Ask
      open
      title={`Exclude a ${part.one}`}
      act="Exclude"
      ready={name.trim() !== ''}
      onClose={onClose}
      onAct={() => onAdd(name.trim(), because.trim())}
    >
      <Field label="Name" required hint={part.hint}>
        <Input value={name} maxLength={256} onChange={(_, data) => setName(data.value)} />
      </Field>
      <Field label="Reason" hint="Experts read it where they would have acted">
        <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
      </Field>
    </Ask>
  );
}
