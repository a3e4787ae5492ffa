import { Field, Input, makeStyles, tokens, type InputProps } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { useActionTypes } from '../api/action-types';
import type { Look } from '../api/action-words';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import { useEvents } from '../api/events';
import type { Connector, EditedConnector } from '../api/hand';
import { Ask } from '../ui/Ask';
import { Facts } from '../ui/Facts';
import { FormPanel } from '../ui/FormPanel';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  list: { margin: 0, paddingInlineStart: '20px', color: tokens.colorNeutralForeground2 },
});

const KEY = ['connectors'];
/** Who could not change them was not given the list. */
const MAY = { allowed: true };
const GRAPH = 'https://graph.microsoft.com';
const PRODUCT: Record<Connector['kind'], string> = { microsoftGraph: 'Microsoft Graph: users, groups and mailboxes of Microsoft Entra ID and Exchange Online' };
/** What our client needs there, and for what. */
const NEEDS = [
  ['User.EnableDisableAccount.All and User.Read.All', 'to disable and enable users'],
  ['User.RevokeSessions.All', 'to require sign-in'],
  ['User-PasswordProfile.ReadWrite.All and the role User Administrator', 'to force a password reset'],
  ['GroupMember.Read.All and User.Read.All', 'to exclude user groups'],
  ['RoleManagement.Read.Directory', 'to know who holds a directory role and is of high value'],
];

function healthOf(connector: Connector): Look {
  if (connector.lastError) return { label: 'Last contact failed', color: 'danger' };
  if (connector.lastOkDateTime) return { label: 'Works', color: 'success' };
  return { label: 'Not used yet', color: 'informative' };
}

/** Products that carry actions out where no agent is. */
export default function Connectors() {
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const connectors = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/connectors')), refetchInterval: 30_000 });
  useEvents((fact) => {
    if (fact.kind.startsWith('connector.')) void queries.invalidateQueries({ queryKey: KEY });
  });
  return (
    <Page
      narrow
      title="Connectors"
      lead="A connector lets a product of yours carry actions out. With one, its actions are one click instead of a task by hand."
      actions={
        connectors.isSuccess && (
          <GuardedButton appearance="primary" icon={<AddRegular />} may={connectors.data.may.add} onClick={() => setAdding(true)}>
            Add a connector
          </GuardedButton>
        )
      }
    >
      {connectors.isPending ? (
        <Waiting rows={5} />
      ) : connectors.isError ? (
        <Failure error={connectors.error} retry={() => void connectors.refetch()} />
      ) : connectors.data.value.length === 0 ? (
        <Empty title="No product is connected yet">
          Actions on users of your directory are carried out by hand. Connect Microsoft Graph, and they are done with one click,
          and read back.
        </Empty>
      ) : (
        connectors.data.value.map((connector) => <Shown key={connector.id} connector={connector} />)
      )}
      {adding && <Add onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Shown({ connector }: { connector: Connector }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const types = useActionTypes();
  const [open, setOpen] = useState<'edit' | 'remove' | null>(null);
  const [testing, setTesting] = useState(false);
  const { name } = connector;
  const titles = connector.actions.map((word) => types.data?.find((type) => type.actionType === word)?.title ?? word);
  const test = async () => {
    setTesting(true);
    try {
      const { ok } = await read(api.POST('/api/v1/connectors/{id}/test', { params: { path: { id: connector.id } }, body: {} }));
      // Why not stands on the page, where it stays.
      if (ok) toasts.done(`${name} gave a token and let us read.`);
    } catch (refused) {
      toasts.fail(refused);
    }
    await queries.invalidateQueries({ queryKey: KEY });
    setTesting(false);
  };
  return (
    <Section
      title={name}
      actions={
        <div className={styles.acts}>
          <GuardedButton size="small" may={MAY} busy={testing} onClick={() => void test()} aria-label={`Test ${name}`}>
            {testing ? 'Testing…' : 'Test'}
          </GuardedButton>
          <GuardedButton size="small" may={MAY} onClick={() => setOpen('edit')} aria-label={`Edit ${name}`}>
            Edit
          </GuardedButton>
          <GuardedButton size="small" may={MAY} onClick={() => setOpen('remove')} aria-label={`Remove ${name}`}>
            Remove
          </GuardedButton>
        </div>
      }
    >
      {connector.lastError && <Notice intent="error">{sentence(connector.lastError)}</Notice>}
      <Facts
        facts={[
          ['State', <Mark key="state" look={healthOf(connector)} />],
          ['Last good contact', connector.lastOkDateTime ? <Moment key="ok" at={connector.lastOkDateTime} as="distance" /> : 'None yet'],
          ['Product', PRODUCT[connector.kind]],
          ['Carries out', titles.join(', ')],
          ['Interface', connector.baseUrl],
          ['Token address', connector.tokenUrl],
          ['Client id', connector.clientId],
          ['Client secret', 'Kept encrypted and never shown'],
          [
            'Connected',
            <span key="since">
              <Moment at={connector.createdDateTime} /> by {connector.createdBy}
            </span>,
          ],
        ]}
      />
      {open === 'edit' && <Edit connector={connector} onClose={() => setOpen(null)} />}
      <Ask
        open={open === 'remove'}
        title={`Remove ${name}`}
        act={`Remove ${name}`}
        onClose={() => setOpen(null)}
        onAct={async () => {
          await read(api.DELETE('/api/v1/connectors/{id}', { params: { path: { id: connector.id } } }));
          await queries.invalidateQueries({ queryKey: KEY });
          toasts.done(`${name} is removed.`);
        }}
      >
        <span>
          Its secret is forgotten, and its actions are carried out by hand again. What waits is not sent any more; of what was
          sent and is not known to be done, somebody has to look what became of it.
        </span>
      </Ask>
    </Section>
  );
}

type Name = 'name' | 'baseUrl' | 'tokenUrl' | 'clientId' | 'clientSecret';
type Draft = Record<Name, string>;

/** How the server's refusals begin, for each field. */
const ABOUT: [Name, RegExp][] = [
  ['name', /\bconnector needs a name\b/],
  ['baseUrl', /^baseUrl\b/],
  ['tokenUrl', /^tokenUrl\b/],
  ['clientId', /^clientId\b/],
  ['clientSecret', /^clientSecret\b/],
];

function Add({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  return (
    <Form
      title="Add a connector"
      act="Add"
      given={{ name: 'Microsoft Graph', baseUrl: GRAPH, tokenUrl: '', clientId: '', clientSecret: '' }}
      onClose={onClose}
      onAct={async (draft) => {
        const body = { kind: 'microsoftGraph' as const, ...draft };
        const added = await read(api.POST('/api/v1/connectors', { body }));
        await queries.invalidateQueries({ queryKey: KEY });
        toasts.done(`${added.name} is connected. Test it before you rely on it.`);
      }}
    />
  );
}

function Edit({ connector, onClose }: { connector: Connector; onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const { name, baseUrl, tokenUrl, clientId } = connector;
  return (
    <Form
      title={`Edit ${name}`}
      act="Save"
      old
      given={{ name, baseUrl, tokenUrl, clientId, clientSecret: '' }}
      onClose={onClose}
      onAct={async (draft) => {
        const changed = (['name', 'tokenUrl', 'clientId', 'clientSecret'] as const).filter(
          (one) => draft[one] !== (one === 'clientSecret' ? '' : connector[one]),
        );
        const body: EditedConnector = Object.fromEntries(changed.map((one) => [one, draft[one]]));
        await read(api.PATCH('/api/v1/connectors/{id}', { params: { path: { id: connector.id } }, body }));
        await queries.invalidateQueries({ queryKey: KEY });
        toasts.done(`${draft.name} is saved.`);
      }}
    />
  );
}

function Form(props: {
  title: string;
  act: string;
  /** It is there already: where the product is stays, and so may the secret. */
  old?: boolean;
  given: Draft;
  onClose: () => void;
  onAct: (draft: Draft) => Promise<void>;
}) {
  const styles = useStyles();
  const [draft, setDraft] = useState(props.given);
  const moved = draft.tokenUrl !== props.given.tokenUrl || draft.clientId !== props.given.clientId;
  const needsSecret = !props.old || moved;
  const input = (name: Name, rest: Partial<InputProps> = {}) => (
    <Input
      {...(rest as object)}
      autoComplete="off"
      value={draft[name]}
      onChange={(_, data) => setDraft({ ...draft, [name]: data.value })}
    />
  );
  const act = () => {
    const { clientSecret, ...rest } = draft;
    const trimmed = Object.fromEntries(Object.entries(rest).map(([name, text]) => [name, text.trim()]));
    return props.onAct({ ...trimmed, clientSecret } as Draft);
  };
  return (
    <FormPanel title={props.title} act={props.act} about={ABOUT} onClose={props.onClose} onAct={act}>
      {(at) => (
        <>
          <Notice title="Microsoft Graph, for users, groups and mailboxes.">
            Register an application there with these application permissions, and a client secret:
            <ul className={styles.list}>
              {NEEDS.map(([permission, why]) => (
                <li key={permission}>
                  {permission} {why}
                </li>
              ))}
            </ul>
          </Notice>
          <Field label="Name" required hint="What people see on tasks and actions" {...at('name')}>
            {input('name', { required: true, maxLength: 200 })}
          </Field>
          <Field
            label="Interface"
            required
            hint={props.old ? 'For another address remove this connector and add a new one' : 'Another one only for a national cloud'}
            {...at('baseUrl')}
          >
            {input('baseUrl', { required: true, type: 'url', inputMode: 'url', readOnly: Boolean(props.old) })}
          </Field>
          <Field
            label="Token address"
            required
            hint="https://login.microsoftonline.com/your-directory-id/oauth2/v2.0/token"
            {...at('tokenUrl')}
          >
            {input('tokenUrl', { required: true, type: 'url', inputMode: 'url' })}
          </Field>
          <Field label="Client id" required {...at('clientId')}>
            {input('clientId', { required: true })}
          </Field>
          <Field
            label="Client secret"
            required={needsSecret}
            hint={
              !props.old
                ? 'Kept encrypted and never shown again'
                : moved
                  ? 'Needed again for another client id or token address'
                  : 'Leave it empty to keep the one there is'
            }
            {...at('clientSecret')}
          >
            {input('clientSecret', { required: needsSecret, type: 'password' })}
          </Field>
        </>
      )}
    </FormPanel>
  );
}
