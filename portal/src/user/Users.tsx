import { Button, Field, SearchBox, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import type { UserLine } from '../api/hand';
import { useSession } from '../api/session';
import { userPath } from '../api/user-path';
import { Choices } from '../ui/Choices';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { useUsers } from './data';

const useStyles = makeStyles({
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  search: { width: '320px', maxWidth: '100%', '& .fui-SearchBox': { maxWidth: '100%' }, '@media (max-width: 640px)': { width: '100%' } },
  count: { color: tokens.colorNeutralForeground2 },
  foot: { display: 'flex', justifyContent: 'center' },
});

const to = (user: UserLine): string => userPath(user.tenantId, user.name);

/** Every user that something named. */
export default function Users() {
  const styles = useStyles();
  const { side } = useSession();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const tenant = params.get('tenant') ?? '';
  const [words, setWords] = useState(search);
  const list = useUsers(search, tenant);
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () => read(api.GET('/api/v1/tenants')),
    enabled: side === 'provider',
  });
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const count = list.data?.pages[0]?.count;
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const columns = useMemo<Column<UserLine>[]>(
    () => [
      { id: 'name', label: 'User', lead: true, cell: (user) => user.name },
      ...(side === 'provider' ? [{ id: 'tenant', label: 'Customer', cell: (user: UserLine) => user.tenantName }] : []),
      { id: 'incidents', label: 'Incidents', nowrap: true, named: true, end: true, cell: (user) => user.incidentCount.toLocaleString() },
      { id: 'devices', label: 'Devices', nowrap: true, named: true, end: true, cell: (user) => user.deviceCount.toLocaleString() },
      { id: 'root', label: 'Administrator', nowrap: true, minor: true, cell: (user) => (user.administrator ? 'On a device' : '–') },
      { id: 'seen', label: 'Last sign-in seen', nowrap: true, named: true, cell: (user) => <Moment at={user.signedInDateTime} none="–" /> },
    ],
    [side],
  );
  return (
    <Page title="Users" lead="Users that alerts name, that devices have, or that something was done to.">
      <form
        className={styles.form}
        role="search"
        aria-label="Users"
        onSubmit={(event) => {
          event.preventDefault();
          set('q', words.trim());
        }}
      >
        <Field label="Search" className={styles.search}>
          <SearchBox
            data-search="page"
            placeholder="Part of the name"
            value={words}
            onChange={(_, data) => {
              setWords(data.value);
              if (data.value === '' && search) set('q', '');
            }}
          />
        </Field>
        {side === 'provider' && (
          <Field label="Customer">
            <Choices
              choices={[{ value: '', label: 'Any' }, ...(tenants.data?.value ?? []).map((one) => ({ value: one.id, label: one.name }))]}
              value={tenant}
              onChoose={(value) => set('tenant', value)}
            />
          </Field>
        )}
      </form>
      <span className={styles.count} role="status">
        {count === undefined ? ' ' : `${count.toLocaleString()} user${count === 1 ? '' : 's'}`}
      </span>
      {list.isPending ? (
        <Waiting rows={8} label="Loading users" />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} title="The users could not be read" />
      ) : rows.length === 0 ? (
        search || tenant ? (
          <Empty title="No users match">No user within your reach has this in the name.</Empty>
        ) : (
          <Empty title="No users yet">A user is here as soon as an alert names one, or the agent of a device knows an account.</Empty>
        )
      ) : (
        <Table
          label="Users"
          columns={columns}
          rows={rows}
          id={(user) => `${user.tenantId} ${user.name}`}
          name={(user) => user.name}
          href={to}
          onOpen={(user) => navigate(to(user))}
        />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length.toLocaleString()} shown)`}
          </Button>
        </div>
      )}
    </Page>
  );
}
