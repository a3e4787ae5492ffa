import { Field, Input, Switch, Tab, TabList, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import { useEvents } from '../api/events';
import type { Exclusion, ExclusionKind, Exclusions as All, GroupExclusion, NewExclusion, SetReading, UserGroup } from '../api/hand';
import { Ask } from '../ui/Ask';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { useUnsaved, type OnUnsaved } from '../ui/useUnsaved';
import { GroupPicker } from './GroupPicker';

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
  { id: 'userGroups', kind: 'userGroup', label: 'User groups', one: 'user group', hint: '' },
];

const KEY = ['exclusions', 'all'];
const UNSAVED = { label: 'Not saved yet', color: 'warning' } as const;
/** How often to look what was read of the directory. */
const EVERY_MS = 15_000;

function goesByDirectory(all: All | undefined): boolean {
  return all !== undefined && (all.highValueUsers || all.userGroups.length > 0);
}

/** An exclusion in the words it is made with. */
function anew(kind: ExclusionKind, row: Exclusion): NewExclusion {
  const because = row.because ? { because: row.because } : {};
  if (kind === 'userGroup') return { kind, groupId: (row as GroupExclusion).groupId, ...because };
  return { kind, name: row.name, ...because };
}

/** What is to be excluded and is not saved yet, with the words it is made with. */
type Planned = { row: Exclusion; body: NewExclusion };
type Switches = { devices: boolean; users: boolean };

/** EXC-1 to EXC-3: what experts never act on. */
export default function Exclusions() {
  return <ExclusionsPart />;
}

/**
 * The same as a part of a page (EXC-4): with `onUnsaved` what is added or switched waits until the page
 * around saves it, and is gone when it does not.
 */
export function ExclusionsPart({ onUnsaved }: { onUnsaved?: OnUnsaved }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [params, setParams] = useSearchParams();
  const exclusions = useQuery({
    queryKey: KEY,
    queryFn: () => read(api.GET('/api/v1/exclusions')),
    // When the directory was read is no event.
    refetchInterval: (query) => (goesByDirectory(query.state.data) ? EVERY_MS : false),
  });
  const [adding, setAdding] = useState(false);
  const part = PARTS.find((one) => one.id === params.get('tab')) ?? (PARTS[0] as Part);
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  const [planned, setPlanned] = useState<Planned[]>([]);
  const [switches, setSwitches] = useState<Switches | null>(null);
  useUnsaved(onUnsaved, planned.length > 0 || switches !== null, async () => {
    for (const { body } of planned) {
      await read(api.POST('/api/v1/exclusions', { body }));
      setPlanned((now) => now.filter((one) => one.body !== body));
    }
    if (switches) queries.setQueryData(KEY, await read(api.PUT('/api/v1/exclusions/high-value', { body: switches })));
    setSwitches(null);
    await again();
  });
  const plan = (body: NewExclusion, name: string) => {
    const row = { id: `planned-${planned.length}-${name}`, name, by: '', at: '', because: body.because ?? null } as unknown as Exclusion;
    setPlanned((now) => [...now, { row, body }]);
  };
  useEvents((fact) => {
    if (fact.kind === 'exclusion.changed' || fact.kind.startsWith('connector.')) void again();
  });
  const add = async (body: NewExclusion) => {
    await read(api.POST('/api/v1/exclusions', { body }));
    await again();
  };
  const remove = async (row: Exclusion) => {
    try {
      await read(api.DELETE('/api/v1/exclusions/{id}', { params: { path: { id: row.id } } }));
      await again();
      toasts.done(`Experts may act on ${row.name} again.`, () => {
        add(anew(part.kind, row)).then(() => toasts.done(`${row.name} is excluded again.`), toasts.fail);
      });
    } catch (refused) {
      toasts.fail(refused);
    }
  };
  const may = exclusions.data?.may.change;
  const mayAdd = part.id === 'userGroups' ? exclusions.data?.may.userGroups : may;
  const columns: Column<Exclusion>[] = [
    { id: 'name', label: part.label, lead: true, cell: (row) => row.name },
    ...(part.id === 'userGroups'
      ? [{ id: 'members', label: 'Members', named: true, cell: (row: Exclusion) => <Known reading={(row as GroupExclusion).reading} /> }]
      : []),
    { id: 'because', label: 'Reason', cell: (row) => row.because ?? '–' },
    { id: 'by', label: 'Excluded by', minor: true, cell: (row) => row.by },
    { id: 'at', label: 'Since', nowrap: true, cell: (row) => (row.at ? <Moment at={row.at} /> : <Mark look={UNSAVED} />) },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (row) => (
        <GuardedButton size="small" appearance="subtle" may={may} onClick={() => (row.at ? void remove(row) : setPlanned((now) => now.filter((one) => one.row !== row)))} aria-label={`Remove ${row.name}`}>
          Remove
        </GuardedButton>
      ),
    },
  ];
  const rows: Exclusion[] = [
    ...(exclusions.data?.[part.id] ?? []),
    ...planned.filter(({ body }) => body.kind === part.kind).map(({ row }) => row),
  ];
  const count = (one: Part) => (exclusions.data?.[one.id].length ?? 0) + planned.filter(({ body }) => body.kind === one.kind).length;
  const act = (
    <GuardedButton appearance={onUnsaved ? 'secondary' : 'primary'} icon={<AddRegular />} may={mayAdd} onClick={() => setAdding(true)}>
      Exclude a {part.one}
    </GuardedButton>
  );
  const body = (
    <>
      {exclusions.isPending ? (
        <Waiting rows={6} />
      ) : exclusions.isError ? (
        <Failure error={exclusions.error} retry={() => void exclusions.refetch()} />
      ) : (
        <>
          {may && !may.allowed && <Notice>{sentence(may.because ?? 'You cannot change this.')}</Notice>}
          <Doubts all={exclusions.data} />
          <HighValue all={exclusions.data} planned={switches} onPlan={onUnsaved && setSwitches} />
          <div className={styles.tabs}>
            <TabList
              selectedValue={part.id}
              onTabSelect={(_, data) =>
                setParams((now) => {
                  if (data.value === 'devices') now.delete('tab');
                  else now.set('tab', String(data.value));
                  return now;
                })
              }
              aria-label="What is excluded"
            >
              {PARTS.map((one) => (
                <Tab key={one.id} value={one.id}>
                  {one.label} ({count(one)})
                </Tab>
              ))}
            </TabList>
          </div>
          {onUnsaved && <div>{act}</div>}
          {rows.length === 0 ? (
            <Empty title={`No ${part.label.toLowerCase()} are excluded`}>
              {part.id === 'userGroups' && !mayAdd?.allowed && mayAdd?.because ? sentence(mayAdd.because) : undefined}
            </Empty>
          ) : (
            <Table label={part.label} columns={columns} rows={rows} id={(row) => row.id} name={(row) => row.name} />
          )}
        </>
      )}
      {adding && (
        <Add
          part={part}
          onClose={() => setAdding(false)}
          onAdd={async (body, name) => {
            if (onUnsaved) return plan(body, name);
            await add(body);
            toasts.done(`${name} is excluded.`);
          }}
        />
      )}
    </>
  );
  if (onUnsaved) return body;
  return (
    <Page
      title="Exclusions"
      lead="Experts never act on what stands here: for these they only tell you what to do. Actions of your own are not affected."
      actions={act}
    >
      {body}
    </Page>
  );
}

/** EXC-3: what is of high value later is excluded too, without standing in a list. */
function HighValue({ all, planned, onPlan }: { all: All; planned: Switches | null; onPlan: ((now: Switches) => void) | undefined }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [busy, setBusy] = useState(false);
  const put = async (body: Switches, back: Switches | null) => {
    if (onPlan) return onPlan(body);
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
  const now = planned ?? { devices: all.highValueDevices, users: all.highValueUsers };
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
          disabled={locked || !users.allowed}
          onChange={(_, data) => void put({ ...now, users: data.checked }, now)}
        />
      </div>
      {all.may.change.allowed && !users.allowed && <p className={styles.hint}>Users: {sentence(users.because ?? '')}</p>}
      {planned && <p className={styles.hint}>Not saved yet.</p>}
      {all.highValueUsers && (
        <p className={styles.hint}>
          Users with a directory role: <Known reading={all.directoryRoles} />
        </p>
      )}
      <p className={styles.hint}>
        Devices and users are marked on their own pages; users who hold a role in the directory are of high value as well. What is
        marked later is excluded from then on. Assets excluded this way are not in the lists below.
      </p>
    </Section>
  );
}

/** While it is not known whom an exclusion means, experts act on no user: said first, since it concerns all of them. */
function Doubts({ all }: { all: All }) {
  const doubtful = all.userGroups.filter((row) => row.reading.because).map((row) => `who is in ${row.name}`);
  if (all.highValueUsers && all.directoryRoles.because) doubtful.unshift('who holds a directory role');
  if (doubtful.length === 0) return null;
  const shown = doubtful.slice(0, 3).join(', ');
  return (
    <Notice intent="warning">
      Experts act on no user at the moment: it is not known {shown}
      {doubtful.length > 3 ? ` and of ${doubtful.length - 3} more groups` : ''}.
    </Notice>
  );
}

/** How many there are and when that was read, or why nobody knows. */
function Known({ reading }: { reading: SetReading }) {
  if (reading.because) return <>{sentence(`not known: ${reading.because}, so experts act on no user`)}</>;
  const count = reading.members ?? 0;
  return (
    <>
      {count.toLocaleString()} {count === 1 ? 'member' : 'members'}, read <Moment at={reading.lastReadDateTime} as="distance" />
      {reading.error && <>; the last try failed: {reading.error}</>}
    </>
  );
}

function Add({ part, onClose, onAdd }: { part: Part; onClose: () => void; onAdd: (body: NewExclusion, name: string) => Promise<void> }) {
  const [name, setName] = useState('');
  const [group, setGroup] = useState<UserGroup | null>(null);
  const [because, setBecause] = useState('');
  const why = because.trim() ? { because: because.trim() } : {};
  const { kind } = part;
  return (
    <Ask
      open
      title={`Exclude a ${part.one}`}
      act="Exclude"
      ready={kind === 'userGroup' ? group !== null : name.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        if (kind !== 'userGroup') await onAdd({ kind, name: name.trim(), ...why }, name.trim());
        else if (group) await onAdd({ kind, groupId: group.id, ...why }, group.displayName);
      }}
    >
      {kind === 'userGroup' ? (
        <>
          <GroupPicker value={group} onValue={setGroup} />
          <Notice>Until the group was read for the first time, experts act on no user; that takes some seconds.</Notice>
        </>
      ) : (
        <Field label="Name" required hint={part.hint}>
          <Input value={name} maxLength={256} onChange={(_, data) => setName(data.value)} />
        </Field>
      )}
      <Field label="Reason" hint="Experts read it where they would have acted">
        <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
      </Field>
    </Ask>
  );
}
