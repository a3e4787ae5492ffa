import { Badge, Checkbox, Field, Input, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { AppRow, AppSecret } from '../api/hand';
import { Ask } from '../ui/Ask';
import { CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  badges: { display: 'flex', flexWrap: 'wrap', gap: '4px' },
  acts: { display: 'inline-flex', gap: '6px' },
  name: { display: 'flex', flexDirection: 'column', gap: '2px' },
  id: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
});

const KEY = ['apps'];

/** Applications that speak to the API with credentials of their own. */
export default function Apps() {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const apps = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/apps')) });
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState<(AppSecret & { name: string }) | null>(null);
  const [rotating, setRotating] = useState<AppRow | null>(null);
  const [removing, setRemoving] = useState<AppRow | null>(null);
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  const columns: Column<AppRow>[] = [
    {
      id: 'name',
      label: 'App',
      lead: true,
      cell: (app) => (
        <span className={styles.name}>
          {app.name}
          <span className={styles.id}>{app.clientId}</span>
        </span>
      ),
    },
    {
      id: 'permissions',
      label: 'Permissions',
      cell: (app) => (
        <span className={styles.badges}>
          {app.permissions.map((permission) => (
            <Badge key={permission} appearance="outline" color="informative">
              {permission}
            </Badge>
          ))}
        </span>
      ),
    },
    { id: 'used', label: 'Last used', nowrap: true, cell: (app) => <Moment at={app.lastUsedDateTime} none="Never" /> },
    { id: 'created', label: 'Created', nowrap: true, minor: true, cell: (app) => <Moment at={app.createdDateTime} as="day" /> },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (app) => (
        <span className={styles.acts}>
          <GuardedButton size="small" may={app.may.rotate} onClick={() => setRotating(app)}>
            New secret
          </GuardedButton>
          <GuardedButton size="small" appearance="subtle" may={app.may.remove} onClick={() => setRemoving(app)}>
            Remove
          </GuardedButton>
        </span>
      ),
    },
  ];
  return (
    <Page
      title="Apps"
      lead="Programs that read and change incidents through the API, such as a SIEM or a ticket system."
      actions={
        <GuardedButton appearance="primary" icon={<AddRegular />} may={apps.data?.may.add} onClick={() => setAdding(true)}>
          Add an app
        </GuardedButton>
      }
    >
      {apps.isPending ? (
        <Waiting rows={5} />
      ) : apps.isError ? (
        <Failure error={apps.error} retry={() => void apps.refetch()} />
      ) : apps.data.value.length === 0 ? (
        <Empty title="No apps yet">An app signs in with a client id and a secret, as with Entra.</Empty>
      ) : (
        <Table label="Apps" columns={columns} rows={apps.data.value} id={(app) => app.clientId} name={(app) => app.name} />
      )}
      {adding && apps.data && (
        <AddApp
          permissions={apps.data.permissions}
          onClose={() => setAdding(false)}
          onAdded={(made) => {
            setAdding(false);
            setSecret(made);
            void again();
          }}
        />
      )}
      {rotating && (
        <Ask
          open
          title={`New secret for ${rotating.name}`}
          act="Make a new secret"
          onClose={() => setRotating(null)}
          onAct={async () => {
            const made = await read(
              api.POST('/api/v1/apps/{id}/secret', {
                params: { path: { id: rotating.clientId } },
                body: {},
              }),
            );
            setSecret({ ...made, name: rotating.name });
          }}
        >
          <span>The old secret stops working at once. {rotating.name} cannot sign in until it has the new one.</span>
        </Ask>
      )}
      {removing && (
        <Ask
          open
          title={`Remove ${removing.name}`}
          act={`Remove ${removing.name}`}
          onClose={() => setRemoving(null)}
          onAct={async () => {
            await read(api.DELETE('/api/v1/apps/{id}', { params: { path: { id: removing.clientId } } }));
            await again();
            toasts.done(`${removing.name} is removed.`);
          }}
        >
          <span>It loses access at once. What it did stays on record.</span>
        </Ask>
      )}
      {secret && (
        <Ask open title={`Credentials of ${secret.name}`} act="Done" shows onClose={() => setSecret(null)} onAct={async () => undefined}>
          <Notice intent="warning">The secret is shown this once and never again.</Notice>
          <Facts
            facts={[
              ['Tenant id', <CopyText key="t" text={secret.tenantId} label="Copy the tenant id" />],
              ['Client id', <CopyText key="c" text={secret.clientId} label="Copy the client id" />],
              ['Client secret', <CopyText key="s" text={secret.clientSecret} label="Copy the client secret" />],
            ]}
          />
        </Ask>
      )}
    </Page>
  );
}

function AddApp({
  permissions,
  onClose,
  onAdded,
}: {
  permissions: string[];
  onClose: () => void;
  onAdded: (made: AppSecret & { name: string }) => void;
}) {
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  return (
    <Ask
      open
      title="Add an app"
      act="Add"
      ready={name.trim() !== '' && chosen.length > 0}
      onClose={onClose}
      onAct={async () => {
        const made = await read(api.POST('/api/v1/apps', { body: { name: name.trim(), permissions: chosen } }));
        onAdded({ ...made, name: name.trim() });
        return 'stay';
      }}
    >
      <Field label="Name" required>
        <Input value={name} maxLength={200} onChange={(_, data) => setName(data.value)} />
      </Field>
      <div role="group" aria-label="Permissions">
        {permissions.map((permission) => (
          <div key={permission}>
            <Checkbox
              label={permission}
              checked={chosen.includes(permission)}
              onChange={(_, data) =>
                setChosen(data.checked ? [...chosen, permission] : chosen.filter((one) => one !== permission))
              }
            />
          </div>
        ))}
      </div>
    </Ask>
  );
}
