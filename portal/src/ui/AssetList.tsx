import { Button, Field, SearchBox, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, type InfiniteData, type UseInfiniteQueryResult } from '@tanstack/react-query';
import { useMemo, useState, type ReactNode } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import type { Page as Rows } from '../api/hand';
import { useSession } from '../api/session';
import { Choices } from './Choices';
import { Page } from './Page';
import { Table, type Column } from './Table';
import { Empty, Failure, Waiting } from './states';

const useStyles = makeStyles({
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  search: { width: '320px', maxWidth: '100%', '& .fui-SearchBox': { maxWidth: '100%' }, '@media (max-width: 640px)': { width: '100%' } },
  count: { color: tokens.colorNeutralForeground2 },
  foot: { display: 'flex', justifyContent: 'center' },
});

type Asset = { name: string };

type Props<Row extends Asset> = {
  /** What they are, in the plural: `Devices`. */
  title: string;
  lead: string;
  /** What one is called in a sentence: `device`. */
  one: string;
  placeholder: string;
  /** What is said when a search finds nothing, and when there is nothing at all. */
  noMatch: ReactNode;
  none: ReactNode;
  noneAction?: ReactNode;
  /** Pages of them, by what is searched for and of which customer. */
  useList: (search: string, tenant: string) => UseInfiniteQueryResult<InfiniteData<Rows<Row> & { count: number }>>;
  /** The one named `tenant` is for the provider only. */
  columns: Column<Row>[];
  id: (row: Row) => string;
  href: (row: Row) => string;
};

/** A page that lists assets of a kind: search, the provider's choice of a customer, and more on demand. */
export function AssetList<Row extends Asset>({ useList, columns, href, ...props }: Props<Row>) {
  const styles = useStyles();
  const { side } = useSession();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const tenant = params.get('tenant') ?? '';
  const [words, setWords] = useState(search);
  const list = useList(search, tenant);
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () => read(api.GET('/api/v1/tenants')),
    enabled: side === 'provider',
  });
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const count = list.data?.pages[0]?.count;
  const many = props.title.toLowerCase();
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const shown = useMemo(() => columns.filter((column) => column.id !== 'tenant' || side === 'provider'), [columns, side]);
  return (
    <Page title={props.title} lead={props.lead}>
      <form
        className={styles.form}
        role="search"
        aria-label={props.title}
        onSubmit={(event) => {
          event.preventDefault();
          set('q', words.trim());
        }}
      >
        <Field label="Search" className={styles.search}>
          <SearchBox
            data-search="page"
            placeholder={props.placeholder}
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
        {count === undefined ? ' ' : `${count.toLocaleString()} ${props.one}${count === 1 ? '' : 's'}`}
      </span>
      {list.isPending ? (
        <Waiting rows={8} label={`Loading ${many}`} />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} title={`The ${many} could not be read`} />
      ) : rows.length === 0 ? (
        search || tenant ? (
          <Empty title={`No ${many} match`}>{props.noMatch}</Empty>
        ) : (
          <Empty title={`No ${many} yet`} action={props.noneAction}>
            {props.none}
          </Empty>
        )
      ) : (
        <Table
          label={props.title}
          columns={shown}
          rows={rows}
          id={props.id}
          name={(row) => row.name}
          href={href}
          onOpen={(row) => navigate(href(row))}
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
